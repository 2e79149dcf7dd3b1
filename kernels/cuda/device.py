"""One GPU: whether it can be used, and what stays on it between renders.

Needs the packages of ``pip install nanobragg[cuda]`` and a driver; `Unavailable` says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.vectors import unit

OLDEST, OLDEST_DRIVER = (7, 5), (13, 0)  # what the compiler of CUDA 13 makes code for, and who can load it


class Device:
    """One GPU: its context, and what stays on it between renders."""

    def __init__(self, number: int):
        self.cuda = _cuda()
        if not 0 <= number < len(self.cuda.gpus):
            raise Unavailable(f"--device {number}: this machine has {len(self.cuda.gpus)}, numbered from 0")
        self.number = number
        self.simulated = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
        self._kept: dict[str, tuple[Any, Any]] = {}
        if not self.simulated:
            with self.active():
                device = self.cuda.get_current_device()
                self.name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
                if tuple(device.compute_capability) < OLDEST:
                    raise Unavailable(f"{self.name} is too old: compute capability below {OLDEST[0]}.{OLDEST[1]}")
                driver = tuple(self.cuda.cudadrv.driver.driver.get_version())
                if driver < OLDEST_DRIVER:
                    raise Unavailable(
                        f"the driver is for CUDA {driver[0]}.{driver[1]}; CUDA {OLDEST_DRIVER[0]} is needed"
                    )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the GPU that launches and allocations go to."""
        with _cuda_errors(), self.cuda.gpus[self.number]:
            yield

    def put(self, array: np.ndarray) -> Any:
        """A read-only array on the device, for use inside a named tuple."""
        return np.ascontiguousarray(array) if self.simulated else self.cuda.to_device(np.ascontiguousarray(array))

    def kept(self, name: str, source: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` returned for this very source; the last one of each name stays on the device."""
        held = self._kept.get(name)
        if held is None or not _same(held[0], source):
            self._kept.pop(name, None)
            self._kept[name] = (source, make())
        return self._kept[name][1]

    def free_memory(self) -> int:
        """Bytes that can be allocated."""
        return 1 << 33 if self.simulated else int(self.cuda.current_context().get_memory_info()[0])


def _same(a: tuple, b: tuple) -> bool:
    """Whether two keys are the same arrays and equal numbers."""
    pairs = zip(a, b, strict=True)
    return all(x is y or (not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray) and x == y) for x, y in pairs)


def _cuda() -> Any:
    """`numba.cuda`, if there is a driver and a device."""
    try:
        os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # small images are no mistake
        from numba import cuda
    except Exception as error:
        raise Unavailable(f"numba.cuda cannot be imported ({error}); pip install nanobragg[cuda]") from None
    try:
        available = cuda.is_available()
        reason = "" if available else str(cuda.cuda_error() or "no CUDA driver or no device").strip()
    except Exception as error:
        available, reason = False, str(error)
    if available and os.environ.get("NUMBA_ENABLE_CUDASIM") != "1" and getattr(cuda, "implementation", "") != "NVIDIA":
        raise Unavailable("numba-cuda is not installed: pip install nanobragg[cuda]")
    if not available:
        first = next((line for line in reason.splitlines() if line and not line.startswith("Error at")), "no device")
        raise Unavailable(first.rstrip(". :"))
    return cuda


@contextlib.contextmanager
def _cuda_errors() -> Iterator[None]:
    """Whatever the driver or the compiler of kernels cannot do, as `Unavailable`."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        if "OUT_OF_MEMORY" in str(error):
            raise Unavailable("the GPU has not enough free memory for this image") from None
        if type(error).__module__.partition(".")[0] in ("cuda", "numba_cuda") or "numba.cuda" in type(error).__module__:
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise Unavailable(f"{type(error).__name__}: {first}") from None
        raise


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


def count_devices() -> int:
    """Number of GPUs that this process sees; raises `Unavailable` as `open_device`."""
    return len(_cuda().gpus)


def resident_plan(device: Device, plan: RenderPlan, *, masked: bool = False) -> RenderPlan:
    """The plan with its arrays on the device, those that a kernel reads; the mask only where asked for."""
    unread = {"mosaic_rotations"} | (set() if masked else {"mask"}) | (set() if plan.factors.interpolate else {"table"})
    groups: dict[str, Any] = {}
    for name, group in plan._asdict().items():
        arrays = {field: value for field, value in group._asdict().items() if isinstance(value, np.ndarray)}
        there = {field: _held(device, field, array, field in unread) for field, array in arrays.items()}
        groups[name] = group._replace(**there)
    return RenderPlan(**groups).changed(axis=unit(plan.polarization.axis))


def _held(device: Device, field: str, array: np.ndarray, unread: bool) -> Any:
    """An array of the plan on the device, or an empty one of its kind for what no kernel reads."""
    if unread:
        return device.kept(f"no {field}", (array.ndim,), lambda: device.put(np.empty((0,) * array.ndim, array.dtype)))
    return device.kept(field, (array,), lambda: device.put(array))


def pixel_list(device: Device, plan: RenderPlan) -> Any:
    """The rendered pixels of a detector, on the device."""
    key = (plan.panels.mask, plan.panels.roi, plan.shape)
    return device.kept("pixels", key, lambda: device.cuda.to_device(plan.rendered_pixels()[:]))
