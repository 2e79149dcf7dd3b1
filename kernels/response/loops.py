"""Loops of a response over rows of an image, in tiles of consecutive pixels; vector code where a loop allows it."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.compiling.vector import TILE, prefer_wide_registers, stack_tile, stack_tile_single
from nanobragg.kernels.compiling.vector import rounded_once as fma
from nanobragg.kernels.response import deviates, readout, spread
from nanobragg.kernels.response.plan import READOUT


@scalar
def has_noise(stages):
    """Whether any stage of the readout is noisy."""
    noisy = False
    for at in range(len(stages)):
        noisy |= stages[at, READOUT] != 0.0
    return noisy


@scalar
def means_of_tile(values, row, first, last, factor, mean):
    """Photons that are expected in consecutive pixels of a row; 0 behind its end."""
    if last - first >= TILE:
        for i in range(TILE):
            mean[i] = np.float64(values[row, np.uint64(first) + np.uint64(i)]) * factor
        return
    for i in range(TILE):
        mean[i] = np.float64(values[row, first + i]) * factor if first + i < last else 0.0


@scalar
def draw_tile(response, image, row, first, last, mean, drawn, photons):
    """Photons of consecutive pixels of a row, added to those of the row; returns how many pixels there are."""
    number, slow = row // image.shape[1], row % image.shape[1]
    means_of_tile(image[number], slow, first, last, response.factor, mean)
    pixel = slow * image.shape[2] + first
    deviates.poisson_tile(mean, response.seed, response.first_panel + number, pixel, drawn)
    count = min(TILE, last - first)
    for i in range(count):
        photons[row] += drawn[i]
    return count


@scalar
def read_tile(response, counts, row, first, count, light, deviate):
    """Counts of consecutive pixels of a row; returns how many are above the highest."""
    n_slow, n_fast = counts.shape[1], counts.shape[2]
    number, slow = row // n_slow, row % n_slow
    if has_noise(response.stages):
        panel, pixel = response.first_panel + number, slow * n_fast + first
        deviates.normal_tile(response.seed, panel, pixel, deviates.READOUT_DRAW, deviate)
    else:
        for i in range(TILE):
            deviate[i] = 0.0
    overloads, index = 0, row * n_fast + first
    for i in range(count):
        counts[number, slow, first + i], over = readout.count_of(response, light[i], index + i, deviate[i])
        overloads += over
    return overloads


@kernel
def count_rows(response, image, rows, columns, counts, photons):
    """Counts of some rows of all panels, where no light spreads; adds up photons of each row, returns the overloads."""
    prefer_wide_registers()
    mean, drawn, deviate = stack_tile(), stack_tile(), stack_tile()
    overloads = 0
    for row in range(rows[0], rows[1]):
        for first in range(columns[0], columns[1], TILE):
            count = draw_tile(response, image, row, first, columns[1], mean, drawn, photons)
            overloads += read_tile(response, counts, row, first, count, drawn, deviate)
    return overloads


@kernel
def draw_rows(response, image, rows, columns, margin, spread_photons, photons):
    """Photons of some rows of all panels, each panel with a margin around it; adds up those of each row."""
    prefer_wide_registers()
    mean, drawn = stack_tile(), stack_tile()
    for row in range(rows[0], rows[1]):
        number, slow = row // image.shape[1], row % image.shape[1]
        for first in range(columns[0], columns[1], TILE):
            for i in range(draw_tile(response, image, row, first, columns[1], mean, drawn, photons)):
                spread_photons[number, slow + margin, first + margin + i] = np.float32(drawn[i])
    return 0


@kernel
def add_blocks(photons, margin, shape, rows, sums):
    """Photons of blocks of pixels, of some rows of blocks of all panels."""
    for row in range(rows[0], rows[1]):
        number, at = row // sums.shape[1], row % sums.shape[1]
        for column in range(sums.shape[2]):
            sums[number, at, column] = spread.block_sum(photons[number], margin, shape, at, column)
    return 0


@kernel
def spread_blocks(sums, far, rows, blocks):
    """Far light in pixels of blocks, of some rows of blocks of all panels."""
    for row in range(rows[0], rows[1]):
        number, at = row // sums.shape[1], row % sums.shape[1]
        for column in range(sums.shape[2]):
            blocks[number, at, column] = spread.far_of_block(sums[number], far, at, column)
    return 0


@kernel
def read_rows(response, photons, blocks, rows, columns, counts):
    """Counts of some rows of all panels from their photons, whose light spreads; returns the overloads."""
    prefer_wide_registers()
    near, light, deviate = stack_tile_single(), stack_tile(), stack_tile()
    overloads = 0
    for row in range(rows[0], rows[1]):
        number, slow = row // counts.shape[1], row % counts.shape[1]
        for first in range(columns[0], columns[1], TILE):
            count = min(TILE, columns[1] - first)
            spread.near_tile(photons[number], response.kernel, slow, first, near)
            for i in range(TILE):
                light[i] = np.float64(near[i])
            if len(response.far) != 0:
                for i in range(count):
                    light[i] += spread.between_blocks(blocks[number], slow, first + i)
            overloads += read_tile(response, counts, row, first, count, light, deviate)
    return overloads


@kernel
def draw_pattern(seed, first_panel, shape, draw, spread_of, rows, pattern):
    """1 and a normal deviate of a width for each pixel of some rows of all panels."""
    deviate = stack_tile()
    for row in range(rows[0], rows[1]):
        number, slow = row // shape[0], row % shape[0]
        for first in range(0, shape[1], TILE):
            deviates.normal_tile(seed, first_panel + number, slow * shape[1] + first, draw, deviate)
            for i in range(min(TILE, shape[1] - first)):
                pattern[row * shape[1] + first + i] = np.float32(fma(spread_of, deviate[i], 1.0))
    return 0
