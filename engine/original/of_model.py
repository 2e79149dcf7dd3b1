"""What the original makes of a model: the settings of a command line for it, and all that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import DEGREES
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.beam import Beam
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.original import beam as beams
from nanobragg.engine.original.quirks import Fixes
from nanobragg.engine.original.set_up import Geometry, SetUp, geometry, set_up
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.of_model import kept_pixels
from nanobragg.engine.scene.sensor import DEFAULT_SENSOR, absorption, material_of
from nanobragg.engine.scene.sources import SOURCE_DISTANCE

# What the original cannot be told, by its name in the model.
UNKNOWN: dict[str, Callable[[Experiment], Any]] = {
    "Detector: panels": lambda e: e.detector.panels,
    "Beam: spectrum with divergence": lambda e: e.beam.spectrum is not None and max(e.beam.divergence_steps) > 1,
    "roi of each panel": lambda e: e.sampling.rois,
    "Beam: direction": lambda e: e.beam.direction,
    "Beam: polarization_axis": lambda e: e.beam.polarization_axis,
    "Scan: axis": lambda e: e.scan.axis,
    "Crystal: mosaic_axes_deg": lambda e: e.crystal.mosaic_axes_deg,
    "Crystal: cell_spread_percent": lambda e: any(e.crystal.cell_spread_percent),
    "Crystal: lattices": lambda e: e.crystal.lattices > 1,
    "Crystal: share": lambda e: e.crystal.share != 1.0,
    "Crystal: B_A2": lambda e: e.crystal.B_A2,
    "Crystal: dose_MGy": lambda e: e.crystal.dose_MGy,
    "other_crystals": lambda e: e.other_crystals,
    "beamstop": lambda e: e.beamstop,
    "response": lambda e: e.response,
}


def settings_of(experiment: Experiment, factors: StructureFactors, fixes: Fixes) -> Settings:
    """Settings as a command line for this experiment would leave them."""
    crystal, detector, beam, scan = experiment.crystal, experiment.detector, experiment.beam, experiment.scan
    sampling = experiment.sampling
    (h, v), steps = beam.divergence_mrad, beam.divergence_steps
    assert detector.shape is not None and beam.wavelength_A is not None and beam.fluence is not None
    fields: dict[str, Any] = {
        "lambda0": beam.wavelength_A / 1e10, "fluence": beam.pulse_fluence, "exposure": beam.exposure_s,
        "beamsize": beam.beamsize_mm / 1e3, "kahn": beam.polarization or 0.0,
        "nopolar": beam.polarization is None,
        "pixel": detector.pixel_mm / 1000.0, "distance": detector.distance_mm / 1000.0,
        "n_s": detector.shape[0], "n_f": detector.shape[1], "convention": detector.convention,
        "curved": detector.curved, "point_pixel": detector.point_pixel, "twotheta": detector.twotheta_deg / DEGREES,
        "N_a": float(crystal.N[0]), "N_b": float(crystal.N[1]), "N_c": float(crystal.N[2]),
        "shape": crystal.shape, "fudge": crystal.fudge, "phi0": scan.start_deg / DEGREES,
        "mosaic_seed": -abs(crystal.mosaic_seed), "water": crystal.water_um / 1e6, "fixes": fixes,
        **{f"rot_{axis}": angle / DEGREES for axis, angle in zip("xyz", detector.tilt_deg, strict=True)},
    }  # fmt: skip
    for name, full, count in (("hdiv", h / 1000.0, steps[0]), ("vdiv", v / 1000.0, steps[1])):
        if count > 1:
            fields |= {name: full, f"{name}_steps": count}
    if beam.dispersion_steps > 1:
        fields |= {"dispersion": beam.dispersion_percent / 100.0, "disp_steps": beam.dispersion_steps}
    if scan.range_deg > 0.0 or scan.steps > 1:
        fields |= {"osc": scan.range_deg / DEGREES, "phisteps": scan.steps}
    if any(crystal.misset_deg):
        fields |= {f"misset_{axis}": angle / DEGREES for axis, angle in zip("xyz", crystal.misset_deg, strict=True)}
        fields["misset_mode"] = 1
    if crystal.mosaic_domains > 1:
        fields |= {"mosaic": crystal.mosaic_deg / DEGREES, "domains": crystal.mosaic_domains}
    if crystal.cell is not None:
        names = ("cell_a", "cell_b", "cell_c", "cell_alpha", "cell_beta", "cell_gamma")
        values = [*crystal.cell[:3], *(angle / DEGREES for angle in crystal.cell[3:])]
        fields |= {"user_cell": True, **dict(zip(names, values, strict=True))}
    if detector.thickness_um > 0.0:
        fields |= {"thick": detector.thickness_um * 1e-6, "thick_steps": detector.layers}
        if detector.attenuation_um is not None or material_of(detector) is not None:
            fields["mu"] = absorption(detector, beam.wavelength_A * 1e-10)
    fields |= {"saturation": detector.saturation or 0.0, "sensor_material": material_of(detector) or DEFAULT_SENSOR}
    if detector.beam_center_mm is not None:
        in_pixels = detector.convention in ("XDS", "DIALS")
        unit = detector.pixel_mm if in_pixels else 1e3
        x, y = (x / unit for x in detector.beam_center_mm)
        fields |= {"ORGX": x, "ORGY": y} if in_pixels else {"Xbeam": x, "Ybeam": y}
    fields |= {
        "oversample": int(sampling.oversample or -1), "dmin": sampling.dmin_A * 1e-10, "default_F": factors.default_F,
        "interp": 2 if sampling.interpolate is None else int(sampling.interpolate), "do_noise": False,
    }  # fmt: skip
    if sampling.roi is not None:
        fields |= dict(zip(("roi_x0", "roi_x1", "roi_y0", "roi_y1"), sampling.roi, strict=True))
    return Settings(**fields)


def set_up_of(experiment: Experiment, fixes: Fixes, warn: Callable[[str], None]) -> SetUp:
    """What the original simulates of an experiment, with some of its oddities fixed.

    Raises
    ------
    BadInput
        For what the original has no words for, and for anything that cannot be simulated.
    """
    factors, crystal, beam = experiment.factors, experiment.crystal, experiment.beam
    if experiment.detector.origin_mm is not None:
        raise BadInput(
            'Detector: fast, slow and origin_mm: the original cannot place a panel so: quirks must be "right"'
        )
    own = [name for name, value in UNKNOWN.items() if value(experiment)]
    if own:
        raise BadInput(f'{", ".join(own)}: the original has no words for: quirks must be "right"')
    if experiment.backgrounds:
        raise BadInput('backgrounds: the original knows the water of a Crystal alone: quirks must be "right"')
    if not isinstance(factors, StructureFactors):
        raise BadInput("factors: must be made by structure_factors, read_structure_factors or constant")
    matrix = None
    if crystal.reciprocal is not None:
        assert beam.wavelength_A is not None
        vectors = np.asarray(crystal.reciprocal, float).reshape(3, 3)
        matrix = (vectors.T * beam.wavelength_A).ravel().tolist()
    kept = kept_pixels(experiment)
    start = geometry(settings_of(experiment, factors, fixes), kept if kept.size else None, warn, matrix=matrix)
    if beam.spectrum is None:
        return set_up(start, warn, factors=factors)
    told = beams.beam(start.settings, start.frame, _sources(start, beam))
    return set_up(start, warn, factors=factors, beam=told)


def _sources(start: Geometry, beam: Beam) -> np.ndarray:
    """A spectrum as sources (n, 5): X Y Z (metres), weight, wavelength (metres)."""
    wavelengths_A, weights = beam.channels()
    place = np.tile([-SOURCE_DISTANCE * b for b in start.frame.beam], (len(weights), 1))
    return np.column_stack([place, weights, wavelengths_A * 1e-10])
