"""Fast numerics on the CPU: the tables that the tiles read, and the order of pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels import serial
from nanobragg.kernels.machine_code import Kernel
from nanobragg.kernels.orientation import cells_per_phi, with_domains
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.sharp import reach
from nanobragg.kernels.vectors import unit

render_tiles = Kernel("fast_tiles", "render_tiles")
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


def bordered_squares(plan: RenderPlan) -> Amplitudes:
    """The table as the gather wants it: an index out of the box is moved onto the border."""
    if not plan.n_hkl:
        return Amplitudes(np.full(1, plan.default_F**2), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0), 0.0)
    h, k, length = plan.hkl_range
    box = np.full((h + 2, k + 2, length + 2), plan.default_F**2)
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


NO_CELLS = np.empty((0, 9))


class Run:
    """One image under way: its tables and its pixels."""

    def __init__(self, plan: RenderPlan, image: np.ndarray):
        self.plan = plan._replace(polar_axis=unit(plan.polar_axis))
        first, later = cells_per_phi(plan)
        self.carries_over = first != later
        self.cells = with_domains(plan, later).reshape(-1, 9)
        self.first_cells = with_domains(plan, first).reshape(-1, 9) if self.carries_over else NO_CELLS
        single = (self.first_cells.astype(np.float32), self.cells.astype(np.float32))
        self._draw = render_tiles.beginning_with(
            self.plan, bordered_squares(plan), reach(plan), source_shifts(plan), image.reshape(-1), self.cells, single
        )

    def draw(self, pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        """Render ``pixels``; the lowest raster index at which interpolation went off, or `NEVER`."""
        return self._draw(self.first_cells if first_visit else NO_CELLS, pixels, interpolate)


def render(plan: RenderPlan, image: np.ndarray, **how: Any) -> bool:
    """Fill ``image``, float32 (slow, fast), with fast numerics.

    Parameters, and what is returned, are those of `nanobragg.kernels.strict.render`.
    """
    run = Run(plan, image)
    nothing = np.empty(0, np.int64)
    return serial.render(plan, run.draw, plan.rendered_pixels(), nothing, carries_over=run.carries_over, **how)
