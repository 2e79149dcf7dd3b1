"""Cells rotated by spindle and mosaicity, made once per image, and the two serial habits of the original.

Both habits depend on the order in which one thread walks the image; here they become tables, so that any
number of threads in any order gives that same image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.vectors import Vector, rotate_axis, rotate_matrix, unit


def unrotated(plan: RenderPlan) -> tuple[Vector, Vector, Vector]:
    """The three cell vectors at phi = 0."""
    return plan.cells.cell[0:3], plan.cells.cell[3:6], plan.cells.cell[6:9]  # type: ignore[return-value]


def rotated_by_phi(plan: RenderPlan, phi: float) -> tuple[Vector, Vector, Vector]:
    """The three cell vectors turned by ``phi`` radians about the spindle."""
    return tuple(rotate_axis(v, plan.cells.spindle, phi) for v in unrotated(plan))  # type: ignore[return-value]


def cells_per_phi(plan: RenderPlan) -> tuple[list, list]:
    """Cell vectors per phi step, in the first visit of the run and in every later one.

    A step at phi = 0 exactly keeps the vectors of the non-zero step before it (Q01): of an earlier step of the
    same visit, else of the last non-zero step of the visit before, else the unrotated cell.
    """
    phis = [plan.cells.phi0 + plan.cells.phi_step * float(i) for i in range(plan.cells.phi_steps)]
    at_zero = None if plan.habits.phi_carryover else unrotated(plan)
    turned = [rotated_by_phi(plan, phi) if phi != 0.0 else at_zero for phi in phis]

    def one_visit(held):
        cells = []
        for vectors in turned:
            held = held if vectors is None else vectors
            cells.append(held)
        return cells

    first = one_visit(unrotated(plan))
    return first, one_visit(first[-1]) if first else []


def with_domains(plan: RenderPlan, per_phi: list) -> np.ndarray:
    """Each orientation in each mosaic domain, (phi steps, domains, 9) metres."""
    cells = np.empty((len(per_phi), plan.domains, 9))
    if not plan.cells.mosaic_spread > 0.0:
        cells[:] = np.array(per_phi, dtype=float).reshape(-1, 1, 9)
        return _scaled(plan, cells)
    rotations = plan.cells.mosaic_rotations.T
    components = np.array(per_phi, dtype=float).reshape(-1, 3, 3, 1)  # (phi, vector, component, any domain)
    for k in range(3):
        cells[:, :, 3 * k], cells[:, :, 3 * k + 1], cells[:, :, 3 * k + 2] = rotate_matrix(
            (components[:, k, 0], components[:, k, 1], components[:, k, 2]), rotations
        )
    return _scaled(plan, cells)


def _scaled(plan: RenderPlan, cells: np.ndarray) -> np.ndarray:
    """The same with the edges that each domain has of its own."""
    if plan.cells.domain_scales.size:
        cells *= np.repeat(plan.cells.domain_scales, 3, axis=1)
    return cells


class PolarAxes(NamedTuple):
    """The polarization axis after 0, 1, 2 ... normalisations: ``axes`` (n, 3), periodic from ``start`` on (Q17)."""

    axes: np.ndarray
    start: int
    period: int

    @property
    def settled(self) -> bool:
        """Whether one normalisation is as good as many, so that calls need not be counted."""
        return self.start <= 1 and self.period == 1


def axes_of(plan: RenderPlan, most_calls: int) -> PolarAxes:
    """The axes of a plan's calls: always the one it was given, normalised once, or as the original leaves them."""
    axis = plan.polarization.axis
    if plan.habits.drifting_axis:
        return polar_axes(axis, most_calls)
    return PolarAxes(np.array([axis, unit(axis)]), 1, 1)


def polar_axes(axis: Vector, most_calls: int) -> PolarAxes:
    """Normalise again and again until the vector repeats bit by bit, or as often as a run can ask for."""
    axes = [axis]
    seen = {axis: 0}
    while len(axes) <= max(most_calls, 2):
        following = unit(axes[-1])
        if following in seen and seen[following] > 0:
            return PolarAxes(np.array(axes), seen[following], len(axes) - seen[following])
        seen[following] = len(axes)
        axes.append(following)
    return PolarAxes(np.array(axes), len(axes) - 1, 1)
