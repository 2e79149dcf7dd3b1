"""How many photons all pixels of an image have of its surroundings."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from nanobragg.engine.formats.nexus import unrendered
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.surroundings.kept import Kept
from nanobragg.kernels.surroundings.plan import Around, Sheet

MOST_KEPT = 48
_lock = threading.Lock()
_sums = Kept[tuple[Any, Any]](MOST_KEPT)  # of images that are held with them, so that no other has their numbers
_pixels: list[Any] = []  # roi and mask of those that were added up


def background_of(scene: Scene, around: Around | None) -> float:
    """Photons that all rendered pixels have of amorphous matter together."""
    if around is None:
        return 0.0
    light = around.light
    with _lock:
        _forget_other_pixels(scene)
        total = 0.0 if light.sheet is None else float(_seen_at_steps(scene, light.sheet) @ light.sheet.table)
        for part, weight in zip(light.parts, light.weights, strict=True):
            total += weight * _sum_of(scene, part)
        return around.scale * total


def _forget_other_pixels(scene: Scene) -> None:
    d = scene.detector
    if not _pixels or _pixels[0] != d.roi or not np.array_equal(_pixels[1], d.mask):
        _sums.forget()
        _pixels[:] = [d.roi, d.mask]


def _sum_of(scene: Scene, part: np.ndarray) -> float:
    def add_up() -> tuple[Any, Any]:
        return part, float(part[_rendered(scene)].sum(dtype=np.float64))

    return float(_sums.get(id(part), add_up)[1])


def _seen_at_steps(scene: Scene, sheet: Sheet) -> np.ndarray:
    """What the pixels see of a sheet, shared out to the steps of its table that their light is between."""

    def add_up() -> tuple[Any, Any]:
        rendered, last = _rendered(scene), len(sheet.table) - 1
        place = np.minimum(sheet.sines[rendered] * float(sheet.per_step), last)
        below, seen = np.minimum(place.astype(int), last - 1), sheet.seen[rendered].astype(float)
        above = seen * (place - below)
        return (sheet.sines, sheet.seen), np.bincount(below, seen - above, last + 1) + np.bincount(
            below + 1, above, last + 1
        )

    key = id(sheet.sines), id(sheet.seen), len(sheet.table), sheet.per_step
    return np.asarray(_sums.get(key, add_up)[1])


def _rendered(scene: Scene) -> np.ndarray:
    return unrendered(scene).ravel() == 0
