"""What our own options say of the physics, and where that enters on the way from flags to an experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nanobragg.cli.nanobragg.options import Options
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.detectors.catalogue import PHOSPHOR, DetectorModel, detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.model.spectrum import SpectrumModel
from nanobragg.engine.original import choices
from nanobragg.engine.original.quirks import NONE, Fixes, fixes_of
from nanobragg.engine.original.set_up import Geometry, SetUp, beam_of, geometry, set_up
from nanobragg.engine.original.settings import Settings

if TYPE_CHECKING:
    from nanobragg.engine.geometry.found import FileGeometry


class Physics(NamedTuple):
    """Those of our own options that say what is simulated."""

    fixes: Fixes = NONE
    shape: str | None = None
    structure: str | None = None
    wanted: Wanted = Wanted()
    detector: DetectorModel | None = None
    geometry: FileGeometry | None = None
    spectrum: SpectrumModel | None = None
    tables: int | str | None = None

    @property
    def several_panels(self) -> bool:
        """Whether images have more than one panel."""
        if self.geometry is not None:
            return len(self.geometry.tables["detector"]["panels"]) > 1
        return self.detector is not None and bool(self.detector.panels)

    @property
    def has_cell(self) -> bool:
        """Whether a file brings the crystal."""
        return self.geometry is not None and "crystal" in self.geometry.tables


def physics_of(options: Options) -> Physics:
    """What the options say; a detector by name has its sensor computed right."""
    if options.structure is None and options.wanted != Wanted():
        raise BadInput("--labels, --symmetry, --solvent, --anomalous, --F000: belong to --structure")
    if options.tables is not None and options.structure is None:
        raise BadInput("--tables: belongs to --structure")
    if options.detector is not None and options.geometry is not None:
        raise BadInput("--detector and --geometry: both say what the detector is: take one")
    model = detector_model(options.detector) if options.detector is not None else None
    found = spectrum = None
    if options.geometry is not None:
        from nanobragg.engine.geometry.known import read_geometry  # HDF5 is loaded where it is asked for

        found = read_geometry(options.geometry)
    if options.spectrum is not None:
        from nanobragg.cli.nanobragg.beamline import read_spectrum

        spectrum = read_spectrum(options.spectrum)
    fixes = options.fixes | (fixes_of("thickness") if model or found else NONE)
    weighted = spectrum is not None or (found is not None and "spectrum" in found.tables.get("beam", {}))
    fixes |= fixes_of("weights") if weighted else NONE
    return Physics(fixes, options.shape, options.structure, options.wanted, model, found, spectrum, options.tables)


def preset(physics: Physics) -> dict[str, Any]:
    """Settings before headers and flags: the detector of this name."""
    fields: dict[str, Any] = {"fixes": physics.fixes}
    if physics.geometry is not None:
        from nanobragg.cli.nanobragg.beamline import settings_of_file

        return fields | settings_of_file(physics.geometry)
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
    if physics.geometry is not None or physics.spectrum is not None or physics.several_panels:
        from nanobragg.cli.nanobragg import beamline

        beamline.check_sufficient(settings, physics)
        changes["lambda0"] = beamline.wavelength_of(settings, physics)
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

        changes |= {} if physics.has_cell else cell_settings(settings, physics.structure)
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
    of_beam_line = physics.spectrum or physics.geometry or physics.detector
    if physics.structure is None and of_beam_line is None:
        return set_up(placed, remark)
    beam, factors = beam_of(placed), None
    if of_beam_line is not None:
        from nanobragg.cli.nanobragg.beamline import beam_by, with_absorption

        beam = beam_by(physics, placed)
        placed = with_absorption(physics, placed, beam)
    if physics.structure is not None:
        from nanobragg.cli.nanobragg.structure import factors_of

        factors = factors_of(physics, placed, beam, remark)
    if factors is not None and factors.stack is not None:
        seen, numbers = factors.seen_at(HC / (beam.wavelengths * 1e10))
        return set_up(placed, remark, factors=seen, beam=dataclasses.replace(beam, table_numbers=numbers))
    return set_up(placed, remark, factors=factors, beam=beam)


def placed_of(settings: Settings, mask: np.ndarray | None, physics: Physics, remark: Callable[[str], None]) -> Geometry:
    """Everything that needs no amplitudes; the detector of a file or of several panels stands where that says."""
    if physics.geometry is None and not physics.several_panels:
        placed = geometry(settings, with_gaps(mask, physics, settings), remark)
        model = physics.detector
        if model is None or model.shape != placed.detector.shape:
            return placed
        detector = dataclasses.replace(placed.detector, wide_pixels=model.wide_pixels)
        return dataclasses.replace(placed, detector=detector)
    from nanobragg.cli.nanobragg import beamline

    placed = geometry(settings, None, remark, matrix=beamline.matrix_of(settings, physics))
    return beamline.placed_by(physics, placed, mask)
