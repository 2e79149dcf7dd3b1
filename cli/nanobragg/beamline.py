"""What a real beam line brings to a command line: ``--geometry``, ``--spectrum``, and detectors of several panels."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nanobragg.engine.c_numbers import DEGREES, HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.model.spectrum import KINDS, Shot, SpectrumFile, spectrum_of
from nanobragg.engine.original import beam as beams
from nanobragg.engine.original.beam import ToldBeam
from nanobragg.engine.original.set_up import Geometry, beam_of
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene import of_model, sensor
from nanobragg.engine.scene.placement import CONVENTIONS
from nanobragg.engine.scene.scene import NO_WIDE_PIXELS, PlacedPanel

if TYPE_CHECKING:
    from nanobragg.cli.nanobragg.physics import Physics
    from nanobragg.engine.geometry.found import FileGeometry
    from nanobragg.engine.model.spectrum import SpectrumModel

# Settings that a detector of a file, or one of several panels, has itself.
OF_PANELS = {"pixel": "-pixel", "n_f": "-detpixels", "n_s": "-detpixels", "det_f": "-detsize", "det_s": "-detsize",
             "img_file": "-img"}  # fmt: skip
OF_FILE = OF_PANELS | {
    "distance": "-distance", "close_distance": "-close_distance", "Xbeam": "-Xbeam", "Ybeam": "-Ybeam",
    "Xclose": "-Xclose", "Yclose": "-Yclose", "ORGX": "-ORGX", "ORGY": "-ORGY", "convention": "-mosflm, -xds ...",
    "-pivot": "-pivot", "fdet": "-fdet_vector", "sdet": "-sdet_vector", "odet": "-odet_vector",
    "pix0": "-pix0_vector", "beam": "-beam_vector", "polar": "-polar_vector", "spindle": "-spindle_axis",
    "tt_axis": "-twotheta_axis", "twotheta": "-twotheta", "rot_x": "-detector_rotx", "rot_y": "-detector_roty",
    "rot_z": "-detector_rotz", "thick": "-detector_thick", "mu": "-detector_abs",
}  # fmt: skip
DISPERSION = {"dispersion": "-dispersion", "disp_steps": "-dispsteps", "disp_step": "-dispstep",
              "source_file": "-sourcefile"}  # fmt: skip


def read_spectrum(value: str) -> SpectrumModel:
    """A spectrum of a file, or of a model: ``sase,bandwidth_eV=40``."""
    kind, *fields = value.split(",")
    if kind not in KINDS or kind in ("given", "file"):
        if not os.path.exists(value.partition("\0")[0] or "\0"):
            models = ", ".join(name for name in KINDS if name not in ("given", "file"))
            raise BadInput(f"--spectrum {value}: No such file, and no model ({models})")
        return SpectrumFile(value)
    table: dict[str, Any] = {"kind": kind}
    for field in fields:
        name, _, number = field.partition("=")
        if name in table:
            raise BadInput(f"--spectrum {value}: {name}: is given twice")
        try:
            table[name] = json.loads(number)
        except ValueError:
            raise BadInput(f"--spectrum {value}: {field}: must be NAME=NUMBER") from None
    return spectrum_of(table, f"--spectrum {value}")


def settings_of_file(found: FileGeometry) -> dict[str, Any]:
    """Settings that a file gives, before flags."""
    detector, beam, scan = found.detector, found.tables.get("beam", {}), found.tables.get("scan", {})
    directions = CONVENTIONS[detector.convention]
    slow, fast = detector.of_each_panel
    pixel = detector.pixel_mm / 1e3
    nearest = min((p.distance for p in of_model.placed_panels(detector, _root(detector), directions.beam)
                   if p.distance > 0.0), default=1.0)  # fmt: skip
    fields: dict[str, Any] = {
        "n_f": fast, "n_s": slow, "pixel": pixel, "det_f": fast * pixel, "det_s": slow * pixel, "distance": nearest,
        "saturation": detector.saturation or 0.0, "sensor_material": detector.material or sensor.DEFAULT_SENSOR,
        "convention": "CUSTOM", "beam": beam.get("direction", directions.beam),
        "polar": beam.get("polarization_axis", directions.polar), "spindle": scan.get("axis", directions.spindle),
        "fdet": directions.fdet, "sdet": directions.sdet, "odet": directions.odet, "tt_axis": directions.tt_axis,
    }  # fmt: skip
    if "wavelength_A" in beam:
        fields["lambda0"] = beam["wavelength_A"] / 1e10
    if "polarization" in beam:
        fields["kahn"] = beam["polarization"]
    if detector.thickness_um > 0.0:
        fields |= {"thick": detector.thickness_um / 1e6, "thick_steps": 1}
    if scan.get("range_deg", 0.0) > 0.0:
        fields |= {"phi0": scan["start_deg"] / DEGREES, "osc": scan["range_deg"] / DEGREES}
    return fields


def check_sufficient(settings: Settings, physics: Physics) -> None:
    """Refuse flags that say what a file or a name says already, and ask for what a file does not say."""
    found, several = physics.geometry, physics.several_panels
    said = {name: flag for name, flag in (OF_FILE if found else OF_PANELS if several else {}).items()
            if name in settings.given}  # fmt: skip
    if (found or several) and "curved" in settings.given:
        raise BadInput("-curved_det: the panels of this detector are flat: leave it out")
    if said:
        who = f"--geometry {found.path}" if found else "--detector"
        raise BadInput(f"{', '.join(dict.fromkeys(said.values()))}: {who} says so already: leave it out")
    spectrum = spectrum_for(settings, physics)
    silent = found is not None and "wavelength_A" not in found.tables.get("beam", {}) and spectrum is None
    if found and silent and "lambda0" not in settings.given:
        raise BadInput(f"{found.path}: does not say the wavelength: give -lambda or -energy")
    twice = [flag for name, flag in DISPERSION.items() if name in settings.given]
    if spectrum is not None and twice:
        raise BadInput(f"{', '.join(twice)}: the spectrum says the wavelengths already: leave it out")


def spectrum_for(settings: Settings, physics: Physics) -> SpectrumModel | None:
    """The spectrum of ``--spectrum``, or that of the file of ``--geometry`` unless a flag gives a wavelength."""
    if physics.spectrum is not None or physics.geometry is None or "lambda0" in settings.given:
        return physics.spectrum
    given = physics.geometry.tables.get("beam", {}).get("spectrum")
    return None if given is None else spectrum_of(given, f"{physics.geometry.path}: spectrum")


def wavelength_of(settings: Settings, physics: Physics) -> float:
    """The middle wavelength, metres: that of a spectrum that says its own."""
    spectrum = spectrum_for(settings, physics)
    if spectrum is None:
        return settings.lambda0
    return spectrum.nominal_A(HC / (settings.lambda0 * 1e10)) / 1e10


def matrix_of(settings: Settings, physics: Physics) -> list[float] | None:
    """What a matrix file would hold of the crystal of ``--geometry``, where flags give none."""
    found = physics.geometry
    if found is None or "crystal" not in found.tables or settings.mat_file is not None or settings.user_cell:
        return None
    vectors = np.asarray(found.tables["crystal"]["reciprocal"], float)
    return [float(x) for x in (vectors.T * (settings.lambda0 * 1e10)).ravel()]


def _root(detector: Detector) -> PlacedPanel:
    """Where the frame of a detector of a file stands."""
    return of_model.frame_by_vectors(detector, CONVENTIONS[detector.convention].beam)


def _model(physics: Physics) -> Detector | None:
    """The detector, where it is one of a file or has several panels."""
    if physics.geometry is not None:
        return physics.geometry.detector
    return Detector(model=physics.detector.name).of_model() if physics.detector and physics.several_panels else None


def placed_by(physics: Physics, placed: Geometry, mask: np.ndarray | None) -> Geometry:
    """The detector of a file, or of several panels, in its place; ``mask`` is that of ``-mask``."""
    model = _model(physics)
    if model is None:
        return placed
    of_file, told = physics.geometry, placed.detector
    frame = told.panel if of_file is None else _root(model)
    panels = of_model.placed_panels(model, frame, placed.frame.beam)
    slow, fast = model.of_each_panel
    own = None if of_file is None else of_file.mask
    mu = told.mu
    if of_file is not None:
        mu = sensor.absorption(model, placed.settings.lambda0) if model.thickness_um > 0.0 else 0.0
    x0, x1, y0, y1 = told.roi
    roi = (min(x0, fast), min(x1, fast), min(y0, slow), min(y1, slow))
    detector = dataclasses.replace(
        told, panels=panels, n_fast=fast, n_slow=slow, roi=roi, mask=_mask(model, own, mask),
        mu=mu,
        convention=model.convention if of_file is not None else told.convention,
        wide_pixels=physics.detector.wide_pixels if physics.detector is not None else NO_WIDE_PIXELS,
    )  # fmt: skip
    return dataclasses.replace(placed, detector=detector)


def _mask(model: Detector, own: np.ndarray | None, given: np.ndarray | None) -> np.ndarray:
    """1 for pixels that are rendered: those of the detector, less those of its file's mask and of ``-mask``."""
    kept = own
    if given is not None:
        size = int(np.prod(model.image_shape))
        if given.size != size:
            raise BadInput(f"-mask: has {given.size} pixels, the image {size} (panels one below the other)")
        asked = given.reshape(model.image_shape) != 0
        kept = asked if kept is None else asked & (kept != 0)
    return of_model.kept_of(model, kept)


