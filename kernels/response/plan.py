"""What a detector makes of photons, as numbers and arrays, with nothing left to decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GAIN, PEDESTAL, READOUT, CODE, MOST = range(5)  # columns of `ResponsePlan.stages`
BLOCK = 8  # pixels along an edge of the blocks that light far from its photon is spread over
ADC_BITS = 14  # of a raw value; those above hold the code of its stage


class ResponsePlan(NamedTuple):
    """The response of one frame. Random numbers depend on seed, panel and pixel alone."""

    seed: int
    first_panel: int  # panels are numbered from here on
    factor: float  # what the frame has of the photons that were expected: flicker, shutter
    kernel: np.ndarray  # (n, n) float32, n odd: the light of a photon around its own pixel; or empty
    far: np.ndarray  # (m, m) float64, m odd: what of it goes to a pixel of each block around its own; or empty
    pattern: (
        np.ndarray
    )  # (stage or 1, panel * slow * fast) float32 sensitivity, 0 of dead pixels, -1 of hot ones; or empty
    dead_time: float  # share of the exposure in which a counter is blind after each photon
    paralysable: bool  # photons in that time make it longer
    stages: np.ndarray  # (stage, 5): counts per photon, pedestal, readout noise, code in raw values, most photons
    calibrated: bool  # pedestal and gain are taken off
    scale: float  # counts per photon of what is calibrated
    half: float  # added before counts are cut to whole ones
    lowest: float
    highest: float


NO_KERNEL, NO_FAR, NO_PATTERN = np.empty((0, 0), np.float32), np.empty((0, 0)), np.empty((0, 0), np.float32)


def counting(seed: int, adc: float, highest: int, first_panel: int = 0) -> ResponsePlan:
    """A counter that counts every photon, with an offset."""
    return ResponsePlan(
        seed=seed, first_panel=first_panel, factor=1.0, kernel=NO_KERNEL, far=NO_FAR, pattern=NO_PATTERN,
        dead_time=0.0, paralysable=False, stages=np.array([[1.0, adc, 0.0, 0.0, np.inf]]), calibrated=False,
        scale=1.0, half=0.0, lowest=0.0, highest=float(highest),
    )  # fmt: skip
