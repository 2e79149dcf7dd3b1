"""Do two images agree? Figures, worst pixels, matched peaks, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine.check.verdict import in_words
from nanobragg.engine.errors import BadInput

FAST_OF_PIXEL, FAST_OF_MAXIMUM = 1e-6, 1e-9
ULP_EDGES = (0, 1, 2, 4, 8, 16, 64, 256, 4096, 65536)
MOST_PEAKS = 50


class Tolerance(NamedTuple):
    """How far a pixel may be off: a share of itself, or of the maximum of B."""

    of_pixel: float
    of_maximum: float


def tolerance_of(text: str) -> Tolerance:
    """``fast``, ``exact``, a share of the pixel, or two numbers, of the pixel and of the maximum: ``1e-6,1e-9``."""
    if text == "fast":
        return Tolerance(FAST_OF_PIXEL, FAST_OF_MAXIMUM)
    if text == "exact":
        return Tolerance(0.0, 0.0)
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(0.0 <= n < math.inf for n in numbers):
        raise BadInput(f"--tolerance {text}: fast, exact, a number, or two (of the pixel, of the maximum)", 2)
    return Tolerance(numbers[0], numbers[1] if len(numbers) == 2 else 0.0)


def compare(
    a: np.ndarray, b: np.ndarray, kept: np.ndarray, tolerance: Tolerance, threshold: float = 1e-6
) -> dict[str, Any]:
    """Figures of two images (slow, fast) of one shape.

    Parameters
    ----------
    a, b
        The images; ``b`` is the reference whose maximum scales differences.
    kept
        Which pixels count, bool (slow, fast).
    tolerance
        What each pixel is held against.
    threshold
        Share of the maximum above which relative differences are looked at.

    Returns
    -------
    dict
        Plain numbers, for JSON; ``agree`` is the verdict.
    """
    if a.shape != b.shape:
        raise BadInput(f"the images have different shapes: {a.shape} and {b.shape} (slow, fast)", 2)
    x, y = a[kept].astype(np.float64), b[kept].astype(np.float64)
    if not x.size:
        raise BadInput("no pixel is left to compare: roi or mask leave none", 2)
    finite = np.isfinite(x) & np.isfinite(y)
    same = (a[kept] == b[kept]) | (np.isnan(x) & np.isnan(y))
    largest = float(np.abs(y[np.isfinite(y)]).max(initial=0.0))
    with np.errstate(all="ignore"):
        difference = np.where(same, 0.0, np.abs(x - y))
        allowed = tolerance.of_pixel * np.abs(y) + tolerance.of_maximum * largest
        bad = ~same & ~(finite & (difference <= allowed))
        relative = np.where(same, 0.0, difference / np.maximum(np.abs(x), np.abs(y)))
    places = np.flatnonzero(kept)
    bright = finite & (np.maximum(np.abs(x), np.abs(y)) > threshold * largest)
    return {
        "agree": not bad.any(),
        "verdict": in_words(a, b, kept, int(bad.sum())),
        "tolerance": tolerance._asdict(),
        "pixels": int(x.size),
        "identical": int(same.sum()),
        "identical_share": float(same.mean()),
        "outside_tolerance": int(bad.sum()),
        "not_finite": [int((~np.isfinite(v)).sum()) for v in (x, y)],
        "maximum": [_largest(x), _largest(y)],
        "worst_absolute": _worst(np.where(finite, difference, 0.0), x, y, places, a.shape, largest),
        "worst_relative": _worst(np.where(bright, relative, 0.0), x, y, places, a.shape, 1.0),
        "worst_outside_tolerance": _worst_outside(bad, difference, x, y, places, a.shape),
        "threshold": threshold,
        "sums": [float(x[finite].sum()), float(y[finite].sum())],
        "sum_ratio": _ratio(float(x[finite].sum()), float(y[finite].sum())),
        "rms_difference": float(np.sqrt(np.mean((x[finite] - y[finite]) ** 2))) if finite.any() else None,
        "correlation": correlation(x[finite], y[finite]),
        "ulp": ulp_histogram(a[kept], b[kept]),
        "peaks": matched_peaks(np.where(kept, a, 0), np.where(kept, b, 0)),
    }


def _largest(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else None


def _ratio(a: float, b: float) -> float | None:
    return a / b if b != 0.0 else None


def _pixel(i: int, x: np.ndarray, y: np.ndarray, places: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    slow, fast = divmod(int(places[i]), shape[1])
    return {"slow": slow, "fast": fast, "a": _json_number(x[i]), "b": _json_number(y[i])}


def _json_number(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _worst(
    measure: np.ndarray, x: np.ndarray, y: np.ndarray, places: np.ndarray, shape: tuple[int, ...], scale: float
) -> dict[str, Any]:
    """The pixel with the largest measure; ``value`` is over ``scale``."""
    i = int(np.argmax(measure))
    return {"value": float(measure[i]) / (scale or 1.0), **_pixel(i, x, y, places, shape)}


def _worst_outside(
    bad: np.ndarray, difference: np.ndarray, x: np.ndarray, y: np.ndarray, places: np.ndarray, shape: tuple[int, ...]
) -> dict[str, Any] | None:
    if not bad.any():
        return None
    with np.errstate(invalid="ignore"):
        measure = np.where(bad, np.where(np.isfinite(difference), difference, np.inf), -1.0)
    return _pixel(int(np.argmax(measure)), x, y, places, shape)


def correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's coefficient; nothing where an image is constant."""
    if x.size < 2:
        return None
    u, v = x - x.mean(), y - y.mean()
    norm = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
    return float(u @ v) / norm if norm > 0.0 and math.isfinite(norm) else None


