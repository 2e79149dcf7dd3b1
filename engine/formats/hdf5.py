"""HDF5: the packages that read and write it, how files are opened, and what it says of errors."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from nanobragg.engine.errors import BadInput


def hdf5() -> tuple[Any, Any]:
    """The packages that write HDF5; raises `BadInput` where they are missing."""
    try:
        import h5py
        import hdf5plugin

        if "HDF5_PLUGIN_PATH" in os.environ:  # filters of that folder would be taken for those of this package
            hdf5plugin.register(force=True)
    except ImportError as error:
        raise BadInput(
            f"format nxmx needs {error.name}: pip install 'nanobragg[batch]', or take another format"
        ) from None
    return h5py, hdf5plugin


def hdf5_alone() -> Any:
    """h5py, with the filters of hdf5plugin where that is installed; raises `BadInput` where h5py is missing."""
    try:
        import h5py
    except ImportError:
        raise BadInput("HDF5 needs h5py: pip install 'nanobragg[view]'") from None
    with contextlib.suppress(BadInput):
        hdf5()
    return h5py


def open_file(path: str, mode: str = "r") -> Any:
    """An HDF5 file without a lock, which some file systems refuse: names say who writes. Frames pass no cache."""
    if mode == "r" and os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for without end
        raise OSError(f"{path}: is no file")
    return hdf5_alone().File(path, mode, rdcc_nbytes=0, locking=False)


def compressed(compression: str) -> dict[str, Any]:
    """How frames are compressed, in h5py's words."""
    if compression == "bitshuffle-lz4":
        return dict(hdf5()[1].Bitshuffle(cname="lz4"))
    return {"compression": "gzip", "compression_opts": 4, "shuffle": True} if compression == "gzip" else {}


def said_of(error: Exception) -> str:
    """What HDF5 says, in a few words: its own text tells its life story."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())[:200]
