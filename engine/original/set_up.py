"""From settings to a scene, in the original's order, with the oddities that are not fixed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.background import AVOGADRO, WATER_F, WATER_WEIGHT
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.original import beam as beams
from nanobragg.engine.original import crystal as crystals
from nanobragg.engine.original import inputs, sampling
from nanobragg.engine.original.beam import ToldBeam
from nanobragg.engine.original.crystal import MissetLattice
from nanobragg.engine.original.detector import ToldDetector, detector
from nanobragg.engine.original.frame import LabFrame, frame
from nanobragg.engine.original.habits import habits_of
from nanobragg.engine.original.quirks import FIXABLE
from nanobragg.engine.original.scan import scan
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.plan import R_E_SQR
from nanobragg.engine.scene.cell import recommended_oversampling
from nanobragg.engine.scene.checks import MOST_DOMAINS, check_cells
from nanobragg.engine.scene.matter import of_points
from nanobragg.engine.scene.of_model import LARGEST_SPREAD, RIGHT
from nanobragg.engine.scene.scene import Noise, Rotation, Sampled, Scatterer, Scene
from nanobragg.kernels.image.random import new_table

MOST_STEPS = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What is known before amplitudes and sources are read: directions, detector, rotation and crystal.

    ``random_table`` is the generator's table as set-up has left it.
    """

    settings: Settings
    frame: LabFrame
    crystal: MissetLattice
    detector: ToldDetector
    scan: Rotation
    oversample: int
    oversample_chosen: bool
    random_table: np.ndarray


@dataclasses.dataclass(frozen=True, repr=False)
class SetUp(Geometry):
    """All that a command line simulates: the geometry, the beam and the structure factors."""

    beam: ToldBeam
    factors: StructureFactors
    interpolate: bool
    stol: np.ndarray | None

    @functools.cached_property
    def scene(self) -> Scene:
        """What is simulated; raises `BadInput` for more steps than the original can count."""
        s = self.settings
        count = steps(self)
        thick, polar, omega = own_factors(self)
        sampled = Sampled(self.oversample, thick, polar, omega, self.interpolate, float(count))
        philox = bool(s.fixes & {"Q52", "Q82"})
        rounded = philox and "Q78" in s.fixes
        offset = float(np.floor(s.adc + 0.5)) if rounded else s.adc
        some = ", some of it right" if s.fixes else ""
        amorphous = () if self.stol is None else droplet(s.water, self.stol)
        everywhere = background(s, self.beam.fluence, float(count)) if self.stol is None else 0.0
        return Scene(
            detector=self.detector, beam=self.beam, crystal=self.crystal, scan=self.scan, factors=self.factors,
            sampled=sampled, background=everywhere, water=s.water != 0.0 and self.stol is None,
            dmin=s.dmin, noise=Noise(s.seed, offset, None if philox else self.random_table),
            habits=habits_of(s.fixes, running_products=running_products(self)),
            physics=RIGHT if s.fixes >= FIXABLE else f"as the original's{some}", scatterers=amorphous,
        )  # fmt: skip


def geometry(
    settings: Settings,
    mask: np.ndarray | None,
    warn: Callable[[str], None],
    *,
    matrix: list[float] | None = None,
) -> Geometry:
    """Everything that needs no amplitudes, in the original's order.

    Parameters
    ----------
    settings
        What was asked for.
    mask
        Pixels of the mask image (slow * fast), or ``None``.
    warn
        Called with one line for each remark.
    matrix
        What a matrix file would hold: a*, b*, c* in columns, times the wavelength.

    Raises
    ------
    BadInput
        For anything that cannot be simulated.
    """
    if settings.lambda0 == 0.0:
        raise BadInput("-lambda or -energy: the wavelength must not be 0")
    sizes = beams.sample_clipped_by_beam(settings, warn)
    axes = frame(settings, warn)
    placed = detector(settings, axes, mask)
    rotation = scan(settings, axes)
    if sampling.mosaic(settings.domains, settings.mosaic).domains > MOST_DOMAINS:
        raise BadInput(f"-mosaic_domains {settings.domains}: more than {MOST_DOMAINS}")
    if settings.mosaic > LARGEST_SPREAD:
        raise BadInput(f"-mosaic: a spread of {settings.mosaic:g} radians")
    if settings.mat_file is not None:
        matrix = inputs.read_matrix(settings.mat_file, settings.user_cell, warn, settings.fixes)
    table = new_table()
    block = crystals.crystal(settings, matrix, sizes, table, warn)
    recommended = recommended_oversampling(
        block.n_cells, block.lengths, settings.lambda0, placed.panel.distance, settings.pixel
    )
    oversample = settings.oversample if settings.oversample > 0 else recommended
    if oversample < recommended:
        warn(f"-oversample {oversample}: {recommended} would resolve the spots")
    return Geometry(settings, axes, block, placed, rotation, oversample, settings.oversample <= 0, table)


