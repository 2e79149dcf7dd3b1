"""Light that spreads from the pixel of its photon: near it by a sum over a kernel, far away over blocks of pixels."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import TILE
from nanobragg.kernels.compiling.vector import rounded_once as fma
from nanobragg.kernels.compiling.vector import rounded_once_single as fma_single
from nanobragg.kernels.response.plan import BLOCK


@scalar
def near_tile(photons, kernel, slow, first, light):
    """Sums over the kernel for consecutive pixels of a row; ``photons`` of a panel have a margin of its reach."""
    n = kernel.shape[0]
    for i in range(TILE):
        light[i] = np.float32(0.0)
    for a in range(n):
        for b in range(n):
            weight = kernel[a, b]
            row, column = slow + n - 1 - a, first + n - 1 - b
            for i in range(TILE):
                light[i] = fma_single(weight, photons[row, np.uint64(column) + np.uint64(i)], light[i])


@scalar
def near_pixel(photons, kernel, slow, fast):
    """The same of one pixel, in the same order."""
    n = kernel.shape[0]
    light = np.float32(0.0)
    for a in range(n):
        for b in range(n):
            light = fma_single(kernel[a, b], photons[slow + n - 1 - a, fast + n - 1 - b], light)
    return light


@scalar
def block_sum(photons, margin, shape, row, column):
    """Photons of a block of pixels."""
    total = 0.0
    for slow in range(row * BLOCK, min((row + 1) * BLOCK, shape[0])):
        for fast in range(column * BLOCK, min((column + 1) * BLOCK, shape[1])):
            total += np.float64(photons[slow + margin, fast + margin])
    return total


@scalar
def far_of_block(sums, far, row, column):
    """Light in each pixel of a block from the photons of those around it."""
    reach = far.shape[0] // 2
    light = 0.0
    for a in range(max(row - reach, 0), min(row + reach + 1, sums.shape[0])):
        for b in range(max(column - reach, 0), min(column + reach + 1, sums.shape[1])):
            light = fma(far[row - a + reach, column - b + reach], sums[a, b], light)
    return light


@scalar
def between_blocks(blocks, slow, fast):
    """Far light at a pixel, linear between the middles of blocks."""
    y = (slow + 0.5) * (1.0 / BLOCK) - 0.5
    x = (fast + 0.5) * (1.0 / BLOCK) - 0.5
    row, column = int(y + 1.0) - 1, int(x + 1.0) - 1  # both are above -1
    y, x = y - row, x - column
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + 1, blocks.shape[0] - 1), min(column + 1, blocks.shape[1] - 1)
    above = fma(x, blocks[top, right] - blocks[top, left], blocks[top, left])
    below = fma(x, blocks[bottom, right] - blocks[bottom, left], blocks[bottom, left])
    return fma(y, below - above, above)
