"""What is simulated, put together from settings and files, and frozen into a plan."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.structure_factors import StructureFactors, structure_factors
from nanobragg.engine.formats.columns import read_columns
from nanobragg.engine.formats.reading import read, reason, scan_reals
from nanobragg.engine.original import beam as beams
from nanobragg.engine.original import crystal as crystals
from nanobragg.engine.original import sampling
from nanobragg.engine.original.beam import Beam
from nanobragg.engine.original.crystal import Crystal
from nanobragg.engine.original.detector import Detector, detector
from nanobragg.engine.original.fixes import NONE, Fixes
from nanobragg.engine.original.frame import Frame, frame
from nanobragg.engine.original.scan import Scan, scan
from nanobragg.engine.original.settings import ROUND_SPOTS, Settings
from nanobragg.kernels.image.random import new_table
from nanobragg.kernels.plan import SHAPES, RenderPlan

R_E_SQR = 7.94079248018965e-30
AVOGADRO = 6.02214179e23
WATER_F, WATER_WEIGHT = 2.57, 18.0
MISSING_FILE = 9
MOST_DOMAINS = 10_000_000
LARGEST_SPREAD = 1e9  # radians; the generator works in binary32
MOST_STEPS = 2**31 - 1
BYTES_PER_CELL = 2 * 72  # the rotated cells of the first visit, and of all later ones
GEOMETRY = (
    "pix0",
    "fdet",
    "sdet",
    "odet",
    "distance",
    "close_distance",
    "sources",
    "phi0",
    "phi_step",
    "n_cells",
    "mu",
)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What is known before amplitudes and sources are read: directions, detector, rotation and crystal.

    ``random_table`` is the generator's table as set-up has left it.
    """

    settings: Settings
    frame: Frame
    crystal: Crystal
    detector: Detector
    scan: Scan
    oversample: int
    oversample_chosen: bool
    random_table: np.ndarray


@dataclasses.dataclass(frozen=True, repr=False)
class Experiment(Geometry):
    """All that is simulated: the geometry, the beam and the structure factors."""

    beam: Beam
    factors: StructureFactors
    interpolate: bool

    def __repr__(self) -> str:
        """A dozen lines, with units."""
        from nanobragg.engine.summary import lines

        return "\n".join(lines(self))


def read_matrix(path: str, has_cell: bool, warn: Callable[[str], None], fixes: Fixes = NONE) -> list[float] | None:
    """Up to nine numbers of a matrix file; ``None`` if it cannot be opened and a cell is there instead (Q62)."""
    try:
        values = scan_reals(read(path, "-mat").decode("latin-1"), 10)
    except OSError as error:
        if not has_cell or "Q62" in fixes:
            raise BadInput(f"-mat {path}: {reason(error)}") from None
        warn(f"Q62 files: -mat {path}: {reason(error)}: ignored, the default orientation of -cell is used")
        return None
    if not all(math.isfinite(v) for v in values):
        raise BadInput(f"-mat {path}: a number is infinite or not a number")
    if len(values) > 9:
        warn(f"-mat {path}: more than the nine numbers of a matrix; the first nine are used")
        values = values[:9]
    if len(values) < 9 and has_cell:
        warn(f"-mat {path}: {len(values)} of nine numbers; the others are those of -cell")
    return values


def _rows(path: str, flag: str, columns: int) -> np.ndarray:
    try:
        rows = read_columns(read(path, flag, MISSING_FILE), columns)
    except OSError as error:
        raise BadInput(f"{flag} {path}: {reason(error)}", MISSING_FILE) from None
    if not len(rows):
        raise BadInput(f"{flag} {path}: no line in it", MISSING_FILE)
    return rows


