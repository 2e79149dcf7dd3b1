"""The share of photons that a layer of the sensor absorbs."""

from __future__ import annotations

import math

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.step.geometry import parallax


@separate
def capture_fraction(layer, layer_step, mu, cosine):
    """exp(-mu x) at the front of a layer less that at its back (Beer and Lambert), along an oblique path."""
    return math.exp(-layer * layer_step * mu / cosine) - math.exp(-(layer + 1.0) * layer_step * mu / cosine)


@scalar
def capture(plan, panel, layer, d):
    """The capture fraction of a layer of a panel's sensor, for photons in direction ``d``."""
    sensor = plan.sensor
    return capture_fraction(float(layer), sensor.layer_step, sensor.mu, parallax(plan, panel, d))
