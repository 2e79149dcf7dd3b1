"""What our own options say of the physics, and where that enters on the way from flags to an experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanobragg.cli.nanobragg.options import Options
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.detectors.catalogue import PHOSPHOR, DetectorModel, detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.original import choices
from nanobragg.engine.original.quirks import NONE, Fixes, fixes_of
from nanobragg.engine.original.set_up import Geometry, SetUp, beam_of, set_up
from nanobragg.engine.original.settings import Settings


class Physics(NamedTuple):
    """Those of our own options that say what is simulated."""

    fixes: Fixes = NONE
    shape: str | None = None
    structure: str | None = None
    wanted: Wanted = Wanted()
    detector: DetectorModel | None = None


def physics_of(options: Options) -> Physics:
    """What the options say; a detector by name has its sensor computed right."""
    if options.structure is None and options.wanted != Wanted():
        raise BadInput("--labels, --symmetry, --solvent, --anomalous, --F000: belong to --structure")
    model = detector_model(options.detector) if options.detector is not None else None
    fixes = options.fixes | (fixes_of("thickness") if model else NONE)
    return Physics(fixes, options.shape, options.structure, options.wanted, model)


def preset(physics: Physics) -> dict[str, Any]:
    """Settings before headers and flags: the detector of this name."""
    fields: dict[str, Any] = {"fixes": physics.fixes}
    if physics.detector is None:
        return fields
    model, (slow, fast), pixel = physics.detector, physics.detector.shape, physics.detector.pixel_mm / 1000.0
    fields |= {"n_f": fast, "n_s": slow, "pixel": pixel, "det_f": fast * pixel, "det_s": slow * pixel}
    fields["saturation"] = float(model.saturation)
    if model.sensor != PHOSPHOR:
        fields |= {"sensor_material": model.sensor, "thick": model.thickness_mm / 1000.0, "thick_steps": 1}
    return fields


def completed(settings: Settings, physics: Physics) -> Settings:
    """Settings with what flags alone should decide, where that is fixed, and with what the options say.

    A random orientation without a seed of its own follows the noise seed (Q50); without a name there is no dump (Q58,
    Q59). The shape is that of ``--shape``, the cell that of the structure unless a flag gives one, the attenuation that
    of the sensor at this wavelength.
    """
    changes: dict[str, Any] = {}
    if choices.seed_reaches_misset(settings.fixes) and "misset_seed" not in settings.given:
        changes["misset_seed"] = settings.seed
    no_dump = physics.structure is not None or choices.dump_only_by_name(settings.fixes)
    if "dump_file" not in settings.given and no_dump:
        changes["dump_file"] = ""
    if physics.shape is not None:
        changes["shape"] = physics.shape
    if physics.structure is not None:
        from nanobragg.cli.nanobragg.structure import (
            cell_settings,  # readers of structures are loaded where there is one
        )

        changes |= cell_settings(settings, physics.structure)
    model = physics.detector
    if model is not None and "mu" not in settings.given and settings.thick > 0.0 and settings.lambda0 > 0.0:
        depth_mm = model.attenuation_mm(HC / (settings.lambda0 * 1e10))
        changes |= {"mu": 1000.0 / depth_mm} if depth_mm is not None else {}
    return dataclasses.replace(settings, **changes) if changes else settings


def with_gaps(mask: np.ndarray | None, physics: Physics, settings: Settings) -> np.ndarray | None:
    """The mask's pixels without those in the gaps of the detector."""
    model = physics.detector
    if model is None or model.shape != (settings.n_s, settings.n_f):
        return mask
    gaps = model.mask().ravel()
    if gaps.all():
        return mask
    if mask is None:
        return gaps
    if mask.ndim == 2:
        return np.where(model.mask(), mask, 0) if mask.shape == model.shape else mask
    return np.where(gaps, mask[: len(gaps)], 0) if len(mask) >= len(gaps) else mask


def set_up_of(physics: Physics, placed: Geometry, remark: Callable[[str], None]) -> SetUp:
    """What is simulated, with the amplitudes of files or of a structure."""
    if physics.structure is None:
        return set_up(placed, remark)
    from nanobragg.cli.nanobragg.structure import factors_of

    beam = beam_of(placed)
    return set_up(placed, remark, factors=factors_of(physics, placed, beam, remark), beam=beam)
