"""The loops on a GPU: one pixel a thread, cells staged in shared memory, one owner per pixel, a fixed order.

The physics is that of the fast kernel. Read-only arrays come inside named tuples, what is written comes by itself.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import boolean, cuda, float32, float64, int32, int64, types

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.cuda.compiled import GpuKernel, gpu_kernel
from nanobragg.kernels.cuda.parameters import tables_type
from nanobragg.kernels.shapes import FAST_FORMS, ROUND, SHAPES, SQUARE
from nanobragg.kernels.step import amplitude, background, geometry, lattice
from nanobragg.kernels.step.capture import capture as capture_of
from nanobragg.kernels.step.polarization import fast_polarization, polar_frame
from nanobragg.kernels.step.vectors import dot, magnitude

# The most that a thread may have of the 65536 registers of a multiprocessor, so that five, four or three blocks of 128
# threads share it: as many as there can be without putting registers into memory.
REGISTERS, PRODUCTS_REGISTERS, TRICUBIC_REGISTERS = 96, 128, 168
CELLS_AT_A_TIME = 32
STAGED = 9 * CELLS_AT_A_TIME
VECTOR = types.UniTuple(float64, 3)
ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = (np.uint32(k) for k in range(9))


@functools.cache
def evaluation(shape: int, interpolate: bool, products: bool, single: bool) -> Any:
    """A device function of one evaluation: the new sum of a pixel, and whether its interpolation is still on."""
    fast_form = shape in FAST_FORMS

    @scalar
    def lattice_of(plan, hkl, node):
        size = lattice.size_of(plan.cells)
        if shape == SQUARE:
            if single:
                return np.float64(lattice.square_lattice_single(size, node, hkl))
            return lattice.fast_square_lattice(size, node, hkl)
        if shape == ROUND:
            return lattice.fast_round_lattice(size, node, hkl)
        return lattice.lattice_factor(shape, plan.cells, hkl, node)

    @scalar
    def amplitude_squared(plan, amplitudes, table, hkl, on):
        number, first = table
        if interpolate and on:
            f_cell = amplitude.fast_tricubic(plan.factors, number, hkl)
            return f_cell * f_cell
        squares, low, high, stride, _ = amplitudes
        return squares[amplitude.table_place_by_integers(low, high, stride, first, hkl)]

    @scalar
    def evaluate(plan, amplitudes, reach, row, q, share, table, alive, on, weight, total):
        hkl = (dot(row[0:3], q), dot(row[3:6], q), dot(row[6:9], q))
        node = lattice.fast_node(hkl) if fast_form else lattice.fast_node_down(hkl)
        # A sharp spot out of reach is no evaluation at all, unless zeros count (Q05).
        if not fast_form and not (reach[1] or lattice.is_near(hkl, node, reach[0])):
            return total, on
        f_latt = lattice_of(plan, hkl, node)
        if not fast_form and f_latt == 0.0 and not reach[1]:
            return total, on
        if interpolate and alive and (on or not plan.habits.interpolation_ends):
            on = amplitude.within_tricubic_range(plan.factors, hkl)
        if products:
            if alive:
                term = share * amplitude_squared(plan, amplitudes, table, hkl, on) * (f_latt * f_latt)
                total = (total + term) * weight if plan.habits.running_products else total + term * weight
            return total, on
        squared = share * amplitude_squared(plan, amplitudes, table, hkl, on) if alive else 0.0
        return total + squared * (f_latt * f_latt), on

    return evaluate


@scalar
def direction(plan, panel, fast, slow, layer, sub):
    """Unit vector to a sub-pixel of a panel in a layer, and its distance."""
    oversample = plan.sampling.oversample
    sub_s, sub_f = sub // oversample, sub % oversample
    size = plan.panels.pixel_size / oversample
    f_pos, s_pos = geometry.middle(size, oversample, fast, sub_f), geometry.middle(size, oversample, slow, sub_s)
    point = geometry.position(plan, panel, f_pos, s_pos, layer * plan.sensor.layer_step)
    airpath = magnitude(point)
    return (point[0] / airpath, point[1] / airpath, point[2] / airpath), airpath


@scalar
def incident_of(sources, j):
    """Direction of the photons of a source."""
    return (-sources.direction[j, ZERO], -sources.direction[j, ONE], -sources.direction[j, TWO])


@scalar
def factor_of(plan, panel, layer, d, airpath):
    """What all terms of a sub-pixel in a layer are multiplied with, sources aside."""
    factor = 1.0
    if plan.sampling.oversample_thick and not plan.sensor.chromatic:
        factor *= capture_of(plan, panel, layer, d, plan.sensor.mu)
    if plan.sampling.oversample_omega:
        factor *= geometry.pixel_solid_angle(plan, panel, airpath)
    return factor


@scalar
def capture_of_source(plan, pixel, layer, d, source):
    """The capture fraction for the photons of a source, where each has its own; else 1.

    The panel is looked up again: nothing of it is kept through the loops for what is rarely needed.
    """
    if not plan.sensor.chromatic:
        return 1.0
    number, _, _ = geometry.place_of_pixel(plan.panels, pixel)
    panel = geometry.placement(plan.panels, number)
    return capture_of(plan, panel, layer, d, plan.sources.absorption[source])


@scalar
def product_weight(plan, factor, incident, d):
    """What the terms of a source are multiplied with, or the running products (Q04)."""
    if plan.sampling.oversample_polar:
        frame = polar_frame(plan.polarization.axis, incident)
        return factor * fast_polarization(plan.polarization.kahn, incident, frame, d)
    return factor


@scalar
def bounds(number, part, parts):
    """First and end of one of ``parts`` nearly equal parts of ``number`` things."""
    return np.int32(number * part // parts), np.int32(number * (part + 1) // parts)


@scalar
def first_polarization(plan, panel, fast, slow):
    """The factor of the first source that reaches the pixel; 0 if none does."""
    everywhere = background.background_everywhere(plan)
    for layer in range(plan.sensor.layers):
        for sub in range(plan.sampling.oversample * plan.sampling.oversample):
            d, _ = direction(plan, panel, fast, slow, layer, sub)
            for j in range(len(plan.sources.wavelength)):
                incident = incident_of(plan.sources, j)
                q = geometry.scattering_vector(d, incident, plan.sources.wavelength[j])
                if everywhere or not geometry.cut_by_resolution(plan.factors.dmin, q):
                    frame = polar_frame(plan.polarization.axis, incident)
                    polar = fast_polarization(plan.polarization.kahn, incident, frame, d)
                    if polar != 0.0:
                        return polar
    return 0.0


@scalar
def last_capture(plan, panel, fast, slow):
    """The capture fraction of the last layer, at its first sub-pixel where that is not 0."""
    if plan.sensor.thickness == 0.0:
        return 1.0
    layer = plan.sensor.layers - 1
    for sub in range(plan.sampling.oversample * plan.sampling.oversample):
        d, _ = direction(plan, panel, fast, slow, layer, sub)
        capture = capture_of(plan, panel, layer, d, plan.sensor.mu)
        if capture != 0.0:
            return capture
    return 0.0


@scalar
def photons_of(plan, pixel, total):
    """Photons of a pixel: its sum times what the loops have not multiplied yet."""
    number, fast, slow = geometry.place_of_pixel(plan.panels, pixel)
    panel = geometry.placement(plan.panels, number)
    scale, sampling = plan.scale, plan.sampling
    photons = scale.r_e_sqr * scale.fluence / scale.steps * total
    if not sampling.oversample_thick:
        photons *= last_capture(plan, panel, fast, slow)
    if not sampling.oversample_polar and not plan.polarization.left_out:
        photons *= first_polarization(plan, panel, fast, slow)
    if not sampling.oversample_omega:
        _, airpath = direction(plan, panel, fast, slow, 0, 0)
        photons *= geometry.pixel_solid_angle(plan, panel, airpath)
    return np.float32(0.0 + photons)


@gpu_kernel(int32[::1], float64[:, ::1], int64, float32[::1])
def finish(plan, pixels, sums, first, image):
    """Photons of each pixel: its parts added in order, times what the loops have not multiplied yet."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(pixels):
        total = 0.0
        for part in range(sums.shape[0]):
            total += sums[part, i]
        image[pixels[i] - first] = photons_of(plan, pixels[i], total)


