"""Photon noise with the original's deviates: one generator, one sweep in raster order, binary32 where it has it."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.image import random

uniform = scalar(random.uniform)

F32 = np.float32
SEED, HAS_SPARE = 0, 1
SPARE, OLD, LIMIT, ROOT, LOG = range(5)


@scalar
def draw(stream, table):
    """The next uniform deviate of a stream, float32."""
    deviate, stream[SEED] = uniform(stream[SEED], table)
    return deviate


@scalar
def gauss(stream, table, cache):
    """A normal deviate by the polar method; every second one is the spare of the one before."""
    if stream[HAS_SPARE]:
        stream[HAS_SPARE] = 0
        return cache[SPARE]
    while True:
        v1 = F32(2.0 * np.float64(draw(stream, table)) - 1.0)
        v2 = F32(2.0 * np.float64(draw(stream, table)) - 1.0)
        rsq = F32(F32(v1 * v1) + F32(v2 * v2))
        if not (rsq >= F32(1.0) or rsq == F32(0.0)):
            break
    wide = np.float64(rsq)
    fac = F32(math.sqrt(-2.0 * math.log(wide) / wide))
    cache[SPARE] = F32(v1 * fac)
    stream[HAS_SPARE] = 1
    return F32(v2 * fac)


@scalar
def log_gamma(x):
    """ln Gamma by Lanczos' series; float32 in and out, binary64 inside."""
    x = np.float64(x)
    w = x + 5.5
    w = w - (x + 0.5) * math.log(w)
    series = 1.000000000190015
    series = series + 76.18009172947146 / (x + 1.0)
    series = series + -86.50532032941677 / (x + 1.0 + 1.0)
    series = series + 24.01409824083091 / (x + 1.0 + 1.0 + 1.0)
    series = series + -1.231739572450155 / (x + 1.0 + 1.0 + 1.0 + 1.0)
    series = series + 0.1208650973866179e-2 / (x + 1.0 + 1.0 + 1.0 + 1.0 + 1.0)
    series = series + -0.5395239384953e-5 / (x + 1.0 + 1.0 + 1.0 + 1.0 + 1.0 + 1.0)
    return F32(-w + math.log(2.5066282746310005 * series / x))


@scalar
def poisson_by_products(x, stream, table, cache):
    """Poisson deviate of a small mean: multiply uniform deviates until they fall below exp(-x)."""
    if x != cache[OLD]:
        cache[OLD] = x
        cache[LIMIT] = F32(math.exp(-np.float64(x)))
    em = F32(-1.0)
    t = F32(1.0)
    while True:
        em = F32(em + F32(1.0))
        t = F32(t * draw(stream, table))
        if not t > cache[LIMIT]:
            return em


@scalar
def poisson_by_rejection(x, stream, table, cache):
    """Poisson deviate of a large mean: rejection from a Lorentzian."""
    if x != cache[OLD]:
        cache[OLD] = x
        cache[ROOT] = F32(math.sqrt(2.0 * np.float64(x)))
        cache[LOG] = F32(math.log(np.float64(x)))
        cache[LIMIT] = F32(F32(x * cache[LOG]) - log_gamma(F32(np.float64(x) + 1.0)))
    while True:
        while True:
            y = F32(math.tan(math.pi * np.float64(draw(stream, table))))
            em = F32(F32(cache[ROOT] * y) + x)
            if not em < F32(0.0):
                break
        em = F32(np.floor(em))
        power = F32(F32(F32(em * cache[LOG]) - log_gamma(F32(np.float64(em) + 1.0))) - cache[LIMIT])
        t = F32(0.9 * (1.0 + np.float64(F32(y * y))) * math.exp(np.float64(power)))
        if not draw(stream, table) > t:
            return em


@scalar
def poisson(x, stream, table, cache):
    """Photon count for the mean ``x`` (float32); a Gaussian, not a whole number, above a million (Q52)."""
    if x > F32(1e6):
        return F32(np.float64(x) + math.sqrt(np.float64(x)) * np.float64(gauss(stream, table, cache)))
    if x < F32(12.0):
        return poisson_by_products(x, stream, table, cache)
    return poisson_by_rejection(x, stream, table, cache)


@scalar
def low_word(t):
    """Truncation to 16 bits by way of 32, as on x86-64."""
    if t > -2147483649.0 and t < 2147483648.0:
        return np.uint16(np.int64(t) & 0xFFFF)
    return np.uint16(0)


@kernel
def sweep_pixels(image, roi, adc, stream, table, cache, counts, photons):
    """Draw every pixel of the roi in raster order; adds up the photons before clipping, returns the overloads."""
    n_panels, n_slow, n_fast = image.shape
    overloads = 0
    for panel in range(n_panels):
        for slow in range(max(roi[2], 0), min(roi[3] + 1, n_slow)):
            for fast in range(max(roi[0], 0), min(roi[1] + 1, n_fast)):
                t = np.float64(poisson(image[panel, slow, fast], stream, table, cache))
                photons[0] += t
                t += adc
                if t > 65535.0:
                    t = 65535.0
                    overloads += 1
                counts[panel, slow, fast] = low_word(t)
    return overloads
