"""From the light of a pixel to its count: sensitivity, dead time, gain, noise of the readout, whole numbers."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import rounded_once as fma
from nanobragg.kernels.image.philox import exponential
from nanobragg.kernels.response.plan import ADC_BITS, CODE, GAIN, MOST, PEDESTAL, READOUT
from nanobragg.kernels.step.polynomials import whole_below

LONGEST_DEAD = 700.0  # exposures, behind which nothing is counted


@scalar
def counted(light, dead_time, paralysable):
    """What a counter that is blind for a while after each photon counts of a number of them.

    n exp(-n tau) where photons in that time make it longer, n / (1 + n tau) where not.
    """
    if paralysable:
        return light * exponential(-min(light * dead_time, LONGEST_DEAD))
    return light / fma(light, dead_time, 1.0)


@scalar
def sensitivity(response, stage, index):
    """Of a pixel in a stage of its readout."""
    rows = response.pattern.shape[0]
    return np.float64(response.pattern[min(stage, rows - 1), index]) if rows != 0 else 1.0


@scalar
def plain_value(response, light, index, deviate):
    """Counts of a pixel of one stage, not whole ones yet."""
    stages = response.stages
    seen = light * sensitivity(response, 0, index)
    if response.dead_time > 0.0:
        seen = counted(seen, response.dead_time, response.paralysable)
    return fma(seen, stages[0, GAIN], fma(stages[0, READOUT], deviate, stages[0, PEDESTAL] + response.half))


@scalar
def staged_value(response, light, index, deviate):
    """Counts of a pixel that is read in the first of several stages that holds its photons."""
    stages = response.stages
    at = 0
    while at + 1 < len(stages) and light > stages[at, MOST]:
        at += 1
    gain, pedestal = stages[at, GAIN], stages[at, PEDESTAL]
    seen = light * sensitivity(response, at, index)
    read = fma(seen, gain, fma(stages[at, READOUT], deviate, pedestal + 0.5))
    read = whole_below(min(max(read, 0.0), np.float64((1 << ADC_BITS) - 1)))
    if response.calibrated:
        return fma((read - pedestal) / gain, response.scale, response.half)
    return read + stages[at, CODE] * np.float64(1 << ADC_BITS)


@scalar
def limited(response, value, index):
    """A whole count within bounds, and whether it was above them; what is hot is at the upper one."""
    if sensitivity(response, 0, index) < 0.0:
        value = response.highest + 1.0
    inside = min(max(value, response.lowest), response.highest)
    return np.int32(whole_below(inside)), value >= response.highest + 1.0


@scalar
def count_of(response, light, index, deviate):
    """The count of a pixel with this light, and whether it is above the highest."""
    if len(response.stages) == 1 and not response.calibrated:
        return limited(response, plain_value(response, light, index, deviate), index)
    return limited(response, staged_value(response, light, index, deviate), index)
