"""DIALS' own description of a data set (``.expt``): what no image header has words for, and the true crystals.

DIALS' laboratory is NeXus' turned by half a turn about y: the beam goes along -z.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine.formats.nexus import gain, pedestal, plain, saturation_of, turn
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.vectors import cross

BELOW_NOTHING = -0.5  # readers differ in whether the least value is trusted; 0 is, and -1 is no count
OF_MOSFLM = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
ORIGIN = [0.0, 0.0, 0.0]
UNTURNED = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


class Sweep(NamedTuple):
    """One crystal that turns: from where, and by how much in each image (degrees); downwards if that is negative.

    ``first`` is the number of the first image of those that are there, counted from 0.
    """

    begin: float
    width: float
    first: int
    images: int


class Models:
    """The models of an experiment list; equal ones are kept once."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, int]] = {}
        self.lists: dict[str, list[Any]] = {}

    def place(self, kind: str, model: dict[str, Any]) -> int:
        """Where a model stands among those of its kind."""
        places, key = self._places.setdefault(kind, {}), json.dumps(model)
        if key not in places:
            places[key] = self.add(kind, model)
        return places[key]

    def add(self, kind: str, model: dict[str, Any]) -> int:
        """A model of its own."""
        models = self.lists.setdefault(kind, [])
        models.append(model)
        return len(models) - 1


def to_dials(scene: Scene) -> np.ndarray:
    """The rotation from our laboratory to DIALS', (3, 3).

    MOSFLM's laboratory is turned as it is, so that what was read of DIALS goes back to where it was.
    """
    if scene.detector.convention == "MOSFLM":
        return OF_MOSFLM
    return np.array([[-1.0], [1.0], [-1.0]]) * turn(scene.beam.direction, scene.scan.spindle)


def sweeps(template: str | None, name: str, scene: Scene, found: Iterable[Sweep], values: str, sensor: str) -> str:
    """The text of one rotation, in several pieces where images are missing.

    Parameters
    ----------
    template
        Of the images' names, or ``None`` for a file that holds them all.
    name
        The file that holds them all, or else what makes the experiment's identifier its own.
    scene
        Of the first image.
    found
        Angles and images of each piece.
    values
        Data type of the pixels.
    sensor
        Material of the sensor.
    """
    models, rows = Models(), []
    for sweep in found:
        axis, begin = to_dials(scene) @ scene.scan.spindle, sweep.begin
        if sweep.width < 0.0:
            axis, begin = -axis + 0.0, -begin
        goniometer = {"rotation_axis": axis.tolist(), "fixed_rotation": UNTURNED, "setting_rotation": UNTURNED}
        numbers = {} if template else {"single_file_indices": list(range(sweep.images))}
        images = _imageset("ImageSequence", {"template": template or name, **numbers})
        shared = {
            "goniometer": models.place("goniometer", goniometer),
            "scan": models.place("scan", _scan(sweep, begin, scene.beam.exposure)),
            "imageset": models.add("imageset", images),
        }
        rows += [row | shared for row in _experiments(models, scene, f"{name} {sweep.first}", values, sensor, 0.0)]
    return _text(rows, models)


def _scan(sweep: Sweep, begin: float, exposure: float) -> dict[str, Any]:
    return {
        "image_range": [sweep.first + 1, sweep.first + sweep.images], "batch_offset": 0,
        "oscillation": [plain(begin) + 0.0, plain(abs(sweep.width))],
        "exposure_time": [exposure] * sweep.images, "epochs": [exposure * n for n in range(sweep.images)],
        "valid_image_ranges": {},
    }  # fmt: skip


def stills(images: Iterable[tuple[str, int | None, Scene]], values: str, sensor: str) -> str:
    """The text of stills: of each image its file, its place in it (or ``None``), and what it shows."""
    models, rows = Models(), []
    for file, place, scene in images:
        numbers = {} if place is None else {"single_file_indices": [place]}
        made = _imageset("ImageSet", {"images": [file], **numbers})
        shared = {"imageset": models.add("imageset", made)}
        of_crystals = _experiments(models, scene, f"{file} {place}", values, sensor, scene.scan.mean)
        rows += [row | shared for row in of_crystals]
    return _text(rows, models)


def _text(rows: list[dict[str, Any]], models: Models) -> str:
    kinds = ("imageset", "beam", "detector", "goniometer", "scan", "crystal", "profile", "scaling_model")
    lists = {kind: models.lists.get(kind, []) for kind in kinds}
    return json.dumps({"__id__": "ExperimentList", "experiment": rows} | lists) + "\n"


def _imageset(kind: str, images: dict[str, Any]) -> dict[str, Any]:
    return {
        "__id__": kind,
        **images,
        "mask": None,
        "gain": None,
        "pedestal": None,
        "dx": None,
        "dy": None,
        "params": {},
    }


