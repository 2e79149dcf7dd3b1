"""How kernels are compiled: the one place that decorates functions. Importing it loads Numba.

Numba makes LLVM code of each function by itself, and LLVM puts the functions of a step and the loops over a tile into
the kernel before it optimises anything. So each is typed once, however often it is called, and LLVM sees that the
tile's arrays are the kernel's own stack.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import codegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.targetconfig import ConfigStack

from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.notice import compiling
from nanobragg.kernels.compiling.processor import processor

_made_for = processor()
_config: Any = numba.config
_config.CPU_NAME, _config.CPU_FEATURES = _made_for.name, _made_for.features

# No fastmath, said outright: nothing is contracted or reordered. Division by zero gives infinity. No reference counts:
# kernels allocate nothing, and counting references to the plan's arrays in every step doubles the time.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False, "fastmath": False}
CALLED_NATIVELY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# What lets loops over pixels become vector code: fused multiply-adds, no signed zeros, reciprocals. Never
# reassociation, which would undo the rounding by magic numbers.
CONTRACT = {"contract", "nsz", "arcp"}


class KernelPart(CPUDispatcher):
    """A function that becomes part of kernels; called from Python, as traces do, it is exact and compiled by itself."""

    def __init__(self, function: Callable[..., Any], *, inlined: bool):
        super().__init__(function, targetoptions={"nopython": True, **OPTIONS})
        options = {**OPTIONS, **CALLED_NATIVELY, "forceinline": inlined}
        self._exact = numba.njit(function, **options)
        self._contracted = numba.njit(function, **{**options, "fastmath": CONTRACT}) if inlined else self._exact

    def _for_caller(self) -> Any:
        """What stands for this in a kernel that is being made, in its caller's arithmetic; elsewhere itself."""
        context: Any = self.targetctx
        if not isinstance(context.codegen(), TextCodegen):
            return super()
        return self._contracted if ConfigStack.top_or_none().fastmath else self._exact

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What Numba asks for when it meets a call."""
        return self._for_caller().get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """What Numba asks for when it writes the call down."""
        return self._for_caller().get_overload(sig)


def scalar(function: Callable[..., Any]) -> Any:
    """A function of one step, or a loop over a tile, put into every kernel that calls it, in its arithmetic."""
    return _kept(KernelPart(function, inlined=True))


def separate(function: Callable[..., Any]) -> Any:
    """A function of one step that stays one, exact: for what is called in many places."""
    return _kept(KernelPart(function, inlined=False))


def _kept(part: KernelPart) -> KernelPart:
    """What Numba makes of functions that traces call by themselves is kept beside the kernels."""
    if kept.folder() and "<locals>" not in part.py_func.__qualname__:
        elsewhere, _config.CACHE_DIR = _config.CACHE_DIR, kept.folder()
        try:
            part.enable_caching()
        finally:
            _config.CACHE_DIR = elsewhere
        cached: Any = part
        cached._cache = _Forgiving(cached._cache)
    return part


class _Forgiving:
    """Numba's cache, which goes on without what is damaged, and keeps nothing where the disk is full."""

    def __init__(self, cache: Any):
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        """What is kept, if anything is."""
        try:
            found = self._cache.load_overload(*arguments)
        except Exception:  # whatever pickle makes of damaged files
            found = None
            with contextlib.suppress(OSError):
                self._cache.flush()
        if found is None:
            compiling()
        return found

    def save_overload(self, *arguments: Any) -> None:
        """Keep what was compiled, if that is possible."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(*arguments)


def kernel(function: Callable[..., Any]) -> Any:
    """Prepare a loop over pixels for `nanobragg.kernels.compiling.machine_code.Kernel`; it returns a whole number."""
    return numba.njit(function, **OPTIONS, **CALLED_NATIVELY)


def fast_kernel(function: Callable[..., Any]) -> Any:
    """Prepare a loop over tiles for `nanobragg.kernels.compiling.machine_code.Kernel`; it returns a whole number."""
    return numba.njit(function, **{**OPTIONS, "fastmath": CONTRACT}, **CALLED_NATIVELY)


def called_by_numba(prepared: Any) -> Any:
    """A prepared kernel, compiled anew so that Numba itself can call it."""
    options = dict(prepared.targetoptions)
    return numba.njit(prepared.py_func, **{name: options[name] for name in OPTIONS if name in options})


class _TextLibrary(codegen.JITCodeLibrary):
    """LLVM code as Numba writes it: not optimised, and no machine code made of it."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is none."""
        self._ensure_finalized()
        return 0


class TextCodegen(codegen.JITCPUCodegen):
    """Makes LLVM code and nothing of it."""

    _library_class = _TextLibrary

    def set_env(self, env_name: str, env: Any) -> None:
        """Kernels have no global variables."""


@contextlib.contextmanager
def _only_text() -> Iterator[None]:
    """While kernels are made into text; collecting garbage among so many objects takes a fifth of the time."""
    context: Any = cpu_target.target_context
    with global_compiler_lock:
        usual, context._internal_codegen = context._internal_codegen, TextCodegen("numba.exec")
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            context._internal_codegen = usual
            if collects:
                gc.enable()


def native_code(prepared: Any, arguments: tuple) -> tuple[str, str]:
    """Name and LLVM code, not yet optimised, of a prepared kernel for arguments of these types."""
    types = tuple(numba.typeof(argument) for argument in arguments)
    with _only_text():
        prepared.compile(types)
    return prepared.overloads[types].fndesc.llvm_func_name, prepared.inspect_llvm(types)
