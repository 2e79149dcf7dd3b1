"""The fast loops on the CPU: the physics of the strict loop on tiles of pixels, in vector registers.

One kernel for each way of adding terms, so that a first run compiles what it needs and no more.
"""

from __future__ import annotations

from typing import Any

from nanobragg.kernels.compiling.decorators import fast_kernel
from nanobragg.kernels.compiling.vector import prefer_wide_registers, stack_tile
from nanobragg.kernels.fast import general_terms, plain_terms, sharp_terms, tile
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.shapes import FAST_FORMS
from nanobragg.kernels.step import background, geometry


def tiles_kernel(add_terms: Any) -> Any:
    """A kernel whose tiles get the terms of a group of sources from ``add_terms``."""

    @fast_kernel
    def render_tiles(plan, tables, cells, single, part, image, targets, first_cells, pixels, interpolate):
        """Render the listed pixels; returns the lowest raster index at which interpolation went off, or `NEVER`.

        ``cells`` are those of all visits but the first of the run. ``first_cells`` are that one's, and empty where it
        is not among these pixels; where it is, only one of them may be visited at all. ``single`` are both in binary32.
        ``part`` says which sub-pixels and sources count (`nanobragg.kernels.fast.shares.ShareOfSteps`), and ``targets``
        where in ``image`` each pixel goes.
        """
        prefer_wide_registers()
        fast, slow = stack_tile(), stack_tile()
        dx, dy, dz = stack_tile(), stack_tile(), stack_tile()
        qx, qy, qz = stack_tile(), stack_tile(), stack_tile()
        air, alive, on = stack_tile(), stack_tile(), stack_tile()
        capture, polar, omega = stack_tile(), stack_tile(), stack_tile()
        weight, subtotal, total = stack_tile(), stack_tile(), stack_tile()

        sensor, sampling, sources = plan.sensor, plan.sampling, plan.sources
        dmin, towards = plan.factors.dmin, plan.sources.direction
        products, n_sources = background.has_products(plan), len(plan.sources.wavelength)
        # Where the order of evaluations matters, each source is a group of its own; else all share M.d, unless next to
        # no evaluation needs it.
        ordered = plan.cells.shape not in FAST_FORMS or products or interpolate or dmin > 0.0 or len(first_cells) > 0
        running = products and plan.habits.running_products
        spread, everywhere = background.is_spread(plan), background.background_everywhere(plan)
        first_sub, last_sub, first_source, last_source = part
        lead = 1 if first_sub > 0 else 0  # solid angle, capture and polarization may be those of the first sub-pixel
        start, switched_at = 0, NEVER
        while start < len(pixels):
            number, count = tile.panel_and_count(plan.panels, pixels, start)
            panel = geometry.placement(plan.panels, number)
            tile.raster_places(pixels, start, count, number, plan.panels, fast, slow)
            tile.begin(plan, total, polar, omega, on)
            visited = False
            for layer in range(sensor.layers):
                tile.begin_layer(sensor, capture)
                for at in range(first_sub - lead, last_sub):
                    counts = at >= first_sub
                    sub = at if counts else 0
                    tile.aim(plan, panel, layer, sub, fast, slow, dx, dy, dz, air, omega, capture)
                    for group in range(last_source if ordered else 1):
                        base = (-towards[group, 0], -towards[group, 1], -towards[group, 2])
                        reached = tile.cut_by_resolution(dmin, base, sources.wavelength[group], dx, dy, dz, alive)
                        if reached == 0 and not everywhere:
                            continue
                        tile.captures_of_source(plan, panel, layer, group, dx, dy, dz, capture)
                        tile.polarizations(plan, base, dx, dy, dz, alive, everywhere, polar)
                        tile.weights(sampling, capture, polar, omega, weight)
                        if spread and counts:
                            tile.add_background(plan, sources.weight[group], weight, total)
                        if reached == 0 or not counts:
                            continue
                        tile.differences(base, dx, dy, dz, qx, qy, qz)
                        begins = len(first_cells) > 0 and not visited
                        turned, turned_single = (first_cells, single[0]) if begins else (cells, single[1])
                        visited = True
                        of_group = (group, group + 1, True) if ordered else (first_source, last_source, n_sources == 1)
                        tile.begin_subtotal(running, total, subtotal)
                        add_terms(
                            plan, tables, of_group, turned, turned_single, interpolate, count, (qx, qy, qz),
                            alive, on, weight, subtotal,
                        )  # fmt: skip
                        tile.add_subtotal(running, alive, weight, subtotal, total)
            tile.store(plan, targets, start, count, total, capture, polar, omega, image)
            if interpolate and plan.habits.interpolation_ends:
                switched_at = min(switched_at, tile.first_off(pixels, start, count, on))
            start += count
        return switched_at

    return render_tiles


render_blocks = tiles_kernel(plain_terms.of_blocks)
render_blocks_mixed = tiles_kernel(plain_terms.of_blocks_in_mixed_precision)
render_ellipsoids = tiles_kernel(plain_terms.of_ellipsoids)
render_in_order = tiles_kernel(general_terms.in_all_cases)
render_sharp = tiles_kernel(sharp_terms.of_sharp_spots)
