"""Numbers that depend on a seed and a place alone: the same on every machine, in any order."""

from __future__ import annotations

import math
import statistics

import numpy as np

NORMAL = statistics.NormalDist()
LEAST = 2.0**-54  # of a uniform deviate that a normal one is made of


def deviates(seed: int, stream: int, number: int, count: int) -> list[float]:
    """Numbers in [0, 1) that depend on these numbers alone (Philox 4x64, 53 bits of each word)."""
    words = np.random.Philox(key=[seed % 2**64, stream], counter=[0, number, 0, 0]).random_raw(count)
    return [int(word >> np.uint64(11)) * 2.0**-53 for word in words]


def normal_deviate(seed: int, stream: int, number: int) -> float:
    """A number of the normal distribution of width 1."""
    return NORMAL.inv_cdf(deviates(seed, stream, number, 1)[0] or LEAST)


def normal_integral(x: np.ndarray) -> np.ndarray:
    """The normal distribution's integral up to ``x``."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in np.ravel(x)]).reshape(np.shape(x))
