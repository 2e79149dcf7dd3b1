"""The GPU as a backend: what stays on the device, what travels, and how a render is cut into launches.

Needs the packages of ``pip install nanobragg[cuda]`` and a driver; `Unavailable` says what is missing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Unavailable as Unavailable
from nanobragg.kernels.fast.reach import reach
from nanobragg.kernels.fast.tables import bordered_squares
from nanobragg.kernels.image import figures
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.order.threads import Grain
from nanobragg.kernels.plan import ROUND, RenderPlan, has_products
from nanobragg.kernels.vectors import unit

_asked = os.environ.get("NANOBRAGG_CUDA_THREADS", "")
THREADS = int(_asked) if _asked.isdecimal() and 0 < int(_asked) <= 1024 else 128  # of a block; few in the simulator
ENOUGH_THREADS = 1 << 18  # steps are split over blocks until there are so many; the same for every card
FEWEST_STEPS = 64  # of a thread, in one launch
MOST_ROWS = 65535  # of a grid
OLDEST, OLDEST_DRIVER = (7, 5), (13, 0)  # what the compiler of CUDA 13 makes code for, and who can load it
NOTHING, NO_MASK = np.empty(0), np.empty(0, np.uint8)


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


def split(n_pixels: int, n_sources: int, n_cells: int) -> tuple[int, int]:
    """Into how many parts sources and cells are cut, so that few pixels keep a GPU busy.

    It depends on the numbers alone, not on the card: the parts are added in order, so the image does too.
    """
    wanted = max(min(ENOUGH_THREADS // max(n_pixels, 1), n_sources * n_cells // FEWEST_STEPS, MOST_ROWS), 1)
    cells = min(wanted, n_cells)
    return min(max(wanted // cells, 1), n_sources), cells


class _Run:
    """One image under way on a device."""

    def __init__(self, plan: RenderPlan, image: np.ndarray, device: Device, precision: str):
        from nanobragg.kernels.cuda import loops as cuda_loops

        self.loops, self.device, self.host, self.plan = cuda_loops, device, image, plan
        self.single = precision == "mixed"
        self.rendered = plan.n_rendered  # not what fits into a launch: sums must not depend on free memory
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        self.cells = with_domains(plan, later).reshape(-1)
        self.first_cells = with_domains(plan, first).reshape(-1) if self.carries_over else NOTHING
        self.products = has_products(plan)
        running = self.products and plan.running_products
        zeros_count = (plan.water and (running or (plan.interpolate and plan.sticky))) or plan.shape <= ROUND
        self.weighted = bool((plan.sources[:, 4] != 1.0).any())
        self.spread = self.products and not plan.running_products
        self.reach = (reach(plan).narrow, bool(zeros_count))
        self.on_device = resident_plan(device, plan)
        self.amplitudes = device.kept(
            "squares", (plan.table, plan.default_F, plan.n_hkl, plan.hkl_min, plan.hkl_max), self._squares
        )
        self.most = max(device.free_memory() // 2 // self.bytes_per_pixel(), THREADS)
        self.image: Any = None
        self.pixels: Any = ()
        if 4 * image.size <= device.free_memory() // 4:
            self.image = self._zeros(image.size)
            self.pixels = pixel_list(device, plan)

    def _squares(self) -> Any:
        squares = bordered_squares(self.plan)
        return squares._replace(squares=self.device.put(squares.squares))

    def _zeros(self, size: int) -> Any:
        image = self.device.cuda.device_array(size, np.float32)
        self.loops.clear[-(-size // THREADS), THREADS](image)
        return image

    def draw(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """Render ``pixels``; the lowest raster index at which interpolation went off, or `NEVER`."""
        if not first_visit:
            return self.launch(pixels, NOTHING, interpolate)
        for start in range(0, len(pixels) - 1, self.most):  # no source reaches any of these
            self.launch(pixels[start : min(start + self.most, len(pixels) - 1)], NOTHING, interpolate)
        return self.launch(pixels[-1:], self.first_cells, interpolate)

    def launch(self, pixels: np.ndarray, first_cells: np.ndarray, interpolate: bool) -> int:
        """Render pixels, all with the same tables."""
        n, plan, cuda, loops = len(pixels), self.on_device, self.device.cuda, self.loops
        if n == 0:
            return NEVER
        listed = self.pixels if n == len(self.pixels) else cuda.to_device(pixels)
        parts = (1, 1)
        if not (self.products or interpolate or len(first_cells)):
            parts = split(self.rendered, len(plan.sources), len(self.cells) // 9)
        rows, blocks = parts[0] * parts[1], -(-n // THREADS)
        sums, states = cuda.device_array((rows, n), np.float64), cuda.device_array(n, np.uint8)
        directions, factors = cuda.device_array((3, n), np.float64), cuda.device_array(n, np.float64)
        cells, first = cuda.to_device(self.cells), cuda.to_device(first_cells)
        add_up = loops.sum_kernel(plan.shape, bool(interpolate), self.products, self.single, self.weighted)
        loops.begin[blocks, THREADS](0.0 if self.spread else plan.background, states, sums)
        for layer in range(plan.layers):
            for sub in range(plan.oversample**2):
                loops.aim[blocks, THREADS](plan, listed, layer, sub, directions, factors)
                add_up[(blocks, rows), THREADS](
                    plan, self.amplitudes, self.reach, cells, first, directions, factors, parts, states, sums
                )
        lowest, highest = int(pixels[0]), int(pixels[-1])
        whole = self.image is not None
        image = self.image if whole else self._zeros(highest + 1 - lowest)
        loops.finish[blocks, THREADS](plan, listed, sums, 0 if whole else lowest, image)
        if not whole:
            self.host.reshape(-1)[lowest : highest + 1] = image.copy_to_host()
        if not (interpolate and plan.sticky):
            return NEVER
        off = pixels[states.copy_to_host() & loops.OFF != 0]
        return int(off.min()) if len(off) else NEVER

    def bytes_per_pixel(self) -> int:
        """What a pixel of a launch takes on the device, at most."""
        return 64 + 8 * max(split(ENOUGH_THREADS // 4, len(self.plan.sources), len(self.cells) // 9))


def resident_plan(device: Device, plan: RenderPlan, *, masked: bool = False) -> RenderPlan:
    """The plan with its arrays on the device, those that a kernel reads; the mask only where asked for."""
    table = plan.table if plan.interpolate else np.empty((0, 0, 0))
    held = device.kept("table", (plan.table, plan.interpolate), lambda: device.put(table))
    mask = device.kept("mask", (plan.mask, masked), lambda: device.put(plan.mask if masked else NO_MASK))
    return plan._replace(
        polar_axis=unit(plan.polar_axis), sources=device.put(plan.sources), table=held, mask=mask,
        mosaic_rotations=device.put(np.empty((0, 9))),
    )  # fmt: skip


def pixel_list(device: Device, plan: RenderPlan) -> Any:
    """The rendered pixels of a detector, on the device."""
    key = (plan.mask, plan.roi, plan.n_fast, plan.n_slow)
    return device.kept("pixels", key, lambda: device.cuda.to_device(plan.rendered_pixels()[:]))


_last = threading.local()  # the image that this thread rendered last, and where it still is on a device


def render(
    plan: RenderPlan,
    image: np.ndarray,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    shuffle: np.random.Generator | None = None,
    device: int = 0,
    precision: str = "double",
) -> bool:
    """Fill ``image``, float32 (slow, fast), on a GPU with fast numerics.

    Returns whether interpolation went off on the way.

    Parameters
    ----------
    plan, image, progress
        As those of `nanobragg.kernels.strict.host.render`; ``threads`` and ``shuffle`` mean nothing here.
    device
        Number of the GPU.
    precision
        ``double``, or ``mixed``: phases in binary64, polynomials and divisions of block-shaped crystals in binary32.

    Raises
    ------
    Unavailable
        If the GPU cannot be used, or has not enough memory.
    """
    gpu = open_device(device)
    _last.image, _last.there, _last.device = None, None, gpu
    with gpu.active():
        run = _Run(plan, image, gpu, precision)
        ended = serial.render(
            plan, run.draw, plan.rendered_pixels(), np.empty(0, np.int64), carries_over=run.carries_over,
            threads=1, progress=progress, grain=Grain(steps=1 << 62, pixels=run.most),
        )  # fmt: skip
        if run.image is not None:
            run.image.copy_to_host(image.reshape(-1))
            _last.image, _last.there = image, run.image
    return ended


def render_many(plans: Sequence[RenderPlan], devices: Sequence[int], **options: Any) -> list[np.ndarray]:
    """Images of many plans, spread over several GPUs: each takes the next plan when it has finished one."""
    if not devices:
        raise ValueError("render_many needs at least one device")
    images = [np.zeros((plan.n_slow, plan.n_fast), np.float32) for plan in plans]
    numbers = iter(range(len(plans)))
    lock, failures = threading.Lock(), []  # type: ignore[var-annotated]

    def worker(device: int) -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                render(plans[number], images[number], device=device, **options)
            except Exception as error:
                failures.append(error)

    workers = [threading.Thread(target=worker, args=(device,)) for device in devices]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    if failures:
        raise failures[0]
    return images


def _device() -> Device:
    """The device that this thread rendered on last."""
    return getattr(_last, "device", None) or open_device()


@contextlib.contextmanager
def _image_on_device(plan: RenderPlan, image: np.ndarray) -> Iterator[tuple[Device, RenderPlan, Any]]:
    """The device, the plan and the flat image there: where it was rendered if it was the last one, else sent anew.

    Only an image that is read-only since is taken to be what was rendered.
    """
    gpu = _device()
    with gpu.active():
        is_there = getattr(_last, "image", None) is image and not image.flags.writeable
        if not is_there and 16 * image.size > gpu.free_memory() // 2:
            raise Unavailable("the GPU has not enough free memory for the figures of this image")
        there = _last.there if is_there else gpu.cuda.to_device(np.ascontiguousarray(image).reshape(-1))
        yield gpu, resident_plan(gpu, plan, masked=True), there


def _else_on_the_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the host do what does not fit on the device."""

    @functools.wraps(function)
    def either(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Unavailable:
            return getattr(figures, function.__name__)(*arguments)

    return either


def _figures(plan: RenderPlan, image: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
    from nanobragg.kernels.cuda import figures as cuda_figures

    segments = -(-image.size // cuda_figures.SEGMENT)
    with _image_on_device(plan, image) as (gpu, on_device, there):
        sums, maxima = gpu.cuda.device_array((segments, 5)), gpu.cuda.device_array(segments, np.int64)
        cuda_figures.add_up[segments, cuda_figures.THREADS](on_device, mean, there, sums, maxima)
        return sums.copy_to_host(), maxima.copy_to_host()


@_else_on_the_host
def sums(plan: RenderPlan, image: np.ndarray) -> tuple[int, float, float, float, int]:
    """See `nanobragg.kernels.image.figures.sums`."""
    found, maxima = _figures(plan, image, 0.0)
    values = image.reshape(-1)
    where = max((int(i) for i in maxima if i >= 0), key=lambda i: (values[i], -i), default=-1)
    count, total, squares = (float(sum(column)) for column in found.T[:3])
    return int(count), total, squares, float(values[where]) if where >= 0 else 0.0, where


@_else_on_the_host
def deviations(plan: RenderPlan, image: np.ndarray, mean: float) -> tuple[int, float]:
    """See `nanobragg.kernels.image.figures.deviations`."""
    found, _ = _figures(plan, image, mean)
    return int(sum(found[:, 3])), float(sum(found[:, 4]))


@_else_on_the_host
def solid_angle(plan: RenderPlan, threads: int) -> float:
    """See `nanobragg.kernels.image.figures.solid_angle`."""
    from nanobragg.kernels.cuda import figures as cuda_figures

    gpu = _device()
    with gpu.active():
        if 4 * plan.n_rendered > gpu.free_memory() // 4:
            raise Unavailable("the GPU has not enough free memory for the list of pixels")
        pixels = pixel_list(gpu, plan)
        segments = max(-(-len(pixels) // cuda_figures.SEGMENT), 1)
        sums = gpu.cuda.device_array(segments)
        cuda_figures.solid_angles[segments, cuda_figures.THREADS](resident_plan(gpu, plan), pixels, sums)
        return float(sum(sums.copy_to_host()))


def _per_pixel(plan: RenderPlan, image: np.ndarray, kernel: str, dtype: Any, *numbers: float) -> np.ndarray:
    from nanobragg.kernels.cuda import figures as cuda_figures

    with _image_on_device(plan, image) as (gpu, on_device, there):
        made = gpu.cuda.device_array(image.size, dtype)
        getattr(cuda_figures, kernel)[-(-image.size // THREADS), THREADS](on_device, there, *numbers, made)
        return made.copy_to_host().reshape(image.shape)


@_else_on_the_host
def to_int(plan: RenderPlan, image: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """See `nanobragg.kernels.image.figures.to_int`."""
    return _per_pixel(plan, image, "to_int", np.uint16, scale, adc)


@_else_on_the_host
def to_grey(plan: RenderPlan, image: np.ndarray, scale: float) -> np.ndarray:
    """See `nanobragg.kernels.image.figures.to_grey`."""
    return _per_pixel(plan, image, "to_grey", np.uint8, scale)


@_else_on_the_host
def philox_noise(
    plan: RenderPlan, image: np.ndarray, adc: float, seed: int, threads: int, highest: int, panel: int = 0
) -> tuple[np.ndarray, float, int]:
    """See `nanobragg.kernels.image.figures.philox_noise`."""
    from nanobragg.kernels.cuda import figures as cuda_figures

    with _image_on_device(plan, image) as (gpu, on_device, there):
        counts, photons = gpu.cuda.device_array(image.size, np.int32), gpu.cuda.device_array(image.size, np.float64)
        cuda_figures.draw_counts[-(-image.size // THREADS), THREADS](
            on_device, there, adc, seed, panel, float(highest), counts, photons
        )
        drawn = photons.copy_to_host().reshape(image.shape)
        by_row = np.add.accumulate(drawn, axis=1)[:, -1]
        x0, x1, y0, y1 = plan.roi
        inside = drawn[max(y0, 0) : max(y1 + 1, 0), max(x0, 0) : max(x1 + 1, 0)]
        return counts.copy_to_host().reshape(image.shape), float(by_row.sum()), int((inside + adc > highest).sum())
