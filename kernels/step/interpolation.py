"""Tricubic interpolation of structure factors: in the original's nesting, l within k within h, and by rows."""

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar, separate


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
def along_l(table, i, j, k, first, x):
    """One row of four table values, interpolated along l."""
    return cubic(first, table[i, j, k], table[i, j, k + 1], table[i, j, k + 2], table[i, j, k + 3], x)


@separate
def along_k(table, i, j, k, first_k, first_l, hkl):
    """Four rows, interpolated along l and then k."""
    return cubic(
        first_k,
        along_l(table, i, j, k, first_l, hkl[2]),
        along_l(table, i, j + 1, k, first_l, hkl[2]),
        along_l(table, i, j + 2, k, first_l, hkl[2]),
        along_l(table, i, j + 3, k, first_l, hkl[2]),
        hkl[1],
    )


@separate
def tricubic(table, hkl, hkl_min):
    """F_cell between the 4 x 4 x 4 nodes around fractional indices ``hkl``, which must lie in range."""
    first_h = np.floor(hkl[0]) - 1.0
    first_k = np.floor(hkl[1]) - 1.0
    first_l = np.floor(hkl[2]) - 1.0
    i = int(first_h) - hkl_min[0]
    j = int(first_k) - hkl_min[1]
    k = int(first_l) - hkl_min[2]
    return cubic(
        first_h,
        along_k(table, i, j, k, first_k, first_l, hkl),
        along_k(table, i + 1, j, k, first_k, first_l, hkl),
        along_k(table, i + 2, j, k, first_k, first_l, hkl),
        along_k(table, i + 3, j, k, first_k, first_l, hkl),
        hkl[0],
    )


@scalar
def cubic_weights(t):
    """Lagrange weights of the nodes -1, 0, 1, 2 at ``t`` between 0 and 1."""
    u, v, w = t + 1.0, t - 1.0, t - 2.0
    tv, uw = t * v, u * w
    return tv * (w * (-1.0 / 6.0)), uw * (v * 0.5), uw * (t * -0.5), tv * (u * (1.0 / 6.0))
