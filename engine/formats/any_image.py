"""Images of any kind that tools meet: SMV, raw binary32, npy, CBF, TIFF, HDF5."""

from __future__ import annotations

import os

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.cbf import Cbf
from nanobragg.engine.formats.known import format_begun_by
from nanobragg.engine.formats.npy import Npy
from nanobragg.engine.formats.nxmx import Nxmx
from nanobragg.engine.formats.reading import reason


def split_frame(name: str) -> tuple[str, str]:
    """A file, and what of it is meant: ``FILE:N`` is frame N."""
    path, colon, part = name.rpartition(":")
    return (name, "") if not colon or os.path.exists(name) else (path, part)


def read_image(name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """An image (slow, fast), as `nanobragg.read_image` has it."""
    path, part = split_frame(name)
    if "\0" in name:
        raise BadInput(f"{name!r}: is no file name")
    try:
        if not os.path.isfile(path or name) and os.path.exists(path or name):
            raise BadInput(f"{name}: is no file with an image in it")
        start = _start_of(path or name)
        if not start:
            raise BadInput(f"{name}: is empty")
        found = format_begun_by(start)
        if part and not found.frames:
            raise BadInput(f"{name}: only HDF5 files have frames; leave out :{part}")
        return _two_dimensional(found.read(path, part, shape), name)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None
    except ValueError as error:
        raise BadInput(str(error) if isinstance(error, BadInput) else f"{name}: {error}") from None


def is_other_image(name: str) -> bool:
    """Whether a file is npy, CBF or HDF5."""
    try:
        start = _start_of(name)
    except (OSError, ValueError):
        return False
    return isinstance(format_begun_by(start), Nxmx | Npy | Cbf)


def _start_of(name: str) -> bytes:
    with open(name, "rb") as file:
        return file.read(2048)


def _two_dimensional(array: np.ndarray, name: str) -> np.ndarray:
    squeezed = array
    while squeezed.ndim > 2 and len(squeezed) == 1:
        squeezed = squeezed[0]
    if squeezed.dtype.kind == "b":
        squeezed = squeezed.astype(np.uint8)
    if squeezed.ndim != 2 or squeezed.dtype.kind not in "iuf" or not squeezed.size:
        raise BadInput(f"{name}: not an image: shape {array.shape}, {array.dtype}")
    return squeezed
