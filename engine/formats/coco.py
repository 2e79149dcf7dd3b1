"""Boxes around spots as COCO has them (JSON): images, annotations, categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.labels import CLASSES, SpotTruth

CATEGORIES = [{"id": 1, "name": "spot", "supercategory": "diffraction"}]


def image_of(number: int, file: str, frame: int, scene: Scene) -> dict[str, Any]:
    """An image; panels are one below the other."""
    slow, fast = scene.detector.stacked_shape
    return {"id": number, "file_name": file, "frame": frame, "width": fast, "height": slow}


def annotations_of(number: int, first: int, scene: Scene, spots: SpotTruth, some: np.ndarray) -> list[dict[str, Any]]:
    """Annotations of an image, numbered from ``first`` on: boxes [x, y, width, height] in pixels, from its corner."""
    found = []
    for place, n in enumerate(np.flatnonzero(some).tolist()):
        left, right, top, bottom = (int(x) for x in spots.box[n])
        top, bottom = (y + int(spots.panel[n]) * scene.detector.n_slow for y in (top, bottom))
        found.append(
            {
                "id": first + place, "image_id": number, "category_id": 1, "iscrowd": 0,
                "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
                "hkl": [int(x) for x in spots.hkl[n]], "panel": int(spots.panel[n]), "crystal": int(spots.crystal[n]),
                "photons": round(float(spots.photons[n]), 3), "partiality": round(float(spots.partiality[n]), 4),
                "d_A": round(float(spots.d_A[n]), 4), "phi_deg": round(float(spots.phi_deg[n]), 5),
            }
        )  # fmt: skip
    return found


def file_of(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """All of it, with the classes of pixels that masks have."""
    info = {"description": "a simulation: spots that stand out of their background", "classes_of_pixels": list(CLASSES)}
    return {"info": info, "images": images, "annotations": annotations, "categories": CATEGORIES}
