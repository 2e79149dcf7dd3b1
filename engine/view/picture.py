"""Pictures of images: shades, resolution rings, the beam centre, the detector's own coordinates."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.placed import Placed, panels_of_scene
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.view.assembled import assembled
from nanobragg.engine.view.scale import GreyRange, automatic, shades

DPI, MARGIN_IN, PLOT = 100, 0.8, 0.865  # of the width, what the pixels take
NICE_A = (50, 20, 10, 7, 5, 4, 3.5, 3, 2.5, 2.2, 2, 1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7)
RING, LABEL, GAP, SPOT = "#d62728", "#b01f20", "#dfe6ee", "#1f77b4"
FEW, FLATTEST, TALLEST = 2, 0.15, 4.0  # images with coordinates; height over width of the axes
MOST_RINGS = 5
SAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Look:
    """How an image is shown.

    Parameters
    ----------
    scale
        ``sqrt``, ``log`` or ``linear``.
    limits
        Values that are white and black; by what is in the image if not given.
    crop
        First and last fast, first and last slow pixel.
    rings
        Whether there are resolution rings.
    width
        Pixels of the picture across.
    """

    scale: str = "sqrt"
    limits: GreyRange | None = None
    crop: tuple[int, int, int, int] | None = None
    rings: bool = True
    width: int = 1000


@dataclasses.dataclass(frozen=True)
class Shown:
    """An image with its title, where it was taken, if that is known, and predicted spots.

    ``spots`` (n, 2; slow, fast pixels), ``labels`` their names.
    """

    pixels: np.ndarray
    title: str
    placed: Placed | None = None
    spots: np.ndarray | None = None
    labels: tuple[str, ...] = ()


def pyplot() -> Any:
    """matplotlib's, without a window; raises `BadInput` where it is missing."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as found
    except ImportError:
        raise BadInput("pictures need matplotlib: pip install 'nanobragg[pictures]'") from None
    return found


def write_picture(path: str, pixels: np.ndarray, scene: Scene) -> None:
    """The picture of one image, as `nanoBragg --output x.png` leaves it."""
    placed = [] if scene.detector.curved else panels_of_scene(scene)
    flat = placed[0] if placed else None
    if len(placed) > 1:
        pixels, flat = assembled(placed, list(pixels.reshape(scene.detector.shape)))
    shown = Shown(pixels, os.path.splitext(os.path.basename(path))[0], flat)
    draw(path, [shown], Look())


def draw(path: str, images: Sequence[Shown], look: Look, across: int | None = None) -> None:
    """Write pictures of some images side by side, or in rows of so many, all with one scale, as PNG."""
    plt = pyplot()
    across = min(across or len(images), len(images))
    rows = math.ceil(len(images) / across)
    limits = look.limits or _common([cropped(image.pixels, look.crop) for image in images])
    height, width = cropped(images[0].pixels, look.crop).shape
    each = look.width / DPI / across
    ratio = min(max(height / width, FLATTEST), TALLEST)
    margin = MARGIN_IN if len(images) <= FEW else MARGIN_IN / 2.0  # room for the names of axes
    size = (look.width / DPI, rows * (PLOT * each * ratio + margin))
    figure, all_axes = plt.subplots(rows, across, squeeze=False, dpi=DPI, figsize=size, layout="constrained")
    try:
        for axes in all_axes.flat[len(images) :]:
            axes.set_axis_off()
        for axes, image in zip(all_axes.flat, images, strict=False):
            drawn = _draw_one(axes, image, look, limits)
            if len(images) > FEW:
                axes.set_xlabel("")
                axes.set_ylabel("")
                axes.set_xticks([])
                axes.set_yticks([])
        _colour_bar(figure, drawn, all_axes, look.scale, limits)
        with whole_file(path, "output") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels that are hard to place in small pictures
            figure.savefig(file, format="png", dpi=DPI)
    finally:
        plt.close(figure)


def cropped(pixels: np.ndarray, crop: tuple[int, int, int, int] | None) -> np.ndarray:
    """The part of an image that is asked for."""
    if crop is None:
        return pixels
    first_fast, last_fast, first_slow, last_slow = crop
    part = pixels[max(first_slow, 0) : last_slow + 1, max(first_fast, 0) : last_fast + 1]
    if not part.size:
        raise BadInput(
            f"crop {' '.join(map(str, crop))}: no pixel of {pixels.shape[1]} x {pixels.shape[0]} (fast x slow)"
        )
    return part


def _common(images: Sequence[np.ndarray]) -> GreyRange:
    found = [automatic(image) for image in images]
    return GreyRange(min(r.lowest for r in found), max(r.highest for r in found))


