"""The figures of the C reference, with where they belong, which the reference does not say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from nanobragg.engine.check.figures import Figure, Vector
from nanobragg.engine.check.left import Before
from nanobragg.engine.errors import BadInput
from nanobragg.kernels.cref.binding import available
from nanobragg.kernels.cref.walk import SerialWalk
from nanobragg.kernels.order.cells import axes_of, cells_per_phi
from nanobragg.kernels.plan import RenderPlan


def in_angstrom(label: str, values: Vector) -> Vector:
    """Cells of the C reference are in metres."""
    return tuple(v * 1e10 for v in values) if label.startswith("rot_") else values


def _close_distance(plan: RenderPlan) -> float:
    return float(plan.panels.close_distance[0])


def derived(plan: RenderPlan, figure: Figure) -> Iterator[Figure]:
    """A figure, and those that only say it in other words."""
    yield figure
    if figure.label == "R_distance_meters":
        yield Figure("obliquity_factor", (_close_distance(plan) / figure.values[0],), figure.at)
    if figure.label == "lambda_meters":
        yield Figure("lambda_angstroms", (figure.values[0] * 1e10,), figure.at)
    if figure.label == "hkl_rounded":
        place, inside = table_place(plan, figure.values)
        yield Figure("table_address", (float(place),), figure.at)
        yield Figure("inside_table", (float(inside),), figure.at)


def table_place(plan: RenderPlan, node: Vector) -> tuple[int, bool]:
    """Where a node stands in the table, counted in amplitudes from its beginning, and whether it is inside; else -1."""
    inside = plan.factors.n_hkl != 0 and all(
        low <= x <= high for low, x, high in zip(plan.factors.hkl_min, node, plan.factors.hkl_max, strict=True)
    )
    if not inside:
        return -1, False
    at = tuple(int(x) - low for x, low in zip(node, plan.factors.hkl_min, strict=True))
    return int(np.ravel_multi_index(at, plan.factors.table.shape[1:])), True


def of_reference(plan: RenderPlan, index: int, left: Before) -> list[Figure]:
    """The figures of the C reference, with where they belong, which the reference does not say."""
    return _with_places(plan, beginning_at(plan, left).figures(index))


def beginning_at(plan: RenderPlan, left: Before) -> SerialWalk:
    """The C reference with what the pixels before have left."""
    if not available():
        raise BadInput("--backend cref: the C reference is not installed (no C compiler when nanobragg was installed)")
    _, later = cells_per_phi(plan)
    held = plan.cells.cell if left.first_visit or not later else tuple(x for v in later[-1] for x in v)
    axes = axes_of(plan, left.calls + 2)
    calls = 0 if not plan.habits.drifting_axis else left.calls
    axis = tuple(axes.axes[min(calls, len(axes.axes) - 1)].tolist())
    return SerialWalk(plan, held, axis, left.interpolate)


def _with_places(plan: RenderPlan, figures: Iterable[tuple[str, Vector]]) -> list[Figure]:
    """Figures of the C reference with where they belong, and what only says them in other words."""
    place = _Place(plan)
    steps: list[Figure] = []
    for label, values in figures:
        values = in_angstrom(label, values)
        if label != "I_so_far":
            steps += derived(plan, Figure(label, values, place.of(label)))
        if label == "F_cell":
            squared = values[0] * values[0] * steps[-2].values[0] * steps[-2].values[0]
            steps.append(Figure("I_contribution", (squared,), place.of(label)))
    return steps


class _Place:
    """Counts layers, sub-pixels, sources, phi steps and domains from the labels as they pass."""

    def __init__(self, plan: RenderPlan):
        self.plan, self.sub, self.source, self.evaluation = plan, -1, -1, -1

    def of(self, label: str) -> tuple[int, ...]:
        """Where a figure belongs; those after the loops belong nowhere."""
        if label == "pixel_pos_meters":
            self.sub, self.source = self.sub + 1, -1
        if label == "incident_vec":
            self.source, self.evaluation = self.source + 1, -1
        if label == "phi_rad":
            self.evaluation += 1
        layer, sub = divmod(self.sub, self.plan.sub_pixels)
        if label in ("pixel_pos_meters", "R_distance_meters", "omega_pixel_sr", "diffracted_vec", "capture_of_layer"):
            return layer, sub
        if label in (
            "incident_vec",
            "lambda_meters",
            "cos_2theta_of_source",
            "scattering_vec_A_inv",
            "polar_of_source",
        ):
            return layer, sub, self.source
        if label in ("I_before_scaling", "capture_fraction", "polar", "omega_pixel", "I_pixel_final"):
            return ()
        return (layer, sub, self.source, *divmod(self.evaluation, self.plan.domains))
