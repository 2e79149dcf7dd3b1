"""Pictures of a comparison; without matplotlib there are none."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import numpy as np

from nanobragg.engine.formats.whole import whole_file

ZOOM = 20  # pixels on each side of the worst one
LINEAR = 1e-6  # of the largest difference, below which the scale of differences is linear
MOST_POWERS = 4.0  # of two, to which ratios are clipped
NAMES = ("A", "B", "difference", "ratio")


def compare_pictures(folder: pathlib.Path, a: np.ndarray, b: np.ndarray, worst: tuple[int, int]) -> list[str]:
    """A, B, their difference and ratio as PNG, and the surroundings of the worst pixel (slow, fast); their names."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("nb-compare: no pictures: pip install matplotlib", file=sys.stderr)
        return []
    x, y = a.astype(float), b.astype(float)
    with np.errstate(all="ignore"):
        ratio = np.where((x > 0.0) & (y > 0.0), np.log2(x / y), np.nan)
    shown = dict(zip(NAMES, (x, y, x - y, ratio), strict=True))
    top = max(_top(x), _top(y)) or 1.0
    paths = []
    for name, image in shown.items():
        figure, axes = pyplot.subplots(figsize=(7, 6))
        _draw(figure, axes, name, image, top, (0, 0))
        paths.append(f"{name}.png")
        _save(figure, folder / paths[-1])
    rows, columns = (slice(max(at - ZOOM, 0), at + ZOOM + 1) for at in worst)
    figure, all_axes = pyplot.subplots(2, 2, figsize=(11, 9))
    for axes, (name, image) in zip(all_axes.flat, shown.items(), strict=True):
        _draw(figure, axes, name, image[rows, columns], top, (rows.start, columns.start))
    figure.suptitle(f"around slow {worst[0]}, fast {worst[1]}")
    figure.tight_layout()
    _save(figure, folder / "zoom.png")
    return [*paths, "zoom.png"]


def _save(figure: Any, path: pathlib.Path) -> None:
    from matplotlib import pyplot

    with whole_file(str(path), "--outdir") as file:
        figure.savefig(file, dpi=100, format="png")
    pyplot.close(figure)


def _top(image: np.ndarray) -> float:
    finite = image[np.isfinite(image)]
    return float(np.percentile(finite, 99.5)) if finite.size else 0.0


def _scale(name: str, image: np.ndarray, top: float) -> tuple[str, dict[str, Any]]:
    """Colours and their scale.

    Images go from 0 to the brightest half percent, differences by their logarithm to both sides of 0, ratios as powers
    of two to both sides of 1.
    """
    from matplotlib.colors import Normalize, SymLogNorm

    if name in ("A", "B"):
        return "gray_r", {"norm": Normalize(0.0, top)}
    if name == "ratio":
        return "RdBu", {"norm": Normalize(-MOST_POWERS, MOST_POWERS)}
    largest = float(np.abs(image[np.isfinite(image)]).max(initial=0.0)) or 1e-30
    return "RdBu", {"norm": SymLogNorm(largest * LINEAR, vmin=-largest, vmax=largest, base=10)}


TITLES = {"difference": "A - B (symmetric logarithm)", "ratio": f"log2(A / B), clipped at {MOST_POWERS:g}"}


def _draw(figure: Any, axes: Any, name: str, image: np.ndarray, top: float, corner: tuple[int, int]) -> None:
    """One image with the detector's own coordinates, its first pixel at ``corner`` (slow, fast)."""
    colours, scale = _scale(name, image, top)
    (slow, fast), (rows, columns) = corner, image.shape
    extent = (fast - 0.5, fast + columns - 0.5, slow + rows - 0.5, slow - 0.5)
    drawn = axes.imshow(image, cmap=colours, interpolation="nearest", extent=extent, **scale)
    axes.set_title(TITLES.get(name, name))
    axes.set_xlabel("fast / pixels")
    axes.set_ylabel("slow / pixels")
    figure.colorbar(drawn, ax=axes, extend="both" if name == "ratio" else "neither")
