"""TIFF images."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.scene.scene import Scene


class Tiff(Format):
    """See the module."""

    endings = (".tif", ".tiff")

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.startswith((b"II*\0", b"MM\0*"))

    def check(self, path: str, what: str) -> None:
        """See `Format`."""
        _pillow(path)

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        image = _pillow(path).fromarray(pixels)
        with whole_file(path, "output") as file:
            image.save(file, format="TIFF", compression="tiff_adobe_deflate")

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        pillow = _pillow(path)
        try:
            return np.asarray(pillow.open(path))
        except Exception as error:  # whatever is made of damaged bytes
            raise BadInput(f"{path}: not a TIFF file that can be read ({' '.join(str(error).split())[:100]})") from None


def _pillow(path: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise BadInput(f"{path}: TIFF needs pillow: pip install 'nanobragg[pictures]'") from None
    return Image
