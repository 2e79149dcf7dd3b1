"""What the pixels before it have left for a pixel, as the original walks the image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.kernels.fast import host as fast
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import cells_per_phi
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.strict import host as strict


class Before(NamedTuple):
    """What the pixels before it have left for a pixel, as the original walks the image."""

    first_visit: bool
    calls: int
    interpolate: bool


def before(plan: RenderPlan, index: int) -> Before:
    """The state that the pixel of this raster index finds; pixels before it are looked at where that matters."""
    pixels = plan.rendered_pixels()
    place = pixels.number_up_to(index) - 1
    if place < 0 or int(pixels[place : place + 1][0]) != index:
        slow, fast_pixel = divmod(index, plan.panels.n_fast)
        raise BadInput(f"pixel slow {slow} fast {fast_pixel} is not rendered: roi or mask")
    first, later = cells_per_phi(plan)
    first_visit = first != later and serial.number_before_first_visit(plan, pixels) == place
    calls = strict.StrictRun(plan, np.zeros(plan.shape, np.float32)).calls_before()
    return Before(first_visit, int(calls[place]) if len(calls) else 0, _still_interpolates(plan, place))


def _still_interpolates(plan: RenderPlan, place: int) -> bool:
    """Whether no pixel before this place in the list has sent interpolation off (Q02)."""
    if not plan.factors.interpolate:
        return False
    image = np.zeros(plan.shape, np.float32)
    run, pixels = fast.FastRun(plan, image), plan.rendered_pixels()
    nothing = np.empty(0, np.int64)
    parts = (pixels[start : min(start + 4096, place)] for start in range(0, place, 4096))
    return all(run.draw(part, nothing, True, False) == NEVER for part in parts)
