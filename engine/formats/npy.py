"""Arrays as NumPy keeps them."""

from __future__ import annotations

import warnings

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.scene.scene import Scene


class Npy(Format):
    """See the module."""

    endings = (".npy",)

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.startswith(b"\x93NUMPY")

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        with whole_file(path, "output") as file:
            np.save(file, pixels)

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.load(path, allow_pickle=False)
        except MemoryError:
            raise BadInput(f"{path}: not enough memory for what it says it holds") from None
        except Exception as error:  # whatever numpy makes of damaged bytes
            raise BadInput(f"{path}: not an npy file that can be read ({' '.join(str(error).split())[:150]})") from None
