"""The original's serial habits, given to a kernel that renders any list of pixels in any order.

Two habits cross pixels: the first visit of the run sees another cell at phi = 0 (Q01), and one index out of range ends
interpolation for all that follows (Q02). What is done about them does not depend on the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from nanobragg.kernels.machine_code import Kernel
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.threads import CPU_GRAIN, Grain, in_chunks

first_visited = Kernel("geometry", "first_visited")
NEVER = np.iinfo(np.int64).max


class Draw(Protocol):
    """Renders pixels; returns the lowest raster index at which interpolation went off, or `NEVER`."""

    def __call__(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """``calls_before`` belong to the pixels, or are empty; ``first_visit``: these begin the run."""


def render(
    plan: RenderPlan,
    draw: Draw,
    pixels: np.ndarray,
    calls_before: np.ndarray,
    *,
    carries_over: bool,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    shuffle: np.random.Generator | None = None,
    grain: Grain = CPU_GRAIN,
) -> bool:
    """Render ``pixels`` (raster indices, ascending) as if serially; whether interpolation went off on the way.

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
    if carries_over and len(pixels):
        head = min(first_visited(plan, pixels) + 1, len(pixels))
        switches.append(draw(pixels[:head], calls_before[:head], plan.interpolate, True))
        pixels, calls_before = pixels[head:], calls_before[head:]
        done(head)
    if shuffle is not None:
        order = shuffle.permutation(len(pixels))
        pixels, calls_before = pixels[order], calls_before[order] if len(calls_before) else calls_before
    if plan.interpolate:
        # Render as if interpolation never went off, until a pixel says that it did; what comes after that pixel is
        # rendered without, again where it was begun.
        def hopeful(part: slice) -> None:
            if pixels[part].min() <= min(switches):
                switches.append(draw(pixels[part], calls_before[part], True, False))

        in_chunks(len(pixels), hopeful, threads, done, per_pixel=plan.evaluations, grain=grain)
        left = pixels > min(switches)
        pixels, calls_before = pixels[left], calls_before[left] if len(calls_before) else calls_before
        done = _Counter(None)
    in_chunks(
        len(pixels),
        lambda part: draw(pixels[part], calls_before[part], False, False),
        threads,
        done,
        per_pixel=plan.evaluations,
        grain=grain,
    )
    return bool(min(switches) != NEVER)


class _Counter:
    """Adds up rendered pixels for the progress callback."""

    def __init__(self, progress: Callable[[int], None] | None):
        self.total, self.progress = 0, progress

    def __call__(self, count: int) -> None:
        self.total += count
        if self.progress is not None:
            self.progress(self.total)
