"""From counts to shades: linear, square-root or logarithmic, over a range that shows the spots and the background."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SCALES = ("sqrt", "log", "linear")
BACKGROUND, BRIGHT = 1.0, 99.7  # percentiles
MOST_SAMPLES = 400_000


class GreyRange(NamedTuple):
    """The values that are white and black."""

    lowest: float
    highest: float


def automatic(pixels: np.ndarray) -> GreyRange:
    """A range for an image; what is below 0 in whole numbers is no pixel, and does not count."""
    step = max(pixels.size // MOST_SAMPLES, 1)
    some = pixels.reshape(-1)[::step].astype(float)
    some = some[np.isfinite(some) & ((some >= 0.0) | (pixels.dtype.kind not in "iu"))]
    if not some.size:
        return GreyRange(0.0, 1.0)
    low, high = (float(x) for x in np.percentile(some, (BACKGROUND, BRIGHT)))
    if not high > low:
        high = float(some.max())
    return GreyRange(min(low, 0.0) if low < 0.0 else 0.0, high if high > low else low + 1.0)


def shades(pixels: np.ndarray, scale: str, limits: GreyRange) -> np.ndarray:
    """Shades from 0 (lowest) to 1 (highest), NaN where there is no pixel."""
    values = pixels.astype(float)
    if pixels.dtype.kind in "iu":
        values[pixels < 0] = np.nan
    span = max(limits.highest - limits.lowest, 1e-30)
    x = np.clip((values - limits.lowest) / span, 0.0, 1.0)
    if scale == "sqrt":
        return np.sqrt(x)
    if scale == "log":
        floor = 1e-4
        return np.log1p(x / floor) / np.log1p(1.0 / floor)
    return x
