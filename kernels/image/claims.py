"""Which spot each pixel belongs to, what spots have of an image and what pixels show, by compiled loops."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import in_rows

claim_pixels, add_boxes = Kernel("image.boxes", "claim_pixels"), Kernel("image.boxes", "add_boxes")
classify_rows = Kernel("image.boxes", "classify_rows")
STEPS_OF_CLASS = 4  # what a pixel takes, in evaluations
SMALLEST_HALF = np.float32(2.0**-14)


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


def classify(
    image: np.ndarray,
    background: np.ndarray,
    factor: float,
    owner: np.ndarray,
    unusable: np.ndarray,
    highest: float,
    hkl: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each pixel of an image shows, the crystal's share of its photons, and the indices of its spot.

    Parameters
    ----------
    image, background, factor
        As those of `sums_of_spots`.
    owner
        Of each pixel, from `owners`.
    unusable
        GAP, BAD or 0 of each pixel, uint8.
    highest
        Pixels with more photons are saturated.
    hkl
        Of the spots, (n, 3).

    Returns
    -------
    tuple of numpy.ndarray
        uint8, float16 (panel, slow, fast) and int16 (panel, slow, fast, 3).
    """
    shape, flat = image.shape, (-1, image.shape[2])
    classes, bragg_share = np.empty(shape, np.uint8), np.empty(shape, np.float16)
    indices = np.zeros((*shape, 3), np.int16)
    classes_by_row, share_by_row = classes.reshape(flat), bragg_share.reshape(flat)
    light = np.ascontiguousarray(image).reshape(flat), background, float(factor)
    of_pixels = owner.reshape(flat), np.ascontiguousarray(unusable, np.uint8).reshape(flat)
    of_spots = np.ascontiguousarray(hkl, np.int16).reshape(-1, 3)

    def work(some: tuple[int, int]) -> None:
        share = np.empty((some[1] - some[0], shape[2]), np.float32)
        classify_rows(
            some, *light, *of_pixels, float(highest), of_spots, classes_by_row, share, indices.reshape(-1, shape[2], 3)
        )
        share_by_row[some[0] : some[1]] = halves(share)

    in_rows(shape, (0, shape[1]), work, threads, steps=STEPS_OF_CLASS)
    return classes, bragg_share, indices


def halves(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 (float32) as float16; smaller ones than it has with all digits are 0.

    Processors take twenty times as long for these.
    """
    return np.where(values < SMALLEST_HALF, np.float32(0.0), values).astype(np.float16)