def _draw_one(axes: Any, image: Shown, look: Look, limits: GreyRange) -> Any:
    part = cropped(image.pixels, look.crop)
    first_fast, _, first_slow, _ = look.crop or (0, 0, 0, 0)
    corner = (max(first_slow, 0), max(first_fast, 0))
    extent = (corner[1] - 0.5, corner[1] + part.shape[1] - 0.5, corner[0] + part.shape[0] - 0.5, corner[0] - 0.5)
    small, step = brightest_of_blocks(part, look.width)
    axes.set_facecolor(GAP)
    rows, columns = (n * step for n in small.shape)  # the last blocks may be of fewer pixels
    blocks = (extent[0], extent[0] + columns, extent[3] + rows, extent[3])
    drawn = axes.imshow(
        shades(small, look.scale, limits), cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest", extent=blocks
    )
    axes.set_title(image.title, fontsize=10)
    axes.set_xlabel("fast / pixels", fontsize=9)
    axes.set_ylabel("slow / pixels", fontsize=9)
    axes.tick_params(labelsize=8)
    if image.placed is not None and look.rings:
        _rings(axes, image.placed, extent)
    if image.spots is not None and len(image.spots):
        axes.plot(image.spots[:, 1] - 0.5, image.spots[:, 0] - 0.5, "o", mfc="none", mec=SPOT, ms=5, mew=0.7)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    return drawn


def brightest_of_blocks(pixels: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """An image of some pixels across, each the brightest of its block, so that spots stay; and the edge of a block."""
    step = max(math.ceil(max(pixels.shape) / (1.5 * most)), 1)
    if step == 1:
        return pixels, 1
    slow, fast = (-(-n // step) * step for n in pixels.shape)
    lowest = -1 if pixels.dtype.kind == "i" else 0
    padded = np.full((slow, fast), lowest, pixels.dtype)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    return padded.reshape(slow // step, step, fast // step, step).max(axis=(1, 3)), step


def ring_resolutions(placed: Placed) -> list[float]:
    """Round numbers of Angstrom whose rings are spread over the panel."""
    slow, fast = placed.shape
    along, zeros = np.linspace(0.0, 1.0, 50), np.zeros(50)
    border = [(along * slow, zeros), (along * slow, zeros + fast), (zeros, along * fast), (zeros + slow, along * fast)]
    finest = min(float(placed.resolution(s, f).min()) for s, f in border)
    centre = placed.beam_center()
    inside = centre is not None and 0 <= centre[0] <= slow and 0 <= centre[1] <= fast
    coarsest = 1e3 if inside else max(float(placed.resolution(s, f).max()) for s, f in border)
    wanted = np.linspace(1.0 / finest, 1.0 / min(coarsest, 1e3), MOST_RINGS + 1)[:-1] * 0.98
    near = [min(NICE_A, key=lambda d, q=q: abs(1.0 / d - q)) for q in wanted]  # type: ignore[misc]
    return sorted({d for d in near if finest <= d <= coarsest}, reverse=True)


def ring(placed: Placed, d_A: float) -> np.ndarray | None:
    """Points of a resolution ring on the panel's plane, (n, 2) slow and fast pixels; `None` where there is none."""
    half = placed.wavelength_A / (2.0 * d_A)
    if half >= 1.0:
        return None
    theta2, angle = 2.0 * math.asin(half), np.linspace(0.0, 2.0 * math.pi, SAMPLES)
    across = np.cross(placed.beam, placed.fast if abs(placed.beam @ placed.fast) < 0.9 else placed.slow)
    u = across / np.linalg.norm(across)
    v = np.cross(placed.beam, u)
    cone = math.cos(theta2) * placed.beam + math.sin(theta2) * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)
    normal = np.cross(placed.fast, placed.slow)
    with np.errstate(all="ignore"):
        reach = (placed.origin @ normal) / (cone @ normal)
    hits = np.where((reach > 0.0)[:, None], cone * reach[:, None] - placed.origin, np.nan)
    return np.column_stack([hits @ placed.slow, hits @ placed.fast]) / placed.pixel_size


def _rings(axes: Any, placed: Placed, extent: tuple[float, ...]) -> None:
    left, right, bottom, top = extent
    for d in ring_resolutions(placed):
        points = ring(placed, d)
        if points is None:
            continue
        slow, fast = points[:, 0] - 0.5, points[:, 1] - 0.5
        axes.plot(fast, slow, color=RING, lw=0.7, alpha=0.75)
        inside = (fast > left) & (fast < right) & (slow > top) & (slow < bottom)
        if inside.any():
            at = np.flatnonzero(inside)[np.argmax(fast[inside])]
            axes.text(fast[at], slow[at], f"{d:g} Å", color=LABEL, fontsize=8, ha="right", va="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1})  # fmt: skip
    centre = placed.beam_center()
    if centre is not None:
        axes.plot(centre[1] - 0.5, centre[0] - 0.5, "+", color=RING, ms=8, mew=1.0)


def _colour_bar(figure: Any, drawn: Any, axes: Any, scale: str, limits: GreyRange) -> None:
    """Labelled with the values that the shades stand for."""
    values = np.linspace(limits.lowest, limits.highest, 5)
    if scale == "log":
        values = limits.lowest + (limits.highest - limits.lowest) * np.array([0.0, 1e-3, 1e-2, 1e-1, 1.0])
    ticks = shades(values, scale, limits)
    bar = figure.colorbar(drawn, ax=axes, ticks=ticks, shrink=0.7, aspect=30, pad=0.01, extend="max")
    bar.ax.set_yticklabels([f"{value:.3g}" for value in values], fontsize=8)
    bar.set_label("photons", fontsize=9)
