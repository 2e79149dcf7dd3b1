"""Compiled kernels called by name: their machine code is kept on disk and runs without Numba being loaded.

Numba takes 0.3 s to load, as long as six million pixels take to render, and its own cache needs it. Here it compiles a
kernel once; the object code is kept, loaded by LLVM, and called with arguments laid out as Numba lays them out: tuples
member by member, arrays as (owner, parent, size, item size, data, shape, strides).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import os
import platform
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.kernels.processor import processor
from nanobragg.kernels.whole import appearing

HERE = os.path.dirname(os.path.realpath(__file__))


def _own_folder(path: str) -> bool:
    """Make a folder that nobody else can write to; False where that cannot be had."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(path, os.W_OK)


def sources_digest(folder: str = HERE) -> str:
    """Identifies the code of all kernels, and what compiles it."""
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py")]
    for package in ("numba", "llvmlite"):  # their versions, without importing them
        spec = importlib.util.find_spec(package)
        paths += [os.path.join(place, "_version.py") for place in spec.submodule_search_locations or ()] if spec else []
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _roots() -> Iterator[str]:
    """Folders that something may be kept in: NUMBA_CACHE_DIR, the user's cache, the temporary folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    roots = [os.path.join(named, "nanobragg")] if named else []
    roots.append(os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nanobragg"))
    with contextlib.suppress(OSError):  # a full disk
        roots.append(os.path.join(tempfile.gettempdir(), f"nanobragg-{os.getuid()}"))
    return (root for root in roots if os.path.isabs(root) and _own_folder(root))


def cache_root() -> str:
    """The first of the folders that this user's things can be kept in; empty where there is none."""
    return next(_roots(), "")


def cache_folder() -> str:
    """Where machine code is kept, or empty for nowhere."""
    digest = sources_digest()
    return next((os.path.join(root, digest) for root in _roots() if _own_folder(os.path.join(root, digest))), "")


@functools.lru_cache(maxsize=1)
def folder() -> str:
    """`cache_folder`, looked for once."""
    return cache_folder()


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


def _keep(path: str, data: bytes) -> None:
    """Write a file whole, or not at all: a full disk only means that the next process compiles again."""
    with contextlib.suppress(OSError), appearing(path) as file:
        file.write(data)


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

    def is_kept(self) -> bool:
        """Whether machine code is on disk, whatever the types of the arguments."""
        return bool(folder()) and any(name.startswith(f"{self.module}.{self.name}-") for name in os.listdir(folder()))

    def _load(self, signature: str, arguments: tuple) -> Any:
        with self._lock:
            if signature not in self._loaded:
                symbol, code = self._read(signature) or self._compile(signature, arguments)
                self._loaded[signature] = self._linked(symbol, code)
            return self._loaded[signature]

    def _path(self, signature: str) -> str:
        if not folder():
            return ""
        made_for = f"{platform.machine()} {processor().name} {processor().features}"
        identity = hashlib.sha256(f"{signature} {made_for}".encode()).hexdigest()[:16]
        return os.path.join(folder(), f"{self.module}.{self.name}-{identity}")

    def _read(self, signature: str) -> tuple[str, bytes] | None:
        """Symbol and object code as kept, if they are there and whole."""
        try:
            with open(self._path(signature), "rb") as file:
                check, _, rest = file.read().partition(b"\n")
        except OSError:
            return None
        if not rest or hashlib.sha256(rest).hexdigest().encode() != check:
            return None
        symbol, _, code = rest.partition(b"\n")
        return symbol.decode("latin-1"), code

    def _compile(self, signature: str, arguments: tuple) -> tuple[str, bytes]:
        from nanobragg.kernels.compile import native_code

        function = getattr(importlib.import_module(f"nanobragg.kernels.{self.module}"), self.name)
        symbol, text = native_code(function, arguments)
        code = target_machine().emit_object(optimised(text))
        path = self._path(signature)
        if path:
            rest = symbol.encode() + b"\n" + code
            _keep(path, hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
        return symbol, code

    def _linked(self, symbol: str, code: bytes) -> Any:
        empty = llvm().parse_assembly(f'target triple = "{llvm().get_process_triple()}"')
        engine = llvm().create_mcjit_compiler(empty, target_machine())
        engine.add_object_file(llvm().ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._engines.append(engine)  # owns the code
        return ctypes.CFUNCTYPE(ctypes.c_int32)(engine.get_function_address(symbol))
