"""How kernels are compiled: the one place that decorates functions, and where their machine code is kept."""

from __future__ import annotations

import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numba

HERE = pathlib.Path(__file__).resolve().parent
# No fastmath: nothing is contracted or reordered. Division by zero gives infinity. No reference counts: kernels
# allocate nothing, and counting references to the plan's arrays in every step doubles the time.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}


def _sources_digest() -> str:
    """Identifies the code of all kernels: Numba itself looks only at the file of the outermost function."""
    digest = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _own_folder(path: pathlib.Path) -> bool:
    """Make a folder that nobody else can write to; False where that cannot be had."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except (OSError, RuntimeError):
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(path, os.W_OK)


def cache_folder() -> str:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, the user's cache, or the temporary folder; else nowhere."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    roots = [pathlib.Path(named) / "nanobragg"] if named else []
    roots.append(pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "nanobragg")
    roots.append(pathlib.Path(tempfile.gettempdir()) / f"nanobragg-{os.getuid()}")
    digest = _sources_digest()
    usable = (root for root in roots if root.is_absolute() and _own_folder(root) and _own_folder(root / digest))
    return next((str(root / digest) for root in usable), "")


FOLDER = cache_folder()


def is_kept(name: str) -> bool:
    """Whether compiled code of this kernel file is on disk."""
    return bool(FOLDER) and any(pathlib.Path(FOLDER).rglob(f"{name}.*.nbi"))


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of one step, or a loop over a tile, as part of every kernel that calls it.

    It is put into its caller as it stands, before anything is compiled. So it gets the arithmetic of that kernel, exact
    or fast, and LLVM sees which arrays are on the caller's stack.
    """
    return numba.njit(function, inline="always", **OPTIONS)


def separate(function: Callable[..., Any]) -> Any:
    """Compile a function of one step on its own, exact: for what is called in many places, which would take long."""
    return numba.njit(function, **OPTIONS)


def _kept(function: Callable[..., Any], **options: Any) -> Any:
    config: Any = numba.config
    elsewhere, config.CACHE_DIR = config.CACHE_DIR, FOLDER
    try:
        return numba.njit(function, cache=bool(FOLDER), **OPTIONS, **options)
    finally:
        config.CACHE_DIR = elsewhere


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop over pixels; its machine code is kept on disk."""
    return _kept(function)


# What lets loops over pixels become vector code: fused multiply-adds, no signed zeros, reciprocals. Never
# reassociation, which would undo the rounding by magic numbers.
CONTRACT = {"contract", "nsz", "arcp"}


def fast_kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop over tiles; its machine code is kept on disk."""
    return _kept(function, fastmath=CONTRACT)
