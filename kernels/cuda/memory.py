"""Arrays on a GPU, in memory that goes from one image to the next without being asked for again."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.kernels.cuda import driver

ALIGNED = 512  # bytes; what the driver gives out begins at a multiple of this


class Memory:
    """So many bytes on a GPU; when nobody has them any more they go back to the pool that they are of."""

    __slots__ = ("__weakref__", "address", "size")

    def __init__(self, address: int, size: int):
        self.address, self.size = address, size


class Pool:
    """The memory of one device. Its context must be current where memory is taken; giving back needs none."""

    def __init__(self) -> None:
        self._idle: list[tuple[int, int]] = []  # size and address
        self._lock = threading.RLock()  # garbage may be collected, and memory given back, while it is held
        self.in_use = 0

    def take(self, n_bytes: int) -> Memory:
        """Memory of this size, of what was given back or new."""
        size = -(-max(n_bytes, 1) // ALIGNED) * ALIGNED
        with self._lock:
            number = next((k for k, (idle, _) in enumerate(self._idle) if idle == size), None)
            address = self._idle.pop(number)[1] if number is not None else self._new(size)
            self.in_use += size
            memory = Memory(address, size)
            weakref.finalize(memory, self._take_back, size, address).atexit = False
        return memory

    def _new(self, size: int) -> int:
        if self.idle > self.in_use:  # images of another size are being made
            self.empty()
        try:
            return int(driver.ask("cuMemAlloc", size))
        except driver.OutOfMemory:
            if not self._idle:
                raise
        self.empty()
        return int(driver.ask("cuMemAlloc", size))

    def _take_back(self, size: int, address: int) -> None:
        with self._lock:
            self.in_use -= size
            self._idle.append((size, address))

    @property
    def idle(self) -> int:
        """Bytes that were given back and are kept."""
        return sum(size for size, _ in self._idle)

    def empty(self) -> None:
        """Give to the driver what is not in use."""
        while self._idle:
            driver.ask("cuMemFree", self._idle.pop()[1])


class DeviceArray:
    """A contiguous array on a GPU.

    Parameters
    ----------
    memory
        What keeps its bytes; None for an array of nothing.
    shape, dtype
        As of a numpy array.
    offset
        Bytes from the beginning of the memory.
    """

    def __init__(self, memory: Memory | None, shape: tuple[int, ...], dtype: npt.DTypeLike, offset: int = 0):
        self._memory, self.shape, self.dtype = memory, shape, np.dtype(dtype)
        self.address = memory.address + offset if memory is not None else 0
        self.size = math.prod(shape)
        strides, step = [], self.dtype.itemsize
        for length in reversed(shape):
            strides.append(step)
            step *= length
        # As numba lays an array out: two objects of Python's, items, bytes of one, the data, shape and strides.
        self.numbers = (0, 0, self.size, self.dtype.itemsize, self.address, *shape, *reversed(strides))

    def __len__(self) -> int:
        return self.shape[0]

    def copy_from(self, array: np.ndarray) -> None:
        """Take the values of a contiguous array of this type."""
        driver.copy_to_device(self.address, array)

    def copy_to_host(self, into: np.ndarray | None = None) -> np.ndarray:
        """The values, in a new array or one of this size."""
        array = np.empty(self.shape, self.dtype) if into is None else into
        driver.copy_to_host(array, self.address)
        return array

    def clear(self) -> None:
        """Set all bytes to 0."""
        if self.size:
            driver.ask("cuMemsetD8", self.address, 0, self.size * self.dtype.itemsize)


def together(pool: Pool, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Small arrays, all of them in one piece of memory that one copy fills."""
    places, end = {}, 0
    for name, array in arrays.items():
        places[name] = end
        end += -(-array.nbytes // 8) * 8
    block = np.zeros(max(end, 1), np.uint8)
    for name, array in arrays.items():
        block[places[name] : places[name] + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    memory = pool.take(len(block))
    driver.copy_to_device(memory.address, block)
    return {name: DeviceArray(memory, array.shape, array.dtype, places[name]) for name, array in arrays.items()}
