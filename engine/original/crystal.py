"""The crystal: its cell in space, its size, its mosaic domains."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.c_numbers import ceil, divide, to_int32
from nanobragg.engine.original.detector import rotate_xyz
from nanobragg.engine.original.settings import Settings
from nanobragg.kernels.image.random import (
    cap_rotation,
    mosaic_rotations,
    new_table,
    random_misset,
    uniform_cap_rotation,
    uniform_misset,
)
from nanobragg.kernels.vectors import Vector, cross, dot, magnitude

Three = tuple[Vector, Vector, Vector]
ANGSTROM = 1e-10
TINY = sys.float_info.min
NEARLY_FLAT = 0.1  # volume over a b c, below which angles are likelier a slip


@dataclasses.dataclass(frozen=True)
class Crystal:
    """A block of unit cells. ``real`` in metres and ``recip`` in 1/Angstrom at phi = 0, laboratory frame.

    ``real_A`` are the real vectors in Angstrom, as they were before they became metres: last digits may differ.
    ``lengths`` are those of the real vectors in metres; ``cell`` and ``recip_cell`` hold lengths in Angstrom (and
    1/Angstrom) and angles in radians; ``volume`` is in cubic Angstrom; ``n_cells`` are whole numbers.
    """

    real: Three
    real_A: Three
    recip: Three
    lengths: Vector
    cell: tuple[float, ...]
    recip_cell: tuple[float, ...]
    volume: float
    misset: Vector
    random_misset: bool
    n_cells: Vector
    shape: str
    fudge: float
    interpolate: bool
    domains: int
    mosaic_spread: float
    rotations: np.ndarray


def _scale(v: Vector, factor: float) -> Vector:
    return (factor * v[0], factor * v[1], factor * v[2])


def _rescale(v: Vector, length: float) -> Vector:
    return _scale(v, divide(length, magnitude(v) or 1.0))


def _within_one(value: float) -> float:
    return min(max(value, -1.0), 1.0)


def _cosine(value: float) -> float:
    """A cosine out of range becomes +1, whatever its sign."""
    return 1.0 if value * value > 1.0 else value


def _beyond(values: tuple[float, ...]) -> bool:
    return any(v > 1.0000001 or v < -1.0000001 for v in values)


@dataclasses.dataclass(frozen=True)
class UnitCell:
    """Lengths (Angstrom), angles (radians) and volume (cubic Angstrom) of the cell that ``-cell`` gave."""

    lengths: Vector
    angles: Vector
    volume: float
    possible: bool


def unit_cell(settings: Settings, warn: Callable[[str], None]) -> UnitCell:
    """Fill what ``-cell`` left out, and the volume (Q94 where it is impossible)."""
    a = settings.cell_a
    b, c = (v if v > 0.0 else a for v in (settings.cell_b, settings.cell_c))
    angles = (settings.cell_alpha, settings.cell_beta, settings.cell_gamma)
    alpha, beta, gamma = (v if v > 0.0 else math.pi / 2 for v in angles)
    s = ((alpha + beta) + gamma) / 2.0
    k = abs(math.sin(s) * math.sin(s - alpha) * math.sin(s - beta) * math.sin(s - gamma))
    volume = 2.0 * a * b * c * math.sqrt(k)
    possible = s < math.pi and s > max(alpha, beta, gamma) and volume > 0.0
    if not possible and "Q94" in settings.fixes:
        raise BadInput("-cell: these lengths and angles make no unit cell")
    if not possible:
        warn("-cell: these lengths and angles make no unit cell: what is simulated is another one")
    elif volume < NEARLY_FLAT * a * b * c:
        warn(f"-cell: the unit cell is nearly flat: its volume is {volume / (a * b * c):.2g} of a b c")
    if volume <= 0.0:
        volume = TINY
    return UnitCell((a, b, c), (alpha, beta, gamma), volume, possible)


def default_orientation(cell: UnitCell, warn: Callable[[str], None], *, right: bool = False) -> Three:
    """Reciprocal vectors with a* along x and b* in the xy plane, 1/Angstrom; the third is ``right``, or as in Q100."""
    (a, b, c), (alpha, beta, gamma), volume = cell.lengths, cell.angles, cell.volume
    inverse = 1.0 / volume
    a_s = b * c * math.sin(alpha) * inverse
    b_s = c * a * math.sin(beta) * inverse
    c_s = a * b * math.sin(gamma) * inverse
    if a_s <= 0.0 or b_s <= 0.0 or c_s <= 0.0:
        warn("-cell: a reciprocal axis is not positive")
        a_s, b_s, c_s = (abs(v) or TINY for v in (a_s, b_s, c_s))
    sines = (
        divide(divide(a * inverse, b_s), c_s),
        divide(divide(b * inverse, a_s), c_s),
        divide(divide(c * inverse, a_s), b_s),
    )
    cos_a, cos_b, cos_g = math.cos(alpha), math.cos(beta), math.cos(gamma)
    sin_a, sin_b, sin_g = math.sin(alpha), math.sin(beta), math.sin(gamma)
    cosines = (
        divide(cos_b * cos_g - cos_a, sin_b * sin_g),
        divide(cos_g * cos_a - cos_b, sin_g * sin_a),
        divide(cos_a * cos_b - cos_g, sin_a * sin_b),
    )
    if _beyond(sines + cosines):
        warn("-cell: these angles do not make a cell")
    sin_gs = _within_one(sines[2])
    cos_as, cos_bs, cos_gs = (_cosine(v) for v in cosines)
    return (
        (a_s, 0.0, 0.0),
        (b_s * cos_gs, b_s * sin_gs, 0.0),
        (
            c_s * cos_bs,
            divide(c_s * (cos_as - cos_bs * cos_gs), sin_gs),
            1.0 / c if right else divide(c_s * volume, ((a * b) * c) * sin_gs),
        ),
    )


def orient(start: Three | None, matrix: list[float] | None, lambda0: float) -> Three:
    """Reciprocal vectors of the matrix file (dimensionless, columns a* b* c*), else the default orientation.

    Numbers that the file lacks keep what the default orientation has in their place.
    """
    if matrix is None:
        assert start is not None
        return start
    rows = [list(component) for component in zip(*start, strict=True)] if start else [[0.0] * 3 for _ in range(3)]
    for i, value in enumerate(matrix):
        rows[i // 3][i % 3] = value
    factor = ANGSTROM / lambda0
    a, b, c = ((x, y, z) for x, y, z in zip(*rows, strict=True))
    return _scale(a, factor), _scale(b, factor), _scale(c, factor)


def direct_vectors(recip: Three, cell: UnitCell | None) -> tuple[Three, Three, float]:
    """Real (Angstrom) and regenerated reciprocal vectors, and the volume; a ``-cell`` forces the lengths (Q63)."""
    a_s, b_s, c_s = recip
    pc, pa, pb = cross(a_s, b_s), cross(b_s, c_s), cross(c_s, a_s)
    inverse = dot(a_s, pa)
    if cell is not None:
        forced = [length / cell.volume for length in cell.lengths]
        pa, pb, pc = _rescale(pa, forced[0]), _rescale(pb, forced[1]), _rescale(pc, forced[2])
        inverse = 1.0 / cell.volume
    volume = divide(1.0, inverse)
    real = (_scale(pa, volume), _scale(pb, volume), _scale(pc, volume))
    a, b, c = real
    return real, (_scale(cross(b, c), inverse), _scale(cross(c, a), inverse), _scale(cross(a, b), inverse)), volume


def _angles(own: Three, other: Three, volume: float, warn: Callable[[str], None]) -> tuple[float, ...]:
    """Lengths and angles of ``own``; ``other`` is its reciprocal, ``volume`` its own."""
    a, b, c = (magnitude(v) for v in own)
    a_s, b_s, c_s = (magnitude(v) for v in other)
    sines = (
        divide(divide(a_s * volume, b), c),
        divide(divide(b_s * volume, a), c),
        divide(divide(c_s * volume, a), b),
    )
    cosines = (
        divide(divide(dot(own[1], own[2]), b), c),
        divide(divide(dot(own[0], own[2]), a), c),
        divide(divide(dot(own[0], own[1]), a), b),
    )
    if _beyond(sines + cosines):
        warn("the unit cell has an impossible angle")
    pairs = zip(sines, cosines, strict=True)
    return (a, b, c, *(math.atan2(_within_one(s), _cosine(x)) for s, x in pairs))


def interpolation_on(settings: Settings, n_cells: Vector) -> bool:
    """Whether to interpolate: as told, else where a count is 2 or less; the original looks at flags alone (Q03)."""
    if settings.interp != 2:
        return settings.interp == 1
    if "Q03" in settings.fixes:
        return min(n_cells) <= 2
    return settings.N_a <= 2 or settings.N_b <= 2 or settings.N_c <= 2


def cell_counts(settings: Settings, sizes: Vector, lengths: Vector) -> Vector:
    """Unit cells along each axis: sizes in metres go before counts; at least 1 (Q24)."""
    given = (settings.N_a, settings.N_b, settings.N_c)
    counts = (ceil(divide(s, length)) if s > 0.0 else n for n, s, length in zip(given, sizes, lengths, strict=True))
    return tuple(1.0 if n <= 1.0 else n for n in counts)  # type: ignore[return-value]


def random_orientation(settings: Settings, table: np.ndarray) -> Vector:
    """Misset angles of a random orientation (Q44, Q48), radians."""
    seed, state = stream(settings, settings.misset_seed, table)
    make = uniform_misset if "Q44" in settings.fixes else random_misset
    return make(seed, state)[0]


def domain_rotations(settings: Settings, domains: sampling.Mosaic, table: np.ndarray) -> np.ndarray:
    """Rotations of the mosaic domains (Q45, Q48, Q53), (domains, 9)."""
    if "Q53" in settings.fixes and domains.spread == 0.0:
        return np.tile(np.eye(3).ravel(), (domains.domains, 1))
    seed, state = stream(settings, settings.mosaic_seed, table)
    make = uniform_cap_rotation if "Q45" in settings.fixes else cap_rotation
    return mosaic_rotations(domains.spread, domains.domains, seed, state, make)[0]


def stream(settings: Settings, seed: int, table: np.ndarray) -> tuple[int, np.ndarray]:
    """Seed and state of a stream of deviates: a state of its own, or the one that all share (Q48)."""
    if "Q49" in settings.fixes and abs(seed) == 2**31 - 1:
        raise BadInput(f"seed {abs(seed)}: the generator cannot start from it; take another")
    return (-abs(seed), new_table()) if "Q48" in settings.fixes else (seed, table)


def crystal(
    settings: Settings,
    matrix: list[float] | None,
    sizes: Vector,
    table: np.ndarray,
    warn: Callable[[str], None],
) -> Crystal:
    """The crystal in the laboratory: cell, orientation, size and mosaic domains.

    ``matrix`` holds what the matrix file gave (up to nine numbers), ``sizes`` the clipped sample (metres), and
    ``table`` the generator's state, which a random orientation and the domains draw from.
    """
    cell = unit_cell(settings, warn) if settings.user_cell else None
    of_vectors = warn if cell is None or cell.possible else _silent  # what they would say has been said
    if cell is None and (matrix is None or len(matrix) < 9):
        raise BadInput(f"-mat {settings.mat_file}: the file has {len(matrix or [])} of the nine numbers of a matrix")
    recip = orient(
        default_orientation(cell, of_vectors, right="Q100" in settings.fixes) if cell else None,
        matrix,
        settings.lambda0,
    )
    misset, is_random = (settings.misset_x, settings.misset_y, settings.misset_z), settings.misset_mode < 0
    if is_random:
        misset = random_orientation(settings, table)
    if settings.misset_mode != 0:
        recip = tuple(rotate_xyz(v, misset) for v in recip)  # type: ignore[assignment]
    real, recip, volume = direct_vectors(recip, cell)
    if not all(math.isfinite(x) for v in real + recip for x in v):
        source = "-cell" if matrix is None else f"-mat {settings.mat_file}" if settings.mat_file else "-mat"
        raise BadInput(f"{source}: these vectors do not make a unit cell")
    metres = (_scale(real[0], ANGSTROM), _scale(real[1], ANGSTROM), _scale(real[2], ANGSTROM))
    lengths = (magnitude(metres[0]), magnitude(metres[1]), magnitude(metres[2]))
    n_cells = cell_counts(settings, sizes, lengths)
    domains = sampling.mosaic(settings.domains, settings.mosaic)
    if domains.remark:
        warn(domains.remark)
    rotations = domain_rotations(settings, domains, table)
    return Crystal(
        metres, real, recip, lengths,
        _angles(real, recip, volume, of_vectors), _angles(recip, real, divide(1.0, volume), of_vectors), volume,
        misset if settings.misset_mode else (0.0, 0.0, 0.0), is_random,
        n_cells, settings.shape, settings.fudge, interpolation_on(settings, n_cells),
        domains.domains, domains.spread, rotations,
    )  # fmt: skip


def _silent(line: str) -> None:
    """Hear nothing."""


def recommended_oversampling(n_cells: Vector, lengths: Vector, lambda0: float, distance: float, pixel: float) -> int:
    """Sub-pixels per axis that resolve the spots of the largest dimension three times; at least 1 (Q95)."""
    largest = max(length * n for length, n in zip(lengths, n_cells, strict=True))
    reciprocal_pixel = lambda0 * distance / pixel
    return max(to_int32(ceil(divide(3.0 * largest, reciprocal_pixel))), 1)


def estimated_weight(n_cells: Vector, lengths: Vector) -> float:
    """Molecular weight (Da) if the whole cell were protein of 1.2 g/cm^3."""
    a, b, c = (length * n for length, n in zip(lengths, n_cells, strict=True))
    return (a * b * c) * 1.2e6 * 6.02214179e23 / (n_cells[0] * n_cells[1] * n_cells[2])
