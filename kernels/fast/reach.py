"""How far Gaussian and top-hat spots reach, for leaving out the evaluations that are exactly 0."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import ENDS
from nanobragg.kernels.vectors import magnitude

SINGLE = 1e-6  # relative error of an index in binary32, generously
FRACTION_BITS = 11  # of binary32, for indices up to 2^(22 - 11)
LARGEST_SINGLE = 2.0 ** (22 - FRACTION_BITS) - 2.0


class Reach(NamedTuple):
    """How far from a node Gaussian and top-hat spots are not exactly 0, in indices along each axis.

    ``narrow`` is 1/reach^2, or all 0 where nothing is out of reach. ``offsets`` and ``limits`` are those of
    `nanobragg.kernels.fast.sharp_terms.any_near_planes` for h and k and for k and l; they are binary32 and uint32.
    """

    narrow: tuple[float, float, float]
    offsets: tuple[float, float]
    limits: tuple[int, int]


def longest_edges(plan: RenderPlan) -> list[float]:
    """Of a, b and c the longest of all domains, metres."""
    scales = plan.cells.domain_scales.max(axis=0, initial=1.0) if plan.cells.domain_scales.size else (1.0, 1.0, 1.0)
    return [magnitude(plan.cells.cell[3 * k : 3 * k + 3]) * float(scales[k]) for k in range(3)]


def reach(plan: RenderPlan) -> Reach:
    """With v the distance to the node in reciprocal space, dh = a.v, so that |dh| <= |a| |v|; a is dual to ``recip``.

    It is widened by what binary32 can make of the largest index that occurs.
    """
    lengths = longest_edges(plan)
    largest = 2.0 / min(np.abs(plan.sources.wavelength))
    if plan.cells.shape not in ENDS or not plan.cells.fudge > 0.0 or not max(lengths) * largest < LARGEST_SINGLE:
        return Reach((0.0, 0.0, 0.0), (0.0, 0.0), (0xFFFFFFFF, 0xFFFFFFFF))
    limit = ENDS[plan.cells.shape]
    counts = plan.cells.n_cells[0] * plan.cells.n_cells[1] * plan.cells.n_cells[2]
    furthest = math.sqrt(limit / plan.cells.fudge) / counts  # 1/Angstrom
    try:
        dual = np.linalg.norm(np.linalg.inv(np.reshape(plan.cells.recip, (3, 3))), axis=0)
    except np.linalg.LinAlgError:
        dual = np.full(3, np.inf)
    if not np.isfinite(dual).all():
        return Reach((0.0, 0.0, 0.0), (0.0, 0.0), (0xFFFFFFFF, 0xFFFFFFFF))
    h, k, x = (
        float(length * furthest * 1.000001 + real * largest * SINGLE)
        for length, real in zip(dual, lengths, strict=True)
    )
    (offset_hk, limit_hk), (offset_kl, limit_kl) = single_reach(max(h, k)), single_reach(max(k, x))
    return Reach((1.0 / h**2, 1.0 / k**2, 1.0 / x**2), (offset_hk, offset_kl), (limit_hk, limit_kl))


def single_reach(indices: float) -> tuple[float, int]:
    """Offset and limit of `sharp_terms.any_near_planes`; roundings to `FRACTION_BITS` are let through."""
    wide = indices + 6.0 * 2.0 ** -(FRACTION_BITS + 1)
    return 1.5 * 2.0 ** (23 - FRACTION_BITS) + wide, int(min(2.0 * wide * 2.0**32, 2.0**32 - 1))
