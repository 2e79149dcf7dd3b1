"""Terms of a tile where nothing but the lattice factor and the nearest amplitude makes them: the hot loops.

A lattice factor comes as a quotient, and is divided where the amplitude is gathered. That is a loop of its own: within
another one, LLVM takes the places apart into single numbers wherever registers have fewer than 512 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import (
    TILE,
    stack_places,
    stack_six_tiles_single,
    stack_tile,
    stack_tile_single,
    stack_two_tiles,
)
from nanobragg.kernels.step import fast_step


@scalar
def scaled_cell(cells, c, scale):
    """The three vectors of a cell times ``scale``."""
    return (
        (cells[c, 0] * scale, cells[c, 1] * scale, cells[c, 2] * scale),
        (cells[c, 3] * scale, cells[c, 4] * scale, cells[c, 5] * scale),
        (cells[c, 6] * scale, cells[c, 7] * scale, cells[c, 8] * scale),
    )


@scalar
def times_cell(cells, c, scale, qx, qy, qz, mh, mk, ml):
    """Cell vectors times the differences of directions and ``scale``: indices times the wavelength, if that is 1."""
    a, b, d = scaled_cell(cells, c, scale)
    for i in range(TILE):
        mh[i] = a[0] * qx[i] + a[1] * qy[i] + a[2] * qz[i]
        mk[i] = b[0] * qx[i] + b[1] * qy[i] + b[2] * qz[i]
        ml[i] = d[0] * qx[i] + d[1] * qy[i] + d[2] * qz[i]


@scalar
def shifted(cells, c, ex, ey, ez):
    """Indices by which a source differs from the first of its group."""
    return (
        cells[c, 0] * ex + cells[c, 1] * ey + cells[c, 2] * ez,
        cells[c, 3] * ex + cells[c, 4] * ey + cells[c, 5] * ez,
        cells[c, 6] * ex + cells[c, 7] * ey + cells[c, 8] * ez,
    )


class Way(NamedTuple):
    """How a lattice factor gets from the loop over pixels to the one where its amplitude is gathered.

    ``tiles`` makes room for what is kept of it meanwhile, ``keep`` keeps that of a pixel, ``add`` adds it to the sums.
    """

    tiles: Any
    keep: Any
    add: Any


def in_double(lattice: Callable[..., Any]) -> Way:
    """As the quotient that ``lattice`` gives."""

    @scalar
    def keep(crystal, node, hkl, i, kept):
        kept[0][i], kept[1][i] = lattice(crystal, node, hkl)

    @scalar
    def add(crystal, squares, share, place, kept, total):
        above, below = kept
        for i in range(TILE):
            f_latt = above[i] / below[i]
            total[i] += share * squares[place[i]] * (f_latt * f_latt)

    return Way(stack_two_tiles, keep, add)


def in_mixed_precision() -> Way:
    """As phases of a block-shaped crystal; polynomials and division in binary32, twice as many at a time."""

    @scalar
    def keep(crystal, node, hkl, i, kept):
        of_h, of_k, of_l = fast_step.square_phases_single(crystal, node, hkl)
        kept[0][i], kept[1][i] = of_h
        kept[2][i], kept[3][i] = of_k
        kept[4][i], kept[5][i] = of_l

    @scalar
    def add(crystal, squares, share, place, kept, total):
        th, dh, tk, dk, tl, dl = kept
        f_latt = stack_tile_single()
        for i in range(TILE):
            above, below = fast_step.square_quotient_single(crystal, ((th[i], dh[i]), (tk[i], dk[i]), (tl[i], dl[i])))
            f_latt[i] = above / below
        for i in range(TILE):
            wide = np.float64(f_latt[i])
            total[i] += share * squares[place[i]] * (wide * wide)

    return Way(stack_six_tiles_single, keep, add)


def terms_of_cell(way: Way, place_of: Callable[..., Any]) -> tuple[Any, Any]:
    """What adds the terms of one cell, for the only source of a group and for one of several.

    ``place_of`` says where the amplitude of a node is.
    """
    tiles, keep, add = way

    @scalar
    def add_alone(crystal, amplitudes, source, cells, c, qx, qy, qz, total):
        per_length, share = source
        squares, low, high, stride, origin = amplitudes
        place, kept = stack_places(), tiles()
        va, vb, vc = scaled_cell(cells, c, per_length)
        for i in range(TILE):
            h = va[0] * qx[i] + va[1] * qy[i] + va[2] * qz[i]
            k = vb[0] * qx[i] + vb[1] * qy[i] + vb[2] * qz[i]
            x = vc[0] * qx[i] + vc[1] * qy[i] + vc[2] * qz[i]
            node = fast_step.nearest_node((h, k, x))
            keep(crystal, node, (h, k, x), i, kept)
            place[i] = place_of(low, high, stride, origin, node)
        add(crystal, squares, share, place, kept, total)

    @scalar
    def add_shifted(crystal, amplitudes, source, shift, mh, mk, ml, total):
        per_length, share = source
        squares, low, high, stride, origin = amplitudes
        place, kept = stack_places(), tiles()
        for i in range(TILE):
            hkl = (mh[i] * per_length + shift[0], mk[i] * per_length + shift[1], ml[i] * per_length + shift[2])
            node = fast_step.nearest_node(hkl)
            keep(crystal, node, hkl, i, kept)
            place[i] = place_of(low, high, stride, origin, node)
        add(crystal, squares, share, place, kept, total)

    return add_alone, add_shifted


@scalar
def all_within(longest_squared, qx, qy, qz):
    """Whether no difference of directions is longer than one whose square is given."""
    longer = np.int64(0)
    for i in range(TILE):
        longer |= np.int64(not qx[i] * qx[i] + qy[i] * qy[i] + qz[i] * qz[i] <= longest_squared)
    return longer == 0


def terms_by(add_alone: Any, add_shifted: Any) -> Any:
    """What adds all terms of a group of sources to a tile, from what adds those of one cell."""

    @scalar
    def add_terms(crystal, amplitudes, shifts, shares, sources, cells, q, total):
        first, last, alone = sources
        mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
        for c in range(len(cells)):
            if alone:
                source = (shifts[first, 0], shares[first, 4])
                add_alone(crystal, amplitudes, source, cells, c, q[0], q[1], q[2], total)
                continue
            times_cell(cells, c, 1.0, q[0], q[1], q[2], mh, mk, ml)
            for j in range(first, last):
                source = (shifts[j, 0], shares[j, 4])
                shift = shifted(cells, c, shifts[j, 1], shifts[j, 2], shifts[j, 3])
                add_shifted(crystal, amplitudes, source, shift, mh, mk, ml, total)

    return add_terms


def plain_terms(way: Way) -> Any:
    """What adds all terms of a group of sources to a tile; indices are only limited where some may be outside."""
    add_inside = terms_by(*terms_of_cell(way, fast_step.table_place_inside))
    add_anywhere = terms_by(*terms_of_cell(way, fast_step.table_place))

    @scalar
    def add_terms(plan, tables, sources, cells, single, interpolate, count, q, alive, on, weight, total):
        amplitudes, _, shifts, longest_squared, _ = tables
        crystal = fast_step.crystal_of(plan)
        if all_within(longest_squared, q[0], q[1], q[2]):
            add_inside(crystal, amplitudes, shifts, plan.sources, sources, cells, q, total)
        else:
            add_anywhere(crystal, amplitudes, shifts, plan.sources, sources, cells, q, total)

    return add_terms


of_blocks = plain_terms(in_double(fast_step.square_quotient))
of_ellipsoids = plain_terms(in_double(fast_step.round_quotient))
of_blocks_in_mixed_precision = plain_terms(in_mixed_precision())
