"""Terms of a tile of block-shaped and ellipsoidal crystals, in order: interpolated, or with running products (Q04)."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import TILE, stack_places, stack_tile, stack_weights, sum_rows
from nanobragg.kernels.fast.plain_terms import all_within, shift_of, times_cell
from nanobragg.kernels.fast.tables import OFFSET, PER_LENGTH, SHARE
from nanobragg.kernels.fast.tile import any_zero
from nanobragg.kernels.shapes import SQUARE
from nanobragg.kernels.step import amplitude, lattice
from nanobragg.kernels.step.background import has_products


@scalar
def indices(per_length, shift, mh, mk, ml, h, k, x):
    """Fractional indices of one source and one cell."""
    for i in range(TILE):
        h[i] = mh[i] * per_length + shift[0]
        k[i] = mk[i] * per_length + shift[1]
        x[i] = ml[i] * per_length + shift[2]


@scalar
def square_lattices(size, h, k, x, f_latt):
    """Lattice factors of a block-shaped crystal, up to their sign."""
    for i in range(TILE):
        hkl = (h[i], k[i], x[i])
        f_latt[i] = lattice.fast_square_lattice(size, lattice.fast_node(hkl), hkl)


@scalar
def round_lattices(size, h, k, x, f_latt):
    """Lattice factors of an ellipsoidal crystal, up to their sign."""
    for i in range(TILE):
        hkl = (h[i], k[i], x[i])
        f_latt[i] = lattice.fast_round_lattice(size, lattice.fast_node(hkl), hkl)


@scalar
def nearest_amplitudes(amplitudes, offset, h, k, x, squares_at):
    """Squared amplitudes of the nearest nodes, gathered in a loop of their own as in `plain_terms`."""
    squares, low, high, stride, origin = amplitudes
    place = stack_places()
    first = origin + offset
    for i in range(TILE):
        node = lattice.fast_node((h[i], k[i], x[i]))
        place[i] = amplitude.table_place(low, high, stride, first, node)
    for i in range(TILE):
        squares_at[i] = squares[place[i]]


@scalar
def in_tricubic_range(factors, for_good, alive, h, k, x, on):
    """Set ``on`` to 0 where an index of a pixel that counts is out of range, ``for_good`` or for this time (Q02)."""
    for i in range(TILE):
        inside = amplitude.within_tricubic_range(factors, (h[i], k[i], x[i]))
        before = on[i] if for_good else 1.0
        on[i] = before if inside or alive[i] == 0.0 else 0.0


@scalar
def axis_weights(weights, axis, step, apart, h, lowest, low):
    """The four weights of one axis for each pixel, and the first of its four nodes counted from ``lowest``.

    Those of a pixel are ``apart`` from one another, pixels a ``step``.
    """
    for i in range(TILE):
        floor = np.floor(h[i])
        at = 4 * axis * TILE + step * i
        w = amplitude.cubic_weights(h[i] - floor)
        weights[at], weights[at + apart], weights[at + 2 * apart], weights[at + 3 * apart] = w
        low[i] = floor - 1.0 - lowest


@scalar
def interpolated_amplitudes(blocks, number, lowest, count, everywhere, alive, on, h, k, x, squares_at):
    """Squared amplitudes between the nodes: ``everywhere``, or where neither ``alive`` nor ``on`` is 0.

    ``blocks`` are those of `nanobragg.kernels.fast.tables.row_blocks`, ``number`` says which table, and ``lowest`` is
    the index of their first node.
    """
    weights, h0, k0, l0 = stack_weights(), stack_tile(), stack_tile(), stack_tile()
    axis_weights(weights, 0, 1, TILE, h, float(lowest[0]), h0)
    axis_weights(weights, 1, 1, TILE, k, float(lowest[1]), k0)
    axis_weights(weights, 2, 4, 1, x, float(lowest[2]), l0)
    stride_h, stride_k = blocks.shape[2] * blocks.shape[3], blocks.shape[3]
    first = float(number * blocks.shape[1] * stride_h)
    for i in range(TILE):
        h0[i] = first + h0[i] * stride_h + k0[i] * stride_k + (l0[i] + 4.0 * np.floor(0.25 * l0[i]))
    if everywhere:
        for i in range(TILE):
            f_cell = sum_rows(blocks, int(h0[i]), stride_h, stride_k, weights, i)
            squares_at[i] = f_cell * f_cell
        return
    for i in range(count):
        if alive[i] * on[i] != 0.0:
            f_cell = sum_rows(blocks, int(h0[i]), stride_h, stride_k, weights, i)
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
    amplitudes, _, of_source, _, interpolation = tables
    blocks, longest_squared = interpolation
    first, last, alone = sources
    running = has_products(plan) and plan.habits.running_products
    ends = plan.habits.interpolation_ends
    size, factors = lattice.size_of(plan.cells), plan.factors
    # Where no index can leave the range, interpolation stays on; next to all tiles are such.
    inside = interpolate and all_within(longest_squared, q[0], q[1], q[2])
    if inside and not ends:
        for i in range(TILE):
            on[i] = 1.0
    everywhere = inside and not any_zero(on) and not any_zero(alive)
    mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
    h, k, x = stack_tile(), stack_tile(), stack_tile()
    f_latt, squares_at = stack_tile(), stack_tile()
    for i in range(TILE):
        squares_at[i] = 0.0
    for c in range(len(cells)):
        if alone:
            times_cell(cells, c, of_source[first, PER_LENGTH], q[0], q[1], q[2], h, k, x)
        else:
            times_cell(cells, c, 1.0, q[0], q[1], q[2], mh, mk, ml)
        for j in range(first, last):
            if not alone:
                shift = shift_of(of_source, j, cells, c)
                indices(of_source[j, PER_LENGTH], shift, mh, mk, ml, h, k, x)
            if plan.cells.shape == SQUARE:
                square_lattices(size, h, k, x, f_latt)
            else:
                round_lattices(size, h, k, x, f_latt)
            if interpolate and not inside:
                in_tricubic_range(factors, ends, alive, h, k, x, on)
            if not interpolate or (not everywhere and any_zero(on)):
                nearest_amplitudes(amplitudes, of_source[j, OFFSET], h, k, x, squares_at)
            if interpolate:
                interpolated_amplitudes(
                    blocks, plan.sources.table_number[j], factors.hkl_min, count, everywhere, alive, on, h, k, x,
                    squares_at,
                )  # fmt: skip
            accumulate(running, of_source[j, SHARE], alive, weight, f_latt, squares_at, total)
