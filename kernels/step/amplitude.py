"""The structure factor at fractional indices: of the nearest node, or tricubic between the nodes.

Tricubic interpolation is Lagrange's: in the original's nesting, l within k within h, and by rows of weights.
"""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.step.polynomials import MAGIC, whole_below


@scalar
def table_factor(factors, number, node):
    """F_cell of the nearest node in a table, ``default_F`` outside its box; fast: `table_place`."""
    hkl_min, hkl_max = factors.hkl_min, factors.hkl_max
    if (
        factors.n_hkl != 0
        and hkl_min[0] <= node[0] <= hkl_max[0]
        and hkl_min[1] <= node[1] <= hkl_max[1]
        and hkl_min[2] <= node[2] <= hkl_max[2]
    ):
        return factors.table[
            np.uint64(number),
            np.uint64(int(node[0]) - hkl_min[0]),
            np.uint64(int(node[1]) - hkl_min[1]),
            np.uint64(int(node[2]) - hkl_min[2]),
        ]  # unsigned: no test for negative indices
    return factors.default_F


@scalar
def within(x, low, high):
    """``x`` moved between two bounds; ``low`` for what is no number, so that no address comes from it."""
    x = x if x > low else low
    return x if x < high else high


@scalar
def table_place(low, high, stride, origin, node):
    """Where a node stands in the flat table; on its border for nodes outside."""
    place = within(node[0], low[0], high[0]) * stride[0] + within(node[1], low[1], high[1]) * stride[1]
    return np.uint32(np.int32(place + (within(node[2], low[2], high[2]) + origin)))


@scalar
def table_place_inside(low, high, stride, origin, node):
    """`table_place` of a node that is known to be in the table."""
    return np.uint32(np.int32(node[0] * stride[0] + node[1] * stride[1] + (node[2] + origin)))


@scalar
def whole_number(h):
    """The nearest whole number as an integer, from the last bits of a sum; any number if ``h`` is far too large."""
    return np.int32(np.float64(h + MAGIC).view(np.int64))


@scalar
def table_place_by_integers(low, high, stride, origin, hkl):
    """`table_place` of the node nearest to ``hkl``, where binary64 is dear and integers are not."""
    h = min(max(whole_number(hkl[0]), np.int32(low[0])), np.int32(high[0]))
    k = min(max(whole_number(hkl[1]), np.int32(low[1])), np.int32(high[1]))
    x = min(max(whole_number(hkl[2]), np.int32(low[2])), np.int32(high[2]))
    return np.uint32(h * np.int32(stride[0]) + k * np.int32(stride[1]) + x + np.int32(origin))


@scalar
def within_tricubic_range(factors, hkl):
    """Whether the 64 neighbours that the tricubic rule asks for lie in the box; not those of what is no number."""
    hkl_min, hkl_range = factors.hkl_min, factors.hkl_range
    return (
        hkl[0] - hkl_min[0] + 3.0 <= hkl_range[0]
        and hkl[0] - 2.0 >= hkl_min[0]
        and hkl[1] - hkl_min[1] + 3.0 <= hkl_range[1]
        and hkl[1] - 2.0 >= hkl_min[1]
        and hkl[2] - hkl_min[2] + 3.0 <= hkl_range[2]
        and hkl[2] - 2.0 >= hkl_min[2]
    )


@separate
def cubic(first, y0, y1, y2, y3, x):
    """The cubic through the values at ``first``, ``first`` + 1, + 2 and + 3, taken at ``x`` (Lagrange's form)."""
    n0 = first
    n1 = first + 1.0
    n2 = first + 2.0
    n3 = first + 3.0
    x0 = (x - n1) * (x - n2) * (x - n3) * y0 / ((n0 - n1) * (n0 - n2) * (n0 - n3))
    x1 = (x - n0) * (x - n2) * (x - n3) * y1 / ((n1 - n0) * (n1 - n2) * (n1 - n3))
    x2 = (x - n0) * (x - n1) * (x - n3) * y2 / ((n2 - n0) * (n2 - n1) * (n2 - n3))
    x3 = (x - n0) * (x - n1) * (x - n2) * y3 / ((n3 - n0) * (n3 - n1) * (n3 - n2))
    return x0 + x1 + x2 + x3


@separate
def along_l(table, n, i, j, k, first, x):
    """One row of four values of table ``n``, interpolated along l."""
    return cubic(first, table[n, i, j, k], table[n, i, j, k + 1], table[n, i, j, k + 2], table[n, i, j, k + 3], x)


@separate
def along_k(table, n, i, j, k, first_k, first_l, hkl):
    """Four rows, interpolated along l and then k."""
    return cubic(
        first_k,
        along_l(table, n, i, j, k, first_l, hkl[2]),
        along_l(table, n, i, j + 1, k, first_l, hkl[2]),
        along_l(table, n, i, j + 2, k, first_l, hkl[2]),
        along_l(table, n, i, j + 3, k, first_l, hkl[2]),
        hkl[1],
    )


@separate
def tricubic(factors, number, hkl):
    """F_cell between the 4 x 4 x 4 nodes around ``hkl``, which must lie in range; fast: `fast_tricubic`."""
    table, hkl_min = factors.table, factors.hkl_min
    first_h = np.floor(hkl[0]) - 1.0
    first_k = np.floor(hkl[1]) - 1.0
    first_l = np.floor(hkl[2]) - 1.0
    i = int(first_h) - hkl_min[0]
    j = int(first_k) - hkl_min[1]
    k = int(first_l) - hkl_min[2]
    return cubic(
        first_h,
        along_k(table, number, i, j, k, first_k, first_l, hkl),
        along_k(table, number, i + 1, j, k, first_k, first_l, hkl),
        along_k(table, number, i + 2, j, k, first_k, first_l, hkl),
        along_k(table, number, i + 3, j, k, first_k, first_l, hkl),
        hkl[0],
    )


@scalar
def cubic_weights(t):
    """Lagrange weights of the nodes -1, 0, 1, 2 at ``t`` between 0 and 1."""
    u, v, w = t + 1.0, t - 1.0, t - 2.0
    tv, uw = t * v, u * w
    return tv * (w * (-1.0 / 6.0)), uw * (v * 0.5), uw * (t * -0.5), tv * (u * (1.0 / 6.0))


@scalar
def fast_tricubic(factors, number, hkl):
    """`tricubic` by twelve weights and 64 multiply-adds."""
    table, hkl_min = factors.table, factors.hkl_min
    h, k, x = whole_below(hkl[0]), whole_below(hkl[1]), whole_below(hkl[2])
    of_h, of_k, of_l = cubic_weights(hkl[0] - h), cubic_weights(hkl[1] - k), cubic_weights(hkl[2] - x)
    i, j, m = int(h) - 1 - hkl_min[0], int(k) - 1 - hkl_min[1], int(x) - 1 - hkl_min[2]
    total = 0.0
    for a in range(4):
        plane = 0.0
        for b in range(4):
            row = table[number, i + a, j + b, m] * of_l[0] + table[number, i + a, j + b, m + 1] * of_l[1]
            row += table[number, i + a, j + b, m + 2] * of_l[2] + table[number, i + a, j + b, m + 3] * of_l[3]
            plane += row * of_k[b]
        total += plane * of_h[a]
    return total
