"""Range-reduced functions of the fast kernels. Coefficients by ``benchmarks/minimax.py``; a test makes them again."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compile import scalar
from nanobragg.kernels.vector import fma

MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to the nearest integer, without a call

TINY = 1e-40

# sin(pi t) = t P(t^2), |t| <= 1/2: relative error 1.4e-16
SINE = (
    3.1415926535897927,
    -5.167712780049753,
    2.5501640398597765,
    -0.5992645287757152,
    0.08214587825661862,
    -0.007370361072089508,
    0.0004659776182553467,
    -2.1122954434104435e-05,
)
# cos(pi t) = Q(t^2), |t| <= 1/2: absolute error 3.9e-18
COSINE = (
    1.0,
    -4.934802200544676,
    4.058712126416498,
    -1.3352627688434646,
    0.23533063012980845,
    -0.025806888739358047,
    0.0019295562836343031,
    -0.00010456658087273931,
    4.149591867063527e-06,
)
# 3 (sin x/x - cos x)/x^2 = R((x/pi)^2), x/pi <= 3/4: relative error 5.7e-17
SPHERE = (
    0.9999999999999999,
    -0.9869604401089205,
    0.3478896108350273,
    -0.06358394136181582,
    0.007131231114863704,
    -0.0005414027749689822,
    2.9684161131059713e-05,
    -1.2282720828768476e-06,
    3.736605437516228e-08,
)
# sin(pi t) = t P(t^2) in binary32: relative error 5.3e-9 before rounding
SINE_SINGLE = (
    np.float32(3.1415927),
    np.float32(-5.16771),
    np.float32(2.5500698),
    np.float32(-0.5982421),
    np.float32(0.07756039),
)
SINGLE_TINY = np.float32(1e-30)
S0, S1, S2, S3, S4, S5, S6, S7 = SINE
F0, F1, F2, F3, F4 = SINE_SINGLE
C0, C1, C2, C3, C4, C5, C6, C7, C8 = COSINE
R0, R1, R2, R3, R4, R5, R6, R7, R8 = SPHERE


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
    return ((((((S7 * z + S6) * z + S5) * z + S4) * z + S3) * z + S2) * z + S1) * z + S0


@scalar
def cospi(z):
    """cos(pi t) at t^2 = z."""
    return (((((((C8 * z + C7) * z + C6) * z + C5) * z + C4) * z + C3) * z + C2) * z + C1) * z + C0


@scalar
def sphere_near(z):
    """Transform of a sphere at rho^2 = z, rho <= 3/4."""
    return (((((((R8 * z + R7) * z + R6) * z + R5) * z + R4) * z + R3) * z + R2) * z + R1) * z + R0


@scalar
def grating(n, h0, h):
    """Numerator and denominator of sin(pi n h)/sin(pi h), up to the same sign; ``h0`` is the index nearest to ``h``.

    h - h0 is exact, and so is the remainder of its multiple. `TINY` keeps the denominator from 0 on a node, where the
    quotient is then n, and vanishes elsewhere.
    """
    d = h - h0
    t = fma(n, d, -(fma(n, d, MAGIC) - MAGIC))
    return t * sinpi_over(t * t) + n * TINY, d * sinpi_over(d * d) + TINY


@scalar
def sinpi_over_single(z):
    """sin(pi t)/t at t^2 = z, in binary32."""
    return (((F4 * z + F3) * z + F2) * z + F1) * z + F0


@scalar
def grating_single(n, h0, h):
    """`grating` as a quotient: the phases in binary64, polynomials and division in binary32."""
    d = h - h0
    t = np.float32(fma(n, d, -(fma(n, d, MAGIC) - MAGIC)))
    d = np.float32(d)
    above = t * sinpi_over_single(t * t) + np.float32(n) * SINGLE_TINY
    return above / (d * sinpi_over_single(d * d) + SINGLE_TINY)
