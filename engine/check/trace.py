"""Every figure on the way from the detector frame to the photons of one pixel, from the functions that kernels call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nanobragg.engine.check import trace_walk
from nanobragg.engine.check.figures import Figure, Vector
from nanobragg.engine.check.figures import as_json as as_json
from nanobragg.engine.check.figures import first_only as first_only
from nanobragg.engine.check.figures import text as text
from nanobragg.engine.check.left import before as before
from nanobragg.engine.check.trace_reference import beginning_at, in_angstrom, of_reference
from nanobragg.engine.check.trace_reference import table_place as table_place
from nanobragg.engine.errors import BadInput
from nanobragg.kernels.cref.walk import SerialWalk
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import ENDS

DUAL = 1e-6  # how far products of real and reciprocal vectors are from whole numbers at most


def trace(plan: RenderPlan, slow: int, fast_pixel: int, backend: str = "strict") -> list[Figure]:
    """All figures of one pixel in the order of the calculation.

    Parameters
    ----------
    plan
        What is rendered.
    slow, fast_pixel
        The pixel; slow ones are counted on through panels.
    backend
        ``strict`` and ``cref`` give what the original computes, ``fast`` and ``cuda`` what those kernels do.

    Raises
    ------
    BadInput
        If the pixel is not on the image or not rendered, or the backend cannot be used.
    """
    panels, n_slow, n_fast = plan.shape
    if not (0 <= slow < panels * n_slow and 0 <= fast_pixel < n_fast):
        raise BadInput(f"pixel slow {slow} fast {fast_pixel}: the image has {panels * n_slow} x {n_fast} (slow x fast)")
    index = slow * n_fast + fast_pixel
    left = before(plan, index)
    if backend == "cref":
        steps = of_reference(plan, index, left)
    else:
        steps = trace_walk.Walk(plan, index, left, backend).figures()
    return [*_of_frame(plan), *steps, *_of_scale(plan, steps)]


def last_figures(plan: RenderPlan, indices: Sequence[int], backend: str) -> Iterator[tuple[int, dict[str, Vector]]]:
    """Raster indices with the last figure of each label, of all pixels that are rendered, in raster order.

    The C reference goes on from pixel to pixel, as the original does; ``strict`` traces each by itself.
    """
    go_on = SerialWalk(plan) if backend == "cref" else None
    for index in indices:
        yield index, _last(go_on.last_figures(index)) if go_on else last_of(plan, index, backend)


def last_of(plan: RenderPlan, index: int, backend: str) -> dict[str, Vector]:
    """The last figure of each label of one pixel."""
    if backend == "cref":
        return _last(beginning_at(plan, before(plan, index)).last_figures(index))
    return {figure.label: figure.values for figure in trace(plan, *divmod(index, plan.panels.n_fast), backend)}


def _last(figures: Iterable[tuple[str, Vector]]) -> dict[str, Vector]:
    return {label: in_angstrom(label, values) for label, values in figures}


def _of_frame(plan: RenderPlan) -> Iterator[Figure]:
    """What is the same for all pixels."""
    panels = plan.panels
    for label, vectors in (
        ("pix0_vector_meters", panels.pix0), ("fdet_vec", panels.fdet), ("sdet_vec", panels.sdet),
        ("odet_vec", panels.odet),
    ):  # fmt: skip
        yield Figure(label, tuple(vectors[0].tolist()))
    yield Figure("close_distance_meters", (float(panels.close_distance[0]),))
    recip = _reciprocal(plan)
    for axis, at in zip("abc", (0, 3, 6), strict=True):
        yield Figure(f"rot_{axis}_star_A_inv", recip[at : at + 3])


def _reciprocal(plan: RenderPlan) -> Vector:
    """The reciprocal vectors, 1/Angstrom; the plan's own, unless spots measure distances with others (Q20)."""
    cell = np.reshape(plan.cells.cell, (3, 3)) * 1e10
    if plan.cells.shape not in ENDS or np.allclose(np.reshape(plan.cells.recip, (3, 3)) @ cell.T, np.eye(3), atol=DUAL):
        return plan.cells.recip
    return tuple(np.linalg.inv(cell).T.ravel().tolist())


def _of_scale(plan: RenderPlan, steps: list[Figure]) -> Iterator[Figure]:
    """From the sum to photons; its last figures are already among ``steps``, where they were computed."""
    found = {figure.label: figure.values[0] for figure in steps if len(figure.at) < 5}
    total, polar = found["I_before_scaling"], found["polar"]
    yield Figure("cos_2theta", (found["cos_2theta_of_source"],))  # of the last layer, sub-pixel and source
    yield Figure("I_before_scaling_pre_polar", (total,))
    yield Figure("I_before_scaling_post_polar", (total if plan.sampling.oversample_polar else total * polar,))
    yield Figure("r_e_meters", (math.sqrt(plan.scale.r_e_sqr),))
    yield Figure("r_e_sqr", (plan.scale.r_e_sqr,))
    yield Figure("fluence_photons_per_m2", (plan.scale.fluence,))
    yield Figure("steps", (plan.scale.steps,))
    for flag in ("oversample_thick", "oversample_polar", "oversample_omega"):
        yield Figure(flag, (float(getattr(plan.sampling, flag)),))
    with np.errstate(over="ignore"):
        yield Figure("floatimage_accumulated", (float(np.float32(found["I_pixel_final"])),))
