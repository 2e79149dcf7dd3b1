"""Compiled kernels called by name: their machine code is kept on disk and runs without Numba being loaded.

Numba takes 0.3 s to load, as long as six million pixels take to render, and its own cache needs it. Here it compiles a
kernel once; the object code is kept, loaded by LLVM, and called with arguments taken apart as Numba does: tuples member
by member, arrays as (owner, parent, size, item size, data, shape, strides).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import platform
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.notice import compiling
from nanobragg.kernels.compiling.processor import processor

CONVENTION, YES, NO = "convention", b"known", b"another"
OF_THE_CALL = 2  # what a compiled function takes before its arguments: where to put its result, and an exception


class OtherConvention(Exception):
    """Numba takes arguments apart in another way than `Words`."""


class Words:
    """Arguments as 8-byte words, in the order that Numba takes them apart."""

    def __init__(self, arguments: Iterable[Any]):
        self.types: list[str] = []  # a letter for each, so that code made for other types is not called
        self._formats: list[str] = []
        self._numbers: list[Any] = []
        for argument in arguments:
            self._add(argument)

    def _add(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            self._add_array(value)
        elif isinstance(value, tuple):
            self.types.append("(")
            for member in value:
                self._add(member)
            self.types.append(")")
        elif isinstance(value, bool | np.bool_):
            self._append("?", "?7x", value)
        elif isinstance(value, float):  # np.float64 as well
            self._append("d", "d", value)
        elif isinstance(value, int | np.int64):
            self._append("q", "q", int(value))
        else:  # other types have code of their own, which these letters do not tell apart
            raise TypeError(f"kernels take no {type(value).__name__}")

    def _append(self, letter: str, form: str, number: Any) -> None:
        self.types.append(letter)
        self._formats.append(form)
        self._numbers.append(number)

    def _add_array(self, array: np.ndarray) -> None:
        if not array.flags.c_contiguous:
            raise ValueError("kernels take C-contiguous arrays")
        self.types.append(f"{array.dtype.str}{array.ndim}")
        data = array.__array_interface__["data"][0]
        self._numbers += (0, 0, array.size, array.itemsize, data, *array.shape, *array.strides)
        self._formats.append(f"{5 + 2 * array.ndim}q")

    def __len__(self) -> int:
        return len(self._numbers)

    def packed(self) -> bytes:
        """The words."""
        return struct.pack("".join(self._formats), *self._numbers)


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


UNPACKING = """
declare i32 @"{symbol}"({types})
define i32 @"{symbol}.packed"({pointer} %words, {result} %result, {exception} %exception) {{
{loads}
  %status = call i32 @"{symbol}"({result} %result, {exception} %exception, {values})
  ret i32 %status
}}
"""


def with_unpacking(module: Any, symbol: str) -> None:
    """Add a function to a module that calls ``symbol`` with what it finds in consecutive words.

    ctypes takes 30 us to hand over two hundred arguments; a small image takes the kernel 400.
    """
    function = module.get_function(symbol)
    function.add_function_attribute("noinline")  # its wish for wide registers would be lost
    result, exception, *types = (str(argument.type) for argument in function.arguments)
    typed = result.endswith("*")  # before LLVM 17

    def load(k: int, kind: str) -> str:
        word = f"  %p{k} = getelementptr i64, {'i64*' if typed else 'ptr'} %words, i64 {k}\n"
        if not typed:
            return f"{word}  %v{k} = load {kind}, ptr %p{k}"
        return f"{word}  %c{k} = bitcast i64* %p{k} to {kind}*\n  %v{k} = load {kind}, {kind}* %c{k}"

    text = UNPACKING.format(
        symbol=symbol, types=", ".join((result, exception, *types)), pointer="i64*" if typed else "ptr", result=result,
        exception=exception, loads="\n".join(load(k, kind) for k, kind in enumerate(types)),
        values=", ".join(f"{kind} %v{k}" for k, kind in enumerate(types)),
    )  # fmt: skip
    module.link_in(llvm().parse_assembly(text))


def optimised(text: str, symbol: str | None = None, target: Any = None) -> Any:
    """An LLVM module of this text, functions put into one another and loops made vector code for ``target``, by default
    `target_machine`.

    ``symbol``: what is called from outside, by `with_unpacking`.
    """
    module = llvm().parse_assembly(text)
    if symbol is not None:
        with_unpacking(module, symbol)
    options = llvm().create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization = True, False
    builder = llvm().create_pass_builder(target or target_machine(), options)
    builder.getModulePassManager().run(module, builder)
    return module


class Kernel:
    """A compiled loop over pixels, in a module that is imported only to compile it.

    It is called like a function that returns a whole number. Numbers, tuples and C-contiguous arrays are what it takes;
    each combination of their types is compiled once. Where Numba takes arguments apart in another way than is known
    here (`is_known`), Numba itself calls it, unless it is ``trusted``.
    """

    def __init__(self, module: str, name: str, *, trusted: bool = False):
        self.module, self.name, self.trusted = module, name, trusted
        self._loaded: dict[str, Any] = {}
        self._engines: list[Any] = []
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> int:
        """Run with these arguments, without holding the interpreter lock."""
        return self.beginning_with()(*arguments)

    def beginning_with(self, *first: Any) -> Callable[..., int]:
        """The same with its first arguments given, which are laid out only once."""
        first_words = Words(first)
        first_types, first_packed = "".join(first_words.types), first_words.packed()

        if not self.trusted and not is_known():
            return lambda *rest: int(self.by_numba(*first, *rest))

        def call(*rest: Any) -> int:
            words = Words(rest)
            signature = first_types + "".join(words.types)
            function = self._loaded.get(signature) or self._load(signature, (*first, *rest))
            result, exception = ctypes.c_int64(0), ctypes.c_void_p(None)
            if function(first_packed + words.packed(), ctypes.byref(result), ctypes.byref(exception)):
                raise RuntimeError(f"the kernel {self.name} failed")
            return result.value

        return call

    def _load(self, signature: str, arguments: tuple) -> Any:
        with self._lock:
            if signature not in self._loaded:
                symbol, code = self._read(signature) or self._made(signature, arguments)
                self._loaded[signature] = self._linked(symbol, code)
            return self._loaded[signature]

    @functools.cached_property
    def by_numba(self) -> Callable[..., int]:
        """The same function, compiled and called by Numba itself: slower to make, and made in every process."""
        from nanobragg.kernels.compiling.decorators import called_by_numba

        function = getattr(importlib.import_module(f"nanobragg.kernels.{self.module}"), self.name)
        return called_by_numba(function)  # type: ignore[no-any-return]

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
        compiling()
        from nanobragg.kernels.compiling.decorators import native_code

        function = getattr(importlib.import_module(f"nanobragg.kernels.{self.module}"), self.name)
        symbol, text = native_code(function, arguments)
        module = optimised(text, symbol)
        taken = len(list(module.get_function(symbol).arguments)) - OF_THE_CALL
        if taken != len(Words(arguments)):
            raise OtherConvention(f"Numba takes the arguments of {self.name} apart into {taken} words")
        code = target_machine().emit_object(module)
        kept.keep(self._file(signature), symbol.encode() + b"\n" + code)
        return symbol, code

    def _linked(self, symbol: str, code: bytes) -> Any:
        empty = llvm().parse_assembly(f'target triple = "{llvm().get_process_triple()}"')
        engine = llvm().create_mcjit_compiler(empty, target_machine())
        engine.add_object_file(llvm().ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._engines.append(engine)  # owns the code
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
        return prototype(engine.get_function_address(f"{symbol}.packed"))


@functools.lru_cache(maxsize=1)
def is_known() -> bool:
    """Whether Numba's calling convention is the one that `Words` and `with_unpacking` know.

    A tiny kernel with one of each kind of argument says so. What it said is kept beside the kernels, whose folder
    belongs to one version of Numba.
    """
    said = kept.read(CONVENTION)
    if said is None:
        with kept.alone(CONVENTION):
            said = kept.read(CONVENTION)  # another process may have asked
            if said is None:
                said = YES if _probed() else NO
                kept.keep(CONVENTION, said)
    return said == YES


def _probed() -> bool:
    """Whether the tiny kernel got its arguments; what else goes wrong is none of the convention's doing."""
    from nanobragg.kernels.compiling import probe

    out = np.zeros(3)
    try:
        found = Kernel("compiling.probe", "probe", trusted=True)(*probe.ARGUMENTS, out)
    except OtherConvention:
        return False
    return bool(found == probe.EXPECTED and out.tolist() == probe.WRITTEN)
