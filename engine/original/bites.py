"""When an oddity of the original bites: what it does would differ from what is right in this run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.vectors import unit

if TYPE_CHECKING:
    from nanobragg.engine.original.set_up import SetUp


class RunOfOriginal(NamedTuple):
    """What a run is known by when its quirks are looked for."""

    set_up: SetUp
    plan: RenderPlan


def phis(plan: RenderPlan) -> list[float]:
    """The angles of the first phi steps."""
    return [plan.cells.phi0 + plan.cells.phi_step * float(i) for i in range(min(plan.cells.phi_steps, 100_000))]


def carries_over(run: RunOfOriginal) -> bool:
    """Whether a phi step at exactly 0 stands beside others."""
    angles = phis(run.plan)
    return any(phi == 0.0 for phi in angles) and any(phi != 0.0 for phi in angles)


def unused_stol(run: RunOfOriginal) -> bool:
    """Whether there is water, and a table of what it scatters."""
    return run.set_up.settings.stol_file is not None and run.set_up.settings.water > 0.0


def running_product(run: RunOfOriginal) -> bool:
    """Whether factors of a term meet more than one evaluation."""
    return has_products(run.plan) and run.plan.evaluations > 1


def axis_drifts(run: RunOfOriginal) -> bool:
    """Whether normalising the axis again changes its last bits."""
    axis = run.plan.polarization.axis
    return run.plan.polarization.kahn != 0.0 and unit(unit(axis)) != unit(axis)


def uneven_weights(run: RunOfOriginal) -> bool:
    """Whether sources differ in weight."""
    weights = run.set_up.beam.given_weights
    return bool(len(weights)) and bool(np.ptp(weights) != 0.0)


def off_centre_grid(run: RunOfOriginal) -> bool:
    """Whether a grid of range and step is not centred."""
    s = run.set_up.settings
    return any(
        step > 0.0 and steps.count > 1 and steps.step * (steps.count - 1) != steps.range
        for step, steps in (
            (s.hdiv_step, run.set_up.beam.hdiv),
            (s.vdiv_step, run.set_up.beam.vdiv),
        )
    )


def count_alone(run: RunOfOriginal) -> bool:
    """Whether a count of divergence steps has neither range nor step."""
    s = run.set_up.settings
    return (s.hdiv_steps > 0 and s.hdiv < 0.0 and s.hdiv_step <= 0.0) or (
        s.vdiv_steps > 0 and s.vdiv < 0.0 and s.vdiv_step <= 0.0
    )


def count_overwritten(run: RunOfOriginal) -> bool:
    """Whether a step without a range has replaced a count."""
    s = run.set_up.settings
    return any(
        count > 2 and full < 0.0 and step > 0.0
        for count, full, step in (
            (s.hdiv_steps, s.hdiv, s.hdiv_step),
            (s.vdiv_steps, s.vdiv, s.vdiv_step),
            (s.phisteps, s.osc, s.phistep),
        )
    )


def size_given(run: RunOfOriginal) -> bool:
    """Whether the crystal's size is given in millimetres."""
    s = run.set_up.settings
    return max(s.size_x, s.size_y, s.size_z) > 0.0


def unused_centre(run: RunOfOriginal) -> bool:
    """Whether a centre was given that the convention does not look at."""
    s = run.set_up.settings
    near = any(v is not None for v in (s.Xclose, s.Yclose))
    origin = any(v is not None for v in (s.ORGX, s.ORGY))
    beam = any(v is not None for v in (s.Xbeam, s.Ybeam))
    if s.convention in ("XDS", "DIALS"):
        return near or beam
    return s.convention != "CUSTOM" and (near or origin)


def wrong_angles(run: RunOfOriginal) -> bool:
    """Whether the angles that come out are not those that were given."""
    s = run.set_up.settings
    angles = (s.cell_alpha, s.cell_beta, s.cell_gamma)
    asked = [a if a > 0.0 else math.pi / 2 for a in angles]
    if not 2.0 * max(asked) < sum(asked) < 2.0 * math.pi:
        return False  # it is no cell at all, which has been said
    got = run.set_up.crystal.cell[3:]
    return s.user_cell and s.mat_file is None and any(abs(a - b) > 1e-9 for a, b in zip(asked, got, strict=True))


def negative_seed(run: RunOfOriginal) -> bool:
    """Whether a stream of deviates goes on with what another has left."""
    s = run.set_up.settings
    seeds = [s.mosaic_seed] + [s.seed] * s.do_noise + [s.misset_seed] * run.set_up.crystal.random_misset
    return any(seed > 0 for seed in seeds)


def z_beam_matrix(run: RunOfOriginal) -> bool:
    """Whether a matrix is read in a convention whose beam is not along x."""
    return run.set_up.settings.mat_file is not None and abs(run.set_up.beam.direction[0]) < 0.5


def is_misread(run: RunOfOriginal) -> bool:
    """Whether readers take another beam centre, or offset, from the header."""
    d, s = run.set_up.detector, run.set_up.settings
    if len(d.panels) > 1:
        return False  # no header of the original's has several
    panel = d.panel
    read = (d.Xbeam, d.Ybeam)  # what the header says, against what places the beam where it is
    right = (panel.Fbeam - d.pixel_size, d.size_slow - panel.Sbeam + d.pixel_size)
    return s.adc != 1.0 or max(abs(a - b) for a, b in zip(read, right, strict=True)) > d.pixel_size / 100.0


def layered(run: RunOfOriginal) -> bool:
    """Whether the sensor has several layers."""
    return run.plan.sensor.layers > 1


def corner_factors(run: RunOfOriginal) -> bool:
    """Whether sub-pixels share factors of the pixel's corner."""
    sampling = run.plan.sampling
    return sampling.oversample > 1 and not (sampling.oversample_omega and sampling.oversample_polar)


def chosen_by_flag(run: RunOfOriginal) -> bool:
    """Whether interpolation was chosen from counts of flags that a size replaces."""
    return run.set_up.settings.interp == 2 and run.plan.factors.interpolate and size_given(run)


def absorbing(run: RunOfOriginal) -> bool:
    """Whether there is a sensor that absorbs."""
    return run.plan.sensor.thickness > 0.0 and run.plan.sensor.mu > 0.0


def pivot_lost(run: RunOfOriginal) -> bool:
    """Whether a pivot was asked for that is not taken."""
    return run.set_up.settings.pivot != run.set_up.detector.pivot


def matrix_and_cell(run: RunOfOriginal) -> bool:
    """Whether there are both."""
    return run.set_up.settings.user_cell and run.set_up.settings.mat_file is not None


def flux_taken(run: RunOfOriginal) -> bool:
    """Whether a flux has taken the place of another fluence."""
    settings = run.set_up.settings
    return settings.flux != 0.0 and run.plan.scale.fluence != settings.fluence
