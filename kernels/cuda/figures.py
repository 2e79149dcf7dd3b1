"""Figures and integers of an image that is on a GPU: sums in a fixed order, whatever the card."""

from __future__ import annotations

import numpy as np
from numba import cuda, float64, int64

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.cuda.loops import direction
from nanobragg.kernels.image.loops import count_of, grey_of, noisy_count_of
from nanobragg.kernels.image.philox import number_of
from nanobragg.kernels.step import geometry

SEGMENT = 8192  # pixels that one block adds up
THREADS = 128


@scalar
def in_roi(plan, index):
    """Whether a pixel is in the region of interest."""
    fast, slow = index % plan.n_fast, index // plan.n_fast
    return plan.roi[0] <= fast <= plan.roi[1] and plan.roi[2] <= slow <= plan.roi[3]


@cuda.jit
def add_up(plan, mean, image, sums, maxima):
    """For each segment: rendered pixels, their sum, the sum of their squares, pixels of the roi, squared deviations.

    ``maxima`` takes the raster index of the first maximum above 0, or -1. Each thread adds every 128th pixel, then
    the threads are added pair by pair.
    """
    shared = cuda.shared.array((5, THREADS), float64)
    places = cuda.shared.array(THREADS, int64)
    me, segment = cuda.threadIdx.x, cuda.blockIdx.x
    count, total, squares, in_window, deviations = 0.0, 0.0, 0.0, 0.0, 0.0
    where = -1
    for index in range(segment * SEGMENT + me, min((segment + 1) * SEGMENT, plan.n_fast * plan.n_slow), THREADS):
        if not in_roi(plan, index):
            continue
        value = image[index]
        in_window += 1.0
        deviation = np.float64(value) - mean
        deviations += deviation * deviation
        if value > (image[where] if where >= 0 else np.float32(0.0)):
            where = index
        if len(plan.mask) == 0 or plan.mask[index] != 0:
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
        maxima[segment] = places[0]


@cuda.jit
def solid_angles(plan, pixels, sums):
    """For each segment of the pixel list the solid angles of its layers and sub-pixels (Q30), in a fixed order."""
    shared = cuda.shared.array(THREADS, float64)
    me, segment = cuda.threadIdx.x, cuda.blockIdx.x
    total = 0.0
    for i in range(segment * SEGMENT + me, min((segment + 1) * SEGMENT, len(pixels)), THREADS):
        omega = 0.0
        for layer in range(plan.layers):
            for sub in range(plan.oversample * plan.oversample):
                if plan.oversample_omega or omega == 0.0:
                    _, airpath = direction(plan, pixels[i] % plan.n_fast, pixels[i] // plan.n_fast, layer, sub)
                    omega = geometry.pixel_solid_angle(plan, airpath)
                total += omega
    shared[me] = total
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if me < half:
            shared[me] += shared[me + half]
        half //= 2
    if me == 0:
        sums[segment] = shared[0]


@cuda.jit
def to_int(plan, image, scale, adc, counts):
    """Scaled 16-bit counts of the roi."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if index < len(image):
        counts[index] = count_of(image[index], scale, adc) if in_roi(plan, index) else 0


@cuda.jit
def to_grey(plan, image, scale, grey):
    """Scaled 8-bit grey levels of the roi."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if index < len(image):
        grey[index] = grey_of(image[index], scale) if in_roi(plan, index) else 0


@cuda.jit
def draw_counts(plan, image, adc, seed, panel, highest, counts, photons):
    """Noisy counts of the roi; ``photons`` takes what was drawn, before offset and clipping."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if index < len(image):
        drawn, count = 0.0, np.int32(0)
        if in_roi(plan, index):
            drawn, count = noisy_count_of(image[index], adc, seed, number_of(panel, index), highest)
        counts[index], photons[index] = count, drawn
