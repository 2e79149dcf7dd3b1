"""The share of photons that a layer of the sensor absorbs."""

from __future__ import annotations

import math

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.step.geometry import parallax

OPAQUE = 40.0  # absorption lengths behind which nothing is left


@separate
def capture_fraction(layer, layer_step, mu, cosine):
    """exp(-mu x) at the front of a layer less that at its back (Beer and Lambert), along an oblique path."""
    return math.exp(-layer * layer_step * mu / cosine) - math.exp(-(layer + 1.0) * layer_step * mu / cosine)


@scalar
def capture(plan, panel, layer, d, mu):
    """The capture fraction of a layer of a panel's sensor, for photons in direction ``d``."""
    return capture_fraction(float(layer), plan.sensor.layer_step, mu, parallax(plan, panel, d))


@scalar
def fast_decay(x):
    """exp(-x) of what is not below 0, to 1e-12: Taylor's series of a 64th of it, to the 64th power."""
    y = min(x, OPAQUE) / -64.0
    p = 1.0 + y * (1.0 / 13.0)
    p = 1.0 + y * (1.0 / 12.0) * p
    p = 1.0 + y * (1.0 / 11.0) * p
    p = 1.0 + y * (1.0 / 10.0) * p
    p = 1.0 + y * (1.0 / 9.0) * p
    p = 1.0 + y * (1.0 / 8.0) * p
    p = 1.0 + y * (1.0 / 7.0) * p
    p = 1.0 + y * (1.0 / 6.0) * p
    p = 1.0 + y * (1.0 / 5.0) * p
    p = 1.0 + y * (1.0 / 4.0) * p
    p = 1.0 + y * (1.0 / 3.0) * p
    p = 1.0 + y * (1.0 / 2.0) * p
    p = 1.0 + y * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


@scalar
def fast_capture_fraction(layer, layer_step, mu, cosine):
    """`capture_fraction` without calls, for loops over many sources of which each has its own absorption."""
    front = layer * layer_step * mu / cosine
    return fast_decay(front) - fast_decay(front + layer_step * mu / cosine)
