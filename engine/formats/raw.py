"""Images without a header: little-endian binary32, one row after the other."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.reading import read
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.scene.scene import Scene


class Raw(Format):
    """See the module; what no other format knows is taken for it."""

    endings = (".bin",)
    counts = False

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return True

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        write_float(path, pixels, "output")

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`; an image of unknown shape is taken for a square."""
        data = read(path, "image")
        if shape is None:
            side = round((len(data) / 4) ** 0.5)
            shape = (side, side)
        if len(data) != 4 * shape[0] * shape[1] or not data:
            raise BadInput(
                f"{path}: {len(data)} bytes are no {shape[0]} x {shape[1]} binary32 numbers: --shape SLOW FAST"
            )
        return np.frombuffer(data, "<f4").reshape(shape)


def write_float(path: str, image: np.ndarray, what: str = "-floatfile") -> None:
    """Write a float32 image (slow, fast); ``what`` names the file in messages."""
    with whole_file(path, what) as file:
        file.write(np.ascontiguousarray(image, "<f4").data)