def plain_rows(path: str, columns: int) -> np.ndarray:
    """Rows of numbers whatever ends their lines; ``#`` begins a comment, absent columns are NaN (Q64)."""
    try:
        text = read(path, "-sourcefile", MISSING_FILE).decode("latin-1")
    except OSError as error:
        raise BadInput(f"-sourcefile {path}: {reason(error)}", MISSING_FILE) from None
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].replace(",", " ").split()
        try:
            row = [float(word) for word in words[:columns]]
        except ValueError:
            raise BadInput(f"-sourcefile {path}: line {number} holds a word that is no number") from None
        if row:
            rows.append(row + [math.nan] * (columns - len(row)))
    if not rows:
        raise BadInput(f"-sourcefile {path}: no line in it", MISSING_FILE)
    return np.array(rows)


def read_sources(path: str, direction, lambda0: float, fixes: Fixes = NONE) -> np.ndarray:
    """Sources of a file, (n, 5): X Y Z (metres), weight, wavelength (metres); absent columns take defaults."""
    rows = plain_rows(path, 5) if "Q64" in fixes else _rows(path, "-sourcefile", 5)
    defaults = [-beams.SOURCE_DISTANCE * b for b in direction] + [1.0, lambda0]
    rows = np.where(np.isnan(rows), defaults, rows)
    for number, row in enumerate(rows, 1):
        if not np.isfinite(row).all():
            raise BadInput(f"-sourcefile {path}: row {number} holds an infinite number")
        if "Q64" in fixes and (row[4] <= 0.0 or not row[:3].any()):
            raise BadInput(f"-sourcefile {path}: row {number} has no direction, or a wavelength that is not above 0")
        if row[4] == 0.0:
            raise BadInput(
                f"-sourcefile {path}: row {number} has wavelength 0 "
                "(a word, a comment, a carriage return or a missing line end reads as 0)"
            )
    return rows


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
    placed = detector(settings, axes, mask, warn)
    rotation = scan(settings, axes)
    if sampling.mosaic(settings.domains, settings.mosaic).domains > MOST_DOMAINS:
        raise BadInput(f"-mosaic_domains {settings.domains}: more than {MOST_DOMAINS}")
    if settings.mosaic > LARGEST_SPREAD:
        raise BadInput(f"-mosaic: a spread of {settings.mosaic:g} radians")
    if settings.mat_file is not None:
        matrix = read_matrix(settings.mat_file, settings.user_cell, warn, settings.fixes)
    table = new_table()
    block = crystals.crystal(settings, matrix, sizes, table, warn)
    recommended = crystals.recommended_oversampling(
        block.n_cells, block.lengths, settings.lambda0, placed.distance, settings.pixel
    )
    oversample = settings.oversample if settings.oversample > 0 else recommended
    if oversample < recommended:
        warn(f"-oversample {oversample}: {recommended} would resolve the spots")
    return Geometry(settings, axes, block, placed, rotation, oversample, settings.oversample <= 0, table)


def beam_of(start: Geometry) -> Beam:
    """The beam, its sources read where a file names them; raises `BadInput` where a file will not do."""
    settings, rows = start.settings, None
    if settings.stol_file is not None:
        _rows(settings.stol_file, "-stol, -4stol or -Q", 2)
    if settings.source_file is not None:
        rows = read_sources(settings.source_file, start.frame.beam, settings.lambda0, settings.fixes)
    return beams.beam(settings, start.frame, rows)


def experiment(
    start: Geometry,
    warn: Callable[[str], None],
    *,
    factors: StructureFactors | None = None,
    beam: Beam | None = None,
) -> Experiment:
    """Add amplitudes and beam, which are read where they are not given; raises `BadInput` where a file will not do."""
    if factors is None:
        factors = structure_factors(start.settings, warn)
    if beam is None:
        beam = beam_of(start)
    parts = {field.name: getattr(start, field.name) for field in dataclasses.fields(start)}
    return Experiment(**parts, beam=beam, factors=factors, interpolate=start.crystal.interpolate and factors.n_hkl != 0)


