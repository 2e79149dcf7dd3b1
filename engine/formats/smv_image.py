"""SMV images whose headers readers take for what is meant."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.smv import header, read_smv, write_smv
from nanobragg.engine.scene.scene import Scene


class SmvImage(Format):
    """See the module: 16 bits."""

    panels = False
    endings = (".img",)
    photons = False
    signed = False

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.lstrip().startswith(b"{")

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        write_smv(path, "output", header(scene, turns=turns), np.clip(pixels, 0, 65535).astype(np.uint16))

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        image = read_smv(path, "image")
        if image.missing:
            raise BadInput(f"{path}: {image.missing} pixels are missing at the end")
        return image.pixels.reshape(image.height, image.width)
