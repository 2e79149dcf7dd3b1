"""Pictures of images, which are written and not read."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.format import Format
from nanobragg.engine.scene.scene import Scene


class Png(Format):
    """See the module."""

    endings = (".png",)

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8"))

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        from nanobragg.engine.view.picture import write_picture  # which reads images itself

        write_picture(path, pixels, scene)

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        raise BadInput(f"{path}: is a picture, not an image of counts")