def beam_of(start: Geometry) -> ToldBeam:
    """The beam, its sources read where a file names them; raises `BadInput` where a file will not do."""
    settings, rows = start.settings, None
    if settings.stol_file is not None:
        inputs.rows_of(settings.stol_file, "-stol, -4stol or -Q", 2)
    if settings.source_file is not None:
        rows = inputs.read_sources(settings.source_file, start.frame.beam, settings.lambda0, settings.fixes)
    return beams.beam(settings, start.frame, rows)


def set_up(
    start: Geometry,
    warn: Callable[[str], None],
    *,
    factors: StructureFactors | None = None,
    beam: ToldBeam | None = None,
) -> SetUp:
    """Add amplitudes and beam, which are read where they are not given; raises `BadInput` where a file will not do."""
    if factors is None:
        factors = inputs.structure_factors(start.settings, warn)
    if beam is None:
        beam = beam_of(start)
    parts = {field.name: getattr(start, field.name) for field in dataclasses.fields(start)}
    return SetUp(**parts, beam=beam, factors=factors, interpolate=start.crystal.interpolate and factors.n_hkl != 0,
                 stol=inputs.read_stol(start.settings))  # fmt: skip


def steps(e: SetUp) -> int:
    """What the sum of a pixel is divided by; layers are not counted (Q05)."""
    count = len(e.beam.directions) * e.crystal.domains * e.scan.steps * e.oversample * e.oversample
    if count > MOST_STEPS and "Q25" not in e.settings.fixes:
        raise BadInput(
            f"{count} steps per pixel ({len(e.beam.directions)} sources x {e.crystal.domains} domains x {e.scan.steps} "
            f"phi steps x {e.oversample} x {e.oversample} sub-pixels) are more than the original can count (Q25)"
        )
    check_cells(e.scan.steps, e.crystal.domains)
    return count


def background(settings: Settings, fluence: float, count: float) -> float:
    """Water's part of every pixel's sum: a droplet of ``water`` metres, F = 2.57.

    The original's contains what all sums are multiplied with at the end, and is divided by ``count`` with them (Q12).
    """
    w = settings.water
    if "Q12" in settings.fixes:
        return WATER_F * WATER_F * w * w * w * 1e6 * AVOGADRO / WATER_WEIGHT * count
    return WATER_F * WATER_F * R_E_SQR * fluence * w * w * w * 1e6 * AVOGADRO / WATER_WEIGHT


def droplet(edge: float, table: np.ndarray) -> tuple[Scatterer, ...]:
    """Water's molecules in a cube of an edge, metres, that scatter as a table of stol and F says (Q73)."""
    molecules = edge * edge * edge * 1e6 * AVOGADRO / WATER_WEIGHT
    if not molecules > 0.0:
        return ()
    scattered = of_points(tuple((table[:, 0] * 1e-10).tolist()), tuple(table[:, 1].tolist()))
    return (Scatterer(np.zeros(1), np.array([molecules]), scattered),)


def own_factors(e: SetUp) -> tuple[bool, bool, bool]:
    """Whether capture, polarization and solid angle are evaluated anew each time.

    Q10 has every term weighted with its own, Q05 every layer with its own capture; either way terms are weighted, not
    the running sum (`running_products`).
    """
    s, d = e.settings, e.detector
    own, layers = "Q10" in s.fixes, "Q05" in s.fixes and d.layers > 1
    thick, polar, omega = s.over_thick or own or layers, s.over_polar or own, s.over_omega or own
    if d.thickness == 0.0 and ("Q07" in s.fixes or not running_products(e)):
        thick = False
    if e.beam.polarization_left_out and ("Q16" in s.fixes or own):
        polar = False
    return thick, polar, omega


def running_products(e: SetUp) -> bool:
    """Whether own factors multiply the running sum, not each term (Q04)."""
    fixes = e.settings.fixes
    return not ("Q10" in fixes or ("Q05" in fixes and e.detector.layers > 1) or "Q04" in fixes)