def steps(experiment: Experiment) -> int:
    """What the sum of a pixel is divided by; layers are not counted (Q05)."""
    e = experiment
    count = len(e.beam.directions) * e.crystal.domains * e.scan.steps * e.oversample * e.oversample
    if count > MOST_STEPS and "Q25" not in e.settings.fixes:
        raise BadInput(
            f"{count} steps per pixel ({len(e.beam.directions)} sources x {e.crystal.domains} domains x {e.scan.steps} "
            f"phi steps x {e.oversample} x {e.oversample} sub-pixels) are more than the original can count (Q25)"
        )
    table = e.crystal.domains * e.scan.steps * BYTES_PER_CELL
    if table > memory.available():
        raise BadInput(f"{e.scan.steps} phi steps x {e.crystal.domains} domains take {table / 1e9:.3g} GB")
    return count


def background(settings: Settings, fluence: float, count: float) -> float:
    """Water's part of every pixel's sum: a droplet of ``water`` metres, F = 2.57.

    The original's contains what all sums are multiplied with at the end, and is divided by ``count`` with them (Q12).
    """
    w = settings.water
    if "Q12" in settings.fixes:
        return WATER_F * WATER_F * w * w * w * 1e6 * AVOGADRO / WATER_WEIGHT * count
    return WATER_F * WATER_F * R_E_SQR * fluence * w * w * w * 1e6 * AVOGADRO / WATER_WEIGHT


def own_factors(experiment: Experiment) -> tuple[bool, bool, bool, bool]:
    """Whether capture, polarization and solid angle are evaluated anew each time, and multiply the running sum (Q04).

    Q10 has every term weighted with its own, Q05 every layer with its own capture; either way terms are weighted, not
    the running sum.
    """
    s, d = experiment.settings, experiment.detector
    thick, polar, omega = s.over_thick, s.over_polar, s.over_omega
    own = "Q10" in s.fixes
    layers = "Q05" in s.fixes and d.layers > 1
    running = not (own or layers or "Q04" in s.fixes)
    thick, polar, omega = thick or own or layers, polar or own, omega or own
    if d.thickness == 0.0 and ("Q07" in s.fixes or not running):
        thick = False
    if experiment.beam.nopolar and ("Q16" in s.fixes or own):
        polar = False
    return thick, polar, omega, running


def shares(experiment: Experiment) -> np.ndarray:
    """What the terms of each source count; the original leaves weights unused (Q15)."""
    weights = experiment.beam.weights
    if "Q15" not in experiment.settings.fixes:
        return np.ones(len(weights))
    total = float(weights.sum())
    if not total > 0.0 or (weights < 0.0).any():
        raise BadInput("-sourcefile: the weights must not be negative, and one must be above 0")
    return weights * (len(weights) / total)


def mean_wavelength(experiment: Experiment) -> float:
    """The mean of the wavelengths that are rendered, metres: sources count as much as their terms do."""
    weights = shares(experiment)
    return float((experiment.beam.wavelengths * weights).sum() / weights.sum())


def first_phi(experiment: Experiment) -> float:
    """Where the first phi step stands: at the beginning of its interval, or in its middle (Q38)."""
    scan = experiment.scan
    middle = "Q38" in experiment.settings.fixes and scan.osc > 0.0
    return scan.phi0 + scan.step / 2.0 if middle else scan.phi0


def mean_phi(experiment: Experiment) -> float:
    """The mean of the rendered angles, radians."""
    return first_phi(experiment) + experiment.scan.step * (experiment.scan.steps - 1) / 2.0


def spot_vectors(experiment: Experiment) -> tuple[float, ...]:
    """The vectors that Gaussian and top-hat spots measure distances with: reciprocal ones, or N dh per axis (Q20).

    The kernels multiply the squared distance with the squared product of the counts. Round spots are those of a cube of
    the crystal's volume: the distance in reciprocal space times its edge.
    """
    c = experiment.crystal
    a, b, n = c.n_cells
    if c.shape.endswith(ROUND_SPOTS):
        scale = (abs(c.volume) * a * b * n) ** (1.0 / 3.0) / (a * b * n)
        return tuple(x * scale for v in c.recip for x in v)
    if "Q20" in experiment.settings.fixes and c.shape in ("gauss", "tophat"):
        return (1.0 / (b * n), 0.0, 0.0, 0.0, 1.0 / (a * n), 0.0, 0.0, 0.0, 1.0 / (a * b))
    return tuple(x for v in c.recip for x in v)


