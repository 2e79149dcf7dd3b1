"""One GPU: whether it can be used, and what stays on it between renders.

Needs the packages of ``pip install nanobragg[cuda]`` and a driver; `Unavailable` says what is missing.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.cuda import driver
from nanobragg.kernels.cuda.compiled import GpuKernel, code_of, load_compiler
from nanobragg.kernels.cuda.memory import DeviceArray, Pool, together
from nanobragg.kernels.cuda.parameters import dtype_of, numbers_of
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.vectors import unit

OLDEST = {12: (5, 0), 13: (7, 5)}  # the compute capability that the compiler of a CUDA makes code for


def cuda_of_packages() -> int:
    """The CUDA that the packages are of, by its major version: that of the driver's bindings."""
    from cuda import bindings

    return int(bindings.__version__.partition(".")[0])


def check_driver(version: tuple[int, int], packages: int) -> None:
    """Raise `Unavailable` if a driver is older than the CUDA of the packages."""
    if packages not in OLDEST:
        raise Unavailable(f"cuda-bindings are of CUDA {packages}: pip install nanobragg[cuda12] or nanobragg[cuda13]")
    if version[0] >= packages:
        return
    other = f"pip install nanobragg[cuda{version[0]}], and pip uninstall nvidia-nvvm, which is of the other CUDA"
    wanted = other if version[0] in OLDEST else "a newer driver is needed"
    raise Unavailable(
        f"the driver is for CUDA {version[0]}.{version[1]}, the packages are of CUDA {packages}: {wanted}"
    )


class Device:
    """One GPU: its context, its memory and code, and what stays on it between renders."""

    def __init__(self, number: int):
        driver.driver()
        load_compiler()
        packages = cuda_of_packages()
        check_driver(driver.version(), packages)
        if not 0 <= number < driver.count_devices():
            raise Unavailable(f"--device {number}: this machine has {driver.count_devices()}, numbered from 0")
        card = driver.ask("cuDeviceGet", number)
        self.name, self.capability = driver.name_of(card), driver.capability_of(card)
        if self.capability < OLDEST[packages]:
            oldest = "{}.{}".format(*OLDEST[packages])
            raise Unavailable(f"{self.name} is too old: compute capability below {oldest}")
        self.number, self.pool = number, Pool()
        self._context = driver.ask("cuDevicePrimaryCtxRetain", card)
        self._loaded: dict[GpuKernel, tuple[Any, Any, driver.Launch]] = {}
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the GPU that this thread's launches and allocations go to."""
        with driver.current(self._context):
            yield

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> DeviceArray:
        """An array of any values."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        return DeviceArray(self.pool.take(n_bytes) if n_bytes else None, shape, dtype)

    def put(self, array: np.ndarray) -> DeviceArray:
        """An array on the device."""
        there = self.empty(array.shape, array.dtype)
        there.copy_from(np.ascontiguousarray(array))
        return there

    def kept(self, name: str, source: tuple, make: Callable[[], Any]) -> Any:
        """What ``make`` returned for an equal source; the last one of each name stays on the device."""
        with self._lock:
            held = self._kept.get(name)
            if held is None or not _same(held[0], source):
                self._kept.pop(name, None)
                held = None  # or there would be memory for two
                held = self._kept[name] = (tuple(map(_unchanging, source)), make())
            return held[1]

    def launch(self, kernel: GpuKernel, blocks: tuple[int, int], threads: int, *arguments: Any) -> None:
        """Start a kernel with arguments as it declares them; numbers that are on the device are in them by address."""
        with self._lock:  # one block of parameters for each kernel
            if kernel not in self._loaded:
                self._loaded[kernel] = self._load(kernel)
            _, function, launch = self._loaded[kernel]
            kernel.layout.pack_into(launch.parameters.data, 0, *numbers_of(arguments))
            launch(function, blocks, threads)

    def _load(self, kernel: GpuKernel) -> tuple[Any, Any, driver.Launch]:
        code = code_of(kernel, self.capability)
        return *driver.load(code.binary, code.name), driver.Launch(kernel.layout.size)

    def wait(self) -> None:
        """Until all that was launched has ended."""
        driver.ask("cuCtxSynchronize")

    def free_memory(self) -> int:
        """Bytes that can be allocated."""
        return int(driver.ask("cuMemGetInfo")[0]) + self.pool.idle


def _same(a: tuple, b: tuple) -> bool:
    """Whether two keys are equal numbers and arrays; that is seen sooner of the very same ones."""
    return all(x is y or _equal(x, y) for x, y in zip(a, b, strict=True))


def _unchanging(value: Any) -> Any:
    """An array that can be written to is kept as a copy, so that a change is seen."""
    return value.copy() if isinstance(value, np.ndarray) and value.flags.writeable else value


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return x.dtype == y.dtype and np.array_equal(x, y)
    return not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray) and bool(x == y)


_devices: dict[int, Device] = {}
_lock = threading.Lock()


def open_device(number: int = 0) -> Device:
    """The GPU of that number, opened once in a process.

    Raises
    ------
    Unavailable
        If there are no packages, no driver, no such device, or it is too old.
    """
    with _lock:
        if number not in _devices:
            _devices[number] = Device(number)
        return _devices[number]


class PlanOnDevice:
    """A plan whose arrays are on a device: the numbers that kernels are given for it, and its small arrays.

    Parameters
    ----------
    device
        The GPU, which must be active.
    plan
        What is rendered. Its table is put there only if it is interpolated in, its mask only if it has one.
    more
        Other small arrays of this image.
    """

    def __init__(self, device: Device, plan: RenderPlan, more: dict[str, np.ndarray]):
        small, held = dict(more), {}
        for group in plan:
            for field, value in group._asdict().items():
                if field in ("table", "mask"):
                    held[field] = staying(device, field, value, read=field == "mask" or plan.factors.interpolate)
                elif field == "mosaic_rotations":  # the cells are turned already
                    held[field] = DeviceArray(None, (0, 9), value.dtype)
                elif isinstance(value, np.ndarray):
                    small[field] = value.astype(dtype_of(field), copy=False)
        there = together(device.pool, small)
        self.more = {name: there.pop(name) for name in more}
        # The arrays are kept as long as this is: other images may replace those that stay on the device.
        self._plan = plan.changed(axis=unit(plan.polarization.axis), **there, **held)
        self.numbers = tuple(numbers_of(self._plan))


def staying(device: Device, field: str, array: np.ndarray, *, read: bool = True) -> Any:
    """An array that stays on the device for the images that follow, or an empty one where no kernel reads it."""
    if not read or not array.size:
        return DeviceArray(None, (0,) * array.ndim, dtype_of(field))
    return device.kept(field, (array,), lambda: device.put(array.astype(dtype_of(field), copy=False)))


def pixel_list(device: Device, plan: RenderPlan) -> DeviceArray:
    """The rendered pixels of a detector, on the device."""
    key = (plan.panels.mask, plan.panels.roi, plan.shape)
    return device.kept("pixels", key, lambda: device.put(plan.rendered_pixels()[:]))  # type: ignore[no-any-return]