def ulp_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many representable numbers lie between two arrays of one floating type; int64, NaN is far from all."""
    integer = {2: np.int16, 4: np.int32, 8: np.int64}[a.dtype.itemsize]
    keys = []
    for values in (a, b):
        bits = np.ascontiguousarray(values).view(integer).astype(np.int64)
        lowest = np.int64(np.iinfo(integer).min)
        keys.append(np.where(bits < 0, lowest - bits, bits).astype(np.float64))
    distance = np.abs(keys[0] - keys[1])
    return np.where(np.isnan(a) != np.isnan(b), np.inf, np.where(np.isnan(a) & np.isnan(b), 0.0, distance))


def ulp_histogram(a: np.ndarray, b: np.ndarray) -> dict[str, int] | None:
    """Pixels by the distance in units of the last place, where both images are of one floating type."""
    if a.dtype != b.dtype or a.dtype.kind != "f" or a.dtype.itemsize not in (2, 4, 8):
        return None
    distance = ulp_distance(a, b)
    counts = {}
    for low, high in zip(ULP_EDGES, (*ULP_EDGES[1:], np.inf), strict=True):
        name = str(low) if high == low + 1 else f">={low}" if high == np.inf else f"{low}-{int(high) - 1}"
        counts[name] = int(((distance >= low) & ((distance < high) | (high == np.inf))).sum())
    return counts


def peaks_of(image: np.ndarray, most: int = MOST_PEAKS) -> np.ndarray:
    """The brightest local maxima above the mean, (n, 2) slow and fast, brightest first."""
    finite = np.nan_to_num(image.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    padded = np.pad(finite, 1, constant_values=-np.inf)
    shifted = [
        padded[1 + i : padded.shape[0] - 1 + i, 1 + j : padded.shape[1] - 1 + j]
        for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    ]  # fmt: skip
    is_peak = (finite > finite.mean()) & np.logical_and.reduce([finite >= other for other in shifted])
    found = np.argwhere(is_peak)
    order = np.argsort(-finite[is_peak], kind="stable")[:most]
    return found[order]


def matched_peaks(a: np.ndarray, b: np.ndarray, reach: float = 5.0) -> dict[str, Any]:
    """Each of A's brightest peaks with the nearest of B's within ``reach`` pixels, and how far apart they are."""
    ours, theirs = peaks_of(a), peaks_of(b, 4 * MOST_PEAKS)
    if not len(ours) or not len(theirs):
        return {"looked_at": len(ours), "matched": 0, "largest_displacement": None, "mean_displacement": None}
    apart = np.sqrt(((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)).min(axis=1)
    near = apart[apart <= reach]
    return {
        "looked_at": len(ours),
        "matched": len(near),
        "largest_displacement": float(near.max()) if len(near) else None,
        "mean_displacement": float(near.mean()) if len(near) else None,
    }


def summary(figures: dict[str, Any], names: tuple[str, str], pictures: Sequence[str] = ()) -> str:
    """A report in Markdown; ``pictures`` are the names of those beside it."""
    worst, relative = figures["worst_absolute"], figures["worst_relative"]
    verdict = "agree" if figures["agree"] else "DIFFER"
    lines = [
        f"# {names[0]} and {names[1]} {verdict}", "",
        f"{figures['verdict']}.", "",
        f"Tolerance: {figures['tolerance']['of_pixel']:g} of the pixel or "
        f"{figures['tolerance']['of_maximum']:g} of the maximum.",
        "", "| figure | value |", "|---|---|",
        f"| pixels compared | {figures['pixels']} |",
        f"| identical | {figures['identical']} ({figures['identical_share']:.4%}) |",
        f"| outside the tolerance | {figures['outside_tolerance']} |",
        f"| maximum of A, of B | {figures['maximum'][0]!r}, {figures['maximum'][1]!r} |",
        f"| worst difference, of the maximum | {worst['value']:.3g} at slow {worst['slow']} fast {worst['fast']}: "
        f"{worst['a']!r} and {worst['b']!r} |",
        f"| worst relative, above {figures['threshold']:g} of the maximum | {relative['value']:.3g} at slow "
        f"{relative['slow']} fast {relative['fast']}: {relative['a']!r} and {relative['b']!r} |",
        f"| sum of A over sum of B | {figures['sum_ratio']!r} |",
        f"| RMS difference | {figures['rms_difference']!r} |",
        f"| correlation (says nothing about the scale) | {figures['correlation']!r} |",
        f"| pixels that are no number: A, B | {figures['not_finite'][0]}, {figures['not_finite'][1]} |",
        f"| peaks matched | {figures['peaks']['matched']} of {figures['peaks']['looked_at']}, at most "
        f"{figures['peaks']['largest_displacement']} pixels apart |",
    ]  # fmt: skip
    if figures["ulp"]:
        counts = ", ".join(f"{name}: {count}" for name, count in figures["ulp"].items() if count)
        lines.append(f"| units in the last place | {counts} |")
    for name in ("roi", "mask", "integer_mismatches", "seconds"):
        if figures.get(name) is not None:
            lines.append(f"| {name.replace('_', ' ')} | {figures[name]} |")
    lines += [f"\n![{name.removesuffix('.png')}]({name})" for name in pictures]
    return "\n".join(lines) + "\n"
