"""How kernels are compiled: the one place that decorates functions. Importing it loads Numba."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numba

from nanobragg.kernels import machine_code
from nanobragg.kernels.processor import processor

_made_for = processor()
_config: Any = numba.config
_config.CPU_NAME, _config.CPU_FEATURES = _made_for.name, _made_for.features

# No fastmath, said outright: nothing is contracted or reordered, and a function that a fast kernel calls would take on
# that kernel's arithmetic and keep it for all others. Division by zero gives infinity. No reference counts: kernels
# allocate nothing, and counting references to the plan's arrays in every step doubles the time.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False, "fastmath": False}
CALLED_NATIVELY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# What lets loops over pixels become vector code: fused multiply-adds, no signed zeros, reciprocals. Never
# reassociation, which would undo the rounding by magic numbers.
CONTRACT = {"contract", "nsz", "arcp"}


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of one step, or a loop over a tile, as part of every kernel that calls it.

    It is put into its caller as it stands, before anything is compiled. So it gets the arithmetic of that kernel, exact
    or fast, and LLVM sees which arrays are on the caller's stack.
    """
    return _callable(function, inline="always")


def separate(function: Callable[..., Any]) -> Any:
    """Compile a function of one step on its own, exact: for what is called in many places, which would take long."""
    return _callable(function)


def _callable(function: Callable[..., Any], **options: Any) -> Any:
    """Traces call these functions by themselves; what Numba makes of them for that is kept beside the kernels."""
    kept = bool(machine_code.folder()) and "<locals>" not in function.__qualname__
    elsewhere, _config.CACHE_DIR = _config.CACHE_DIR, machine_code.folder()
    try:
        prepared: Any = numba.njit(function, cache=kept, **OPTIONS, **options)
    finally:
        _config.CACHE_DIR = elsewhere
    if kept:
        prepared._cache = _Forgiving(prepared._cache)
    return prepared


class _Forgiving:
    """Numba's cache, which goes on without keeping anything where the disk is full or a quota is reached."""

    def __init__(self, cache: Any):
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def save_overload(self, *arguments: Any) -> None:
        """Keep what was compiled, if that is possible."""
        with contextlib.suppress(OSError):
            self._cache.save_overload(*arguments)


def kernel(function: Callable[..., Any]) -> Any:
    """Prepare a loop over pixels for `nanobragg.kernels.machine_code.Kernel`; it returns a whole number."""
    return numba.njit(function, **OPTIONS, **CALLED_NATIVELY)


def fast_kernel(function: Callable[..., Any]) -> Any:
    """Prepare a loop over tiles for `nanobragg.kernels.machine_code.Kernel`; it returns a whole number."""
    return numba.njit(function, **{**OPTIONS, "fastmath": CONTRACT}, **CALLED_NATIVELY)


def native_code(prepared: Any, arguments: tuple) -> tuple[str, str]:
    """Name and optimised LLVM assembly of a prepared kernel for arguments of these types."""
    types = tuple(numba.typeof(argument) for argument in arguments)
    prepared.compile(types)
    return prepared.overloads[types].fndesc.llvm_func_name, prepared.inspect_llvm(types)