def beam_by(physics: Physics, placed: Geometry) -> ToldBeam:
    """The beam, with the spectrum of ``--spectrum`` times its divergence; weights count."""
    told, spectrum = beam_of(placed), spectrum_for(placed.settings, physics)
    if spectrum is None:
        return told
    from nanobragg.engine.scene import sources

    settings = placed.settings
    channels = spectrum.of_shot(HC / (settings.lambda0 * 1e10), Shot(abs(settings.seed), 0))
    start = np.column_stack([told.positions, told.wavelengths])
    sources.check_number(len(start) * len(channels.weights))
    rows = sources.times_wavelengths(start, channels.wavelengths_A * 1e-10)
    table = np.column_stack([rows[:, :3], np.tile(channels.weights, len(start)), rows[:, 3]])
    return beams.beam(settings, placed.frame, table)


def with_absorption(physics: Physics, placed: Geometry, beam: ToldBeam) -> Geometry:
    """What the sensor absorbs of each source's photons, where its material is known."""
    model = _model(physics) or (Detector(model=physics.detector.name).of_model() if physics.detector else None)
    if model is None or "mu" in placed.settings.given or not placed.detector.thickness > 0.0:
        return placed
    own = sensor.absorption_of_sources(model, beam)
    return dataclasses.replace(placed, detector=dataclasses.replace(placed.detector, absorption=own))
