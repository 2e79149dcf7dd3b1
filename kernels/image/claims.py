"""Which spot each pixel belongs to, and what spots have of an image, by compiled loops."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel

claim_pixels, add_boxes = Kernel("image.boxes", "claim_pixels"), Kernel("image.boxes", "add_boxes")


def owners(shape: tuple[int, ...], places: np.ndarray, boxes: np.ndarray, panels: np.ndarray) -> np.ndarray:
    """The number of the spot that each pixel belongs to, -1 for none, int32 (panel, slow, fast).

    Parameters
    ----------
    shape
        Of the image.
    places, boxes, panels
        Of the spots: (n, 2) slow and fast; (n, 4) first and last fast, first and last slow, the last excluded; (n,).
    """
    owner = np.full(shape, -1, np.int32)
    claim_pixels(
        np.ascontiguousarray(places, float), np.ascontiguousarray(boxes, np.int64),
        np.ascontiguousarray(panels, np.int64), owner,
    )  # fmt: skip
    return owner


def sums_of_spots(
    image: np.ndarray, background: np.ndarray, factor: float, owner: np.ndarray, boxes: np.ndarray, panels: np.ndarray
) -> np.ndarray:
    """Photons above background of each spot, the same times slow and fast, and background in its pixels, (n, 4).

    ``background`` is (panel * slow * fast,) float32 up to a factor, or empty.
    """
    sums = np.zeros((len(boxes), 4))
    add_boxes(
        np.ascontiguousarray(image), background, float(factor), owner, np.ascontiguousarray(boxes, np.int64),
        np.ascontiguousarray(panels, np.int64), sums,
    )  # fmt: skip
    return sums
