"""The response of a detector on a GPU: from photons to counts, pixel by pixel, by the functions of the CPU's loops."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, float64, int32, int64

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.cuda.compiled import gpu_kernel
from nanobragg.kernels.cuda.figures import THREADS, add_of_block, in_roi
from nanobragg.kernels.cuda.parameters import response_type
from nanobragg.kernels.image.philox import number_of, poisson
from nanobragg.kernels.response import deviates, readout, spread
from nanobragg.kernels.response.loops import has_noise


@scalar
def drawn_at(plan, response, image, index):
    """Photons of a pixel."""
    per_panel = plan.panels.n_slow * plan.panels.n_fast
    pixel = number_of(response.first_panel + index // per_panel, index % per_panel)
    return poisson(np.float64(image[index]) * response.factor, response.seed, pixel)


@scalar
def count_at(plan, response, light, index):
    """The count of a pixel with this light, and whether it is above the highest."""
    per_panel = plan.panels.n_slow * plan.panels.n_fast
    deviate = 0.0
    if has_noise(response.stages):
        panel = response.first_panel + index // per_panel
        deviate = deviates.normal(response.seed, panel, index % per_panel, deviates.READOUT_DRAW)
    return readout.count_of(response, light, index, deviate)


@gpu_kernel(response_type(), float32[::1], int32[::1], float64[:, ::1])
def count_pixels(plan, response, image, counts, sums):
    """Counts where no light spreads; photons and overloads of each block."""
    shared = cuda.shared.array(THREADS, float64)
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    photons, overloads = 0.0, 0.0
    if index < len(image):
        counts[index] = 0
        if in_roi(plan, index):
            photons = drawn_at(plan, response, image, index)
            counts[index], over = count_at(plan, response, photons, index)
            overloads = 1.0 if over else 0.0
    add_of_block(photons, shared, sums, 0)
    add_of_block(overloads, shared, sums, 1)


@gpu_kernel(response_type(), float32[::1], int64, float32[:, :, ::1], float64[:, ::1])
def draw_photons(plan, response, image, margin, photons, sums):
    """Photons with a margin around each panel, and those of each block."""
    shared = cuda.shared.array(THREADS, float64)
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    drawn = 0.0
    if index < len(image) and in_roi(plan, index):
        per_panel = plan.panels.n_slow * plan.panels.n_fast
        drawn = drawn_at(plan, response, image, index)
        slow, fast = index % per_panel // plan.panels.n_fast, index % plan.panels.n_fast
        photons[index // per_panel, slow + margin, fast + margin] = np.float32(drawn)
    add_of_block(drawn, shared, sums, 0)


@gpu_kernel(float32[:, :, ::1], int64, float64[:, :, ::1])
def add_blocks(plan, photons, margin, sums):
    """Photons of blocks of pixels."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    rows, columns = sums.shape[1], sums.shape[2]
    if index < sums.shape[0] * rows * columns:
        number, row, column = index // (rows * columns), index // columns % rows, index % columns
        shape = (plan.panels.n_slow, plan.panels.n_fast)
        sums[number, row, column] = spread.block_sum(photons[number], margin, shape, row, column)


@gpu_kernel(float64[:, :, ::1], float64[:, ::1], float64[:, :, ::1])
def spread_blocks(plan, sums, far, blocks):
    """Far light in pixels of blocks."""
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    rows, columns = sums.shape[1], sums.shape[2]
    if index < sums.shape[0] * rows * columns:
        number, row, column = index // (rows * columns), index // columns % rows, index % columns
        blocks[number, row, column] = spread.far_of_block(sums[number], far, row, column)


@gpu_kernel(response_type(), float32[:, :, ::1], float64[:, :, ::1], int32[::1], float64[:, ::1])
def read_pixels(plan, response, photons, blocks, counts, sums):
    """Counts from photons whose light spreads; overloads of each block."""
    shared = cuda.shared.array(THREADS, float64)
    index = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    overloads = 0.0
    if index < len(counts):
        counts[index] = 0
        if in_roi(plan, index):
            per_panel = plan.panels.n_slow * plan.panels.n_fast
            number = index // per_panel
            slow, fast = index % per_panel // plan.panels.n_fast, index % plan.panels.n_fast
            light = np.float64(spread.near_pixel(photons[number], response.kernel, slow, fast))
            if len(response.far) != 0:
                light += spread.between_blocks(blocks[number], slow, fast)
            counts[index], over = count_at(plan, response, light, index)
            overloads = 1.0 if over else 0.0
    add_of_block(overloads, shared, sums, 0)
