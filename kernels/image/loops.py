"""Loops over a rendered image, in raster order and exact: sums, solid angles, and the scalings to integers."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.compiling.vector import TILE, stack_tile
from nanobragg.kernels.fast import tile
from nanobragg.kernels.step import geometry

F32 = np.float32


@scalar
def rows_of(roi, n_slow):
    """The rows of the region of interest that are on a panel."""
    return range(max(roi[2], 0), min(roi[3] + 1, n_slow))


@scalar
def columns_of(roi, n_fast):
    """The columns of the region of interest that are on a panel."""
    return range(max(roi[0], 0), min(roi[1] + 1, n_fast))


@kernel
def add_up(image, mask, roi, sums):
    """Number of rendered pixels, their sum, the sum of their binary32 squares (Q29) and the maximum, into ``sums``.

    Returns the raster index of the first maximum above 0, or -1.
    """
    n_panels, n_slow, n_fast = image.shape
    count, total, squares = 0, 0.0, 0.0
    highest, where = F32(0.0), -1
    for panel in range(n_panels):
        for slow in rows_of(roi, n_slow):
            for fast in columns_of(roi, n_fast):
                value = image[panel, slow, fast]
                index = (panel * n_slow + slow) * n_fast + fast
                if value > highest:
                    highest, where = value, index
                if len(mask) == 0 or mask[index] != 0:
                    count += 1
                    total += np.float64(value)
                    squares += np.float64(F32(value * value))
    sums[0], sums[1], sums[2], sums[3] = np.float64(count), total, squares, np.float64(highest)
    return where


@kernel
def add_deviations(image, roi, mean, sums):
    """Number of pixels of the roi, and the sum of their squared deviations from ``mean``."""
    n_panels, n_slow, n_fast = image.shape
    count, squares = 0, 0.0
    for panel in range(n_panels):
        for slow in rows_of(roi, n_slow):
            for fast in columns_of(roi, n_fast):
                deviation = np.float64(image[panel, slow, fast]) - mean
                squares += deviation * deviation
                count += 1
    sums[0], sums[1] = np.float64(count), squares
    return 0


@kernel
def solid_angles(plan, pixels, omegas):
    """For each of ``pixels`` the solid angles of its layers and sub-pixels added up, as the original does (Q30)."""
    fast, slow, air = stack_tile(), stack_tile(), stack_tile()
    x, y, z = stack_tile(), stack_tile(), stack_tile()
    omega, total = stack_tile(), stack_tile()
    oversample = plan.sampling.oversample
    start = 0
    while start < len(pixels):
        number, count = tile.panel_and_count(plan.panels, pixels, start)
        panel = geometry.placement(plan.panels, number)
        tile.raster_places(pixels, start, count, number, plan.panels, fast, slow)
        for i in range(TILE):
            omega[i] = total[i] = 0.0
        for layer in range(plan.sensor.layers):
            for sub in range(oversample * oversample):
                tile.places(plan, panel, fast, slow, sub, layer * plan.sensor.layer_step, x, y, z)
                tile.airpaths(x, y, z, air)
                tile.solid_angles(plan, panel, air, omega)
                for i in range(TILE):
                    total[i] += omega[i]
        for i in range(count):
            omegas[start + i] = total[i]
        start += count
    return 0


@kernel
def add_in_order(values, sums):
    """Add one value after the other to ``sums``, as a serial program does."""
    total = sums[0]
    for i in range(len(values)):
        total += values[i]
    sums[0] = total
    return 0


@scalar
def count_of(value, scale, adc):
    """A scaled 16-bit count with the ADC offset; the rounding to binary32 comes before the floor (Q77)."""
    t = np.float64(value) * scale + adc
    t = t if t > 0.0 else 0.0  # also what is no number
    t = t if t < 65535.0 else 65535.0
    return np.uint16(np.int32(F32(t + 0.5)))


@scalar
def grey_of(value, scale):
    """A scaled 8-bit grey level: clipped above, truncated, the low byte of negative values (Q78)."""
    t = np.float64(value) * scale
    t = t if not t > 255.0 else 255.0
    t = t if t > -2147483649.0 else 0.0
    return np.uint8(np.int32(t) & 0xFF)


@kernel
def to_int(image, roi, scale, adc, counts):
    """Scaled 16-bit counts of the roi."""
    n_panels, n_slow, n_fast = image.shape
    for panel in range(n_panels):
        for slow in rows_of(roi, n_slow):
            for fast in columns_of(roi, n_fast):
                counts[panel, slow, fast] = count_of(image[panel, slow, fast], scale, adc)
    return 0


@kernel
def to_grey(image, roi, scale, grey):
    """Scaled 8-bit grey levels of the roi."""
    n_panels, n_slow, n_fast = image.shape
    for panel in range(n_panels):
        for slow in rows_of(roi, n_slow):
            for fast in columns_of(roi, n_fast):
                grey[panel, slow, fast] = grey_of(image[panel, slow, fast], scale)
    return 0
