"""What a format of image files is: what it can hold, and who reads and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # tools that only read need no scenes
    import numpy as np

    from nanobragg.engine.scene.scene import Scene


class Format:
    """One kind of image file; a new one is a class in a file of its own, and its place in `known.FORMATS`.

    ``endings`` of names stand for it; ``photons`` and ``counts`` say whether it holds reals and whole numbers,
    ``signed`` whether a pixel that is none can be -1, ``frames`` whether a file has several images, ``panels`` whether
    it can hold several panels, which stand one below the other.
    """

    endings: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[bool] = True
    photons: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    frames: ClassVar[bool] = False
    panels: ClassVar[bool] = True

    def is_begun_by(self, start: bytes) -> bool:
        """Whether a file with these first bytes is of this format."""
        raise NotImplementedError

    def check(self, path: str, what: str) -> None:
        """Raise `BadInput` if it cannot be written here, where a package is missing say."""

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """Write an image (slow, fast) that appears whole.

        Parameters
        ----------
        path
            The file.
        pixels
            float32, or int32 with -1 for pixels that are none, or uint16 where the format is not ``signed``.
        scene
            What the image shows, for the header.
        turns
            Whether the header may have a rotation: readers make sweeps of it.
        stem
            What the file will be called, without its ending, if ``path`` is a temporary name.

        Raises
        ------
        BadInput, OSError
            If it cannot be written.
        """
        raise NotImplementedError

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """The image of a file.

        Parameters
        ----------
        path
            The file.
        part
            Which of its ``frames``, or ``""``.
        shape
            Of an image without a header: pixels (slow, fast).

        Raises
        ------
        BadInput, OSError, ValueError
            If it cannot be read.
        """
        raise NotImplementedError
