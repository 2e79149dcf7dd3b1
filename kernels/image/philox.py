"""Photon noise from counters: Poisson deviates that depend on the seed and the pixel alone.

Every operation is exact or rounded once wherever it runs: products that are added to are fused multiply-adds by name,
and logarithm and exponential are our own. So the counts of a pixel are the same on every processor and on a GPU.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import rounded_once as fma
from nanobragg.kernels.step.polynomials import MAGIC, whole_below

LOW = np.uint64(0xFFFFFFFF)
HALF_WORD = np.uint64(32)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.44269504088896338700
SMALL = 12.0  # mean below which deviates are made by adding up probabilities
LARGEST = 1e15


@scalar
def philox(seed, pixel, draw):
    """Four words of 32 bits: Philox 4x32 with ten rounds (Salmon, Moraes, Dror and Shaw 2011)."""
    k0, k1 = np.uint64(seed) & LOW, np.uint64(seed) >> HALF_WORD
    c0, c1 = np.uint64(pixel) & LOW, np.uint64(pixel) >> HALF_WORD
    c2, c3 = np.uint64(draw) & LOW, np.uint64(0)
    for _ in range(10):
        a, b = M0 * c0, M1 * c2
        c0, c1, c2, c3 = (b >> HALF_WORD) ^ c1 ^ k0, b & LOW, (a >> HALF_WORD) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


@scalar
def number_of(panel, pixel):
    """A pixel's number among those of all panels: the panel above 32 bits, its raster index below."""
    return (np.int64(panel) << np.int64(32)) | np.int64(pixel)


@scalar
def uniforms(seed, pixel, draw):
    """Two deviates between 0 and 1, neither 0 nor 1, of 52 bits each."""
    c0, c1, c2, c3 = philox(seed, pixel, draw)
    u = (c0 << np.uint64(20)) | (c1 >> np.uint64(12))
    v = (c2 << np.uint64(20)) | (c3 >> np.uint64(12))
    return (np.float64(u) + 0.5) * 2.220446049250313e-16, (np.float64(v) + 0.5) * 2.220446049250313e-16


@scalar
def exponential(x):
    """exp(x) for -700 < x <= 0, to a few units in the last place."""
    n = fma(x, LOG2_E, MAGIC) - MAGIC
    r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, x))
    p = 1.0
    for k in range(14, 0, -1):
        p = fma(p * r, 1.0 / k, 1.0)
    return p * np.int64((np.int64(n) + 1023) << np.int64(52)).view(np.float64)


@scalar
def logarithm(x):
    """ln x of a positive normal number, to a few units in the last place."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> np.int64(52)) - 1023
    m = np.int64((bits & np.int64(0x000FFFFFFFFFFFFF)) | np.int64(0x3FF0000000000000)).view(np.float64)
    if m > 1.4142135623730951:
        m *= 0.5
        exponent += 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 1.0 / 23.0
    for k in range(21, 1, -2):
        p = fma(p, z, 1.0 / k)
    e = np.float64(exponent)
    return fma(e, LN2_HIGH, fma(2.0 * s, fma(p, z, 1.0), e * LN2_LOW))


@scalar
def log_factorial(k):
    """ln k! by Stirling's series, of k + 8 less the logarithm of eight factors."""
    product = (k + 1.0) * (k + 2.0) * (k + 3.0) * (k + 4.0)
    product *= (k + 5.0) * (k + 6.0) * (k + 7.0) * (k + 8.0)
    x = k + 9.0
    r = 1.0 / x
    z = r * r
    tail = fma(fma(fma(fma(-1.0 / 1680.0, z, 1.0 / 1260.0), z, -1.0 / 360.0), z, 1.0 / 12.0), r, 0.9189385332046728)
    return fma(x - 0.5, logarithm(x), tail - x) - logarithm(product)


@scalar
def poisson_by_sums(mean, seed, pixel):
    """Inversion: probabilities are added up until they exceed a uniform deviate."""
    u, _ = uniforms(seed, pixel, 0)
    term = exponential(-mean)
    total, k = term, 0.0
    while u > total and k < 200.0:
        k += 1.0
        term = term * (mean * (1.0 / k))
        total += term
    return k


@scalar
def rejection_hat(mean):
    """What transformed rejection draws from, a and b, and up to which deviate a draw is taken at once."""
    b = fma(2.53, math.sqrt(mean), 0.931)
    return fma(0.02483, b, -0.059), b, 0.9277 - 3.6224 / (b - 2.0)


@scalar
def is_taken(mean, a, b, us, v, k):
    """Whether a count that is not taken at once is; without branches, so that loops over it become vector code."""
    log_inverse_alpha = logarithm(1.1239 + 1.1328 / (b - 3.4))
    accepted = logarithm(v) + log_inverse_alpha - logarithm(a / (us * us) + b)
    likely = fma(k, logarithm(mean), -mean) - log_factorial(max(k, 0.0))
    return (k >= 0.0) & ((us >= 0.013) | (v <= us)) & (accepted <= likely)


@scalar
def poisson_by_rejection(mean, seed, pixel, draw):
    """Transformed rejection (Hoermann 1993, PTRS), from a draw on."""
    a, b, enough = rejection_hat(mean)
    while True:
        u, v = uniforms(seed, pixel, draw)
        draw += 1
        u -= 0.5
        us = 0.5 - abs(u)
        k = whole_below(fma(2.0 * a / us + b, u, mean + 0.43))
        if ((us >= 0.07) & (v <= enough)) or is_taken(mean, a, b, us, v, k):
            return k


@scalar
def poisson(mean, seed, pixel):
    """A count of the Poisson distribution with this mean (binary64); 0 for a mean that is not positive."""
    if not mean > 0.0:
        return 0.0
    if mean < SMALL:
        return poisson_by_sums(mean, seed, pixel)
    if mean < LARGEST:
        return poisson_by_rejection(mean, seed, pixel, 0)
    return mean  # the deviate is a few units in the last place of binary32
