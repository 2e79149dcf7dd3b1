"""PGM pictures, as the original writes them."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.c_numbers import g
from nanobragg.engine.formats.whole import whole_file


def write_pgm(path: str, scale: float, pixels: np.ndarray) -> None:
    """Write a uint8 image (slow, fast) as PGM, its scale in a comment."""
    with whole_file(path, "-pgmfile") as file:
        slow, fast = pixels.shape
        file.write(f"P5\n{fast} {slow}\n# pixels scaled by {g(scale)}\n255\n".encode())
        file.write(np.ascontiguousarray(pixels, np.uint8).data)
