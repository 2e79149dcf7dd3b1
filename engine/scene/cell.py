"""Unit cells as vectors: lengths and angles to reciprocal and real vectors, and back.

The operations are in the original's order, so that its command line gives its bits.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import NamedTuple

from nanobragg.engine.c_numbers import ceil, divide, to_int32
from nanobragg.engine.scene.scene import Three
from nanobragg.kernels.vectors import Vector, cross, dot, magnitude

ANGSTROM = 1e-10
TINY = sys.float_info.min


def scaled(v: Vector, factor: float) -> Vector:
    """A vector times a number."""
    return (factor * v[0], factor * v[1], factor * v[2])


def _of_length(v: Vector, length: float) -> Vector:
    return scaled(v, divide(length, magnitude(v) or 1.0))


def _within_one(value: float) -> float:
    return min(max(value, -1.0), 1.0)


def _cosine(value: float) -> float:
    """A cosine out of range becomes +1, whatever its sign."""
    return 1.0 if value * value > 1.0 else value


def _beyond(values: tuple[float, ...]) -> bool:
    return any(v > 1.0000001 or v < -1.0000001 for v in values)


@dataclasses.dataclass(frozen=True)
class UnitCell:
    """Lengths (Angstrom), angles (radians) and volume (cubic Angstrom), and whether there can be such a cell."""

    lengths: Vector
    angles: Vector
    volume: float
    possible: bool


def unit_cell(lengths: Vector, angles: Vector) -> UnitCell:
    """The cell with its volume, by 2 abc sqrt(sin s sin(s - alpha) sin(s - beta) sin(s - gamma)), s half their sum."""
    (a, b, c), (alpha, beta, gamma) = lengths, angles
    s = ((alpha + beta) + gamma) / 2.0
    k = abs(math.sin(s) * math.sin(s - alpha) * math.sin(s - beta) * math.sin(s - gamma))
    volume = 2.0 * a * b * c * math.sqrt(k)
    possible = s < math.pi and s > max(alpha, beta, gamma) and volume > 0.0
    return UnitCell(lengths, angles, volume if volume > 0.0 else TINY, possible)


class Reciprocal(NamedTuple):
    """Lengths (1/Angstrom) of the reciprocal vectors, the cosines of their angles, and the sine of gamma*."""

    lengths: Vector
    cosines: Vector
    sin_gamma: float


def reciprocal(cell: UnitCell, warn: Callable[[str], None]) -> Reciprocal:
    """Reciprocal lengths and angles; ``warn`` is told of cells that cannot be."""
    (a, b, c), (alpha, beta, gamma) = cell.lengths, cell.angles
    inverse = 1.0 / cell.volume
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
    of_angles = (_cosine(cosines[0]), _cosine(cosines[1]), _cosine(cosines[2]))
    return Reciprocal((a_s, b_s, c_s), of_angles, _within_one(sines[2]))


def default_orientation(r: Reciprocal, c_star_z: float) -> Three:
    """Reciprocal vectors with a* along x and b* in the xy plane, 1/Angstrom; ``c_star_z`` is 1/c."""
    (a_s, b_s, c_s), (cos_as, cos_bs, cos_gs) = r.lengths, r.cosines
    return (
        (a_s, 0.0, 0.0),
        (b_s * cos_gs, b_s * r.sin_gamma, 0.0),
        (c_s * cos_bs, divide(c_s * (cos_as - cos_bs * cos_gs), r.sin_gamma), c_star_z),
    )


def direct_vectors(recip: Three, cell: UnitCell | None) -> tuple[Three, Three, float]:
    """Real (Angstrom) and regenerated reciprocal vectors, and the volume; a ``cell`` sets the lengths."""
    a_s, b_s, c_s = recip
    pc, pa, pb = cross(a_s, b_s), cross(b_s, c_s), cross(c_s, a_s)
    inverse = dot(a_s, pa)
    if cell is not None:
        lengths = [length / cell.volume for length in cell.lengths]
        pa, pb, pc = _of_length(pa, lengths[0]), _of_length(pb, lengths[1]), _of_length(pc, lengths[2])
        inverse = 1.0 / cell.volume
    volume = divide(1.0, inverse)
    real = (scaled(pa, volume), scaled(pb, volume), scaled(pc, volume))
    a, b, c = real
    return real, (scaled(cross(b, c), inverse), scaled(cross(c, a), inverse), scaled(cross(a, b), inverse)), volume


def lengths_and_angles(own: Three, other: Three, volume: float, warn: Callable[[str], None]) -> tuple[float, ...]:
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


def are_finite(*vectors: Three) -> bool:
    """Whether all components are numbers."""
    return all(math.isfinite(x) for three in vectors for v in three for x in v)


def recommended_oversampling(n_cells: Vector, lengths: Vector, wavelength: float, distance: float, pixel: float) -> int:
    """Sub-pixels per axis that resolve the spots of the largest dimension three times; at least 1 (Q95)."""
    largest = max(length * n for length, n in zip(lengths, n_cells, strict=True))
    reciprocal_pixel = wavelength * distance / pixel
    return max(to_int32(ceil(divide(3.0 * largest, reciprocal_pixel))), 1)


def round_spot_vectors(recip: Three, n_cells: Vector, volume: float) -> tuple[float, ...]:
    """What spots measure distances with that are round in reciprocal space: those of a cube of the crystal's volume.

    The kernels multiply the squared distance with the squared product of the counts.
    """
    a, b, n = n_cells
    scale = (abs(volume) * a * b * n) ** (1.0 / 3.0) / (a * b * n)
    return tuple(x * scale for v in recip for x in v)


def spot_vectors(n_cells: Vector) -> tuple[float, ...]:
    """What Gaussian and top-hat spots measure distances with: N dh per axis, the product of the counts taken out."""
    a, b, n = n_cells
    return (1.0 / (b * n), 0.0, 0.0, 0.0, 1.0 / (a * n), 0.0, 0.0, 0.0, 1.0 / (a * b))
