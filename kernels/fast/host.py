"""Fast numerics on the CPU: which kernel renders a plan, and the order of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Capabilities
from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.fast.shares import GRAIN, Share, shares_of
from nanobragg.kernels.fast.tables import tables_of
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.image.wide import rendered_of
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.order.threads import CPU_GRAIN, TILE, in_chunks
from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.shapes import FAST_FORMS, ROUND
from nanobragg.kernels.vectors import unit

CAPABILITIES = Capabilities(exact=False, options=("precision", "shuffle"))
render_blocks, render_ellipsoids = Kernel("fast.loops", "render_blocks"), Kernel("fast.loops", "render_ellipsoids")
render_blocks_mixed = Kernel("fast.loops", "render_blocks_mixed")
render_in_order, render_sharp = Kernel("fast.loops", "render_in_order"), Kernel("fast.loops", "render_sharp")
NO_CELLS = np.empty((0, 9))


def check(**options: Any) -> None:
    """It can be used everywhere."""


def kernel_for(plan: RenderPlan, precision: str) -> Kernel:
    """The kernel that renders a plan: the one that can do no more than it needs."""
    if plan.cells.shape not in FAST_FORMS:
        return render_sharp
    if (has_products(plan) and plan.habits.running_products) or plan.factors.interpolate:
        return render_in_order
    if plan.cells.shape == ROUND:
        return render_ellipsoids
    return render_blocks_mixed if precision == "mixed" else render_blocks


class FastRun:
    """One image under way: its tables and its pixels."""

    def __init__(self, plan: RenderPlan, image: np.ndarray, precision: str = "double"):
        self.plan, self.image = plan.changed(axis=unit(plan.polarization.axis)), image.reshape(-1)
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        self.cells = with_domains(plan, later).reshape(-1, 9)
        self.first_cells = with_domains(plan, first).reshape(-1, 9) if self.carries_over else NO_CELLS
        self.shares = shares_of(plan, len(self.cells))
        self._tables = tables_of(plan)
        self._kernel = kernel_for(plan, precision)
        self._draws = [self._of_share(share) for share in self.shares]

    def _of_share(self, share: Share) -> Callable[..., int]:
        plan = self.plan if share.background else self.plan.changed(background=0.0)
        cells, first = self.cells[share.cells], self.first_cells[share.cells]
        single = (first.astype(np.float32), cells.astype(np.float32))
        return self._kernel.beginning_with(plan, self._tables, cells, single, share.part)

    def draw(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """Render ``pixels``; the lowest raster index at which interpolation went off, or `NEVER`."""
        if len(self.shares) == 1:
            first_cells = self.first_cells if first_visit else NO_CELLS
            return self._draws[0](self.image, pixels, first_cells, pixels, interpolate)
        sums = np.zeros((len(self.shares), len(pixels)))
        for number in range(len(self.shares)):
            self._draw_share(number, sums, pixels, first_visit)
        self._store(pixels, sums)
        return NEVER

    def _draw_share(self, number: int, sums: np.ndarray, pixels: np.ndarray, first_visit: bool) -> None:
        """Put what a share adds to ``pixels`` into its row of ``sums``, binary64 (shares, pixels)."""
        share = self.shares[number]
        first_cells = self.first_cells[share.cells] if first_visit and share.begins else NO_CELLS
        places = np.arange(len(pixels), dtype=pixels.dtype)
        self._draws[number](sums[number], places, first_cells, pixels, self.plan.factors.interpolate)

    def draw_few(self, threads: int, progress: Callable[[int], None] | None) -> bool:
        """Render all pixels, which are few, each shared out to threads; interpolation cannot go off on the way."""
        pixels = self.plan.rendered_pixels()
        first = 0
        if self.carries_over and len(pixels):
            first = min(serial.number_before_first_visit(self.plan, pixels) + 1, len(pixels))
        blocks = [(pixels[0:first], True)] * bool(first)
        blocks += [(pixels[k : k + TILE], False) for k in range(first, len(pixels), TILE)]
        sums = [np.zeros((len(self.shares), len(block))) for block, _ in blocks]
        done = 0

        def work(part: slice) -> None:
            for item in range(part.start, part.stop):
                block, number = divmod(item, len(self.shares))
                self._draw_share(number, sums[block], *blocks[block])

        def told(items: int) -> None:
            nonlocal done
            done += items
            if progress is not None:
                progress(len(pixels) * done // (len(blocks) * len(self.shares)))

        in_chunks(len(blocks) * len(self.shares), work, threads, told, per_pixel=CPU_GRAIN.steps)
        for (block, _), sums_of_block in zip(blocks, sums, strict=True):
            self._store(block, sums_of_block)
        return False

    def _store(self, pixels: np.ndarray, sums: np.ndarray) -> None:
        """Add up the shares of pixels in their order."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.image[pixels] = sums.sum(axis=0)


def render(plan: RenderPlan, *, precision: str = "double", **how: Any) -> Rendered:
    """Render with fast numerics.

    Parameters
    ----------
    plan
        What to render.
    precision
        ``double``, or ``mixed``: phases in binary64, polynomials and divisions in binary32, where that is faster: for
        block-shaped crystals with nearest amplitudes.
    how
        ``threads``, ``progress``, ``shuffle`` of `nanobragg.kernels.order.serial.render`.
    """
    image = np.zeros(plan.shape, np.float32)
    run = FastRun(plan, image, precision)
    if len(run.shares) > 1 and how.get("shuffle") is None:
        return rendered_of(plan, image, run.draw_few(how.get("threads", 1), how.get("progress")))
    nothing = np.empty(0, np.int64)
    ended = serial.render(
        plan, run.draw, plan.rendered_pixels(), nothing, carries_over=run.carries_over, grain=GRAIN, **how
    )
    return rendered_of(plan, image, ended)
