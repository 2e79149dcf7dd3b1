"""The loops on a GPU: one pixel a thread, cells staged in shared memory, one owner per pixel, a fixed order.

The physics is that of the fast kernel. Read-only arrays come inside named tuples, what is written comes by itself.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float64

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.plan import ROUND, SQUARE
from nanobragg.kernels.step import fast_step, geometry, physics

CELLS_AT_A_TIME = 32
STAGED = 9 * CELLS_AT_A_TIME
ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = (np.uint32(k) for k in range(9))


@functools.cache
def evaluation(shape: int, interpolate: bool, products: bool, single: bool) -> Any:
    """A device function of one evaluation: the new sum of a pixel, and whether its interpolation is still on."""

    @scalar
    def lattice(plan, hkl, node):
        if shape == SQUARE:
            if single:
                return np.float64(fast_step.square_lattice_single(fast_step.crystal_of(plan), node, hkl))
            return fast_step.square_lattice(fast_step.crystal_of(plan), node, hkl)
        if shape == ROUND:
            return fast_step.round_lattice(fast_step.crystal_of(plan), node, hkl)
        return physics.lattice_factor(shape, hkl, node, plan.n_cells, plan.recip, plan.fudge)

    @scalar
    def amplitude_squared(plan, amplitudes, hkl, on):
        if interpolate and on:
            f_cell = fast_step.weighted_tricubic(plan.table, hkl, plan.hkl_min)
            return f_cell * f_cell
        squares, low, high, stride, origin = amplitudes
        return squares[fast_step.table_place_by_integers(low, high, stride, origin, hkl)]

    @scalar
    def evaluate(plan, amplitudes, reach, row, q, share, alive, on, weight, total):
        hkl = (physics.dot(row[0:3], q), physics.dot(row[3:6], q), physics.dot(row[6:9], q))
        node = fast_step.nearest_node_down(hkl) if shape > ROUND else fast_step.nearest_node(hkl)
        # A sharp spot out of reach is no evaluation at all, unless zeros count (Q05).
        if shape > ROUND and not (reach[1] or fast_step.is_near(hkl, node, reach[0])):
            return total, on
        f_latt = lattice(plan, hkl, node)
        if shape > ROUND and f_latt == 0.0 and not reach[1]:
            return total, on
        if interpolate and alive and (on or not plan.sticky):
            on = physics.within_tricubic_range(hkl, plan.hkl_min, plan.hkl_range)
        if products:
            if alive:
                term = share * amplitude_squared(plan, amplitudes, hkl, on) * (f_latt * f_latt)
                total = (total + term) * weight if plan.running_products else total + term * weight
            return total, on
        squared = share * amplitude_squared(plan, amplitudes, hkl, on) if alive else 0.0
        return total + squared * (f_latt * f_latt), on

    return evaluate


@scalar
def direction(plan, fast, slow, layer, sub):
    """Unit vector to a sub-pixel in a layer, and its distance."""
    sub_s, sub_f = sub // plan.oversample, sub % plan.oversample
    size = plan.pixel_size / plan.oversample
    f_pos = size * (fast * plan.oversample + sub_f) + size / 2.0
    s_pos = size * (slow * plan.oversample + sub_s) + size / 2.0
    point = geometry.position(plan, f_pos, s_pos, layer * plan.layer_step)
    airpath = physics.magnitude(point)
    return (point[0] / airpath, point[1] / airpath, point[2] / airpath), airpath


@cuda.jit
def clear(image):
    """An image of zeros."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(image):
        image[i] = np.float32(0.0)


