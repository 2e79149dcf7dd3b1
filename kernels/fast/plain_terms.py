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
from nanobragg.kernels.fast.tables import OFFSET, PER_LENGTH, SHARE, SHIFT
from nanobragg.kernels.step import amplitude, lattice


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
def shift_of(of_source, j, cells, c):
    """Indices by which a source differs from the first of its group."""
    ex, ey, ez = of_source[j, SHIFT], of_source[j, SHIFT + 1], of_source[j, SHIFT + 2]
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


def in_double(quotient: Callable[..., Any]) -> Way:
    """As the quotient that ``quotient`` gives."""

    @scalar
    def keep(size, node, hkl, i, kept):
        kept[0][i], kept[1][i] = quotient(size, node, hkl)

    @scalar
    def add(size, squares, share, place, kept, total):
        above, below = kept
        for i in range(TILE):
            f_latt = above[i] / below[i]
            total[i] += share * squares[place[i]] * (f_latt * f_latt)

    return Way(stack_two_tiles, keep, add)


def in_mixed_precision() -> Way:
    """As phases of a block-shaped crystal; polynomials and division in binary32, twice as many at a time."""

    @scalar
    def keep(size, node, hkl, i, kept):
        of_h, of_k, of_l = lattice.square_phases_single(size, node, hkl)
        kept[0][i], kept[1][i] = of_h
        kept[2][i], kept[3][i] = of_k
        kept[4][i], kept[5][i] = of_l

    @scalar
    def add(size, squares, share, place, kept, total):
        th, dh, tk, dk, tl, dl = kept
        f_latt = stack_tile_single()
        for i in range(TILE):
            above, below = lattice.square_quotient_single(size, ((th[i], dh[i]), (tk[i], dk[i]), (tl[i], dl[i])))
            f_latt[i] = above / below
        for i in range(TILE):
            wide = np.float64(f_latt[i])
            total[i] += share * squares[place[i]] * (wide * wide)

    return Way(stack_six_tiles_single, keep, add)


@scalar
def of_cell(cell, q, i):
    """Indices of a pixel: cell vectors over the wavelength times the difference of directions."""
    a, b, c = cell
    qx, qy, qz = q
    return (
        a[0] * qx[i] + a[1] * qy[i] + a[2] * qz[i],
        b[0] * qx[i] + b[1] * qy[i] + b[2] * qz[i],
        c[0] * qx[i] + c[1] * qy[i] + c[2] * qz[i],
    )


@scalar
def of_shift(source, m, i):
    """Indices of a pixel for one of several sources: those that all share over the wavelength, and its own shift."""
    per_length, shift = source
    return (m[0][i] * per_length + shift[0], m[1][i] * per_length + shift[1], m[2][i] * per_length + shift[2])


def terms_of_cell(way: Way, place_of: Callable[..., Any], hkl_of: Callable[..., Any]) -> Any:
    """What adds the terms of one source and cell: ``hkl_of`` makes indices, ``place_of`` says where amplitudes are."""
    tiles, keep, add = way

    @scalar
    def add_terms_of_cell(size, amplitudes, share, offset, vectors, q, total):
        squares, low, high, stride, origin = amplitudes
        place, kept = stack_places(), tiles()
        first = origin + offset
        for i in range(TILE):
            hkl = hkl_of(vectors, q, i)
            node = lattice.fast_node(hkl)
            keep(size, node, hkl, i, kept)
            place[i] = place_of(low, high, stride, first, node)
        add(size, squares, share, place, kept, total)

    return add_terms_of_cell


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
    def add_terms(size, amplitudes, of_source, sources, cells, q, total):
        first, last, alone = sources
        mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
        for c in range(len(cells)):
            if alone:
                cell = scaled_cell(cells, c, of_source[first, PER_LENGTH])
                add_alone(size, amplitudes, of_source[first, SHARE], of_source[first, OFFSET], cell, q, total)
                continue
            times_cell(cells, c, 1.0, q[0], q[1], q[2], mh, mk, ml)
            for j in range(first, last):
                source = (of_source[j, PER_LENGTH], shift_of(of_source, j, cells, c))
                add_shifted(size, amplitudes, of_source[j, SHARE], of_source[j, OFFSET], source, (mh, mk, ml), total)

    return add_terms


def plain_terms(way: Way) -> Any:
    """What adds all terms of a group of sources to a tile; indices are only limited where some may be outside."""
    inside, anywhere = amplitude.table_place_inside, amplitude.table_place
    add_inside = terms_by(terms_of_cell(way, inside, of_cell), terms_of_cell(way, inside, of_shift))
    add_anywhere = terms_by(terms_of_cell(way, anywhere, of_cell), terms_of_cell(way, anywhere, of_shift))

    @scalar
    def add_terms(plan, tables, sources, cells, single, interpolate, count, q, alive, on, weight, total):
        amplitudes, _, of_source, longest_squared, _ = tables
        size = lattice.size_of(plan.cells)
        if all_within(longest_squared, q[0], q[1], q[2]):
            add_inside(size, amplitudes, of_source, sources, cells, q, total)
        else:
            add_anywhere(size, amplitudes, of_source, sources, cells, q, total)

    return add_terms


of_blocks = plain_terms(in_double(lattice.square_quotient))
of_ellipsoids = plain_terms(in_double(lattice.round_quotient))
of_blocks_in_mixed_precision = plain_terms(in_mixed_precision())
