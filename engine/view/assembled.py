"""Panels put together as the sample sees them: one picture on a plane across the beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from nanobragg.engine.placed import Placed

LARGEST = 20_000  # pixels along an edge of the picture
EDGE = 1e-6  # metres that a panel must be in front of the sample


def across(beam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """To the right and upwards for who looks along the beam; up is +y, or +x where the beam goes upwards."""
    up = np.array([0.0, 1.0, 0.0]) if abs(beam[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(beam, up)
    right = right / np.linalg.norm(right)
    return right, np.cross(right, beam)


def assembled(panels: Sequence[Placed], images: Sequence[np.ndarray]) -> tuple[np.ndarray, Placed]:
    """One image of several panels, and where it is: a plane at the distance of the nearest panel.

    Each pixel goes where the ray to its middle meets that plane; -1 (or NaN of reals) is where no pixel is.
    """
    right, upwards = across(panels[0].beam)
    pixel, beam = panels[0].pixel_size, panels[0].beam
    points = [_middles(panel, image.shape) for panel, image in zip(panels, images, strict=True)]
    depths = [p @ beam for p in points]
    nearest = min(float(depth[depth > EDGE].min(initial=np.inf)) for depth in depths)
    if not np.isfinite(nearest):
        return np.concatenate(list(images)), panels[0]
    places = []
    for p, depth in zip(points, depths, strict=True):
        with np.errstate(all="ignore"):
            scale = np.where(depth > EDGE, nearest / depth, np.nan) / pixel
        places.append((p @ right * scale, -(p @ upwards) * scale))
    low_x, low_y = (min(np.nanmin(pair[k]) for pair in places) - 0.5 for k in (0, 1))
    width, height = (int(max(np.nanmax(pair[k]) for pair in places) - low) + 1 for k, low in ((0, low_x), (1, low_y)))
    if max(width, height) > LARGEST:
        return np.concatenate(list(images)), panels[0]
    kind = images[0].dtype
    canvas = np.full((height, width), np.nan if kind.kind == "f" else -1, kind if kind.kind != "u" else np.int64)
    for (x, y), image in zip(places, images, strict=True):
        inside = np.isfinite(x)
        canvas[(y[inside] - low_y).astype(int), (x[inside] - low_x).astype(int)] = image[inside]
    origin = beam * nearest + right * low_x * pixel - upwards * low_y * pixel
    flat = dataclasses.replace(panels[0], shape=(height, width), origin=origin, fast=right, slow=-upwards)
    return canvas, flat


def _middles(panel: Placed, shape: tuple[int, ...]) -> np.ndarray:
    """The middles of a panel's pixels, metres."""
    slow, fast = (np.arange(n) + 0.5 for n in shape)
    return panel.points(*np.meshgrid(slow, fast, indexing="ij"))
