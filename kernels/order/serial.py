"""The original's serial habits, given to a kernel that renders any list of pixels in any order.

Two habits cross pixels: the first visit of the run sees another cell at phi = 0 (Q01), and one index out of range ends
interpolation for all that follows (Q02). What is done about them does not depend on the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import CPU_GRAIN, Grain, in_chunks
from nanobragg.kernels.plan import Pixels, RenderPlan

first_visited = Kernel("order.visits", "first_visited")
NEVER = np.iinfo(np.int64).max


class Draw(Protocol):
    """Renders pixels; returns the lowest raster index at which interpolation went off, or `NEVER`."""

    def __call__(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """``calls_before`` belong to the pixels, or are empty; ``first_visit``: these begin the run."""


def render(
    plan: RenderPlan,
    draw: Draw,
    pixels: Pixels,
    calls_before: np.ndarray,
    *,
    carries_over: bool,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    shuffle: np.random.Generator | None = None,
    grain: Grain = CPU_GRAIN,
) -> bool:
    """Render ``pixels`` as if serially; whether interpolation went off on the way.

    Parameters
    ----------
    plan
        What to render.
    draw
        The kernel.
    pixels, calls_before
        What it is called with, in parts.
    carries_over
        Whether the first visit of the run differs from later ones.
    threads
        How many threads share the pixels.
    progress
        Called with the number of pixels rendered so far; an exception from it ends the run.
    shuffle
        Takes the pixels in a random order instead of raster order.
    grain
        The largest slice of pixels that the kernel is called with.
    """
    done = _Counter(progress)
    switches = [NEVER]  # appended to by all threads

    def part_of(first: int, part: slice) -> tuple[np.ndarray, np.ndarray]:
        here = slice(first + part.start, first + part.stop)
        return pixels[here], calls_before[here]

    def share(first: int, work: Callable[[np.ndarray, np.ndarray], object], done: Callable[[int], None]) -> None:
        order = None if shuffle is None else shuffle.permutation(len(pixels) - first)

        def chunk(part: slice) -> None:
            if order is None:
                work(*part_of(first, part))
                return
            everything = part_of(first, slice(0, len(pixels) - first))
            some = np.sort(order[part])  # kernels are given ascending pixels
            work(*(array[some] if len(array) else array for array in everything))

        in_chunks(len(pixels) - first, chunk, threads, done, per_pixel=plan.evaluations, grain=grain)

    first = 0
    if carries_over and len(pixels):
        first = min(number_before_first_visit(plan, pixels) + 1, len(pixels))
        switches.append(draw(*part_of(0, slice(0, first)), plan.factors.interpolate, True))
        done(first)
    if plan.factors.interpolate:
        # Render as if interpolation never went off, until a pixel says that it did; what comes after that pixel is
        # rendered without, again where it was begun.
        def hopeful(some: np.ndarray, calls: np.ndarray) -> None:
            if some.min() <= min(switches):
                switches.append(draw(some, calls, True, False))

        share(first, hopeful, done)
        if min(switches) == NEVER:
            return False
        first, done = max(first, pixels.number_up_to(min(switches))), _Counter(None)
    share(first, lambda some, calls: draw(some, calls, False, False), done)
    return bool(min(switches) != NEVER)


def number_before_first_visit(plan: RenderPlan, pixels: Pixels) -> int:
    """Number of pixels before the first one that a source reaches."""
    for start in range(0, len(pixels), CPU_GRAIN.pixels):
        some = pixels[start : start + CPU_GRAIN.pixels]
        found = first_visited(plan, some)
        if found < len(some):
            return start + found
    return len(pixels)


class _Counter:
    """Adds up rendered pixels for the progress callback."""

    def __init__(self, progress: Callable[[int], None] | None):
        self.total, self.progress = 0, progress

    def __call__(self, count: int) -> None:
        self.total += count
        if self.progress is not None:
            self.progress(self.total)
