"""One image in any format, by the ending of its name: expected photons, or counts with noise."""

from __future__ import annotations

import os

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats import nexus
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.known import format_of
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.whole import check_writable
from nanobragg.engine.scene.scene import Scene

NO_COUNT = -1  # of pixels that are none, in formats of signed numbers


def check_output(path: str, *, counts: bool, what: str, panels: int = 1) -> Format:
    """The format of an output; refuses what cannot be written, before anything is rendered."""
    chosen = format_of(path, counts=counts, what=what)
    if panels > 1 and not chosen.panels:
        raise BadInput(f"{what} {path}: this format has no words for several panels: take .h5")
    check_writable(path, what)
    chosen.check(path, what)
    return chosen


def write_output(path: str, pixels: np.ndarray, scene: Scene, what: str = "output") -> None:
    """Write an image, whole numbers or reals, in the format of its name's ending.

    Several panels stand one below the other. Pixels that are none (gaps, masked ones) are -1 among whole numbers that
    can be.

    Raises
    ------
    BadInput
        If there is no such format, or it cannot be written.
    """
    counts = pixels.dtype.kind in "iu"
    chosen = check_output(path, counts=counts, what=what, panels=len(scene.detector.panels))
    pixels = pixels.reshape(scene.detector.stacked_shape)
    if not counts:
        pixels = np.ascontiguousarray(pixels, np.float32)
    elif chosen.signed:
        pixels = np.where(nexus.unrendered(scene) != 0, NO_COUNT, pixels.astype(np.int32)).astype(np.int32)
    stem = os.path.splitext(os.path.basename(path))[0]
    try:
        chosen.write(path, pixels, scene, turns=scene.scan.osc > 0.0, stem=stem)
    except OSError as error:
        raise BadInput(f"{what} {path}: {reason(error)}; nothing was left of it") from None
