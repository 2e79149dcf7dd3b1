"""Kernels of a GPU: compiled by numba-cuda and linked to machine code without a device, then kept as the CPU's are."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import struct
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, NamedTuple

from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.notice import compiling
from nanobragg.kernels.cuda.parameters import format_of, plan_type

CUDA_12 = ("nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12")  # what the same two are called there
_lock = threading.RLock()  # numba compiles one thing at a time


class Code(NamedTuple):
    """What is loaded into a device: the kernel's name, and machine code."""

    name: str
    binary: bytes


class GpuKernel:
    """A kernel: what a thread does, for arguments of declared types, of which the plan is the first.

    Parameters
    ----------
    name
        Of its own among all kernels.
    function
        The Python function that numba-cuda compiles.
    arguments
        Numba types of its arguments beside the plan.
    registers
        The most that a thread may take, so that enough of them fit on a multiprocessor.
    """

    def __init__(self, name: str, function: Callable[..., None], *arguments: Any, registers: int = 255):
        self.name, self.function, self.types, self.registers = name, function, (plan_type(), *arguments), registers
        self.layout = struct.Struct("@" + "".join(map(format_of, self.types)))


def gpu_kernel(*arguments: Any) -> Callable[[Callable[..., None]], GpuKernel]:
    """Make a kernel of a function with these types of arguments beside the plan."""
    return lambda function: GpuKernel(function.__name__, function, *arguments)


class _Card:
    """Stands in for the card that numba-cuda asks for its capability when a kernel calls functions."""

    def __init__(self, capability: tuple[int, int]):
        self.compute_capability = capability


def load_compiler() -> tuple[Any, Any]:
    """numba-cuda's compiler, and its part that asks a card for its capability.

    Raises
    ------
    Unavailable
        If numba-cuda is missing, or cannot be loaded.
    """
    if importlib.util.find_spec("numba_cuda") is None:  # the compiler in numba itself is another
        raise Unavailable("numba-cuda is not installed: pip install nanobragg[cuda]")
    try:
        from numba.cuda import compiler, dispatcher
    except Exception as error:
        raise Unavailable(f"numba-cuda cannot be loaded ({error}): pip install nanobragg[cuda]") from None
    return compiler, dispatcher


@contextlib.contextmanager
def compiler(capability: tuple[int, int]) -> Iterator[Any]:
    """numba-cuda's compiler, for cards of this capability; it needs none."""
    by, asks = load_compiler()
    with _lock:
        before = asks.get_current_device
        asks.get_current_device = lambda: _Card(capability)
        try:
            yield by
        finally:
            asks.get_current_device = before


def ptx_of(kernel: GpuKernel, capability: tuple[int, int]) -> str:
    """The kernel in PTX."""
    with compiler(capability) as by:
        return str(by.compile_ptx(kernel.function, kernel.types, cc=capability)[0])


def machine_code_of(kernel: GpuKernel, capability: tuple[int, int]) -> Code:
    """The kernel in machine code; nvJitLink makes it as ptxas would, and any driver of its CUDA loads it."""
    from cuda.bindings import nvjitlink

    ptx = ptx_of(kernel, capability)
    found = re.search(r"\.entry\s+(\S+?)\(", ptx)
    assert found is not None
    options = [f"-arch=sm_{capability[0]}{capability[1]}", f"-maxrregcount={kernel.registers}"]
    linker = nvjitlink.create(len(options), options)
    try:
        data = ptx.encode()
        nvjitlink.add_data(linker, nvjitlink.InputType.PTX, data, len(data), "kernel")
        nvjitlink.complete(linker)
        binary = bytearray(nvjitlink.get_linked_cubin_size(linker))
        nvjitlink.get_linked_cubin(linker, binary)
    finally:
        nvjitlink.destroy(linker)
    return Code(found.group(1), bytes(binary))


def compiled_by() -> str:
    """The versions of all that makes machine code of a kernel."""
    versions = []
    for package in ("numba", "numba-cuda", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink", *CUDA_12):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package}={metadata.version(package)}")
    return " ".join(versions)


def code_of(kernel: GpuKernel, capability: tuple[int, int]) -> Code:
    """The kernel's machine code, kept from an earlier run or made now.

    Raises
    ------
    Unavailable
        If a package of the ``cuda`` extra is missing, or refuses.
    """
    digest = hashlib.sha256(f"{kernel.name} {capability} {compiled_by()}".encode()).hexdigest()[:16]
    file = f"gpu-{digest}.cubin"
    data = kept.read(file)
    if data is None:
        with kept.alone(file):
            data = kept.read(file) or _made(file, kernel, capability)
    entry, _, binary = data.partition(b"\n")
    return Code(entry.decode(), binary)


def _made(file: str, kernel: GpuKernel, capability: tuple[int, int]) -> bytes:
    """Machine code made and kept."""
    compiling()
    try:
        made = machine_code_of(kernel, capability)
    except Unavailable:
        raise
    except Exception as error:  # of any of the packages, each with errors of its own
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise Unavailable(
            f"GPU kernels cannot be compiled ({type(error).__name__}: {first}): pip install nanobragg[cuda12] or "
            "nanobragg[cuda13], whichever the driver is for; compiler and nvjitlink must be of one version, without "
            f"another CUDA's nvidia-nvvm: {compiled_by()}"
        ) from None
    data = made.name.encode() + b"\n" + made.binary
    kept.keep(file, data)
    return data