@functools.cache
def render_kernel(shape: int, interpolate: bool, products: bool, single: bool, weighted: bool) -> GpuKernel:
    """A kernel of one pixel a thread: the sum of its layers, sub-pixels, sources and cells.

    Each row of blocks has a part of the sources and a part of the cells, and sums of its own. ``weighted``: sources
    have weights, and may have absorptions, of their own. ``off`` takes whether interpolation is off in the end.
    """
    evaluate = evaluation(shape, interpolate, products, single)

    def render(plan, tables, reach, pixels, cells, first_cells, parts, sums, off):
        staged = cuda.shared.array(STAGED, float64)
        amplitudes, size_of_table = tables
        sources = plan.sources
        count, n_sources = np.int32(len(pixels)), np.int32(len(sources.wavelength))
        n_cells = np.int32(len(cells) // 9)
        own = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        i = np.uint32(min(own, count - 1))  # beyond the last pixel a thread repeats that one
        sub_pixels = np.int32(plan.sampling.oversample * plan.sampling.oversample)
        visits = np.int32(np.int32(plan.sensor.layers) * sub_pixels)
        part = np.uint32(cuda.blockIdx.y)
        first_source, end_source = bounds(n_sources, part // parts[1], parts[0])
        first_cell, end_cell = bounds(n_cells, part % parts[1], parts[1])
        total = background.background_at_start(plan) if part == 0 else 0.0
        on, visited, weight = interpolate, False, 1.0
        for visit in range(visits):
            layer, sub = visit // sub_pixels, visit % sub_pixels
            # Of the pixel nothing is kept through the loops over sources and cells, whose registers are dear.
            number, fast, slow = geometry.place_of_pixel(plan.panels, pixels[i])
            panel = geometry.placement(plan.panels, number)
            d, airpath = direction(plan, panel, fast, slow, layer, sub)
            factor = factor_of(plan, panel, layer, d, airpath) if products else 1.0
            for j in range(first_source, end_source):
                source = np.uint32(j)
                incident = incident_of(sources, source)
                q = geometry.scattering_vector(d, incident, sources.wavelength[source])
                alive = not geometry.cut_by_resolution(plan.factors.dmin, q)
                share = sources.weight[source] if weighted else 1.0
                number = sources.table_number[source]
                table = (number, amplitudes[4] + number * size_of_table)
                if products:
                    capture = capture_of_source(plan, pixels[i], layer, d, source) if weighted else 1.0
                    weight = product_weight(plan, factor * capture, incident, d)
                    if not plan.habits.running_products:
                        total += background.background_of_term(plan) * weight * share
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
                        total, on = evaluate(plan, amplitudes, reach, row, q, share, table, alive, on, weight, total)
        if own < count:
            sums[part, i] = total
            if interpolate:
                off[i] = not on

    name = f"render_{SHAPES[shape]}" + "_tricubic" * interpolate + "_products" * products
    name += "_mixed" * single + "_weighted" * weighted
    return GpuKernel(
        name, render, types.Tuple((tables_type(), float64)), types.Tuple((VECTOR, boolean)), int32[::1], float64[::1],
        float64[::1], types.UniTuple(int64, 2), float64[:, ::1], boolean[::1],
        registers=TRICUBIC_REGISTERS if interpolate else PRODUCTS_REGISTERS if products else REGISTERS,
    )  # fmt: skip