def depth_in_layer(detector: Detector) -> float:
    """How far behind the front of a layer its photons are absorbed on average, metres (Q101); at normal incidence.

    1/mu - t exp(-mu t)/(1 - exp(-mu t)) of a layer of thickness t. The layers of a bent detector stay where they are.
    """
    t, mu = detector.layer_step, detector.mu
    if detector.curved or not (t > 0.0 and mu > 0.0):
        return 0.0
    absorbed = -math.expm1(-mu * t)
    return 1.0 / mu - t * (1.0 - absorbed) / absorbed


def freeze(experiment: Experiment) -> RenderPlan:
    """The plan of one image: numbers and read-only arrays."""
    e, s, d = experiment, experiment.settings, experiment.detector
    low, high = ((int(h), int(k), int(l)) for h, k, l in e.factors.bounds.T)
    count = float(steps(e))
    thick, polar, omega, running = own_factors(e)
    depth = depth_in_layer(d) if "Q101" in s.fixes else 0.0
    plan = RenderPlan(
        n_fast=d.n_fast, n_slow=d.n_slow, roi=d.roi, mask=_frozen(d.mask),
        pixel_size=d.pixel_size, distance=d.distance,
        close_distance=abs(d.close_distance + depth) if "Q26" in s.fixes else d.close_distance + depth,
        pix0=tuple(x + depth * o for x, o in zip(d.pix0, d.odet, strict=True)),  # type: ignore[arg-type]
        fdet=d.fdet, sdet=d.sdet, odet=d.odet, beam=e.beam.direction,
        oversample=e.oversample, layers=d.layers, layer_step=d.layer_step, thickness=d.thickness, mu=d.mu,
        curved=d.curved, point_pixel=d.point_pixel,
        oversample_thick=thick, oversample_polar=polar, oversample_omega=omega, running_products=running,
        sources=_frozen(np.column_stack([e.beam.directions, e.beam.wavelengths, shares(e)])),
        dmin=s.dmin, kahn=e.beam.kahn, nopolar=e.beam.nopolar, polar_axis=e.beam.polar,
        fluence=e.beam.fluence, r_e_sqr=R_E_SQR,
        background=background(s, e.beam.fluence, count), water=s.water != 0.0,
        phi0=first_phi(e), phi_step=e.scan.step, phi_steps=e.scan.steps, spindle=e.scan.spindle,
        mosaic_spread=e.crystal.mosaic_spread, mosaic_rotations=_frozen(e.crystal.rotations),
        cell=tuple(x for v in e.crystal.real for x in v), recip=spot_vectors(e),
        n_cells=e.crystal.n_cells, shape=SHAPES.index(e.crystal.shape.removesuffix(ROUND_SPOTS)), fudge=e.crystal.fudge,
        interpolate=e.interpolate, n_hkl=e.factors.n_hkl, default_F=e.factors.default_F,
        hkl_min=low, hkl_max=high,
        hkl_range=tuple(hi - lo + 1 for lo, hi in zip(low, high, strict=True)),  # type: ignore[arg-type]
        table=_frozen(e.factors.table), steps=count,
        phi_carryover="Q01" not in s.fixes, sticky="Q02" not in s.fixes, keep_background="Q13" in s.fixes,
        reduced_sines="Q22" in s.fixes, arcs=d.curved and "Q18" in s.fixes, beam_spot=(d.Fbeam, d.Sbeam),
        pixel_area="Q19" in s.fixes, either_side="Q26" in s.fixes, pure_polarization="Q17" in s.fixes,
    )  # fmt: skip
    for name in GEOMETRY:
        if not np.isfinite(getattr(plan, name)).all():
            raise BadInput(f"{name} overflows with these settings: check sizes, distances, thickness, tilts and axes")
    if plan.curved and plan.distance == 0.0 and plan.interpolate and plan.n_rendered:
        raise BadInput("-distance 0 with -curved_det: no index is a number to interpolate at (the original dies here)")
    return plan


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
