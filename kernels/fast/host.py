"""Fast numerics on the CPU: which kernel renders a plan, and the order of pixels."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.fast.tables import tables_of
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.order.threads import CPU_GRAIN, TILE, Grain, in_chunks
from nanobragg.kernels.plan import ROUND, RenderPlan, has_products
from nanobragg.kernels.vectors import unit

render_blocks, render_ellipsoids = Kernel("fast.loops", "render_blocks"), Kernel("fast.loops", "render_ellipsoids")
render_blocks_mixed = Kernel("fast.loops", "render_blocks_mixed")
render_weighted, render_sharp = Kernel("fast.loops", "render_weighted"), Kernel("fast.loops", "render_sharp")
GRAIN = Grain(steps=8_000_000, pixels=262_144, tile=TILE, worth_a_thread=200_000)
MOST_SHARES = 256  # tiles, or shares of them: enough for the threads of most machines
NO_CELLS = np.empty((0, 9))


class Part(NamedTuple):
    """Sub-pixels of each layer, and sources, from the first to before the last."""

    first_sub: int
    last_sub: int
    first_source: int
    last_source: int


class Share(NamedTuple):
    """A part of all evaluations of a pixel: which sub-pixels and sources, which cells, and whether the background."""

    part: Part
    cells: slice
    background: bool

    @property
    def begins(self) -> bool:
        """Whether the first visit of a pixel is in it."""
        return self.part.first_sub == 0 and self.part.first_source == 0


def shares_of(plan: RenderPlan, cells: int) -> list[Share]:
    """All evaluations of a pixel in one, or where few pixels have very many of them, in some that threads can share.

    It depends on the plan alone, so that the sums of the shares are the same for any number of threads.
    """
    subs, sources = plan.oversample**2, len(plan.sources)
    whole = Part(0, subs, 0, sources)
    tiles = -(-plan.n_rendered // TILE)
    # What is carried from one evaluation to the next cannot be shared out: running products, the end of interpolation,
    # and a polarization that waits for the first source that -dmin leaves.
    carried = (has_products(plan) and plan.running_products) or (plan.interpolate and plan.sticky) or plan.dmin > 0.0
    if tiles >= MOST_SHARES or plan.evaluations * TILE < CPU_GRAIN.steps or carried:
        return [Share(whole, slice(None), True)]
    together = plan.shape <= ROUND and not has_products(plan) and not plan.interpolate  # one group of sources
    ways = {"subs": subs, "cells": cells, "sources": sources if together else 1}
    way = max(ways, key=lambda name: ways[name])
    enough = plan.evaluations * TILE // GRAIN.worth_a_thread
    number = min(ways[way], -(-MOST_SHARES // max(tiles, 1)), enough)
    ends = [ways[way] * k // number for k in range(number + 1)]
    if way == "cells":
        return [Share(whole, slice(a, b), a == 0) for a, b in itertools.pairwise(ends)]
    per_term = has_products(plan)  # then each term has its own part of the background
    return [
        Share(
            whole._replace(first_sub=a, last_sub=b) if way == "subs" else
            whole._replace(first_source=a, last_source=b),
            slice(None), per_term or a == 0,
        )
        for a, b in itertools.pairwise(ends)
    ]  # fmt: skip


def kernel_for(plan: RenderPlan, precision: str) -> Kernel:
    """The kernel that renders a plan: the one that can do no more than it needs."""
    if plan.shape > ROUND:
        return render_sharp
    if (has_products(plan) and plan.running_products) or plan.interpolate:
        return render_weighted
    if plan.shape == ROUND:
        return render_ellipsoids
    return render_blocks_mixed if precision == "mixed" else render_blocks


class Run:
    """One image under way: its tables and its pixels."""

    def __init__(self, plan: RenderPlan, image: np.ndarray, precision: str = "double"):
        self.plan, self.image = plan._replace(polar_axis=unit(plan.polar_axis)), image.reshape(-1)
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        self.cells = with_domains(plan, later).reshape(-1, 9)
        self.first_cells = with_domains(plan, first).reshape(-1, 9) if self.carries_over else NO_CELLS
        self.shares = shares_of(plan, len(self.cells))
        self._tables = tables_of(plan)
        self._kernel = kernel_for(plan, precision)
        self._draws = [self._of_share(share) for share in self.shares]

    def _of_share(self, share: Share) -> Callable[..., int]:
        plan = self.plan if share.background else self.plan._replace(background=0.0)
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
        self._draws[number](sums[number], places, first_cells, pixels, self.plan.interpolate)

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
        for (block, _), made in zip(blocks, sums, strict=True):
            self._store(block, made)
        return False

    def _store(self, pixels: np.ndarray, sums: np.ndarray) -> None:
        """Add up the shares of pixels in their order."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.image[pixels] = sums.sum(axis=0)


def render(plan: RenderPlan, image: np.ndarray, *, precision: str = "double", **how: Any) -> bool:
    """Fill ``image``, float32 (slow, fast), with fast numerics.

    Other parameters, and what is returned, are those of `nanobragg.kernels.strict.host.render`.

    Parameters
    ----------
    precision
        ``double``, or ``mixed``: phases in binary64, polynomials and divisions in binary32, where that is faster: for
        block-shaped crystals with nearest amplitudes.
    """
    run = Run(plan, image, precision)
    if len(run.shares) > 1 and how.get("shuffle") is None:
        return run.draw_few(how.get("threads", 1), how.get("progress"))
    nothing = np.empty(0, np.int64)
    return serial.render(
        plan, run.draw, plan.rendered_pixels(), nothing, carries_over=run.carries_over, grain=GRAIN, **how
    )
