"""From photons to integers: figures of an image, and the scalings to 16 and 8 bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nanobragg.engine.c_numbers import divide
from nanobragg.kernels.plan import RenderPlan


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
        if len(part):
            wide = part.astype(np.float64)
            wide[0] += total
            total = float(np.add.accumulate(wide, out=wide)[-1])
    return total


def _rows(plan: RenderPlan, raster: np.ndarray, *, masked: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Row number and pixels of each row of the roi, in raster order; without the masked ones if ``masked``."""
    rows, columns = _roi_slices(plan)
    image = raster.reshape(plan.n_slow, plan.n_fast)
    mask = plan.mask.reshape(image.shape) if masked and plan.mask.size else None
    for slow in range(*rows.indices(plan.n_slow)):
        row = image[slow, columns]
        yield slow, row if mask is None else row[mask[slow, columns] != 0]


def statistics(plan: RenderPlan, image: np.ndarray, omega_sum: np.ndarray) -> Statistics:
    """Figures of ``image`` (slow, fast), sums in raster order; ``omega_sum`` are the solid angles of each pixel."""

    def rendered(raster: np.ndarray) -> Iterator[np.ndarray]:
        return (row for _, row in _rows(plan, raster, masked=True))

    with np.errstate(all="ignore"):
        count = max(sum(len(row) for row in rendered(image)), 1)
        mean = running_sum(rendered(image)) / count
        square_sum = running_sum(row * row for row in rendered(image))  # binary32 products (Q29)
        rms = _root(square_sum, max(count, 2) - 1)
        omega = running_sum(rendered(omega_sum))
        in_roi = [row for _, row in _rows(plan, image, masked=False)]
        deviations = (row.astype(np.float64) - mean for row in in_roi)
        rmsd = _root(running_sum(u * u for u in deviations), max(sum(map(len, in_roi)), 2) - 1)
        max_I, max_at = _maximum(plan, image)
    return Statistics(max_I, max_at, mean, rms, rmsd, divide(omega, plan.steps))


def _root(total: float, count: int) -> float:
    mean = total / count
    return math.sqrt(mean) if mean >= 0.0 else mean


def _maximum(plan: RenderPlan, image: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The first maximum above 0, at the last sub-pixel of its pixel (Q31); what is not rendered is 0."""
    highest, where = np.float32(0.0), None
    for slow, row in _rows(plan, image, masked=False):
        if len(row) and np.fmax.reduce(row) > highest:
            fast = int(np.nanargmax(row))
            highest, where = row[fast], (fast + max(plan.roi[0], 0), slow)
    if where is None:
        return 0.0, (0.0, 0.0)
    sub = plan.pixel_size / plan.oversample
    at = tuple(sub * (i * plan.oversample + plan.oversample - 1) + sub / 2.0 for i in where)
    return float(highest), at  # type: ignore[return-value]


def _roi_slices(plan: RenderPlan) -> tuple[slice, slice]:
    fast_first, fast_last, slow_first, slow_last = plan.roi
    return slice(slow_first, max(slow_last + 1, slow_first)), slice(fast_first, max(fast_last + 1, fast_first))


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
            # fmax makes 0 of what is no number, as the conversion to integers does in the original
            t = np.fmin(np.fmax(row.astype(np.float64) * scale + adc, 0.0), 65535.0)
            target[:] = np.floor((t + 0.5).astype(np.float32)).astype(np.int32)
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