@cuda.jit
def begin(background, states, sums):
    """What each pixel's sum starts from: the first part from the background, the others from 0."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(states):
        states[i] = 0
        for part in range(sums.shape[0]):
            sums[part, i] = background if part == 0 else 0.0


@cuda.jit
def aim(plan, pixels, layer, sub, directions, factors):
    """Directions of one sub-pixel of each pixel in one layer, and what running products multiply with (Q04)."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i >= len(pixels):
        return
    d, airpath = direction(plan, pixels[i] % plan.n_fast, pixels[i] // plan.n_fast, layer, sub)
    directions[0, i], directions[1, i], directions[2, i] = d
    factor = 1.0
    if plan.oversample_thick:
        factor *= fast_step.capture(plan, layer, d)
    if plan.oversample_omega:
        factor *= geometry.pixel_solid_angle(plan, airpath)
    factors[i] = factor


@scalar
def product_weight(plan, factor, incident, d):
    """What the running products multiply with at this evaluation (Q04)."""
    if plan.oversample_polar:
        frame = fast_step.polar_frame(plan.polar_axis, incident)
        return factor * fast_step.polarization(plan.kahn, incident, frame, d)
    return factor


@scalar
def bounds(number, part, parts):
    """First and end of one of ``parts`` nearly equal parts of ``number`` things."""
    return np.int32(number * part // parts), np.int32(number * (part + 1) // parts)


OFF, VISITED = 1, 2  # of a pixel: interpolation is off; a source has reached it


@functools.cache
def sum_kernel(shape: int, interpolate: bool, products: bool, single: bool, weighted: bool) -> Any:
    """A kernel that adds to the sum of one pixel a thread all evaluations of one sub-pixel in one layer.

    Each row of blocks has a part of the sources and a part of the cells, and sums of its own.
    """
    evaluate = evaluation(shape, interpolate, products, single)

    @cuda.jit
    def add_up(plan, amplitudes, reach, cells, first_cells, directions, factors, parts, states, sums):
        staged = cuda.shared.array(STAGED, float64)
        count, n_sources, n_cells = directions.shape[1], np.int32(len(plan.sources)), np.int32(len(cells) // 9)
        own = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        i = np.uint32(min(own, count - 1))  # beyond the last pixel a thread repeats that one
        part = np.uint32(cuda.blockIdx.y)
        first_source, end_source = bounds(n_sources, part // parts[1], parts[0])
        first_cell, end_cell = bounds(n_cells, part % parts[1], parts[1])
        total = sums[part, i]
        on, visited, weight = interpolate, False, 1.0
        if interpolate or len(first_cells) > 0:
            visited = states[i] & VISITED != 0
            on = interpolate and states[i] & OFF == 0
        for j in range(first_source, end_source):
            d = (directions[ZERO, i], directions[ONE, i], directions[TWO, i])
            source = np.uint32(j)
            incident = (-plan.sources[source, ZERO], -plan.sources[source, ONE], -plan.sources[source, TWO])
            q = physics.scattering_vector(d, incident, plan.sources[source, THREE])
            alive = not geometry.cut_by_resolution(plan, q)
            share = plan.sources[source, FOUR] if weighted else 1.0
            if products:
                weight = product_weight(plan, factors[i], incident, d)
                if not plan.running_products:
                    total += geometry.background_of_term(plan) * weight
            # Where there are first cells, all threads have the same pixel.
            begins = len(first_cells) > 0 and not visited and alive
            visited = visited or alive
            for base in range(first_cell, end_cell, CELLS_AT_A_TIME):
                here = min(CELLS_AT_A_TIME, np.int32(end_cell - base))
                cuda.syncthreads()
                for k in range(cuda.threadIdx.x, np.int32(here * 9), cuda.blockDim.x):
                    place = np.uint32(base * 9 + k)
                    staged[np.uint32(k)] = first_cells[place] if begins else cells[place]
                cuda.syncthreads()
                for c in range(here):
                    at = np.uint32(c * 9)  # unsigned: no test for negative indices
                    row = (
                        staged[at], staged[at + ONE], staged[at + TWO],
                        staged[at + THREE], staged[at + FOUR], staged[at + FIVE],
                        staged[at + SIX], staged[at + SEVEN], staged[at + EIGHT],
                    )  # fmt: skip
                    total, on = evaluate(plan, amplitudes, reach, row, q, share, alive, on, weight, total)
        if own < count:
            sums[part, i] = total
            if interpolate or len(first_cells) > 0:
                states[i] = (0 if on else OFF) | (VISITED if visited else 0)

    return add_up


@scalar
def first_polarization(plan, fast, slow):
    """The factor of the first source that reaches the pixel; 0 if none does."""
    for layer in range(plan.layers):
        for sub in range(plan.oversample * plan.oversample):
            d, _ = direction(plan, fast, slow, layer, sub)
            for j in range(len(plan.sources)):
                incident = (-plan.sources[j, 0], -plan.sources[j, 1], -plan.sources[j, 2])
                q = physics.scattering_vector(d, incident, plan.sources[j, 3])
                if plan.keep_background or not geometry.cut_by_resolution(plan, q):
                    frame = fast_step.polar_frame(plan.polar_axis, incident)
                    polar = fast_step.polarization(plan.kahn, incident, frame, d)
                    if polar != 0.0:
                        return polar
    return 0.0


@scalar
def last_capture(plan, fast, slow):
    """The capture fraction of the last layer, at its first sub-pixel where that is not 0."""
    if plan.thickness == 0.0:
        return 1.0
    layer = plan.layers - 1
    for sub in range(plan.oversample * plan.oversample):
        d, _ = direction(plan, fast, slow, layer, sub)
        capture = fast_step.capture(plan, layer, d)
        if capture != 0.0:
            return capture
    return 0.0


@cuda.jit
def finish(plan, pixels, sums, first, image):
    """Photons of each pixel: its parts added in order, times what the loops have not multiplied yet."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i >= len(pixels):
        return
    pixel = pixels[i]
    fast, slow = pixel % plan.n_fast, pixel // plan.n_fast
    total = 0.0
    for part in range(sums.shape[0]):
        total += sums[part, i]
    photons = plan.r_e_sqr * plan.fluence / plan.steps * total
    if not plan.oversample_thick:
        photons *= last_capture(plan, fast, slow)
    if not plan.oversample_polar and not plan.nopolar:
        photons *= first_polarization(plan, fast, slow)
    if not plan.oversample_omega:
        _, airpath = direction(plan, fast, slow, 0, 0)
        photons *= geometry.pixel_solid_angle(plan, airpath)
    image[pixel - first] = np.float32(0.0 + photons)
