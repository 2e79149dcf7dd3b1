"""The crystal as the original sets it up: its cell in space, its size, its mosaic domains."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from nanobragg.engine.c_numbers import ceil, divide
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene import cell as cells
from nanobragg.engine.scene.cell import ANGSTROM, UnitCell
from nanobragg.engine.scene.of_model import spot_vectors_of
from nanobragg.engine.scene.placement import rotate_xyz
from nanobragg.engine.scene.scene import NO_SCALES, Lattice, Three
from nanobragg.kernels.image.random import (
    cap_rotation,
    mosaic_rotations,
    new_table,
    random_misset,
    uniform_cap_rotation,
    uniform_misset,
)
from nanobragg.kernels.shapes import BY_DISTANCE
from nanobragg.kernels.vectors import Vector, magnitude

NEARLY_FLAT = 0.1  # volume over a b c, below which angles are likelier a slip


@dataclasses.dataclass(frozen=True)
class MissetLattice(Lattice):
    """The crystal, with how it was turned (radians) and whether its counts ask for interpolation."""

    misset: Vector
    random_misset: bool
    interpolate: bool


def unit_cell(settings: Settings, warn: Callable[[str], None]) -> UnitCell:
    """Fill what ``-cell`` left out, and the volume (Q94 where it is impossible)."""
    a = settings.cell_a
    b, c = (v if v > 0.0 else a for v in (settings.cell_b, settings.cell_c))
    angles = (settings.cell_alpha, settings.cell_beta, settings.cell_gamma)
    alpha, beta, gamma = (v if v > 0.0 else math.pi / 2 for v in angles)
    cell = cells.unit_cell((a, b, c), (alpha, beta, gamma))
    if not cell.possible and "Q94" in settings.fixes:
        raise BadInput("-cell: these lengths and angles make no unit cell")
    if not cell.possible:
        warn("-cell: these lengths and angles make no unit cell: what is simulated is another one")
    elif cell.volume < NEARLY_FLAT * a * b * c:
        warn(f"-cell: the unit cell is nearly flat: its volume is {cell.volume / (a * b * c):.2g} of a b c")
    return cell


def default_orientation(cell: UnitCell, warn: Callable[[str], None], *, right: bool = False) -> Three:
    """Reciprocal vectors with a* along x and b* in the xy plane, 1/Angstrom; the third is ``right``, or as in Q100."""
    r, (a, b, c) = cells.reciprocal(cell, warn), cell.lengths
    as_original = divide(r.lengths[2] * cell.volume, ((a * b) * c) * r.sin_gamma) if not right else 0.0
    return cells.default_orientation(r, 1.0 / c if right else as_original)


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
    return cells.scaled(a, factor), cells.scaled(b, factor), cells.scaled(c, factor)


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


def _reciprocal(
    settings: Settings, cell: UnitCell | None, matrix: list[float] | None, misset: Vector, warn: Callable[[str], None]
) -> Three:
    start = default_orientation(cell, warn, right="Q100" in settings.fixes) if cell else None
    recip = orient(start, matrix, settings.lambda0)
    return tuple(rotate_xyz(v, misset) for v in recip) if settings.misset_mode else recip  # type: ignore[return-value]


def crystal(
    settings: Settings,
    matrix: list[float] | None,
    sizes: Vector,
    table: np.ndarray,
    warn: Callable[[str], None],
) -> MissetLattice:
    """The crystal in the laboratory: cell, orientation, size and mosaic domains.

    ``matrix`` holds what the matrix file gave (up to nine numbers), ``sizes`` the clipped sample (metres), and
    ``table`` the generator's state, which a random orientation and the domains draw from.
    """
    cell = unit_cell(settings, warn) if settings.user_cell else None
    of_vectors = warn if cell is None or cell.possible else _silent  # what they would say has been said
    if cell is None and (matrix is None or len(matrix) < 9):
        raise BadInput(f"-mat {settings.mat_file}: the file has {len(matrix or [])} of the nine numbers of a matrix")
    is_random = settings.misset_mode < 0
    misset = (settings.misset_x, settings.misset_y, settings.misset_z)
    if is_random:
        misset = random_orientation(settings, table)
    recip = _reciprocal(settings, cell, matrix, misset, of_vectors)
    real, recip, volume = cells.direct_vectors(recip, cell)
    if not cells.are_finite(real, recip):
        source = "-cell" if matrix is None else f"-mat {settings.mat_file}" if settings.mat_file else "-mat"
        raise BadInput(f"{source}: these vectors do not make a unit cell")
    metres: Three = tuple(cells.scaled(v, ANGSTROM) for v in real)  # type: ignore[assignment]
    lengths = (magnitude(metres[0]), magnitude(metres[1]), magnitude(metres[2]))
    n_cells = cell_counts(settings, sizes, lengths)
    domains = sampling.mosaic(settings.domains, settings.mosaic)
    if domains.remark:
        warn(domains.remark)
    per_axis = "Q20" in settings.fixes or settings.shape not in BY_DISTANCE
    return MissetLattice(
        real=metres, real_A=real, recip=recip, lengths=lengths,
        cell=cells.lengths_and_angles(real, recip, volume, of_vectors),
        recip_cell=cells.lengths_and_angles(recip, real, divide(1.0, volume), of_vectors), volume=volume,
        n_cells=n_cells, shape=settings.shape, fudge=settings.fudge,
        spot_vectors=spot_vectors_of(settings.shape if per_axis else "square", recip, n_cells, volume),
        mosaic_spread=domains.spread, mosaic_seed=settings.mosaic_seed,
        rotations=domain_rotations(settings, domains, table), domain_scales=NO_SCALES, fading=(0.0, 0.0), share=1.0,
        misset=misset if settings.misset_mode else (0.0, 0.0, 0.0), random_misset=is_random,
        interpolate=interpolation_on(settings, n_cells),
    )  # fmt: skip


def _silent(line: str) -> None:
    """Hear nothing."""


def estimated_weight(n_cells: Vector, lengths: Vector) -> float:
    """Molecular weight (Da) if the whole cell were protein of 1.2 g/cm^3."""
    a, b, c = (length * n for length, n in zip(lengths, n_cells, strict=True))
    return (a * b * c) * 1.2e6 * 6.02214179e23 / (n_cells[0] * n_cells[1] * n_cells[2])
