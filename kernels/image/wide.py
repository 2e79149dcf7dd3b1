"""Wide pixels: the light of one that two pixels of an image stand for is shared between them."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan

HALF = np.float32(0.5)


def share(plan: RenderPlan, panels: np.ndarray) -> None:
    """Give both halves of each wide pixel their mean, in place, along fast and then along slow axes.

    Poisson deviates of both are those of one pixel's counts that are dealt to its halves at random. A half that is not
    rendered leaves the other as it is.
    """
    for axis, first in ((2, plan.panels.wide_fast), (1, plan.panels.wide_slow)):
        if not len(first):
            continue
        place: list[slice | np.ndarray] = [slice(None)] * 3
        place[axis] = first
        one = tuple(place)
        place[axis] = first + 1
        other = tuple(place)
        both = _is_rendered(plan, one) & _is_rendered(plan, other)
        mean = (panels[one] + panels[other]) * HALF
        panels[one], panels[other] = np.where(both, mean, panels[one]), np.where(both, mean, panels[other])


def _is_rendered(plan: RenderPlan, place: tuple[slice | np.ndarray, ...]) -> np.ndarray:
    """Whether pixels of some rows or columns are inside the roi and not masked."""
    _, n_slow, n_fast = plan.shape
    x0, x1, y0, y1 = plan.panels.roi
    slow, fast = np.arange(n_slow)[place[1]], np.arange(n_fast)[place[2]]
    inside = ((slow >= y0) & (slow <= y1))[:, None] & ((fast >= x0) & (fast <= x1))
    if not plan.panels.mask.size:
        return np.asarray(inside[None])
    return np.asarray(inside & (plan.panels.mask.reshape(plan.shape)[place] != 0))


def rendered_of(plan: RenderPlan, panels: np.ndarray, interpolation_ended: bool) -> Rendered:
    """An image whose last pixel is rendered: its wide pixels are shared, once."""
    share(plan, panels)
    return Rendered(plan, panels, interpolation_ended)
