"""The GPU as a backend: how a render is cut into launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Capabilities
from nanobragg.kernels.backend import Unavailable as Unavailable
from nanobragg.kernels.cuda.device import Device, PlanOnDevice, pixel_list
from nanobragg.kernels.cuda.device import open_device as open_device
from nanobragg.kernels.cuda.memory import DeviceArray
from nanobragg.kernels.cuda.rendered import RenderedOnDevice
from nanobragg.kernels.fast.reach import reach
from nanobragg.kernels.fast.tables import bordered_squares
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.image.wide import rendered_of
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.order.threads import Grain
from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.shapes import FAST_FORMS, SQUARE

CAPABILITIES = Capabilities(exact=False, options=("device", "precision"), threads=False)
THREADS = 128  # of a block
ENOUGH_THREADS = 1 << 18  # steps are split over blocks until there are so many; the same for every card
FEWEST_STEPS = 64  # of a thread, in one launch
MOST_ROWS = 65535  # of a grid
BYTES_OF_PIXEL = 16  # on the device, its sums aside
LONGEST = 200_000_000_000  # steps of a launch, some seconds on a large card: progress is told in between
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
        self.single = precision == "mixed" and plan.cells.shape == SQUARE
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        cells = with_domains(plan, later).reshape(-1)
        first_cells = with_domains(plan, first).reshape(-1) if self.carries_over else NOTHING
        self.products = has_products(plan)
        running = self.products and plan.habits.running_products
        ends = plan.factors.interpolate and plan.habits.interpolation_ends
        zeros_count = (plan.scale.water and (running or ends)) or plan.cells.shape in FAST_FORMS
        self.weighted = bool((plan.sources.weight != 1.0).any()) or plan.sensor.chromatic
        self.reach = (reach(plan).narrow, bool(zeros_count))
        self.on_device = PlanOnDevice(device, plan, {"cells": cells, "first_cells": first_cells})
        f = plan.factors
        key = (f.table, f.default_F, f.n_hkl, f.hkl_min, f.hkl_max)
        self.amplitudes = device.kept("squares", key, self._squares)
        size_of_table = float(self.amplitudes.squares.size // len(f.table))
        self.tables = (*self.amplitudes, size_of_table)
        # Of all pixels, not of those that fit into a launch: sums must not depend on free memory.
        self.parts = (1, 1) if self.products else split(plan.n_rendered, plan.n_sources, len(cells) // 9)
        per_pixel = BYTES_OF_PIXEL + 8 * self.parts[0] * self.parts[1]
        self.most = max(device.free_memory() // 2 // per_pixel, THREADS)
        self.image: Any = None
        self.pixels: Any = ()
        if 4 * image.size <= device.free_memory() // 4:
            self.image = self._zeros(image.size)
            self.pixels = pixel_list(device, plan)

    def _squares(self) -> Any:
        squares = bordered_squares(self.plan)
        return squares._replace(squares=self.device.put(squares.squares))

    def _zeros(self, size: int) -> DeviceArray:
        image = self.device.empty((size,), np.float32)
        image.clear()
        return image

    def share_wide_pixels(self) -> None:
        """Of the whole image: what two pixels have of one."""
        from nanobragg.kernels.cuda import figures

        panels, (number, n_slow, n_fast) = self.plan.panels, self.plan.shape
        for along_fast, pairs, lines in ((True, panels.wide_fast, n_slow), (False, panels.wide_slow, n_fast)):
            if count := number * lines * len(pairs):
                blocks = (-(-count // THREADS), 1)
                self.device.launch(figures.share, blocks, THREADS, self.on_device, along_fast, self.image)

    def grain(self) -> Grain:
        """The largest launch: what fits, and some seconds' work, but enough pixels to keep a card busy."""
        return Grain(steps=max(LONGEST, self.plan.evaluations * ENOUGH_THREADS), pixels=self.most)

    def draw(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """Render ``pixels``; the lowest raster index at which interpolation went off, or `NEVER`."""
        if not first_visit:
            return self.launch(pixels, interpolate)
        for start in range(0, len(pixels) - 1, self.most):  # no source reaches any of these
            self.launch(pixels[start : min(start + self.most, len(pixels) - 1)], interpolate)
        return self.launch(pixels[-1:], interpolate, first_visit=True)

    def launch(self, pixels: np.ndarray, interpolate: bool, *, first_visit: bool = False) -> int:
        """Render pixels, all with the same tables."""
        n, device, loops, small = len(pixels), self.device, self.loops, self.on_device.more
        if n == 0:
            return NEVER
        listed = self.pixels if n == len(self.pixels) else device.put(pixels)
        parts = (1, 1) if interpolate or first_visit else self.parts
        rows, blocks = parts[0] * parts[1], -(-n // THREADS)
        sums = device.empty((rows, n))
        off = device.empty((n if interpolate else 0,), np.bool_)
        lowest, highest = int(pixels[0]), int(pixels[-1])
        whole = self.image is not None
        image = self.image if whole else self._zeros(highest + 1 - lowest)
        kernel = loops.render_kernel(
            self.plan.cells.shape, bool(interpolate), self.products, self.single, self.weighted
        )
        first_cells = small["first_cells"] if first_visit else DeviceArray(None, (0,), np.float64)
        device.launch(
            kernel, (blocks, rows), THREADS, self.on_device, self.tables, self.reach, listed, small["cells"],
            first_cells, parts, sums, off,
        )  # fmt: skip
        device.launch(loops.finish, (blocks, 1), THREADS, self.on_device, listed, sums, 0 if whole else lowest, image)
        if not whole:
            image.copy_to_host(self.host.reshape(-1)[lowest : highest + 1])
        elif n < self.plan.n_rendered:
            device.wait()  # or progress would run ahead of the device
        if not (interpolate and self.plan.habits.interpolation_ends):
            return NEVER
        ended = pixels[off.copy_to_host()]
        return int(ended.min()) if len(ended) else NEVER


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
            threads=1, progress=progress, grain=run.grain(),
        )  # fmt: skip
        if run.image is None:
            return rendered_of(plan, image, ended)
        run.share_wide_pixels()
        return RenderedOnDevice(plan, image, ended, gpu, run.on_device, run.image)
