"""Terms of a tile of block-shaped and ellipsoidal crystals that are interpolated, or multiply the sum (Q04)."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels import physics
from nanobragg.kernels.compile import scalar
from nanobragg.kernels.fast_step import crystal_of, nearest_node, round_lattice, square_lattice, table_place
from nanobragg.kernels.interpolation import cubic_weights
from nanobragg.kernels.plain_terms import shifted, times_cell
from nanobragg.kernels.plan import SQUARE
from nanobragg.kernels.tiles import any_zero
from nanobragg.kernels.vector import TILE, stack_places, stack_tile, stack_weights, sum_rows


@scalar
def indices(per_length, shift, mh, mk, ml, h, k, x):
    """Fractional indices of one source and one cell."""
    for i in range(TILE):
        h[i] = mh[i] * per_length + shift[0]
        k[i] = mk[i] * per_length + shift[1]
        x[i] = ml[i] * per_length + shift[2]


@scalar
def square_lattices(crystal, h, k, x, f_latt):
    """Lattice factors of a block-shaped crystal, up to their sign."""
    for i in range(TILE):
        hkl = (h[i], k[i], x[i])
        f_latt[i] = square_lattice(crystal, nearest_node(hkl), hkl)


@scalar
def round_lattices(crystal, h, k, x, f_latt):
    """Lattice factors of an ellipsoidal crystal, up to their sign."""
    for i in range(TILE):
        hkl = (h[i], k[i], x[i])
        f_latt[i] = round_lattice(crystal, nearest_node(hkl), hkl)


@scalar
def nearest_amplitudes(amplitudes, h, k, x, squares_at):
    """Squared amplitudes of the nearest nodes, gathered in a loop of their own as in `plain_terms`."""
    squares, low, high, stride, origin = amplitudes
    place = stack_places()
    for i in range(TILE):
        place[i] = table_place(low, high, stride, origin, nearest_node((h[i], k[i], x[i])))
    for i in range(TILE):
        squares_at[i] = squares[place[i]]


@scalar
def in_tricubic_range(plan, alive, h, k, x, on):
    """Set ``on`` to 0 where an index of a pixel that counts is out of range: for good if that is ``sticky`` (Q02)."""
    hkl_min, hkl_range, sticky = plan.hkl_min, plan.hkl_range, plan.sticky
    for i in range(TILE):
        inside = physics.within_tricubic_range((h[i], k[i], x[i]), hkl_min, hkl_range)
        before = on[i] if sticky else 1.0
        on[i] = before if inside or alive[i] == 0.0 else 0.0


@scalar
def axis_weights(weights, axis, h, low):
    """The four weights of one axis for each pixel, and the first of its four nodes counted from ``low``."""
    for i in range(TILE):
        floor = np.floor(h[i])
        w0, w1, w2, w3 = cubic_weights(h[i] - floor)
        weights[axis * 4 * TILE + i] = w0
        weights[(axis * 4 + 1) * TILE + i] = w1
        weights[(axis * 4 + 2) * TILE + i] = w2
        weights[(axis * 4 + 3) * TILE + i] = w3
        low[i] = floor - 1.0


@scalar
def interpolated_amplitudes(plan, count, alive, h, k, x, on, squares_at):
    """Squared amplitudes between the nodes, for pixels whose ``on`` is not 0."""
    weights, h0, k0, l0 = stack_weights(), stack_tile(), stack_tile(), stack_tile()
    axis_weights(weights, 0, h, h0)
    axis_weights(weights, 1, k, k0)
    axis_weights(weights, 2, x, l0)
    table = plan.table
    stride_h, stride_k = table.shape[1] * table.shape[2], table.shape[2]
    origin = -float(plan.hkl_min[0] * stride_h + plan.hkl_min[1] * stride_k + plan.hkl_min[2])
    for i in range(TILE):
        h0[i] = h0[i] * stride_h + k0[i] * stride_k + (l0[i] + origin)
        k0[i] = alive[i] * on[i]
    for i in range(count):
        if k0[i] != 0.0:
            f_cell = sum_rows(table, int(h0[i]), stride_h, stride_k, weights, i)
            squares_at[i] = f_cell * f_cell


@scalar
def accumulate(running, share, alive, weight, f_latt, squares_at, total):
    """Add one evaluation to each sum; running products multiply that (Q04)."""
    if running:
        for i in range(TILE):
            term = total[i] + share * squares_at[i] * (f_latt[i] * f_latt[i])
            total[i] = term * weight[i] if alive[i] != 0.0 else total[i]
    else:
        for i in range(TILE):
            total[i] += share * squares_at[i] * (f_latt[i] * f_latt[i])


@scalar
def in_all_cases(plan, tables, sources, cells, single, interpolate, count, q, alive, on, weight, total):
    """Add all terms of a group of sources to a tile."""
    amplitudes, _, shifts, _ = tables
    first, last, alone = sources
    products = plan.oversample_thick or plan.oversample_polar or plan.oversample_omega
    running = products and plan.running_products
    mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
    h, k, x = stack_tile(), stack_tile(), stack_tile()
    f_latt, squares_at = stack_tile(), stack_tile()
    for i in range(TILE):
        squares_at[i] = 0.0
    for c in range(len(cells)):
        times_cell(cells, c, q[0], q[1], q[2], mh, mk, ml)
        for j in range(first, last):
            shift = (0.0, 0.0, 0.0)
            if not alone:
                shift = shifted(cells, c, shifts[j, 1], shifts[j, 2], shifts[j, 3])
            indices(shifts[j, 0], shift, mh, mk, ml, h, k, x)
            if plan.shape == SQUARE:
                square_lattices(crystal_of(plan), h, k, x, f_latt)
            else:
                round_lattices(crystal_of(plan), h, k, x, f_latt)
            if interpolate:
                in_tricubic_range(plan, alive, h, k, x, on)
            if not interpolate or any_zero(on):
                nearest_amplitudes(amplitudes, h, k, x, squares_at)
            if interpolate:
                interpolated_amplitudes(plan, count, alive, h, k, x, on, squares_at)
            accumulate(running, plan.sources[j, 4], alive, weight, f_latt, squares_at, total)
