"""Exact numerics on the CPU: bit for bit the original, any number of threads, any order of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.kernels.backend import Capabilities
from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.image.wide import rendered_of
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import axes_of, cells_per_phi, with_domains
from nanobragg.kernels.plan import RenderPlan

CAPABILITIES = Capabilities(exact=True, options=("shuffle",))
render_pixels = Kernel("strict.loops", "render_pixels")


def check(**options: Any) -> None:
    """It can be used everywhere."""


class StrictRun:
    """One image under way: its tables and its pixels."""

    def __init__(self, plan: RenderPlan, image: np.ndarray):
        self.plan, self.image = plan, image.reshape(-1)
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        self.cells = with_domains(plan, later)
        self.first_cells = with_domains(plan, first) if self.carries_over else self.cells
        of_each = plan.sensor.layers * plan.sub_pixels * plan.n_sources
        per_pixel = of_each if plan.sampling.oversample_polar else 1
        self.axes = axes_of(plan, per_pixel * image.size if plan.polarization.kahn != 0.0 else 1)

    def draw(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """Render ``pixels``; the lowest raster index at which interpolation went off, or `NEVER`."""
        first_cells = self.first_cells if first_visit else self.cells
        return render_pixels(
            self.plan, first_cells, self.cells, self.axes, pixels, calls_before, interpolate, self.image,
            np.empty(0, np.int64),
        )  # fmt: skip

    def calls_before(self) -> np.ndarray:
        """Polarization calls before each pixel in raster order; empty where their number does not matter.

        The calls of a pixel do not depend on phi steps and domains, so a plan without phi steps counts them.
        """
        if self.axes.settled or self.plan.polarization.kahn == 0.0:
            return np.empty(0, np.int64)
        pixels = self.plan.rendered_pixels()[:]
        before = np.zeros(len(pixels), np.int64)
        calls = np.empty_like(before)
        counting = self.plan.changed(phi_steps=0)
        nothing = np.empty((0, 1, 9))
        while len(before):  # a factor of exactly 0 is asked for again, so the count itself can depend on the axis
            render_pixels(counting, nothing, nothing, self.axes, pixels, before, False, self.image, calls)
            counted = np.concatenate(([0], np.cumsum(calls)[:-1]))
            if np.array_equal(counted, before):
                break
            before = counted
        return before


def render(plan: RenderPlan, **how: Any) -> Rendered:
    """Render with strict numerics.

    Parameters
    ----------
    plan
        What to render.
    how
        ``threads``, ``progress``, ``shuffle`` of `nanobragg.kernels.order.serial.render`; no pixel depends on them.
    """
    image = np.zeros(plan.shape, np.float32)
    run = StrictRun(plan, image)
    ended = serial.render(
        plan, run.draw, plan.rendered_pixels(), run.calls_before(), carries_over=run.carries_over, **how
    )
    return rendered_of(plan, image, ended)