def _experiments(
    models: Models, scene: Scene, name: str, values: str, sensor: str, phi: float
) -> Iterator[dict[str, Any]]:
    """One for each crystal in the beam."""
    for alone in scene.each_crystal:
        yield _experiment(models, alone, name, values, sensor, phi)


def _experiment(models: Models, scene: Scene, name: str, values: str, sensor: str, phi: float) -> dict[str, Any]:
    identifier = uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {scene.crystal.recip} {scene.noise.seed}")
    return {
        "__id__": "Experiment", "identifier": str(identifier),
        "beam": models.place("beam", _beam(scene)),
        "detector": models.place("detector", _detector(scene, values, sensor)),
        "crystal": models.place("crystal", _crystal(scene, phi)),
    }  # fmt: skip


def _beam(scene: Scene) -> dict[str, Any]:
    """Polarized as it was rendered: DIALS' fraction is (1 + K)/2, its normal stands on beam and polarization."""
    beam = scene.beam
    across = to_dials(scene) @ np.array(cross(beam.polar, beam.direction))
    length = float(np.linalg.norm(across))
    return {
        "direction": (-(to_dials(scene) @ beam.direction) + 0.0).tolist(),
        "wavelength": plain(scene.beam.mean_wavelength * 1e10),
        "divergence": 0.0, "sigma_divergence": 0.0,
        "polarization_normal": (across / length).tolist() if length > 0.0 else [0.0, 1.0, 0.0],
        "polarization_fraction": 0.5 if beam.polarization_left_out else plain((1.0 + beam.kahn) / 2.0),
        "flux": 0.0, "transmission": 1.0,
    }  # fmt: skip


def _detector(scene: Scene, values: str, sensor: str) -> dict[str, Any]:
    d = scene.detector
    panels = [_panel(scene, number, values, sensor) for number in range(len(d.panels))]
    hierarchy = {
        "name": "", "type": "", "fast_axis": [1.0, 0.0, 0.0], "slow_axis": [0.0, 1.0, 0.0], "origin": ORIGIN,
        "raw_image_offset": [0, 0], "image_size": [0, 0], "pixel_size": [0.0, 0.0], "trusted_range": [0.0, 0.0],
        "thickness": 0.0, "material": "", "mu": 0.0, "identifier": "", "mask": [], "gain": 1.0, "pedestal": 0.0,
        "px_mm_strategy": {"type": "SimplePxMmStrategy"}, "children": [{"panel": n} for n in range(len(panels))],
    }  # fmt: skip
    return {"panels": panels, "hierarchy": hierarchy}


def _panel(scene: Scene, number: int, values: str, sensor: str) -> dict[str, Any]:
    d, lab, panel = scene.detector, to_dials(scene), scene.detector.panels[number]
    absorbs = d.thickness > 0.0 and 0.0 < d.mu < math.inf
    return {
        "name": "Panel" if len(d.panels) == 1 else f"Panel {number}", "type": "SENSOR_PAD",
        "fast_axis": (lab @ panel.fdet).tolist(), "slow_axis": (lab @ panel.sdet).tolist(),
        "origin": (lab @ panel.pix0 * 1e3).tolist(), "raw_image_offset": [0, number * d.n_slow],
        "image_size": list(reversed(d.sizes[number])),
        "pixel_size": [plain(d.pixel_size * 1e3)] * 2,
        "trusted_range": [BELOW_NOTHING, float(saturation_of(scene, values))],
        "thickness": plain(d.thickness * 1e3) if absorbs else 0.0, "material": sensor if absorbs else "",
        "mu": plain(d.mu * 1e-3) if absorbs else 0.0, "identifier": "",
        "mask": [list(rectangle) for rectangle in d.masked[number]], "gain": gain(scene, values),
        "pedestal": pedestal(scene, values),
        "px_mm_strategy": {"type": "ParallaxCorrectedPxMmStrategy" if absorbs else "SimplePxMmStrategy"},
    }  # fmt: skip


def _crystal(scene: Scene, phi: float) -> dict[str, Any]:
    """The true cell vectors (Angstrom), turned about the spindle by ``phi`` radians."""
    lab = to_dials(scene)
    axis = lab @ scene.scan.spindle
    real = np.linalg.inv(np.array(scene.crystal.recip).T) @ lab.T  # rows a, b, c
    turned = real * math.cos(phi) + np.cross(axis, real) * math.sin(phi)
    turned = turned + np.outer(real @ axis, axis) * (1.0 - math.cos(phi))
    names = ("real_space_a", "real_space_b", "real_space_c")
    return {
        "__id__": "crystal", **{name: row.tolist() for name, row in zip(names, turned, strict=True)},
        "space_group_hall_symbol": " P 1",
    }  # fmt: skip
