"""From photons to integers: figures of an image, and the scalings to 16 and 8 bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nanobragg.engine.c_numbers import divide
from nanobragg.kernels.plan import RenderPlan

PART = 65536  # pixels worked on at a time, so that temporaries stay small


class Statistics(NamedTuple):
    """Figures of a rendered image.

    ``max_I`` in photons and its place on the detector (fast, slow) in metres; mean and rms over rendered pixels,
    rmsd over the whole roi (Q28); ``solid_angle`` in steradians as the original adds it up (Q30).
    """

    max_I: float
    max_at: tuple[float, float]
    mean: float
    rms: float
    rmsd: float
    solid_angle: float


def running_sum(parts: Iterable[np.ndarray]) -> float:
    """Sum in order, one addition after the other in binary64, as a serial program makes it."""
    total = 0.0
    for part in parts:
        wide = part.astype(np.float64)
        wide[0] += total
        total = float(np.add.accumulate(wide)[-1])
    return total


def _parts(values: np.ndarray, pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The listed pixels of a raster, a part at a time."""
    for first in range(0, len(pixels), PART):
        yield values[pixels[first : first + PART]]


def statistics(plan: RenderPlan, image: np.ndarray, omega_sum: np.ndarray) -> Statistics:
    """Figures of ``image`` (slow, fast), sums in raster order; ``omega_sum`` are the solid angles of each pixel."""
    raster = image.reshape(-1)
    pixels = plan.rendered_pixels()
    with np.errstate(all="ignore"):
        count = max(len(pixels), 1)
        mean = running_sum(_parts(raster, pixels)) / count
        square_sum = running_sum(v * v for v in _parts(raster, pixels))  # binary32 products (Q29)
        rms = _root(square_sum, max(count, 2) - 1)
        max_I, max_at = _maximum(plan, raster, pixels)
        omega = running_sum(_parts(omega_sum.reshape(-1), pixels))
        if plan.mask.size:
            pixels = plan._replace(mask=plan.mask[:0]).rendered_pixels()
        deviations = (v.astype(np.float64) - mean for v in _parts(raster, pixels))
        rmsd = _root(running_sum(u * u for u in deviations), max(len(pixels), 2) - 1)
    return Statistics(max_I, max_at, mean, rms, rmsd, divide(omega, plan.steps))


def _root(total: float, count: int) -> float:
    mean = total / count
    return math.sqrt(mean) if mean >= 0.0 else mean


def _maximum(plan: RenderPlan, raster: np.ndarray, pixels: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The first maximum above 0, at the last sub-pixel of its pixel (Q31)."""
    highest, where, first = np.float32(0.0), -1, 0
    for part in _parts(raster, pixels):
        comparable = np.where(np.isnan(part), np.float32(0.0), part)
        best = int(np.argmax(comparable))
        if comparable[best] > highest:
            highest, where = comparable[best], int(pixels[first + best])
        first += len(part)
    if where < 0:
        return 0.0, (0.0, 0.0)
    sub = plan.pixel_size / plan.oversample
    slow, fast = divmod(where, plan.n_fast)
    at = tuple(sub * (i * plan.oversample + plan.oversample - 1) + sub / 2.0 for i in (fast, slow))
    return float(highest), at  # type: ignore[return-value]


def _roi_slices(plan: RenderPlan) -> tuple[slice, slice]:
    fast_first, fast_last, slow_first, slow_last = plan.roi
    return slice(slow_first, slow_last + 1), slice(fast_first, fast_last + 1)


def int_scale(given: float, max_I: float) -> float:
    """Counts per photon of the integer image."""
    if given > 0.0:
        return given
    return 55000.0 / max_I if max_I > 0.0 else 1.0


def pgm_scale(given: float, rmsd: float, scale_of_int: float) -> float:
    """Grey levels per photon of the PGM."""
    if given > 0.0:
        return given
    return 250.0 / (5.0 * rmsd) if rmsd > 0.0 else scale_of_int


def to_int(plan: RenderPlan, image: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """Scaled 16-bit counts with the ADC offset; the rounding to binary32 comes before the floor (Q77)."""
    counts = np.zeros(image.shape, np.uint16)
    rows, columns = _roi_slices(plan)
    with np.errstate(all="ignore"):
        for target, row in zip(counts[rows, columns], image[rows, columns], strict=True):
            t = np.clip(row.astype(np.float64) * scale + adc, 0.0, 65535.0)
            target[:] = np.floor(np.nan_to_num((t + 0.5).astype(np.float32))).astype(np.int32) & 0xFFFF
    return counts


def to_grey(plan: RenderPlan, image: np.ndarray, scale: float) -> np.ndarray:
    """Scaled 8-bit grey levels: clipped above, truncated, the low byte of negative values (Q78)."""
    grey = np.zeros(image.shape, np.uint8)
    rows, columns = _roi_slices(plan)
    with np.errstate(all="ignore"):
        for target, row in zip(grey[rows, columns], image[rows, columns], strict=True):
            t = np.trunc(row.astype(np.float64) * scale)
            t = np.where(t > 255.0, 255.0, t)
            t = np.where((t > -2147483649.0) & (t < 2147483648.0), t, 0.0)
            target[:] = t.astype(np.int64) & 0xFF
    return grey
