"""The response on the CPU: rows of the image shared out to threads."""

from __future__ import annotations

import functools
import math

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import TILE, in_rows
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response.fourier import convolved
from nanobragg.kernels.response.plan import BLOCK, ResponsePlan

count_rows, draw_rows = Kernel("response.loops", "count_rows"), Kernel("response.loops", "draw_rows")
read_rows, draw_pattern = Kernel("response.loops", "read_rows"), Kernel("response.loops", "draw_pattern")
add_blocks, spread_blocks = Kernel("response.loops", "add_blocks"), Kernel("response.loops", "spread_blocks")
ONE = np.ones((1, 1), np.float32)
FFT_WORTH = 0.35  # sums over the kernel that take as long as one logarithm's worth of a Fourier transform
STEPS_OF_PIXEL = 20  # what a pixel takes, in evaluations


def counts_of(
    plan: RenderPlan, response: ResponsePlan, panels: np.ndarray, threads: int
) -> tuple[np.ndarray, float, int]:
    """Counts of expected photons, the photons that were drawn, and how many counts were above the highest.

    Parameters
    ----------
    plan
        Of the image; only what is inside its roi is read out.
    response
        What the detector makes of photons.
    panels
        Expected photons, float32 (panel, slow, fast).
    threads
        How many share the rows; the counts do not depend on it.

    Returns
    -------
    tuple
        int32 (panel, slow, fast), and two numbers.
    """
    rows, columns = (part.indices(n)[:2] for part, n in zip(plan.window, panels.shape[1:], strict=True))
    counts, photons = np.zeros(panels.shape, np.int32), np.zeros(panels.shape[0] * panels.shape[1])
    overloads: list[int] = []
    share_out = functools.partial(in_rows, panels.shape, rows, threads=threads, steps=STEPS_OF_PIXEL)
    if not len(response.kernel):
        share_out(lambda some: overloads.append(count_rows(response, panels, some, columns, counts, photons)))
        return counts, float(photons.sum()), sum(overloads)
    margin = len(response.kernel) // 2
    drawn = with_margin(panels.shape, margin)
    share_out(lambda some: draw_rows(response, panels, some, columns, margin, drawn, photons))
    blocks = far_light(response, drawn, margin, panels.shape, threads)
    if quicker_by_fft(len(response.kernel), panels.shape):
        drawn = by_fft(drawn, response.kernel, panels.shape, threads)
        response = response._replace(kernel=ONE)
    share_out(lambda some: overloads.append(read_rows(response, drawn, blocks, some, columns, counts)))
    return counts, float(photons.sum()), sum(overloads)


def with_margin(shape: tuple[int, ...], margin: int) -> np.ndarray:
    """Room for photons of panels with a margin around each, and for the last tile of a row."""
    return np.zeros((shape[0], shape[1] + 2 * margin, shape[2] + 2 * margin + TILE), np.float32)


def far_light(
    response: ResponsePlan, drawn: np.ndarray, margin: int, shape: tuple[int, ...], threads: int
) -> np.ndarray:
    """What pixels of each block have of light from far away, (panel, block, block)."""
    if not len(response.far):
        return np.empty((0, 0, 0))
    sums = np.zeros((shape[0], -(-shape[1] // BLOCK), -(-shape[2] // BLOCK)))
    blocks = np.zeros(sums.shape)
    share_out = functools.partial(in_rows, sums.shape, (0, sums.shape[1]), threads=threads, steps=STEPS_OF_PIXEL)
    share_out(lambda some: add_blocks(drawn, margin, shape[1:], some, sums))
    share_out(lambda some: spread_blocks(sums, response.far, some, blocks))
    return blocks


def quicker_by_fft(n: int, shape: tuple[int, ...]) -> bool:
    """Whether Fourier transforms of a panel are done sooner than the sum over a kernel of n x n."""
    return n * n * FFT_WORTH > 20.0 * math.log2(max(shape[1] * shape[2], 2))


def by_fft(drawn: np.ndarray, kernel: np.ndarray, shape: tuple[int, ...], threads: int) -> np.ndarray:
    """The sum over the kernel by Fourier transforms; room for the last tile of a row is kept."""
    margin = len(kernel) // 2
    light = with_margin(shape, 0)
    for panel, found in zip(drawn, light, strict=True):
        spread = convolved(panel[:, : shape[2] + 2 * margin], kernel, threads)
        found[:, : shape[2]] = spread[2 * margin : 2 * margin + shape[1], 2 * margin : 2 * margin + shape[2]]
    return np.maximum(light, 0.0, out=light)


def pattern_of(
    seed: int, first_panel: int, shape: tuple[int, ...], draw: int, spread: float, threads: int
) -> np.ndarray:
    """Sensitivities of the pixels of panels, 1 on average, float32 (panel * slow * fast,)."""
    pattern = np.empty(math.prod(shape), np.float32)

    def work(some: tuple[int, int]) -> None:
        draw_pattern(seed, first_panel, shape[1:], draw, spread, some, pattern)

    in_rows(shape, (0, shape[1]), work, threads, steps=STEPS_OF_PIXEL)
    return pattern
