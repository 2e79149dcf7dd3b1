"""How kernels are compiled: the one place that decorates functions."""

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

PROJECT_CACHE = "NUMBA_CACHE_DIR"


def _can_write(folder: pathlib.Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _choose_cache() -> None:
    """Give Numba a folder for compiled code when neither the package's nor the user's can be written."""
    beside = pathlib.Path(__file__).resolve().parent
    try:
        home = pathlib.Path.home() / ".cache"
    except RuntimeError:
        home = beside
    if PROJECT_CACHE not in os.environ and not _can_write(beside) and not _can_write(home):
        os.environ[PROJECT_CACHE] = os.path.join(tempfile.gettempdir(), f"nanobragg-cache-{os.getuid()}")


_choose_cache()

import numba  # noqa: E402  (reads its settings when imported)


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of one step: IEEE arithmetic as written, no contraction, division by zero gives infinity."""
    return numba.njit(function, error_model="numpy", nogil=True)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop over pixels; releases the interpreter lock, and keeps the machine code on disk."""
    return numba.njit(function, error_model="numpy", nogil=True, cache=True)
