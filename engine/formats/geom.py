"""CrystFEL's geometry of a data set (``.geom``): where its panels are in the images and in the laboratory.

CrystFEL's laboratory is NeXus': the beam along +z, +y upwards.
"""

from __future__ import annotations

import numpy as np

from nanobragg import __version__
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.formats.nexus import DATA, DETECTOR, gain, placement
from nanobragg.engine.scene.scene import Scene

COUNTS = "int32"
WAVELENGTH = "/entry/instrument/beam/incident_wavelength"


def _axis(v: np.ndarray) -> str:
    return " ".join(f"{x:+.12f}{letter}" for x, letter in zip(v + 0.0, "xyz", strict=True))


def geom_of(scene: Scene, *, one_wavelength: bool = True) -> str:
    """The text of a data set's geometry; ``one_wavelength``: whether that of all images is the scene's."""
    place = placement(scene)
    clen, res = float(place.panels[0].origin[2]), 1.0 / place.pixel_size
    energy = f"photon_energy = {HC / (scene.beam.mean_wavelength * 1e10):.9g}"
    lines = [
        f"; written by nanobragg {__version__}: images are counts, panels one below the other",
        energy if one_wavelength else f"wavelength = {WAVELENGTH} A",
        f"adu_per_photon = {gain(scene, COUNTS):.9g}", f"clen = {clen:.12g} m", f"res = {res:.12g}", f"data = /{DATA}",
        "dim0 = %", "dim1 = ss", "dim2 = fs",
        f"mask = /{DETECTOR}/pixel_mask", "mask_good = 0x0000", "mask_bad = 0xffff",
    ]  # fmt: skip
    if scene.detector.saturation > 0.0:
        lines.append(f"max_adu = {scene.detector.saturation:.12g}")
    for number, panel in enumerate(place.panels):
        name = f"p{number}"
        first = number * place.n_slow
        x, y, z = panel.origin
        slow, fast = panel.size
        said = {
            "min_fs": 0, "max_fs": fast - 1, "min_ss": first, "max_ss": first + slow - 1,
            "fs": _axis(panel.fast), "ss": _axis(panel.slow),
            "corner_x": f"{x * res:.9f}", "corner_y": f"{y * res:.9f}", "coffset": f"{z - clen:.12f}",
        }  # fmt: skip
        lines += ["", *(f"{name}/{key} = {value}" for key, value in said.items())]
        for place_of_rectangle, (left, top, right, bottom) in enumerate(scene.detector.masked[number]):
            ends = {"min_fs": left, "max_fs": right - 1, "min_ss": first + top, "max_ss": first + bottom - 1}
            bad = f"bad{number}_{place_of_rectangle}"
            lines += [*(f"{bad}/{key} = {value}" for key, value in ends.items()), f"{bad}/panel = {name}"]
    return "\n".join(lines) + "\n"
