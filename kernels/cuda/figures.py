"""Figures and integers of an image that is on a GPU: sums in a fixed order, whatever the card."""

from __future__ import annotations

import numpy as np
from numba import boolean, cuda, float32, float64, int32, int64, uint8, uint16

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.cuda.compiled import gpu_kernel
from nanobragg.kernels.cuda.loops import direction
from nanobragg.kernels.image.loops import count_of, grey_of
from nanobragg.kernels.step import geometry

SEGMENT = 8192  # pixels that one block adds up
THREADS = 128
FIGURES = 6  # of a segment


@scalar
def in_roi(plan, index):
    """Whether a pixel is in the region of interest."""
    _, fast, slow = geometry.place_of_pixel(plan.panels, index)
    return plan.panels.roi[0] <= fast <= plan.panels.roi[1] and plan.panels.roi[2] <= slow <= plan.panels.roi[3]


@scalar
def is_rendered(plan, index):
    """Whether a pixel is in the region of interest and not masked."""
    return in_roi(plan, index) and (len(plan.panels.mask) == 0 or plan.panels.mask[index] != 0)


@scalar
def add_of_block(value, shared, sums, column):
    """Add up what the threads of a block have, pair by pair, into its row of ``sums``."""
    me = cuda.threadIdx.x
    cuda.syncthreads()
    shared[me] = value
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if me < half:
            shared[me] += shared[me + half]
        half //= 2
    if me == 0:
        sums[cuda.blockIdx.x, column] = shared[0]


@gpu_kernel(boolean, float32[::1])
def share(plan, along_fast, image):
    """Give both halves of each wide pixel their mean: as `nanobragg.kernels.image.wide.share`, along one axis."""
    panels = plan.panels
    pairs = panels.wide_fast if along_fast else panels.wide_slow
    lines, step = (panels.n_slow, 1) if along_fast else (panels.n_fast, panels.n_fast)
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    number, rest = i // (lines * len(pairs)), i % (lines * len(pairs))
    if number < len(panels.distance):
        line, first = rest // len(pairs), pairs[rest % len(pairs)]
        on_panel = line * panels.n_fast + first if along_fast else first * panels.n_fast + line
        one = number * panels.n_slow * panels.n_fast + on_panel
        other = one + step
        if is_rendered(plan, one) and is_rendered(plan, other):
            mean = np.float32((image[one] + image[other]) * np.float32(0.5))
            image[one] = mean
            image[other] = mean


@gpu_kernel(float32[::1], float32[::1])
def add_image(plan, other, image):
    """Add the photons of another image."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(image):
        image[i] += other[i]


@gpu_kernel(float64, float32[::1], float64[:, ::1])
def add_up(plan, mean, image, sums):
    """Of each segment: rendered pixels, their sum, sum of squares, pixels of the roi, squared deviations, maximum.

    Of that the raster index of the first above 0, or -1. Each thread adds every 128th pixel, then the threads are
    added pair by pair.
    """
    shared = cuda.shared.array((5, THREADS), float64)
    places = cuda.shared.array(THREADS, int64)
    me, segment = cuda.threadIdx.x, cuda.blockIdx.x
    count, total, squares, in_window, deviations = 0.0, 0.0, 0.0, 0.0, 0.0
    where = -1
    for index in range(segment * SEGMENT + me, min((segment + 1) * SEGMENT, len(image)), THREADS):
        if not in_roi(plan, index):
            continue
        value = image[index]
        in_window += 1.0
        deviation = np.float64(value) - mean
        deviations += deviation * deviation
        if value > (image[where] if where >= 0 else np.float32(0.0)):
            where = index
        if len(plan.panels.mask) == 0 or plan.panels.mask[index] != 0:
            count += 1.0
            total += np.float64(value)
            squares += np.float64(np.float32(value * value))
    shared[0, me], shared[1, me], shared[2, me] = count, total, squares
    shared[3, me], shared[4, me] = in_window, deviations
    places[me] = where
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if me < half:
            for k in range(5):
                shared[k, me] += shared[k, me + half]
            other = places[me + half]
            if other >= 0:
                mine = image[places[me]] if places[me] >= 0 else np.float32(0.0)
                if image[other] > mine or (image[other] == mine and other < places[me]):
                    places[me] = other
        half //= 2
    if me == 0:
        for k in range(5):
            sums[segment, k] = shared[k, 0]
        sums[segment, 5] = places[0]


@gpu_kernel(int32[::1], float64[:, ::1])
def solid_angles(plan, pixels, sums):
    """For each segment of the pixel list the solid angles of its layers and sub-pixels (Q30), in a fixed order."""
    shared = cuda.shared.array(THREADS, float64)
    me, segment = cuda.threadIdx.x, cuda.blockIdx.x
    total = 0.0
    for i in range(segment * SEGMENT + me, min((segment + 1) * SEGMENT, len(pixels)), THREADS):
        omega = 0.0
        number, fast, slow = geometry.place_of_pixel(plan.panels, pixels[i])
        panel = geometry.placement(plan.panels, number)
        for layer in range(plan.sensor.layers):
            for sub in range(plan.sampling.oversample * plan.sampling.oversample):
                if plan.sampling.oversample_omega or omega == 0.0:
                    _, airpath = direction(plan, panel, fast, slow, layer, sub)
                    omega = geometry.pixel_solid_angle(plan, panel, airpath)
                total += omega
    add_of_block(total, shared, sums, 0)


@gpu_kernel(float32[::1], float64, float64, uint16[::1])
def to_int(plan, image, scale, adc, counts):
    """Scaled 16-bit counts of the roi."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if index < len(image):
        counts[index] = count_of(image[index], scale, adc) if in_roi(plan, index) else 0


@gpu_kernel(float32[::1], float64, uint8[::1])
def to_grey(plan, image, scale, grey):
    """Scaled 8-bit grey levels of the roi."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if index < len(image):
        grey[index] = grey_of(image[index], scale) if in_roi(plan, index) else 0
