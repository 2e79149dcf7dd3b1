"""Terms of a tile of Gaussian and sharp-edged spots: nearly all are exactly 0, and are left out by a quick test."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import TILE, stack_tile, stack_tile_single
from nanobragg.kernels.fast.plain_terms import times_cell
from nanobragg.kernels.fast.reach import FRACTION_BITS
from nanobragg.kernels.fast.tables import PER_LENGTH, SHARE
from nanobragg.kernels.step import amplitude, lattice
from nanobragg.kernels.step.background import has_products


@scalar
def to_single(per_length, qx, qy, qz, sx, sy, sz):
    """Scattering vectors in binary32, for the test that most sharp spots fail."""
    for i in range(TILE):
        sx[i], sy[i], sz[i] = (
            np.float32(qx[i] * per_length),
            np.float32(qy[i] * per_length),
            np.float32(qz[i] * per_length),
        )


@scalar
def fraction(value):
    """What a number between 2^(22 - b) and 2^(23 - b) has behind its point, b = `FRACTION_BITS`, in units of 2^-32."""
    return np.uint32(np.float32(value).view(np.uint32) << np.uint32(32 - FRACTION_BITS))


@scalar
def any_near_planes(cells, c, first, offset, limit, sx, sy, sz):
    """Whether any pixel of the tile may be near enough to the lattice planes of two axes, from ``first`` on.

    ``cells`` are the binary32 ones. Further away than the reach of an axis the lattice factor of a sharp spot is
    exactly 0. The reach is in ``offset``, so that what is within it has a fraction below ``limit``.
    """
    offset, limit = np.float32(offset), np.uint32(limit)
    a1, a2, a3 = cells[c, 3 * first], cells[c, 3 * first + 1], cells[c, 3 * first + 2]
    b1, b2, b3 = cells[c, 3 * first + 3], cells[c, 3 * first + 4], cells[c, 3 * first + 5]
    nearest = np.uint32(0xFFFFFFFF)
    for i in range(TILE):
        h = fraction(offset + a1 * sx[i] + a2 * sy[i] + a3 * sz[i])
        k = fraction(offset + b1 * sx[i] + b2 * sy[i] + b3 * sz[i])
        nearest = min(nearest, max(h, k))
    return nearest <= limit


@scalar
def next_near(cells, first, offsets, limits, sx, sy, sz, every):
    """The next cell, from ``first`` on, of which a node may be near a pixel of the tile, or ``every`` one."""
    for c in range(first, len(cells)):
        if every or (
            any_near_planes(cells, c, 0, offsets[0], limits[0], sx, sy, sz)
            and any_near_planes(cells, c, 1, offsets[1], limits[1], sx, sy, sz)
        ):
            return c
    return len(cells)


@scalar
def sharp_amplitude(factors, number, hkl, node, on):
    """F_cell at one place."""
    if on:
        return amplitude.tricubic(factors, number, hkl)
    return amplitude.table_factor(factors, number, node)


@scalar
def add_sharp(
    plan, count, alive, running, interpolating, zeros_count, narrow, weight, per_length, share, number, mh, mk, ml, on,
    total,
):  # fmt: skip
    """One source and one cell of a crystal with Gaussian or sharp-edged spots, pixel by pixel.

    A lattice factor of exactly 0 is no evaluation at all, unless ``zeros_count``, which water and running products or
    interpolation bring about.
    """
    ends, factors = plan.habits.interpolation_ends, plan.factors
    for i in range(count):
        if alive[i] == 0.0:
            continue
        hkl = (mh[i] * per_length, mk[i] * per_length, ml[i] * per_length)
        node = lattice.fast_node_down(hkl)
        if not zeros_count and not lattice.is_near(hkl, node, narrow):
            continue
        f_latt = lattice.lattice_factor(plan.cells.shape, plan.cells, hkl, node)
        if f_latt == 0.0 and not zeros_count:
            continue
        if interpolating:
            inside = amplitude.within_tricubic_range(factors, hkl)
            on[i] = 0.0 if not inside else on[i] if ends else 1.0
        f_cell = sharp_amplitude(factors, number, hkl, node, interpolating and on[i] != 0.0)
        term = share * f_cell * f_cell * (f_latt * f_latt)
        total[i] = (total[i] + term) * weight[i] if running else total[i] + term


@scalar
def of_sharp_spots(plan, tables, sources, cells, single, interpolate, count, q, alive, on, weight, total):
    """Add all terms of one source to a tile."""
    _, (narrow, offsets, limits), of_source, _, _ = tables
    running = has_products(plan) and plan.habits.running_products
    zeros_count = plan.scale.water and (running or (interpolate and plan.habits.interpolation_ends))
    source = sources[0]
    per_length, share = of_source[source, PER_LENGTH], of_source[source, SHARE]
    number = plan.sources.table_number[source]
    mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
    sx, sy, sz = stack_tile_single(), stack_tile_single(), stack_tile_single()
    to_single(per_length, q[0], q[1], q[2], sx, sy, sz)
    c = -1
    while True:
        c = next_near(single, c + 1, offsets, limits, sx, sy, sz, zeros_count)
        if c == len(cells):
            break
        times_cell(cells, c, 1.0, q[0], q[1], q[2], mh, mk, ml)
        add_sharp(
            plan, count, alive, running, interpolate, zeros_count, narrow, weight, per_length, share, number, mh, mk,
            ml, on, total,
        )  # fmt: skip
