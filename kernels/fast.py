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
    per_length = 1.0 / plan.sources[:, 3:]
    return np.hstack([per_length, (plan.sources[:, :3] - plan.sources[:1, :3]) * per_length])


NO_CELLS = np.empty((0, 9))


def render(plan: RenderPlan, image: np.ndarray, **how: Any) -> bool:
    """Fill ``image``, float32 (slow, fast), with fast numerics.

    Parameters, and what is returned, are those of `nanobragg.kernels.strict.render`.
    """
    plan = plan._replace(polar_axis=unit(plan.polar_axis))
    amplitudes, reached, shifts = bordered_squares(plan), reach(plan), source_shifts(plan)
    first, later = cells_per_phi(plan)
    cells = with_domains(plan, later).reshape(-1, 9)
    first_cells = with_domains(plan, first).reshape(-1, 9) if first != later else NO_CELLS
    single = (first_cells.astype(np.float32), cells.astype(np.float32))
    raster, nothing = image.reshape(-1), np.empty(0, np.int64)
    draw_tiles = render_tiles.beginning_with(plan, amplitudes, reached, shifts, raster, cells, single)

    def draw(pixels: np.ndarray, calls_before: np.ndarray, interpolate: bool, first_visit: bool) -> int:
        return draw_tiles(first_cells if first_visit else NO_CELLS, pixels, interpolate)

    pixels = plan.rendered_pixels()
    return serial.render(plan, draw, pixels, nothing, carries_over=first != later, **how)
