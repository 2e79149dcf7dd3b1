"""Boxes around spots: which spot a pixel belongs to, what spots have of an image, and what a pixel shows."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel

BACKGROUND, BRAGG, GAP, BAD, SATURATED = range(5)  # what a pixel shows
FEWEST_PHOTONS = 0.5  # of the crystal in a pixel that shows a spot


@kernel
def claim_pixels(places, boxes, panels, owner):
    """Give each pixel in a box to the spot whose place is nearest; ``owner`` (panel, slow, fast) is -1 elsewhere.

    ``places`` (n, 2) slow and fast, ``boxes`` (n, 4) first and last fast, first and last slow pixel, the last excluded.
    """
    for n in range(len(places)):
        for slow in range(boxes[n, 2], boxes[n, 3]):
            for fast in range(boxes[n, 0], boxes[n, 1]):
                other = owner[panels[n], slow, fast]
                y, x = slow + 0.5 - places[n, 0], fast + 0.5 - places[n, 1]
                nearest = y * y + x * x
                if other >= 0:
                    y, x = slow + 0.5 - places[other, 0], fast + 0.5 - places[other, 1]
                    if y * y + x * x <= nearest:
                        continue
                owner[panels[n], slow, fast] = n
    return 0


@kernel
def add_boxes(image, background, factor, owner, boxes, panels, sums):
    """Photons above background of each spot, their moments along slow and fast, and the background, into ``sums``."""
    for n in range(len(boxes)):
        panel = panels[n]
        for slow in range(boxes[n, 2], boxes[n, 3]):
            for fast in range(boxes[n, 0], boxes[n, 1]):
                if owner[panel, slow, fast] != n:
                    continue
                below = 0.0
                if len(background) != 0:
                    index = (panel * image.shape[1] + slow) * image.shape[2] + fast
                    below = np.float64(background[index]) * factor
                above = np.float64(image[panel, slow, fast]) - below
                sums[n, 0] += above
                sums[n, 1] += above * (slow + 0.5)
                sums[n, 2] += above * (fast + 0.5)
                sums[n, 3] += below
    return 0


@kernel
def classify_rows(rows, image, background, factor, owner, unusable, highest, hkl, classes, bragg_share, indices):
    """What pixels of some rows of all panels show, the crystal's share of their photons, and indices of their spots.

    ``unusable`` is GAP, BAD or 0; pixels with more than ``highest`` photons are saturated. ``bragg_share`` is of these
    rows alone.
    """
    n_fast = image.shape[1]
    for row in range(rows[0], rows[1]):
        for fast in range(n_fast):
            photons = np.float64(image[row, fast])
            below = 0.0
            if len(background) != 0:
                below = np.float64(background[row * n_fast + fast]) * factor
            above = max(photons - below, 0.0)
            shows = BACKGROUND
            spot = owner[row, fast]
            if spot >= 0:
                for k in range(3):
                    indices[row, fast, k] = hkl[spot, k]
                if above >= FEWEST_PHOTONS and above * above >= below:
                    shows = BRAGG
            if photons > highest:
                shows = SATURATED
            if unusable[row, fast] != 0:
                shows = unusable[row, fast]
            classes[row, fast] = shows
            bragg_share[row - rows[0], fast] = above / photons if photons > 0.0 else 0.0
    return 0
