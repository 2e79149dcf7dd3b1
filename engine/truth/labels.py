"""The truth of an image's spots and pixels: what is where, and how many photons it has."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from nanobragg.engine.formats import nexus
from nanobragg.engine.response import defects
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.surroundings.around import all_around
from nanobragg.engine.truth.spots import Spots, predict_spots
from nanobragg.kernels.image.boxes import BAD, GAP
from nanobragg.kernels.image.claims import classify, owners, sums_of_spots
from nanobragg.kernels.surroundings.host import sum_of

CLASSES = ("background", "bragg", "gap", "bad", "saturated")  # of a pixel, by their numbers
LEAST_MARGIN, MOST_MARGIN = 2, 40  # pixels of a box on either side of its spot
WEAKEST = 0.01  # partiality of a spot that is listed


class SpotTruth(NamedTuple):
    """Spots of an image, (n,) each.

    ``crystal`` numbers the crystals in the beam; ``slow`` and ``fast`` are predictions in pixels (whole numbers and a
    half are centres), ``slow_mm`` and ``fast_mm`` where the diffracted beam meets the panel's front; ``mean_slow`` and
    ``mean_fast`` the centre of the photons; ``photons`` are those expected above the background, ``background`` those
    of it in the same pixels; ``partiality`` is the recorded share of the reflection; ``box`` (n, 4) first and last
    fast, first and last slow pixel, the last excluded; ``entering`` whether the node comes into the Ewald sphere;
    ``whole`` whether it passes it in this image.
    """

    hkl: np.ndarray
    crystal: np.ndarray
    panel: np.ndarray
    slow: np.ndarray
    fast: np.ndarray
    slow_mm: np.ndarray
    fast_mm: np.ndarray
    d_A: np.ndarray
    phi_deg: np.ndarray
    F: np.ndarray
    partiality: np.ndarray
    photons: np.ndarray
    background: np.ndarray
    mean_slow: np.ndarray
    mean_fast: np.ndarray
    box: np.ndarray
    entering: np.ndarray
    whole: np.ndarray


class PixelTruth(NamedTuple):
    """Of each pixel (panel, slow, fast): its class, the share of the crystal in its photons, and indices (..., 3)."""

    classes: np.ndarray
    bragg_share: np.ndarray
    hkl: np.ndarray


class Labels(NamedTuple):
    """What is known of an image, and the background that it was made with: a map up to a factor."""

    spots: SpotTruth
    owner: np.ndarray
    background: np.ndarray
    factor: float


def labels_of(scene: Scene, panels: np.ndarray, threads: int) -> Labels:
    """Spots of an image whose expected photons are ``panels`` (panel, slow, fast)."""
    around = all_around(scene, threads)
    background = sum_of(panels.shape, around.light, threads)
    found = [(each_passage(predict_spots(alone, WEAKEST)), alone) for alone in scene.each_crystal]
    boxes = np.concatenate([_boxes(alone, spots) for spots, alone in found])
    joined = Spots(*(np.concatenate([getattr(s, f.name) for s, _ in found]) for f in dataclasses.fields(Spots)))
    number = np.concatenate([np.full(len(spots), n) for n, (spots, _) in enumerate(found)])
    places = np.column_stack([joined.slow, joined.fast])
    owner = owners(panels.shape, places, boxes, joined.panel)
    sums = sums_of_spots(panels, background, around.scale, owner, boxes, joined.panel)
    photons = sums[:, 0]
    with np.errstate(all="ignore"):
        mean_slow, mean_fast = (np.where(photons > 0.0, sums[:, k] / photons, places[:, k - 1]) for k in (1, 2))
    pixel_mm = scene.detector.pixel_size * 1e3
    spots = SpotTruth(
        hkl=joined.hkl.astype(np.int32), crystal=number.astype(np.int32), panel=joined.panel.astype(np.int32),
        slow=joined.slow, fast=joined.fast, slow_mm=joined.front_slow * pixel_mm, fast_mm=joined.front_fast * pixel_mm,
        d_A=joined.d_A, phi_deg=joined.phi_deg, F=joined.F, partiality=joined.partiality, photons=photons,
        background=sums[:, 3], mean_slow=mean_slow, mean_fast=mean_fast, box=boxes.astype(np.int32),
        entering=joined.entering, whole=joined.whole,
    )  # fmt: skip
    return Labels(spots, owner, background, around.scale)


def each_passage(spots: Spots) -> Spots:
    """One spot for each passage through the sphere, whose shares in parts of a wide rotation are added up.

    It stands where the node meets the sphere, or is nearest to it.
    """
    if not len(spots):
        return spots
    key = np.column_stack([spots.hkl, spots.entering, spots.panel])
    _, passage = np.unique(key, axis=0, return_inverse=True)
    order = np.lexsort((-spots.partiality, ~spots.whole, passage.ravel()))
    _, first = np.unique(passage.ravel()[order], return_index=True)
    best = np.sort(order[first])
    total = np.bincount(passage.ravel(), spots.partiality)[passage.ravel()][best]
    kept = {f.name: getattr(spots, f.name)[best] for f in dataclasses.fields(Spots)}
    return Spots(**kept | {"partiality": np.minimum(total, 1.0)})


def _boxes(scene: Scene, spots: Spots) -> np.ndarray:
    """Room for the widths that mosaicity, size, bandwidth and divergence give spots, (n, 4), within their panels."""
    d, c, b = scene.detector, scene.crystal, scene.beam
    edges = [n * length for n, length in zip(c.n_cells, c.lengths, strict=True)]
    bragg = b.mean_wavelength / (2.0 * np.maximum(spots.d_A * 1e-10, b.mean_wavelength / 2.0))
    angle = c.mosaic_spread + b.mean_wavelength / min(edges)
    angle += float(np.ptp(b.directions, axis=0).max(initial=0.0))
    stretched = 2.0 * bragg * float(np.ptp(b.wavelengths)) / b.mean_wavelength
    if len(c.domain_scales):
        stretched += 2.0 * bragg * float(np.ptp(c.domain_scales, axis=0).max())
    margin = np.ceil(spots.path / d.pixel_size * (angle + stretched)) + 1.0
    margin = np.clip(margin, LEAST_MARGIN, MOST_MARGIN).astype(int)
    first_fast, first_slow = (np.floor(x).astype(int) - margin for x in (spots.fast, spots.slow))
    last_fast, last_slow = (np.floor(x).astype(int) + margin + 1 for x in (spots.fast, spots.slow))
    inside = (np.clip(first_fast, 0, d.n_fast), np.clip(last_fast, 0, d.n_fast))
    return np.column_stack([*inside, np.clip(first_slow, 0, d.n_slow), np.clip(last_slow, 0, d.n_slow)])


def pixels_of(scene: Scene, labels: Labels, panels: np.ndarray, highest: float, threads: int) -> PixelTruth:
    """The truth of each pixel, which is saturated with more photons than ``highest``."""
    unusable = np.where(defects(scene, threads), np.uint8(BAD), np.uint8(0))
    unusable[nexus.unrendered(scene).reshape(panels.shape) != 0] = GAP
    return PixelTruth(
        *classify(panels, labels.background, labels.factor, labels.owner, unusable, highest, labels.spots.hkl, threads)
    )


def most_photons(scene: Scene, values: str) -> float:
    """Photons whose count is the highest that a pixel of a file of ``values`` can have."""
    r = scene.response
    if r is not None and r.stages and r.output == "raw":
        return min(r.stages[-1][3], scene.detector.saturation or math.inf)
    return (nexus.saturation_of(scene, values) - nexus.pedestal(scene, values)) / nexus.gain(scene, values)
