"""Range-reduced functions of the fast kernels. Coefficients by ``benchmarks/minimax.py``; a test makes them again."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import fma

MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to the nearest integer, without a call

TINY = 1e-40

# sin(pi t) = t P(t^2), |t| <= 1/2: relative error 6.2e-14, far below what the original's own sines lose to rounding
SINE = (
    3.1415926535895973,
    -5.167712779977315,
    2.550164035419428,
    -0.5992644257372303,
    0.08214473212571541,
    -0.007363785063079486,
    0.00044720034173007146,
)
# cos(pi t) = Q(t^2), |t| <= 1/2: absolute error 1.9e-15
COSINE = (
    0.9999999999999981,
    -4.934802200543689,
    4.058712126333491,
    -1.335262766186475,
    0.23533058836701523,
    -0.025806532291710198,
    0.0019278709712297166,
    -0.00010041751384883853,
)
# 3 (sin x/x - cos x)/x^2 = R((x/pi)^2), x/pi <= 3/4: relative error 1.5e-14
SPHERE = (
    0.9999999999999846,
    -0.986960440105664,
    0.3478896107197482,
    -0.06358393979071586,
    0.007131220519381055,
    -0.0005413637493467306,
    2.9604180026400525e-05,
    -1.142621517927445e-06,
)
# sin(pi t) = t P(t^2) in binary32: relative error 5.3e-9 before rounding
SINE_SINGLE = (
    np.float32(3.1415927),
    np.float32(-5.16771),
    np.float32(2.5500698),
    np.float32(-0.5982421),
    np.float32(0.07756039),
)
SINGLE_TINY = np.float32(1e-12)  # its cube is a binary32 number
S0, S1, S2, S3, S4, S5, S6 = SINE
F0, F1, F2, F3, F4 = SINE_SINGLE
C0, C1, C2, C3, C4, C5, C6, C7 = COSINE
R0, R1, R2, R3, R4, R5, R6, R7 = SPHERE


@scalar
def nearest_whole(x):
    """The nearest whole number, for |x| < 2**51; ties to even."""
    return (x + MAGIC) - MAGIC


@scalar
def whole_below(x):
    """The largest whole number that is not above ``x``, for |x| < 2**51."""
    nearest = nearest_whole(x)
    return nearest - 1.0 if nearest > x else nearest


@scalar
def sinpi_over(z):
    """sin(pi t)/t at t^2 = z."""
    return (((((S6 * z + S5) * z + S4) * z + S3) * z + S2) * z + S1) * z + S0


@scalar
def cospi(z):
    """cos(pi t) at t^2 = z."""
    return ((((((C7 * z + C6) * z + C5) * z + C4) * z + C3) * z + C2) * z + C1) * z + C0


@scalar
def sphere_near(z):
    """Transform of a sphere at rho^2 = z, rho <= 3/4."""
    return ((((((R7 * z + R6) * z + R5) * z + R4) * z + R3) * z + R2) * z + R1) * z + R0


@scalar
def phases(n, h0, h):
    """What is left of n h and of h at the whole number ``h0`` nearest to ``h``, both exact."""
    d = h - h0
    return fma(n, d, -(fma(n, d, MAGIC) - MAGIC)), d


@scalar
def fast_grating(n, h0, h):
    """`lattice.grating` at pi h as a quotient, up to the same sign; ``h0`` is the index nearest to ``h``.

    `TINY` keeps the denominator from 0 on a node, where the quotient is then n, and vanishes elsewhere.
    """
    t, d = phases(n, h0, h)
    return t * sinpi_over(t * t) + n * TINY, d * sinpi_over(d * d) + TINY


@scalar
def phases_single(n, h0, h):
    """`phases`, rounded to binary32."""
    t, d = phases(n, h0, h)
    return np.float32(t), np.float32(d)


@scalar
def sinpi_over_single(z):
    """sin(pi t)/t at t^2 = z, in binary32."""
    return (((F4 * z + F3) * z + F2) * z + F1) * z + F0


@scalar
def grating_single(n, t, d):
    """`fast_grating` in binary32, from its phases."""
    n = np.float32(n)
    return t * sinpi_over_single(t * t) + n * SINGLE_TINY, d * sinpi_over_single(d * d) + SINGLE_TINY
