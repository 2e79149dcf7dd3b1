"""Tricubic interpolation of structure factors: in the original's nesting, l within k within h, and by rows."""

import numpy as np

from nanobragg.kernels.compile import fast_scalar, scalar


@scalar
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


@scalar
def along_l(table, i, j, k, first, x):
    """One row of four table values, interpolated along l."""
    return cubic(first, table[i, j, k], table[i, j, k + 1], table[i, j, k + 2], table[i, j, k + 3], x)


@scalar
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


@scalar
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


@fast_scalar
def cubic_weights(t):
    """Lagrange weights of the nodes -1, 0, 1, 2 at ``t`` between 0 and 1."""
    u, v, w = t + 1.0, t - 1.0, t - 2.0
    return -t * v * w / 6.0, u * v * w / 2.0, -u * t * w / 2.0, u * t * v / 6.0


@fast_scalar
def tricubic_by_rows(table, hkl, hkl_min):
    """The same interpolation by twelve weights and 64 multiply-adds: rows of four along l, weighted by h and k."""
    low_h, low_k, low_l = np.floor(hkl[0]), np.floor(hkl[1]), np.floor(hkl[2])
    i = np.uint64(int(low_h) - 1 - hkl_min[0])
    j = np.uint64(int(low_k) - 1 - hkl_min[1])
    k = np.uint64(int(low_l) - 1 - hkl_min[2])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    wh = cubic_weights(hkl[0] - low_h)
    wk = cubic_weights(hkl[1] - low_k)
    wl = cubic_weights(hkl[2] - low_l)
    s0 = s1 = s2 = s3 = 0.0
    for a in range(4):
        for b in range(4):
            w = wh[a] * wk[b]
            row_h, row_k = i + np.uint64(a), j + np.uint64(b)
            s0 += w * table[row_h, row_k, k]
            s1 += w * table[row_h, row_k, k + one]
            s2 += w * table[row_h, row_k, k + two]
            s3 += w * table[row_h, row_k, k + three]
    return s0 * wl[0] + s1 * wl[1] + s2 * wl[2] + s3 * wl[3]
