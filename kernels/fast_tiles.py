"""The fast loop on the CPU: the physics of the strict loop on tiles of pixels, in vector registers."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels import tiles
from nanobragg.kernels.compile import fast_kernel
from nanobragg.kernels.plan import ROUND, SQUARE
from nanobragg.kernels.serial import NEVER
from nanobragg.kernels.vector import (
    TILE,
    prefer_wide_registers,
    stack_places,
    stack_tile,
    stack_tile_single,
    stack_weights,
)


@fast_kernel
def render_tiles(
    plan, amplitudes, reach, shifts, cells, single, part, image, targets, first_cells, pixels, interpolate
):
    """Render the listed pixels; returns the lowest raster index at which interpolation went off, or `NEVER`.

    ``cells`` are those of all visits but the first of the run. ``first_cells`` are that one's, and empty where it is
    not among these pixels; where it is, only one of them may be visited at all. ``single`` are both in binary32.
    ``part`` says which sub-pixels and which sources count (`nanobragg.kernels.fast.Part`), and ``targets`` where in
    ``image`` each pixel goes.
    """
    prefer_wide_registers()
    fast, slow = stack_tile(), stack_tile()
    dx, dy, dz = stack_tile(), stack_tile(), stack_tile()
    qx, qy, qz = stack_tile(), stack_tile(), stack_tile()
    mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
    h, k, x = stack_tile(), stack_tile(), stack_tile()
    air, alive, on = stack_tile(), stack_tile(), stack_tile()
    capture, polar, omega = stack_tile(), stack_tile(), stack_tile()
    weight, total = stack_tile(), stack_tile()
    f_latt, squares_at, cubic_weights = stack_tile(), stack_tile(), stack_weights()
    place = stack_places()
    sx, sy, sz = stack_tile_single(), stack_tile_single(), stack_tile_single()

    products = plan.oversample_thick or plan.oversample_polar or plan.oversample_omega
    sharp = plan.shape > ROUND
    # Where the order of evaluations matters, each source is a group of its own; else all share M.d, unless next to
    # no evaluation needs it.
    ordered = sharp or products or interpolate or plan.dmin > 0.0 or len(first_cells) > 0
    n_sources = len(plan.sources)
    groups = n_sources if ordered else 1
    simple = plan.shape == SQUARE and not products and not interpolate
    running = products and plan.running_products
    spread = products and not running
    zeros_count = plan.water and (running or (interpolate and plan.sticky))
    narrow, offsets, limits = reach
    first_sub, last_sub, first_source, last_source = part
    lead = 1 if first_sub > 0 else 0  # solid angle, capture and polarization may be those of the first sub-pixel
    switched_at = NEVER
    for start in range(0, len(pixels), TILE):
        count = min(TILE, len(pixels) - start)
        tiles.raster_places(pixels, start, count, plan.n_fast, fast, slow)
        for i in range(TILE):
            total[i] = 0.0 if spread else plan.background
            polar[i] = 1.0 if plan.nopolar else 0.0
            omega[i] = 0.0
            on[i] = 1.0
            squares_at[i] = 0.0
        visited = False
        for layer in range(plan.layers):
            depth = layer * plan.layer_step
            for i in range(TILE):
                capture[i] = 1.0 if plan.thickness == 0.0 else 0.0
            for at in range(first_sub - lead, last_sub):
                counts = at >= first_sub
                sub = at if counts else 0
                tiles.places(plan, fast, slow, sub, depth, dx, dy, dz)
                tiles.airpaths(dx, dy, dz, air)
                tiles.normalise(dx, dy, dz, air)
                tiles.solid_angles(plan, air, omega)
                if plan.thickness != 0.0 or plan.oversample_thick:
                    tiles.captures(plan, layer, dx, dy, dz, capture)
                for group in range(groups):
                    base = (-plan.sources[group, 0], -plan.sources[group, 1], -plan.sources[group, 2])
                    reached = tiles.cut_by_resolution(plan, base, plan.sources[group, 3], dx, dy, dz, alive)
                    everywhere = plan.keep_background or spread
                    if reached == 0 and not everywhere:
                        continue
                    if plan.oversample_polar or tiles.any_zero(polar):
                        for i in range(TILE):
                            weight[i] = 1.0 if everywhere else alive[i]
                        tiles.polarizations(plan, base, dx, dy, dz, weight, polar)
                    if products:
                        tiles.weights(plan, capture, polar, omega, weight)
                    if spread and counts:
                        tiles.add_background(plan, weight, total)
                    if reached == 0 or not counts:
                        continue
                    tiles.differences(base, dx, dy, dz, qx, qy, qz)
                    if sharp:
                        tiles.to_single(shifts[group, 0], qx, qy, qz, sx, sy, sz)
                    plain = simple and reached == TILE
                    begins = len(first_cells) > 0 and not visited
                    turned, turned_single = first_cells if begins else cells, single[0] if begins else single[1]
                    visited = True
                    own = group if ordered else first_source
                    last = group + 1 if ordered else last_source
                    alone = ordered or n_sources == 1
                    if sharp:
                        c = -1
                        while True:
                            c = tiles.next_near(turned_single, c + 1, offsets, limits, sx, sy, sz, zeros_count)
                            if c == len(turned):
                                break
                            tiles.times_cell(turned, c, qx, qy, qz, mh, mk, ml)
                            tiles.add_sharp(
                                plan, count, alive, products, interpolate, zeros_count, narrow, weight,
                                shifts[group, 0], plan.sources[group, 4], mh, mk, ml, on, total,
                            )  # fmt: skip
                        continue
                    for c in range(len(turned)):
                        if plain and alone:
                            per_length, share = shifts[group, 0], plan.sources[group, 4]
                            tiles.add_square_alone(
                                plan, amplitudes, per_length, share, turned, c, qx, qy, qz, place, f_latt, total
                            )
                            continue
                        tiles.times_cell(turned, c, qx, qy, qz, mh, mk, ml)
                        for j in range(own, last):
                            per_length, share = shifts[j, 0], plan.sources[j, 4]
                            shift = (0.0, 0.0, 0.0)
                            if not alone:
                                shift = tiles.shifted(turned, c, shifts[j, 1], shifts[j, 2], shifts[j, 3])
                            if plain:
                                tiles.add_square(
                                    plan, amplitudes, per_length, share, shift, mh, mk, ml, place, f_latt, total
                                )
                                continue
                            tiles.indices(per_length, shift, mh, mk, ml, h, k, x)
                            tiles.lattices(plan, h, k, x, f_latt)
                            if interpolate:
                                tiles.in_tricubic_range(plan, alive, h, k, x, on)
                            if not interpolate or tiles.any_zero(on):
                                tiles.nearest_amplitudes(amplitudes, h, k, x, place, squares_at)
                            if interpolate:
                                tiles.interpolated_amplitudes(
                                    plan, count, alive, h, k, x, on, cubic_weights, mh, mk, ml, squares_at
                                )
                            tiles.accumulate(products, running, share, alive, weight, f_latt, squares_at, total)
        tiles.store(plan, targets, start, count, total, capture, polar, omega, image)
        if interpolate and plan.sticky:
            for i in range(count):
                if on[i] == 0.0:
                    switched_at = min(switched_at, np.int64(pixels[start + i]))
    return switched_at
