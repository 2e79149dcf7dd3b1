"""Images of any kind that tools meet: SMV, raw binary32, npy, CBF, TIFF, HDF5."""

from __future__ import annotations

import os
import warnings

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.apart import HDF5, read_apart
from nanobragg.engine.formats.reading import read, reason
from nanobragg.engine.formats.smv import read_smv


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
        with open(path or name, "rb") as file:
            start = file.read(2048)
        if not start:
            raise BadInput(f"{name}: is empty")
        if part and not start.startswith(HDF5):
            raise BadInput(f"{name}: only HDF5 files have frames; leave out :{part}")
        if start.startswith(HDF5):
            return _two_dimensional(read_apart(path, part), path)
        if start.startswith((b"II*\0", b"MM\0*")):
            return _two_dimensional(_of_tiff(path), name)
        if start.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8")):
            raise BadInput(f"{name}: is a picture, not an image of counts")
        if start.startswith(b"\x93NUMPY"):
            return _two_dimensional(_of_npy(path, name), name)
        if start.lstrip().startswith(b"{"):
            image = read_smv(path, "image")
            if image.missing:
                raise BadInput(f"{name}: {image.missing} pixels are missing at the end")
            return image.pixels.reshape(image.height, image.width)
        if start.startswith(b"###CBF") or b"_array_data" in start:
            return _two_dimensional(read_apart(path, part), name)
        return _of_raw(path, name, shape)
    except BadInput as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None


def is_other_image(name: str) -> bool:
    """Whether a file is npy, CBF or HDF5."""
    try:
        with open(name, "rb") as file:
            start = file.read(2048)
    except (OSError, ValueError):
        return False
    return start.startswith((HDF5, b"\x93NUMPY", b"###CBF")) or b"_array_data" in start


def _of_tiff(path: str) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise BadInput(f"{path}: TIFF needs pillow: pip install 'nanobragg[pictures]'") from None
    try:
        return np.asarray(Image.open(path))
    except Exception as error:  # whatever is made of damaged bytes
        raise BadInput(f"{path}: not a TIFF file that can be read ({' '.join(str(error).split())[:100]})") from None


def _of_npy(path: str, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.load(path, allow_pickle=False)
    except MemoryError:
        raise BadInput(f"{name}: not enough memory for what it says it holds") from None
    except Exception as error:  # whatever numpy makes of damaged bytes
        raise BadInput(f"{name}: not an npy file that can be read ({' '.join(str(error).split())[:150]})") from None


def _two_dimensional(array: np.ndarray, name: str) -> np.ndarray:
    squeezed = array
    while squeezed.ndim > 2 and len(squeezed) == 1:
        squeezed = squeezed[0]
    if squeezed.dtype.kind == "b":
        squeezed = squeezed.astype(np.uint8)
    if squeezed.ndim != 2 or squeezed.dtype.kind not in "iuf" or not squeezed.size:
        raise BadInput(f"{name}: not an image: shape {array.shape}, {array.dtype}")
    return squeezed


def _of_raw(path: str, name: str, shape: tuple[int, int] | None) -> np.ndarray:
    """Little-endian binary32, one row after the other."""
    data = read(path, "image")
    if shape is None:
        side = round((len(data) / 4) ** 0.5)
        shape = (side, side)
    if len(data) != 4 * shape[0] * shape[1] or not data:
        raise BadInput(f"{name}: {len(data)} bytes are no {shape[0]} x {shape[1]} binary32 numbers: --shape SLOW FAST")
    return np.frombuffer(data, "<f4").reshape(shape)
