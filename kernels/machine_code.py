"""Compiled kernels called by name: their machine code is kept on disk and runs without Numba being loaded.

Numba takes 0.3 s to load, as long as six million pixels take to render, and its own cache needs it. Here it compiles a
kernel once; the object code is kept, loaded by LLVM, and called with arguments laid out as Numba lays them out: tuples
member by member, arrays as (owner, parent, size, item size, data, shape, strides).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import platform
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.kernels import kept
from nanobragg.kernels.processor import processor


def flattened(value: Any) -> Iterator[tuple[str, Any]]:
    """The native arguments that a Python argument becomes, each with a letter for its type."""
    if isinstance(value, bool | np.bool_):
        yield "?", ctypes.c_int8(bool(value))
    elif isinstance(value, int | np.int64):
        yield "q", ctypes.c_int64(int(value))
    elif isinstance(value, float):  # np.float64 as well
        yield "d", ctypes.c_double(value)
    elif isinstance(value, tuple):
        yield "(", None
        for member in value:
            yield from flattened(member)
        yield ")", None
    else:
        yield from _flattened_array(value)


def _flattened_array(array: np.ndarray) -> Iterator[tuple[str, Any]]:
    if not array.flags.c_contiguous:
        raise ValueError("kernels take C-contiguous arrays")
    yield f"{array.dtype.str}{array.ndim}", ctypes.c_void_p(None)
    yield "", ctypes.c_void_p(None)
    for number in (array.size, array.itemsize):
        yield "", ctypes.c_int64(number)
    yield "", ctypes.c_void_p(array.ctypes.data)
    for number in (*array.shape, *array.strides):
        yield "", ctypes.c_int64(number)


@functools.lru_cache(maxsize=1)
def llvm() -> Any:
    """LLVM, ready for this processor."""
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def target_machine() -> Any:
    """What code is made for: this processor, or the one that the user has named."""
    target = llvm().Target.from_default_triple()
    relocation = "static" if target.name.startswith("x86") else "default"
    made_for = processor()
    return target.create_target_machine(
        cpu=made_for.name, features=made_for.features, opt=3, reloc=relocation, codemodel="jitdefault", jit=True
    )


def optimised(text: str) -> Any:
    """An LLVM module of this text, functions put into one another and loops made vector code for `target_machine`."""
    module = llvm().parse_assembly(text)
    options = llvm().create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization = True, False
    builder = llvm().create_pass_builder(target_machine(), options)
    builder.getModulePassManager().run(module, builder)
    return module


class Kernel:
    """A compiled loop over pixels, in a module that is imported only to compile it.

    It is called like a function that returns a whole number. Numbers, tuples and C-contiguous arrays are what it takes;
    each combination of their types is compiled once.
    """

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name
        self._loaded: dict[str, Any] = {}
        self._engines: list[Any] = []
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> int:
        """Run with these arguments, without holding the interpreter lock."""
        return self.beginning_with()(*arguments)

    def beginning_with(self, *first: Any) -> Callable[..., int]:
        """The same with its first arguments given, which are laid out only once."""
        first_native = [pair for argument in first for pair in flattened(argument)]

        def call(*rest: Any) -> int:
            native = first_native + [pair for argument in rest for pair in flattened(argument)]
            signature = "".join([letter for letter, _ in native])
            function = self._loaded.get(signature) or self._load(signature, (*first, *rest))
            result, exception = ctypes.c_int64(0), ctypes.c_void_p(None)
            numbers = [number for _, number in native if number is not None]
            if function(ctypes.byref(result), ctypes.byref(exception), *numbers):
                raise RuntimeError(f"the kernel {self.name} failed")
            return result.value

        return call

    def _load(self, signature: str, arguments: tuple) -> Any:
        with self._lock:
            if signature not in self._loaded:
                symbol, code = self._read(signature) or self._made(signature, arguments)
                self._loaded[signature] = self._linked(symbol, code)
            return self._loaded[signature]

    def _file(self, signature: str) -> str:
        made_for = f"{platform.machine()} {processor().name} {processor().features}"
        identity = hashlib.sha256(f"{signature} {made_for}".encode()).hexdigest()[:16]
        return f"{self.module}.{self.name}-{identity}"

    def _read(self, signature: str) -> tuple[str, bytes] | None:
        """Symbol and object code as kept, if they are there and whole."""
        found = kept.read(self._file(signature))
        if found is None:
            return None
        symbol, _, code = found.partition(b"\n")
        return symbol.decode("latin-1"), code

    def _made(self, signature: str, arguments: tuple) -> tuple[str, bytes]:
        """The same, made by this process, or by another one that was at it already."""
        with kept.alone(self._file(signature)):
            return self._read(signature) or self._compile(signature, arguments)

    def _compile(self, signature: str, arguments: tuple) -> tuple[str, bytes]:
        kept.compiling()
        from nanobragg.kernels.compile import native_code

        function = getattr(importlib.import_module(f"nanobragg.kernels.{self.module}"), self.name)
        symbol, text = native_code(function, arguments)
        code = target_machine().emit_object(optimised(text))
        kept.keep(self._file(signature), symbol.encode() + b"\n" + code)
        return symbol, code

    def _linked(self, symbol: str, code: bytes) -> Any:
        empty = llvm().parse_assembly(f'target triple = "{llvm().get_process_triple()}"')
        engine = llvm().create_mcjit_compiler(empty, target_machine())
        engine.add_object_file(llvm().ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._engines.append(engine)  # owns the code
        return ctypes.CFUNCTYPE(ctypes.c_int32)(engine.get_function_address(symbol))
