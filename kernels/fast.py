"""Fast numerics on the CPU: the tables that the tiles read, and the order of pixels."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels import serial
from nanobragg.kernels.machine_code import Kernel
from nanobragg.kernels.orientation import cells_per_phi, with_domains
from nanobragg.kernels.plan import ROUND, RenderPlan
from nanobragg.kernels.serial import NEVER
from nanobragg.kernels.sharp import reach
from nanobragg.kernels.threads import CPU_GRAIN, TILE, Grain, in_chunks
from nanobragg.kernels.vectors import magnitude, unit

render_blocks, render_ellipsoids = Kernel("fast_tiles", "render_blocks"), Kernel("fast_tiles", "render_ellipsoids")
render_blocks_mixed = Kernel("fast_tiles", "render_blocks_mixed")
render_weighted, render_sharp = Kernel("fast_tiles", "render_weighted"), Kernel("fast_tiles", "render_sharp")
GRAIN = Grain(steps=8_000_000, pixels=262_144, tile=TILE, worth_a_thread=200_000)
MOST_SHARES = 16  # tiles, or shares of them: enough for the threads of most machines
NO_CELLS = np.empty((0, 9))


class Amplitudes(NamedTuple):
    """Squared amplitudes in a flat table with a border of ``default_F`` squared all around.

    ``low`` and ``high`` are the indices of the border, ``stride`` belongs to h and k, ``origin`` is the place of the
    node 0 0 0.
    """

    squares: np.ndarray
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    stride: tuple[float, float]
    origin: float


_last: tuple[Any, Any, Amplitudes] | None = None  # a table, what else its squares depend on, and they


def bordered_squares(plan: RenderPlan) -> Amplitudes:
    """`_bordered_squares`, those of the last table kept as long as it is there: many images have the same."""
    global _last
    about = (plan.default_F, plan.n_hkl != 0, plan.hkl_min, plan.hkl_max)
    known = _last
    if known is not None and known[0]() is plan.table and known[1] == about:
        return known[2]
    made = _bordered_squares(plan)
    if not plan.table.flags.writeable:
        _last = (weakref.ref(plan.table, _forget), about, made)
    return made


def _forget(table: Any) -> None:
    global _last
    known = _last
    if known is not None and known[0] is table:
        _last = None


def _bordered_squares(plan: RenderPlan) -> Amplitudes:
    """The table as the gather wants it: an index out of the box is moved onto the border; too large a square is inf."""
    with np.errstate(over="ignore"):
        default = float(np.square(plan.default_F))
        if not plan.n_hkl:
            return Amplitudes(np.full(1, default), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0), 0.0)
        h, k, length = plan.hkl_range
        box = np.full((h + 2, k + 2, length + 2), default)
        box[1:-1, 1:-1, 1:-1] = plan.table[:h, :k, :length] ** 2
    low = tuple(float(x - 1) for x in plan.hkl_min)
    high = tuple(float(x + 1) for x in plan.hkl_max)
    stride = (float(box.shape[1] * box.shape[2]), float(box.shape[2]))
    origin = -(low[0] * stride[0] + low[1] * stride[1] + low[2])
    return Amplitudes(box.ravel(), low, high, stride, origin)  # type: ignore[arg-type]


def source_shifts(plan: RenderPlan) -> np.ndarray:
    """For each source 1/wavelength, and the difference of the first source's direction from its own over it, (n, 4)."""
    per_length = 1.0 / plan.sources[:, 3:4]
    return np.hstack([per_length, (plan.sources[:, :3] - plan.sources[:1, :3]) * per_length])


def longest_squared(plan: RenderPlan, amplitudes: Amplitudes, shifts: np.ndarray) -> float:
    """Square of the longest difference of directions whose nodes are all in the table, whatever the orientation.

    An index is a cell vector times a scattering vector, so it is no larger than the product of their lengths; another
    source of the group adds the length of its shift.
    """
    if not plan.n_hkl:
        return -1.0
    lengths = [magnitude(plan.cell[k : k + 3]) for k in (0, 3, 6)]
    room = min(
        (min(-low, high) - 0.5) / (length * (1.0 + 1e-9))
        for low, high, length in zip(amplitudes.low, amplitudes.high, lengths, strict=True)
    )
    left = room - float(np.sqrt((shifts[:, 1:] ** 2).sum(axis=1)).max())
    return (left / float(np.abs(shifts[:, 0]).max())) ** 2 if left > 0.0 else -1.0


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
    products = plan.oversample_thick or plan.oversample_polar or plan.oversample_omega
    # What is carried from one evaluation to the next cannot be shared out: running products, the end of interpolation,
    # and a polarization that waits for the first source that -dmin leaves.
    carried = (products and plan.running_products) or (plan.interpolate and plan.sticky) or plan.dmin > 0.0
    if tiles >= MOST_SHARES or plan.evaluations * TILE < CPU_GRAIN.steps or carried:
        return [Share(whole, slice(None), True)]
    together = plan.shape <= ROUND and not products and not plan.interpolate  # one group of sources
    ways = {"subs": subs, "cells": cells, "sources": sources if together else 1}
    way = max(ways, key=lambda name: ways[name])
    number = min(ways[way], -(-MOST_SHARES // max(tiles, 1)))
    ends = [ways[way] * k // number for k in range(number + 1)]
    if way == "cells":
        return [Share(whole, slice(a, b), a == 0) for a, b in itertools.pairwise(ends)]
    per_term = products  # then each term has its own part of the background
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
    products = plan.oversample_thick or plan.oversample_polar or plan.oversample_omega
    if (products and plan.running_products) or plan.interpolate:
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
        amplitudes, shifts = bordered_squares(plan), source_shifts(plan)
        self._tables = amplitudes, reach(plan), shifts, longest_squared(plan, amplitudes, shifts)
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

    Other parameters, and what is returned, are those of `nanobragg.kernels.strict.render`.

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
