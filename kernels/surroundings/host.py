"""Light and shade of the surroundings on the CPU: rows of pixels shared out to threads."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import in_rows
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.surroundings.plan import Matter, Shade, Surroundings

scatter_rows = Kernel("surroundings.loops", "scatter_rows")
shade_rows = Kernel("surroundings.loops", "shade_rows")
surround_rows = Kernel("surroundings.loops", "surround_rows")
STEPS_OF_PLACE = 5  # what a place along the beam takes for a pixel and a direction, in evaluations


def scattered(plan: RenderPlan, matter: Matter, shade: Shade, threads: int) -> np.ndarray:
    """Photons of an amorphous part in each pixel, for 1 photon and square metre and 1 square metre of an electron.

    Returns
    -------
    numpy.ndarray
        float32 (panel * slow * fast,); pixels that are not rendered have theirs too.
    """
    light = np.empty(math.prod(plan.shape), np.float32)
    steps = STEPS_OF_PLACE * len(matter.places) * len(matter.shares)
    whole = (0, plan.shape[1])
    in_rows(plan.shape, whole, lambda some: scatter_rows(plan, matter, shade, some, light), threads, steps=steps)
    return light


def transmission(plan: RenderPlan, shade: Shade, threads: int) -> np.ndarray:
    """Share of the sample's light that gas and beamstop let through to each pixel, float32 (panel * slow * fast,)."""
    shares, whole = np.empty(math.prod(plan.shape), np.float32), (0, plan.shape[1])
    in_rows(plan.shape, whole, lambda some: shade_rows(plan, shade, some, shares), threads, steps=STEPS_OF_PLACE)
    return shares


def surround(plan: RenderPlan, around: Surroundings, panels: np.ndarray, threads: int) -> None:
    """Put what surrounds the sample into an image (panel, slow, fast), in place."""
    image = panels.reshape(-1, panels.shape[2])
    rows, columns = (part.indices(n)[:2] for part, n in zip(plan.window, plan.shape[1:], strict=True))
    mask = plan.panels.mask
    in_rows(plan.shape, rows, lambda some: surround_rows(around, mask, some, columns, image), threads, steps=1)
