"""Images of any kind that tools meet: SMV, raw binary32, npy, CBF, HDF5."""

from __future__ import annotations

import os

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.files.reading import read, reason
from nanobragg.engine.files.smv import read_smv

CANNOT = 2
HDF5 = b"\x89HDF\r\n\x1a\n"
PATHS = ("entry/data/data", "entry/instrument/detector/data", "data")


def read_image(name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """An image (slow, fast); what kind of file it is, its beginning says.

    Parameters
    ----------
    name
        A file; ``FILE:N`` is frame N of an HDF5 file (the first is 0), or ``FILE:PATH`` a data set.
    shape
        Slow and fast of a raw file of binary32; a square is assumed without.

    Raises
    ------
    BadInput
        Status 2, if it cannot be read as an image.
    """
    path, _, part = (name, "", "") if os.path.exists(name) else name.rpartition(":")
    try:
        with open(path or name, "rb") as file:
            start = file.read(2048)
        if start.startswith(HDF5):
            return _of_hdf5(path, part)
        if start.startswith(b"\x93NUMPY"):
            return _two_dimensional(np.load(path, allow_pickle=False), name)
        if start.lstrip().startswith(b"{"):
            image = read_smv(path, "image")
            if image.missing:
                raise BadInput(f"{name}: {image.missing} pixels are missing at the end", CANNOT)
            return image.pixels.reshape(image.height, image.width)
        if start.startswith(b"###CBF") or b"_array_data" in start:
            return _of_cbf(path, name)
        return _of_raw(path, name, shape)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}", CANNOT) from None
    except ValueError as error:
        raise BadInput(f"{name}: {error}", CANNOT) from None


def _two_dimensional(array: np.ndarray, name: str) -> np.ndarray:
    squeezed = np.squeeze(array)
    if squeezed.ndim != 2 or squeezed.dtype.kind not in "iuf":
        raise BadInput(f"{name}: not an image: shape {array.shape}, {array.dtype}", CANNOT)
    return squeezed


def _of_raw(path: str, name: str, shape: tuple[int, int] | None) -> np.ndarray:
    """Little-endian binary32, one row after the other."""
    data = read(path, "image")
    if shape is None:
        side = round((len(data) / 4) ** 0.5)
        shape = (side, side)
    if len(data) != 4 * shape[0] * shape[1] or not data:
        raise BadInput(
            f"{name}: {len(data)} bytes are no {shape[0]} x {shape[1]} binary32 numbers: --shape SLOW FAST", CANNOT
        )
    return np.frombuffer(data, "<f4").reshape(shape)


def _of_cbf(path: str, name: str) -> np.ndarray:
    try:
        import fabio
    except ImportError:
        raise BadInput(f"{name}: reading CBF needs fabio: pip install fabio", CANNOT) from None
    try:
        return _two_dimensional(np.asarray(fabio.open(path).data), name)
    except Exception as error:
        raise BadInput(f"{name}: not a CBF that can be read ({error})", CANNOT) from None


def _of_hdf5(path: str, part: str) -> np.ndarray:
    try:
        import h5py
        import hdf5plugin  # noqa: F401 (its filters are found by being imported)
    except ImportError as error:
        raise BadInput(f"{path}: reading HDF5 needs {error.name}: pip install h5py hdf5plugin", CANNOT) from None
    with h5py.File(path) as file:
        data = file.get(part) if part and not part.isdigit() else next((file[p] for p in PATHS if p in file), None)
        if not isinstance(data, h5py.Dataset):
            raise BadInput(f"{path}: no image at {part or ' or '.join(PATHS)}", CANNOT)
        if data.ndim == 3:
            if not part.isdigit() and len(data) > 1:
                raise BadInput(f"{path}: has {len(data)} frames: {path}:N is one of them, from 0 on", CANNOT)
            frame = int(part) if part.isdigit() else 0
            if frame >= len(data):
                raise BadInput(f"{path}: has {len(data)} frames, from 0 on; frame {frame} is not among them", CANNOT)
            return _two_dimensional(data[frame], path)
        return _two_dimensional(data[()], path)
