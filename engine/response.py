"""From what a detector is to the numbers of one frame's response."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from nanobragg.engine.detectors import point_spread
from nanobragg.engine.deviates import NORMAL, normal_deviate
from nanobragg.engine.model.response import CODES, Response
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.response.plan import NO_FAR, NO_KERNEL, NO_PATTERN, ResponsePlan

FLICKER_STREAM, SHUTTER_STREAM = 21, 22  # of random numbers of a frame
PATTERN_DRAW, DEFECT_DRAW = 0xFFFFFFF0, 0xFFFFFFE0  # of a pixel; stages have draws of their own behind the first
HOT = -1.0
_last_pattern: dict[Any, np.ndarray] = {}


def frame_factor(response: Response, seed: int) -> float:
    """What a frame has of the photons that were expected: flicker of the beam, jitter of the shutter."""
    widths = ((response.flicker_percent, FLICKER_STREAM), (response.shutter_percent, SHUTTER_STREAM))
    factors = (max(1.0 + width / 100.0 * normal_deviate(seed, stream, 0), 0.0) for width, stream in widths if width)
    return math.prod(factors, start=1.0)


def response_plan(scene: Scene, seed: int, highest: int, threads: int) -> ResponsePlan:
    """The response of a frame.

    Parameters
    ----------
    scene
        Has a response.
    seed
        Of the frame.
    highest
        The largest count that its file holds.
    threads
        For the pattern of a detector, which is kept for its other frames.
    """
    r, d = scene.response, scene.detector
    assert r is not None
    kernel, far = NO_KERNEL, NO_FAR
    if r.kernel is not None:
        kernel = _given(r.kernel)  # type: ignore[arg-type]
    elif r.point_spread != "none":
        kernel, far = point_spread.spread_of(r.point_spread, r.spread_um * 1e-6 / d.pixel_size)
    stages = r.stages or ((r.gain, r.offset, r.readout, math.inf),)
    rows = [(gain, offset, noise, code, most) for (gain, offset, noise, most), code in zip(stages, CODES, strict=False)]
    limits = (highest, r.highest_of(d.saturation))
    shape = (len(d.panels), d.n_slow, d.n_fast)
    return ResponsePlan(
        seed=seed, first_panel=0, factor=frame_factor(r, seed), kernel=kernel, far=far,
        pattern=pattern_of(_of_pattern(r), shape, len(stages), threads),
        dead_time=r.dead_time_ns * 1e-9 / scene.beam.exposure if scene.beam.exposure > 0.0 else 0.0,
        paralysable=r.paralysable, stages=np.array(rows, float), calibrated=bool(r.stages) and r.output == "calibrated",
        scale=r.counts_per_photon, half=0.5 if not r.stages or r.output == "calibrated" else 0.0, lowest=0.0,
        highest=float(min(limits)),
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _given(kernel: tuple[tuple[float, ...], ...]) -> np.ndarray:
    return point_spread.given_kernel(kernel)


def _of_pattern(r: Response) -> tuple[int, float, float, float]:
    return int(r.detector_seed), r.calibration_percent / 100.0, r.dead_pixels, r.hot_pixels


def pattern_of(
    known: tuple[int, float, float, float], shape: tuple[int, int, int], stages: int, threads: int
) -> np.ndarray:
    """Sensitivities (stage, panel * slow * fast) of a detector, by its seed, width, dead and hot pixels; or none.

    The last one is kept: frames of a detector have the same, whatever the number of threads.
    """
    key = (known, shape, stages)
    kept = _last_pattern.get(key)
    if kept is None:
        kept = _pattern(known, shape, stages, threads)
        _last_pattern.clear()
        _last_pattern[key] = kept
    return kept


def _pattern(
    known: tuple[int, float, float, float], shape: tuple[int, int, int], stages: int, threads: int
) -> np.ndarray:
    from nanobragg.kernels.response import host

    seed, width, dead, hot = known
    if not (width or dead or hot):
        return NO_PATTERN
    rows = stages if width else 1
    pattern = np.empty((rows, math.prod(shape)), np.float32)
    for stage in range(rows):
        pattern[stage] = host.pattern_of(seed, 0, shape, PATTERN_DRAW + stage, width, threads)
    np.maximum(pattern, 0.0, out=pattern)
    if dead or hot:
        deviate = host.pattern_of(seed, 0, shape, DEFECT_DRAW, 1.0, threads) - 1.0
        pattern[:, deviate < _quantile(dead)] = 0.0
        pattern[:, deviate > -_quantile(hot)] = HOT
    pattern.setflags(write=False)
    return pattern


def _quantile(share: float) -> float:
    """What this share of normal deviates is below."""
    if 0.0 < share < 1.0:
        return NORMAL.inv_cdf(share)
    return math.inf if share >= 1.0 else -math.inf


def defects(scene: Scene, threads: int = 1) -> np.ndarray:
    """Pixels that are dead or hot, bool (panel, slow, fast)."""
    r, d = scene.response, scene.detector
    shape = (len(d.panels), d.n_slow, d.n_fast)
    if r is None or not (r.dead_pixels or r.hot_pixels):
        return np.zeros(shape, bool)
    pattern = pattern_of(_of_pattern(r), shape, len(r.stages) or 1, threads)
    return np.asarray(pattern[0] <= 0.0).reshape(shape)
