"""The fast loops on the CPU: the physics of the strict kernel on tiles of pixels, in vector registers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels import serial, tiles
from nanobragg.kernels.compile import fast_kernel
from nanobragg.kernels.orientation import cells_per_phi, with_domains
from nanobragg.kernels.plan import GAUSS, ROUND, SQUARE, RenderPlan
from nanobragg.kernels.serial import NEVER
from nanobragg.kernels.vector import TILE, prefer_wide_registers, stack_tile, stack_tile_single, stack_weights
from nanobragg.kernels.vectors import magnitude, unit

ZERO_EXPONENT = 745.2  # exp(-x) is exactly 0 from here on
SINGLE = 1e-6  # relative error of an index in binary32, generously


class Amplitudes(NamedTuple):
    """Squared amplitudes in a flat table with a border of ``default_F`` squared all around.

    ``low`` and ``high`` are the indices of the border, ``stride`` belongs to h and k, ``origin`` is the place of the
    node 0 0 0.
    """

    squares: np.ndarray
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    stride: tuple[float, float]
    origin: float


def bordered_squares(plan: RenderPlan) -> Amplitudes:
    """The table as the gather wants it: an index out of the box is moved onto the border."""
    if not plan.n_hkl:
        return Amplitudes(np.full(1, plan.default_F**2), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0), 0.0)
    h, k, length = plan.hkl_range
    box = np.full((h + 2, k + 2, length + 2), plan.default_F**2)
    box[1:-1, 1:-1, 1:-1] = plan.table[:h, :k, :length] ** 2
    low = tuple(float(x - 1) for x in plan.hkl_min)
    high = tuple(float(x + 1) for x in plan.hkl_max)
    stride = (float(box.shape[1] * box.shape[2]), float(box.shape[2]))
    origin = -(low[0] * stride[0] + low[1] * stride[1] + low[2])
    return Amplitudes(box.ravel(), low, high, stride, origin)  # type: ignore[arg-type]


def narrowness(plan: RenderPlan) -> tuple[float, float, float]:
    """1/reach^2 of Gaussian and top-hat spots along each axis, in indices: further away their factor is exactly 0.

    With v the distance to the node in reciprocal space, dh = a.v, so that |dh| <= |a| |v|. The reach is widened by what
    binary32 can make of the largest index that occurs.
    """
    if plan.shape <= ROUND or not plan.fudge > 0.0:
        return (0.0, 0.0, 0.0)
    limit = ZERO_EXPONENT * 0.63 if plan.shape == GAUSS else 0.3969
    counts = plan.n_cells[0] * plan.n_cells[1] * plan.n_cells[2]
    furthest = math.sqrt(limit / plan.fudge) / counts * 1e10  # 1/m
    largest = 2.0 / min(np.abs(plan.sources[:, 3]))
    lengths = (magnitude(plan.cell[k : k + 3]) for k in (0, 3, 6))
    a, b, c = (1.0 / (length * (furthest * 1.000001 + largest * SINGLE)) ** 2 for length in lengths)
    return a, b, c


def source_shifts(plan: RenderPlan) -> np.ndarray:
    """For each source 1/wavelength, and the difference of the first source's direction from its own over it, (n, 4)."""
    per_length = 1.0 / plan.sources[:, 3:]
    return np.hstack([per_length, (plan.sources[:, :3] - plan.sources[:1, :3]) * per_length])


