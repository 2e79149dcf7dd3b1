"""Pictures of a comparison; without matplotlib there are none."""

from __future__ import annotations

import pathlib
import sys

import numpy as np

ZOOM = 20  # pixels on each side of the worst one


def compare_pictures(folder: pathlib.Path, a: np.ndarray, b: np.ndarray, worst: tuple[int, int]) -> None:
    """A, B, their difference and ratio as PNG, and the surroundings of the worst pixel (slow, fast)."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("nb-compare: no pictures: pip install matplotlib", file=sys.stderr)
        return
    x, y = a.astype(float), b.astype(float)
    with np.errstate(all="ignore"):
        shown = {"A": x, "B": y, "difference": x - y, "ratio": np.where(y != 0.0, x / y, np.nan)}
    top = _top(y)
    for name, image in shown.items():
        figure, axes = pyplot.subplots(figsize=(7, 6))
        _draw(figure, axes, name, image, top)
        figure.savefig(folder / f"{name}.png", dpi=100)
        pyplot.close(figure)
    rows, columns = (slice(max(at - ZOOM, 0), at + ZOOM + 1) for at in worst)
    figure, all_axes = pyplot.subplots(2, 2, figsize=(11, 9))
    for axes, (name, image) in zip(all_axes.flat, shown.items(), strict=True):
        _draw(figure, axes, f"{name} around slow {worst[0]} fast {worst[1]}", image[rows, columns], top)
    figure.savefig(folder / "zoom.png", dpi=100)
    pyplot.close(figure)


def _top(image: np.ndarray) -> float:
    finite = image[np.isfinite(image)]
    return float(np.percentile(finite, 99.5)) if finite.size else 1.0


def _draw(figure, axes, name: str, image: np.ndarray, top: float) -> None:
    """Images from 0 to the brightest half percent, differences about 0, ratios about 1."""
    kind = name.split()[0]
    if kind in ("A", "B"):
        limits, colours = (0.0, top or 1.0), "gray_r"
    else:
        centre = 0.0 if kind == "difference" else 1.0
        finite = image[np.isfinite(image)]
        span = float(np.abs(finite - centre).max(initial=0.0)) or 1e-30
        limits, colours = (centre - span, centre + span), "RdBu"
    drawn = axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axes.set_title(name)
    axes.set_xlabel("fast")
    axes.set_ylabel("slow")
    figure.colorbar(drawn, ax=axes)
