"""What is asked of the CUDA driver: memory, copies, code and launches. Whatever it refuses is `Unavailable`."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Unavailable

# Numbers of the driver's interface (cuda.h).
OUT_OF_MEMORY, NO_DEVICE = 2, 100
STREAMS = "CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM"
MAJOR, MINOR = 75, 76  # attributes of a device: its compute capability
PARAMETERS, SIZE, END = 1, 2, 0  # how a launch is told of one block of parameters


class OutOfMemory(Unavailable):
    """The GPU has not enough free memory."""


@functools.cache
def driver() -> Any:
    """The bindings of the driver, with the driver started."""
    if os.environ.get(STREAMS, "0") not in ("", "0"):
        raise Unavailable(f"{STREAMS} is set: copies and launches must be in one order; unset it")
    try:
        from cuda.bindings import driver
    except Exception as error:
        raise Unavailable(f"cuda.bindings cannot be imported ({error}); pip install nanobragg[cuda]") from None
    try:
        status = int(driver.cuInit(0)[0])
    except Exception:  # the bindings have errors of their own where there is no library of that name
        raise Unavailable("this machine has no NVIDIA driver (libcuda.so.1)") from None
    if status == NO_DEVICE:
        raise Unavailable("the NVIDIA driver finds no GPU")
    if status:
        raise Unavailable(f"the NVIDIA driver does not start: {_in_words(driver, status)}")
    return driver


def _in_words(bindings: Any, status: int) -> str:
    """An error of the driver: its name, and what it means."""
    try:
        code = bindings.CUresult(status)
    except ValueError:  # of a newer driver than the bindings know
        return f"CUDA error {status}"
    texts = (bindings.cuGetErrorName(code)[1], bindings.cuGetErrorString(code)[1])
    name, meaning = (text.decode() if isinstance(text, bytes) else str(text) for text in texts)
    return f"{name}, {meaning}"


def ask(function: str, *arguments: Any) -> Any:
    """What a function of the driver answers, without its status."""
    status, *answers = getattr(driver(), function)(*arguments)
    if status:
        refuse(int(status))
    return answers[0] if len(answers) == 1 else tuple(answers)


def refuse(status: int) -> None:
    """Raise what a status other than 0 means."""
    if status == OUT_OF_MEMORY:
        raise OutOfMemory("the GPU has not enough free memory for this image")
    raise Unavailable(_in_words(driver(), status))


def version() -> tuple[int, int]:
    """The CUDA that the driver is for."""
    number = int(ask("cuDriverGetVersion"))
    return number // 1000, number % 1000 // 10


def count_devices() -> int:
    """Number of GPUs that this process sees."""
    return int(ask("cuDeviceGetCount"))


def name_of(device: Any) -> str:
    """What the card calls itself."""
    return str(ask("cuDeviceGetName", 128, device).partition(b"\0")[0].decode())


def capability_of(device: Any) -> tuple[int, int]:
    """Compute capability of a card."""
    kinds = driver().CUdevice_attribute
    major, minor = (int(ask("cuDeviceGetAttribute", kinds(kind), device)) for kind in (MAJOR, MINOR))
    return major, minor


@contextlib.contextmanager
def current(context: Any) -> Iterator[None]:
    """While this context is the one that this thread's calls go to."""
    ask("cuCtxPushCurrent", context)
    try:
        yield
    finally:
        ask("cuCtxPopCurrent")


def copy_to_device(address: int, array: np.ndarray) -> None:
    """Bytes of a contiguous array, to the device."""
    if array.nbytes:
        ask("cuMemcpyHtoD", address, array.ctypes.data, array.nbytes)


def copy_to_host(array: np.ndarray, address: int) -> None:
    """Bytes from the device into a contiguous array, when all that was launched before has ended."""
    if array.nbytes:
        ask("cuMemcpyDtoH", array.ctypes.data, address, array.nbytes)


def load(code: bytes, name: str) -> tuple[Any, Any]:
    """A module of machine code, and its kernel of this name."""
    module = ask("cuModuleLoadData", code)
    return module, ask("cuModuleGetFunction", module, name.encode())


class Launch:
    """A block of parameters that one launch after the other is made with; the driver copies it each time."""

    def __init__(self, size: int):
        self.parameters = np.zeros(-(-size // 8), np.uint64)
        self._size = np.array([size], np.uint64)
        told = (PARAMETERS, self.parameters.ctypes.data, SIZE, self._size.ctypes.data, END)
        self._extra = np.array(told, np.uint64)
        self._told = int(self._extra.ctypes.data)
        self._launch = driver().cuLaunchKernel

    def __call__(self, kernel: Any, blocks: tuple[int, int], threads: int) -> None:
        """Start a kernel; it may still be running when this returns."""
        (status,) = self._launch(kernel, blocks[0], blocks[1], 1, threads, 1, 1, 0, 0, 0, self._told)
        if status:
            refuse(int(status))
