"""Random numbers of a response, from counters: the same on every processor and on a GPU, in any order.

The arithmetic is that of `nanobragg.kernels.image.philox`: rounded once, and fused where that is said.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import TILE, stack_groups, stack_tile
from nanobragg.kernels.compiling.vector import rounded_once as fma
from nanobragg.kernels.image.philox import (
    LARGEST,
    SMALL,
    exponential,
    is_taken,
    logarithm,
    number_of,
    philox,
    poisson_by_rejection,
    rejection_hat,
    uniforms,
)
from nanobragg.kernels.step.polynomials import MAGIC, whole_below

READOUT_DRAW = 0xFFFFFFFF  # of a counter's draws; photons never take so many
PER_GROUP = 4  # normal deviates of one counter
GROUPS = TILE // PER_GROUP + 4
MOST_COUNTS = 200.0


@scalar
def cosine_and_sine(turns):
    """Of an angle in turns, from -1/2 to 1/2."""
    quarter = fma(4.0, turns, MAGIC) - MAGIC
    x = (turns - 0.25 * quarter) * 6.283185307179586
    z = x * x
    s, c = 1.0 / 6227020800.0, 1.0 / 479001600.0
    s = fma(s, z, -1.0 / 39916800.0)
    s = fma(s, z, 1.0 / 362880.0)
    s = fma(s, z, -1.0 / 5040.0)
    s = fma(s, z, 1.0 / 120.0)
    s = fma(s, z, -1.0 / 6.0)
    s = fma(s * z, x, x)
    c = fma(c, z, -1.0 / 3628800.0)
    c = fma(c, z, 1.0 / 40320.0)
    c = fma(c, z, -1.0 / 720.0)
    c = fma(c, z, 1.0 / 24.0)
    c = fma(c, z, -0.5)
    c = fma(c, z, 1.0)
    odd, back = quarter == 1.0 or quarter == -1.0, quarter == 2.0 or quarter == -2.0
    sign = -1.0 if back or quarter == -1.0 else 1.0
    across = -1.0 if back or quarter == 1.0 else 1.0
    return (across * s if odd else across * c), (sign * c if odd else sign * s)


@scalar
def normal_pair(u, v):
    """Two deviates of the normal distribution, of two words of 32 bits (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * logarithm((np.float64(u) + 0.5) * 2.3283064365386963e-10))
    c, s = cosine_and_sine(fma(np.float64(v) + 0.5, 2.3283064365386963e-10, -0.5))
    return radius * c, radius * s


@scalar
def normals_of_group(seed, panel, group, draw):
    """Those of four pixels, one after the other in raster order."""
    c0, c1, c2, c3 = philox(seed, number_of(panel, group), draw)
    a, b = normal_pair(c0, c1)
    c, d = normal_pair(c2, c3)
    return a, b, c, d


@scalar
def normal(seed, panel, pixel, draw):
    """The normal deviate of a pixel."""
    a, b, c, d = normals_of_group(seed, panel, pixel // PER_GROUP, draw)
    which = pixel % PER_GROUP
    return a if which == 0 else b if which == 1 else c if which == 2 else d


@scalar
def normal_tile(seed, panel, first, draw, found):
    """Those of a tile of consecutive pixels."""
    groups = stack_groups()
    start = first // PER_GROUP
    for j in range(GROUPS):
        a, b, c, d = normals_of_group(seed, panel, start + j, draw)
        groups[j], groups[GROUPS + j], groups[2 * GROUPS + j], groups[3 * GROUPS + j] = a, b, c, d
    before = first % PER_GROUP
    for i in range(TILE):
        found[i] = groups[GROUPS * ((before + i) % PER_GROUP) + (before + i) // PER_GROUP]


@scalar
def by_sums_tile(mean, u, drawn):
    """`nanobragg.kernels.image.philox.poisson_by_sums` of a tile, where means are small."""
    term, total, below = stack_tile(), stack_tile(), stack_tile()
    for i in range(TILE):
        below[i] = 0.0 if not mean[i] > 0.0 else min(mean[i], SMALL)
        term[i] = exponential(-below[i])
        total[i] = term[i]
        drawn[i] = 0.0
    step, left = 0.0, np.int64(1)
    while left != 0 and step < MOST_COUNTS:
        step += 1.0
        share = 1.0 / step
        left = np.int64(0)
        for i in range(TILE):
            more = u[i] > total[i]
            drawn[i] += 1.0 if more else 0.0
            left |= np.int64(more and mean[i] < SMALL)
            term[i] = term[i] * (below[i] * share)
            total[i] += term[i]


@scalar
def by_rejection_tile(mean, u, v, seed, pixel, drawn):
    """`nanobragg.kernels.image.philox.poisson_by_rejection` of a tile, where means are large: most take one draw."""
    taken = stack_tile()
    for i in range(TILE):
        m = min(max(mean[i], SMALL), LARGEST)
        a, b, enough = rejection_hat(m)
        off = u[i] - 0.5
        us = 0.5 - abs(off)
        k = whole_below(fma(2.0 * a / us + b, off, m + 0.43))
        at_once = (us >= 0.07) & (v[i] <= enough)
        taken[i] = k if at_once | is_taken(m, a, b, us, v[i], k) else -1.0
    for i in range(TILE):
        if mean[i] >= LARGEST:
            drawn[i] = mean[i]
        elif mean[i] >= SMALL:
            drawn[i] = taken[i] if taken[i] >= 0.0 else poisson_by_rejection(mean[i], seed, pixel + i, 1)


@scalar
def poisson_tile(mean, seed, panel, first, drawn):
    """Counts of a tile of consecutive pixels: `nanobragg.kernels.image.philox.poisson` of each."""
    u, v = stack_tile(), stack_tile()
    pixel = number_of(panel, first)
    for i in range(TILE):
        u[i], v[i] = uniforms(seed, pixel + i, 0)
    large = np.int64(0)
    for i in range(TILE):
        large |= np.int64(mean[i] >= SMALL)
    by_sums_tile(mean, u, drawn)
    if large != 0:
        by_rejection_tile(mean, u, v, seed, pixel, drawn)
