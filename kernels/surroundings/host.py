"""Light and shade of the surroundings on the CPU: rows of pixels shared out to threads."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import in_chunks
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.surroundings.plan import Matter, Shade, Surroundings

scatter_rows = Kernel("surroundings.loops", "scatter_rows")
shade_rows = Kernel("surroundings.loops", "shade_rows")
surround_rows = Kernel("surroundings.loops", "surround_rows")


def scattered(plan: RenderPlan, matter: Matter, shade: Shade, threads: int) -> np.ndarray:
    """Photons of an amorphous part in each pixel, for 1 photon and square metre and 1 square metre of an electron.

    Returns
    -------
    numpy.ndarray
        float32 (panel * slow * fast,); pixels that are not rendered have theirs too.
    """
    light = np.empty(math.prod(plan.shape), np.float32)
    steps = 5 * len(matter.places) * len(matter.shares)

    def work(part: slice) -> None:
        scatter_rows(plan, matter, shade, (part.start, part.stop), light)

    _in_rows(plan, work, threads, steps)
    return light


def transmission(plan: RenderPlan, shade: Shade, threads: int) -> np.ndarray:
    """Share of the sample's light that gas and beamstop let through to each pixel, float32 (panel * slow * fast,)."""
    shares = np.empty(math.prod(plan.shape), np.float32)

    def work(part: slice) -> None:
        shade_rows(plan, shade, (part.start, part.stop), shares)

    _in_rows(plan, work, threads, 5)
    return shares


def _in_rows(plan: RenderPlan, work, threads: int, steps: int) -> None:  # type: ignore[no-untyped-def]
    panels, n_slow, n_fast = plan.shape
    in_chunks(panels * n_slow, work, threads, lambda count: None, per_pixel=steps * n_fast)


def surround(plan: RenderPlan, around: Surroundings, panels: np.ndarray, threads: int) -> None:
    """Put what surrounds the sample into an image (panel, slow, fast), in place."""
    number, n_slow, n_fast = plan.shape
    image = panels.reshape(number * n_slow, n_fast)
    rows, columns = (part.indices(n)[:2] for part, n in zip(plan.window, plan.shape[1:], strict=True))

    def work(part: slice) -> None:
        for panel in range(number):
            before = panel * n_slow + rows[0]
            some = (before + part.start, before + part.stop)
            surround_rows(around, plan.panels.mask, some, columns, image)

    in_chunks(max(rows[1] - rows[0], 0), work, threads, lambda count: None, per_pixel=number * n_fast)