@fast_kernel
def render_tiles(plan, amplitudes, narrow, shifts, first_cells, cells, single, pixels, interpolate, image, omega_image):
    """Render the listed pixels; returns the lowest raster index at which interpolation went off, or `NEVER`.

    ``cells`` are those of all visits but the first of the run. ``first_cells`` are that one's, and empty where it is
    not among these pixels; where it is, only one of them may be visited at all. ``single`` are both in binary32.
    """
    prefer_wide_registers()
    fast, slow = stack_tile(), stack_tile()
    dx, dy, dz = stack_tile(), stack_tile(), stack_tile()
    qx, qy, qz = stack_tile(), stack_tile(), stack_tile()
    mh, mk, ml = stack_tile(), stack_tile(), stack_tile()
    h, k, x = stack_tile(), stack_tile(), stack_tile()
    air, alive, on = stack_tile(), stack_tile(), stack_tile()
    capture, polar, omega = stack_tile(), stack_tile(), stack_tile()
    omega_sum, weight, total = stack_tile(), stack_tile(), stack_tile()
    f_latt, squares_at, cubic_weights = stack_tile(), stack_tile(), stack_weights()
    sx, sy, sz = stack_tile_single(), stack_tile_single(), stack_tile_single()

    products = plan.oversample_thick or plan.oversample_polar or plan.oversample_omega
    sharp = plan.shape > ROUND
    # Where the order of evaluations matters, each source is a group of its own; else all share M.d.
    ordered = products or interpolate or plan.dmin > 0.0 or len(first_cells) > 0
    n_sources = len(plan.sources)
    groups = n_sources if ordered else 1
    simple = plan.shape == SQUARE and not products and not interpolate
    zeros_count = plan.water and (products or interpolate)
    switched_at = NEVER
    for start in range(0, len(pixels), TILE):
        count = min(TILE, len(pixels) - start)
        tiles.raster_places(pixels, start, count, plan.n_fast, fast, slow)
        for i in range(TILE):
            total[i] = plan.background
            polar[i] = 1.0 if plan.nopolar else 0.0
            omega[i] = omega_sum[i] = 0.0
            on[i] = 1.0
            squares_at[i] = 0.0
        visited = False
        for layer in range(plan.layers):
            depth = layer * plan.layer_step
            for i in range(TILE):
                capture[i] = 1.0 if plan.thickness == 0.0 else 0.0
            for sub in range(plan.oversample * plan.oversample):
                sub_s, sub_f = sub // plan.oversample, sub % plan.oversample
                tiles.flat_positions(plan, fast, slow, sub_f, sub_s, depth, dx, dy, dz)
                if plan.curved:
                    tiles.bend(plan, dx, dy, dz)
                tiles.normalise(dx, dy, dz, air)
                tiles.solid_angles(plan, air, omega, omega_sum)
                if plan.thickness != 0.0 or plan.oversample_thick:
                    tiles.captures(plan, layer, dx, dy, dz, capture)
                for group in range(groups):
                    base = (-plan.sources[group, 0], -plan.sources[group, 1], -plan.sources[group, 2])
                    reached = tiles.cut_by_resolution(plan, base, plan.sources[group, 3], dx, dy, dz, alive)
                    if reached == 0:
                        continue
                    if plan.oversample_polar or tiles.any_zero(polar):
                        tiles.polarizations(plan, base, dx, dy, dz, alive, polar)
                    if products:
                        tiles.weights(plan, capture, polar, omega, weight)
                    tiles.differences(base, dx, dy, dz, qx, qy, qz)
                    if sharp:
                        tiles.to_single(qx, qy, qz, sx, sy, sz)
                    plain = simple and reached == TILE
                    begins = len(first_cells) > 0 and not visited
                    turned, turned_single = first_cells if begins else cells, single[0] if begins else single[1]
                    visited = True
                    last = group + 1 if ordered else n_sources
                    for c in range(len(turned)):
                        if plain and last == group + 1:
                            per_length = shifts[group, 0]
                            tiles.add_square_alone(plan, amplitudes, per_length, turned, c, qx, qy, qz, total)
                            continue
                        if not sharp:
                            tiles.times_cell(turned, c, qx, qy, qz, mh, mk, ml)
                        for j in range(group, last):
                            per_length = shifts[j, 0]
                            shift = (0.0, 0.0, 0.0)
                            if last > group + 1:
                                shift = tiles.shifted(turned, c, shifts[j, 1], shifts[j, 2], shifts[j, 3])
                            if plain:
                                tiles.add_square(plan, amplitudes, per_length, shift, mh, mk, ml, total)
                            elif sharp:
                                if zeros_count or (
                                    tiles.any_near_planes(turned_single, c, 0, per_length, shift, narrow, sx, sy, sz)
                                    and tiles.any_near_planes(
                                        turned_single, c, 1, per_length, shift, narrow, sx, sy, sz
                                    )
                                ):
                                    tiles.times_cell(turned, c, qx, qy, qz, mh, mk, ml)
                                    tiles.add_sharp(
                                        plan, count, alive, products, interpolate, zeros_count, narrow, weight,
                                        per_length, shift, mh, mk, ml, on, total,
                                    )  # fmt: skip
                            else:
                                tiles.indices(per_length, shift, mh, mk, ml, h, k, x)
                                tiles.lattices(plan, h, k, x, f_latt)
                                if interpolate:
                                    tiles.in_tricubic_range(plan, alive, h, k, x, on)
                                if not interpolate or tiles.any_zero(on):
                                    tiles.nearest_amplitudes(amplitudes, h, k, x, squares_at)
                                if interpolate:
                                    tiles.interpolated_amplitudes(
                                        plan, count, alive, h, k, x, on, cubic_weights, mh, mk, ml, squares_at
                                    )
                                tiles.accumulate(products, alive, weight, f_latt, squares_at, total)
        tiles.store(plan, pixels, start, count, total, capture, polar, omega, omega_sum, image, omega_image)
        if interpolate:
            for i in range(count):
                if on[i] == 0.0:
                    switched_at = min(switched_at, np.int64(pixels[start + i]))
    return switched_at


NO_CELLS = np.empty((0, 9))


def render(plan: RenderPlan, image: np.ndarray, omega_sum: np.ndarray, **how: Any) -> bool:
    """Fill ``image`` (float32) and ``omega_sum`` (float64), both (slow, fast), with fast numerics.

    Parameters, and what is returned, are those of `nanobragg.kernels.strict.render`.
    """
    plan = plan._replace(polar_axis=unit(plan.polar_axis))
    amplitudes, narrow, shifts = bordered_squares(plan), narrowness(plan), source_shifts(plan)
    first, later = cells_per_phi(plan)
    cells = with_domains(plan, later).reshape(-1, 9)
    first_cells = with_domains(plan, first).reshape(-1, 9) if first != later else NO_CELLS
    single = (first_cells.astype(np.float32), cells.astype(np.float32))
    raster, omegas = image.reshape(-1), omega_sum.reshape(-1)

    def draw(pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        begin = first_cells if first_visit else NO_CELLS
        return render_tiles(plan, amplitudes, narrow, shifts, begin, cells, single, pixels, interpolate, raster, omegas)

    pixels = plan.rendered_pixels()
    nothing = np.empty(0, np.int64)
    return serial.render(plan, draw, pixels, nothing, carries_over=first != later, **how)
