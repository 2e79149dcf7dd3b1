"""Spots of images as reflections of experiments, in DIALS' laboratory: one for each passage through Ewald's sphere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nanobragg.engine.formats import refl
from nanobragg.engine.formats.expt import to_dials
from nanobragg.engine.placed import panels_of_scene, turned_about
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.labels import SpotTruth

LEAST_PHOTONS, SIGMAS = 5.0, 3.0  # of a spot that can be seen


class SpotsOfImage(NamedTuple):
    """Spots of an image; which experiment is the first of its crystals, and where it stands in its scan (from 0)."""

    scene: Scene
    spots: SpotTruth
    experiment: int
    place: int


def can_be_seen(spots: SpotTruth) -> np.ndarray:
    """Spots that stand out of the noise of their background."""
    noise = np.sqrt(np.maximum(spots.background, 0.0))
    return np.asarray((spots.photons >= LEAST_PHOTONS) & (spots.photons >= SIGMAS * noise))


def of_stills(images: Sequence[SpotsOfImage]) -> dict[str, np.ndarray]:
    """Columns of `nanobragg.engine.formats.refl.COLUMNS`: all spots, each in its own experiment."""
    return _joined([_columns(image, None) for image in images])


def of_scan(images: Sequence[SpotsOfImage], *, falling: bool) -> dict[str, np.ndarray]:
    """The same of a rotation: what several images have of a passage is one reflection.

    Passages that begin before the first image or end behind the last are among them if the node meets the sphere.
    """
    parts = [_columns(image, falling) for image in images]
    joined = _joined(parts)
    if not len(joined["id"]):
        return joined
    key = np.column_stack([joined["miller_index"], joined["entering"], joined["id"], joined["panel"]])
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.ravel()
    order = np.lexsort((joined["xyzcal.px"][:, 2], group))
    group, joined = group[order], {name: values[order] for name, values in joined.items()}
    # A node passes the sphere in the same sense again a turn later: images that do not follow each other.
    gaps = (np.diff(group) != 0) | (np.diff(joined["bbox"][:, 4]) > 1)
    starts = np.flatnonzero(np.concatenate([[True], gaps]))
    return _merged(joined, starts)


def _merged(joined: dict[str, np.ndarray], starts: np.ndarray) -> dict[str, np.ndarray]:
    """Rows that belong together as one each: sums, weighted means, and the place where the node meets the sphere."""
    number = np.repeat(np.arange(len(starts)), np.diff([*starts, len(joined["id"])]))
    meets = joined["_whole"].astype(bool)
    best = np.full(len(starts), -1)
    best[number[meets]] = np.flatnonzero(meets)
    kept = best >= 0
    found = {name: values[np.maximum(best, 0)][kept] for name, values in joined.items()}
    for name in ("intensity.sum.value", "intensity.sum.variance", "background.sum.value", "partiality"):
        found[name] = np.add.reduceat(joined[name], starts)[kept]
    weights = np.maximum(joined["intensity.sum.value"], 1e-30)
    total = np.add.reduceat(weights, starts)
    for name in ("xyzobs.px.value", "xyzobs.mm.value"):
        found[name] = (np.add.reduceat(joined[name] * weights[:, None], starts) / total[:, None])[kept]
    box = joined["bbox"]
    for column, reduce in zip(range(6), (np.minimum, np.maximum) * 3, strict=True):
        found["bbox"][:, column] = reduce.reduceat(box[:, column], starts)[kept]
    seen = np.bitwise_or.reduceat(joined["flags"], starts)[kept]
    return found | {"flags": seen}


def _columns(image: SpotsOfImage, falling: bool | None) -> dict[str, np.ndarray]:
    """Those of an image; ``falling`` of a scan, ``None`` of a still, whatever it turned by."""
    scene, s, lab = image.scene, image.spots, to_dials(image.scene)
    d, count, still = scene.detector, len(image.spots.d_A), falling is None
    q = np.zeros((count, 3))
    for n, alone in enumerate(scene.each_crystal):
        own = s.crystal == n
        turned = np.array(alone.crystal.recip)
        if still:
            turned = turned_about(turned, scene.scan.spindle, scene.scan.mean)
        q[own] = s.hkl[own] @ turned
    size = d.pixel_size * 1e3
    front = _front(scene, s)
    z, angle, place = np.full(count, 0.5), np.zeros(count), 0 if still else image.place
    if not still:
        begin, width = scene.scan.mean - scene.scan.osc / 2.0, scene.scan.osc
        phi = np.radians(s.phi_deg)
        at = (phi - begin) / width
        z, angle = image.place + (1.0 - at if falling else at), (-phi if falling else phi)
    calculated = _as_dials(scene, front, s.panel, s.slow_mm / size, s.fast_mm / size)
    variance = 1.0 / np.maximum(s.photons, 1.0)
    flags = np.where(can_be_seen(s), refl.STRONG | refl.OBSERVED, 0) | refl.PREDICTED | refl.INDEXED | refl.INTEGRATED
    middle = np.full(count, place + 0.5)
    return {
        "id": image.experiment + s.crystal, "panel": s.panel, "flags": flags, "miller_index": s.hkl,
        "s1": front @ lab.T / (scene.beam.mean_wavelength * 1e10),
        "xyzcal.px": np.column_stack([calculated[1], calculated[0], z]),
        "xyzcal.mm": np.column_stack([s.fast_mm, s.slow_mm, angle]),
        "xyzobs.px.value": np.column_stack([s.mean_fast, s.mean_slow, middle]),
        "xyzobs.px.variance": np.column_stack([variance] * 3),
        "xyzobs.mm.value": np.column_stack([s.mean_fast * size, s.mean_slow * size, angle]),
        "xyzobs.mm.variance": np.column_stack([variance * size**2] * 2 + [variance * max(scene.scan.osc, 1e-6) ** 2]),
        "rlp": q @ lab.T, "intensity.sum.value": s.photons,
        "intensity.sum.variance": np.maximum(s.photons, 0.0) + s.background, "background.sum.value": s.background,
        "partiality": s.partiality, "d": s.d_A,
        "bbox": np.column_stack([s.box, np.tile([place, place + 1], (count, 1))]).astype(np.int64),
        "entering": s.entering != bool(falling), "_whole": s.whole,
    }  # fmt: skip


def _front(scene: Scene, spots: SpotTruth) -> np.ndarray:
    """Unit vectors to where beams meet the fronts of panels."""
    points = np.zeros((len(spots.d_A), 3))
    size = scene.detector.pixel_size * 1e3
    for number, panel in enumerate(panels_of_scene(scene)):
        own = spots.panel == number
        points[own] = panel.points(spots.slow_mm[own] / size, spots.fast_mm[own] / size)
    return points / np.maximum(np.linalg.norm(points, axis=1), 1e-30)[:, None]


def _as_dials(
    scene: Scene, s1: np.ndarray, panels: np.ndarray, slow: np.ndarray, fast: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels as DIALS takes them from millimetres: with 1/mu - (l + 1/mu) exp(-mu l) for the depth of absorption.

    That is the mean depth of all photons that come, those that pass through at depth 0.
    """
    d = scene.detector
    if d.thickness == 0.0 or not 0.0 < d.mu < math.inf:
        return slow, fast
    moved = np.zeros((2, len(slow)))
    for number, panel in enumerate(d.panels):
        own = panels == number
        way = d.layer_step * d.layers / np.maximum(np.abs(s1[own] @ np.array(panel.odet)), 1e-3)
        depth = 1.0 / d.mu - (way + 1.0 / d.mu) * np.exp(-d.mu * way)
        moved[:, own] = [depth * (s1[own] @ np.array(v)) / d.pixel_size for v in (panel.sdet, panel.fdet)]
    return slow + moved[0], fast + moved[1]


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
