"""The GPU as a backend: how a render is cut into launches."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Capabilities
from nanobragg.kernels.backend import Unavailable as Unavailable
from nanobragg.kernels.cuda.device import Device, pixel_list, resident_plan
from nanobragg.kernels.cuda.device import count_devices as count_devices
from nanobragg.kernels.cuda.device import open_device as open_device
from nanobragg.kernels.cuda.rendered import RenderedOnDevice
from nanobragg.kernels.fast.reach import reach
from nanobragg.kernels.fast.tables import bordered_squares
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.order.threads import Grain
from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.shapes import FAST_FORMS

CAPABILITIES = Capabilities(exact=False, options=("device", "precision"), threads=False)
_asked = os.environ.get("NANOBRAGG_CUDA_THREADS", "")
THREADS = int(_asked) if _asked.isdecimal() and 0 < int(_asked) <= 1024 else 128  # of a block; few in the simulator
ENOUGH_THREADS = 1 << 18  # steps are split over blocks until there are so many; the same for every card
FEWEST_STEPS = 64  # of a thread, in one launch
MOST_ROWS = 65535  # of a grid
NOTHING = np.empty(0)


def check(*, device: int = 0, **options: Any) -> None:
    """Raise `Unavailable` unless this GPU can be used."""
    open_device(device)


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
        running = self.products and plan.habits.running_products
        ends = plan.factors.interpolate and plan.habits.interpolation_ends
        zeros_count = (plan.scale.water and (running or ends)) or plan.cells.shape in FAST_FORMS
        self.weighted = bool((plan.sources.weight != 1.0).any())
        self.spread = self.products and not plan.habits.running_products
        self.reach = (reach(plan).narrow, bool(zeros_count))
        self.on_device = resident_plan(device, plan)
        f = plan.factors
        key = (f.table, f.default_F, f.n_hkl, f.hkl_min, f.hkl_max)
        self.amplitudes = device.kept("squares", key, self._squares)
        self.size_of_table = float(self.amplitudes.squares.size // len(f.table))
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
            parts = split(self.rendered, self.plan.n_sources, len(self.cells) // 9)
        rows, blocks = parts[0] * parts[1], -(-n // THREADS)
        sums, states = cuda.device_array((rows, n), np.float64), cuda.device_array(n, np.uint8)
        directions, factors = cuda.device_array((3, n), np.float64), cuda.device_array(n, np.float64)
        cells, first = cuda.to_device(self.cells), cuda.to_device(first_cells)
        tables = (self.amplitudes, self.size_of_table)
        add_up = loops.sum_kernel(plan.cells.shape, bool(interpolate), self.products, self.single, self.weighted)
        loops.begin[blocks, THREADS](0.0 if self.spread else plan.scale.background, states, sums)
        for layer in range(plan.sensor.layers):
            for sub in range(self.plan.sub_pixels):
                loops.aim[blocks, THREADS](plan, listed, layer, sub, directions, factors)
                add_up[(blocks, rows), THREADS](
                    plan, tables, self.reach, cells, first, directions, factors, parts, states, sums
                )
        lowest, highest = int(pixels[0]), int(pixels[-1])
        whole = self.image is not None
        image = self.image if whole else self._zeros(highest + 1 - lowest)
        loops.finish[blocks, THREADS](plan, listed, sums, 0 if whole else lowest, image)
        if not whole:
            self.host.reshape(-1)[lowest : highest + 1] = image.copy_to_host()
        if not (interpolate and plan.habits.interpolation_ends):
            return NEVER
        off = pixels[states.copy_to_host() & loops.OFF != 0]
        return int(off.min()) if len(off) else NEVER

    def bytes_per_pixel(self) -> int:
        """What a pixel of a launch takes on the device, at most."""
        return 64 + 8 * max(split(ENOUGH_THREADS // 4, self.plan.n_sources, len(self.cells) // 9))


def render(
    plan: RenderPlan,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    device: int = 0,
    precision: str = "double",
) -> Rendered:
    """Render on a GPU with fast numerics; the image stays there if it fits.

    Parameters
    ----------
    plan, progress
        As those of `nanobragg.kernels.backend.Backend`; ``threads`` means nothing here.
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
    with gpu.active():
        image = np.zeros(plan.shape, np.float32)
        run = _Run(plan, image, gpu, precision)
        ended = serial.render(
            plan, run.draw, plan.rendered_pixels(), np.empty(0, np.int64), carries_over=run.carries_over,
            threads=1, progress=progress, grain=Grain(steps=1 << 62, pixels=run.most),
        )  # fmt: skip
        if run.image is None:
            return Rendered(plan, image, ended)
        run.image.copy_to_host(image.reshape(-1))
        return RenderedOnDevice(plan, image, ended, gpu, run.image)


def render_many(plans: Sequence[RenderPlan], devices: Sequence[int], **options: Any) -> list[Rendered]:
    """Images of many plans, spread over several GPUs: each takes the next plan when it has finished one."""
    if not devices:
        raise ValueError("render_many needs at least one device")
    images: list[Any] = [None] * len(plans)
    numbers = iter(range(len(plans)))
    lock, failures = threading.Lock(), []  # type: ignore[var-annotated]

    def worker(device: int) -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                images[number] = render(plans[number], device=device, **options)
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
