"""The original's oddities, by the ids of the project's list: which of them bite in a given run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from nanobragg.engine.experiment import Experiment
from nanobragg.engine.images import Statistics
from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.vectors import unit


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run is known by when its quirks are looked for."""

    experiment: Experiment
    plan: RenderPlan


@dataclasses.dataclass(frozen=True)
class Quirk:
    """An oddity: its id, the short name of its group, what it does, and whether it bites."""

    id: str
    name: str
    sentence: str
    bites: Callable[[Run], bool]

    def __str__(self) -> str:
        return f"{self.id} {self.name}: {self.sentence}" if self.name else f"{self.id}: {self.sentence}"


def _phis(plan: RenderPlan) -> list[float]:
    return [plan.phi0 + plan.phi_step * float(i) for i in range(min(plan.phi_steps, 100_000))]


def _carries_over(run: Run) -> bool:
    phis = _phis(run.plan)
    return any(phi == 0.0 for phi in phis) and any(phi != 0.0 for phi in phis)


def _running_product(run: Run) -> bool:
    return has_products(run.plan) and run.plan.evaluations > 1


def _axis_drifts(run: Run) -> bool:
    axis = run.plan.polar_axis
    return run.plan.kahn != 0.0 and unit(unit(axis)) != unit(axis)


def _uneven_weights(run: Run) -> bool:
    weights = run.experiment.beam.weights
    return bool(len(weights)) and bool(np.ptp(weights) != 0.0)


def _off_centre_grid(run: Run) -> bool:
    s = run.experiment.settings
    return any(
        step > 0.0 and steps.count > 1 and steps.step * (steps.count - 1) != steps.range
        for step, steps in (
            (s.hdiv_step, run.experiment.beam.hdiv),
            (s.vdiv_step, run.experiment.beam.vdiv),
        )
    )


def _count_alone(run: Run) -> bool:
    s = run.experiment.settings
    return (s.hdiv_steps > 0 and s.hdiv < 0.0 and s.hdiv_step <= 0.0) or (
        s.vdiv_steps > 0 and s.vdiv < 0.0 and s.vdiv_step <= 0.0
    )


def _count_overwritten(run: Run) -> bool:
    s = run.experiment.settings
    return any(
        count > 2 and full < 0.0 and step > 0.0
        for count, full, step in (
            (s.hdiv_steps, s.hdiv, s.hdiv_step),
            (s.vdiv_steps, s.vdiv, s.vdiv_step),
            (s.phisteps, s.osc, s.phistep),
        )
    )


def _size_given(run: Run) -> bool:
    s = run.experiment.settings
    return max(s.size_x, s.size_y, s.size_z) > 0.0


def _unused_centre(run: Run) -> bool:
    s = run.experiment.settings
    near = any(v is not None for v in (s.Xclose, s.Yclose))
    origin = any(v is not None for v in (s.ORGX, s.ORGY))
    beam = any(v is not None for v in (s.Xbeam, s.Ybeam))
    if s.convention in ("XDS", "DIALS"):
        return near or beam
    return s.convention != "CUSTOM" and (near or origin)


def _wrong_angles(run: Run) -> bool:
    s = run.experiment.settings
    angles = (s.cell_alpha, s.cell_beta, s.cell_gamma)
    asked = [a if a > 0.0 else math.pi / 2 for a in angles]
    if not 2.0 * max(asked) < sum(asked) < 2.0 * math.pi:
        return False  # it is no cell at all, which has been said
    got = run.experiment.crystal.cell[3:]
    return s.user_cell and s.mat_file is None and any(abs(a - b) > 1e-9 for a, b in zip(asked, got, strict=True))


def _negative_seed(run: Run) -> bool:
    s = run.experiment.settings
    seeds = [s.mosaic_seed] + [s.seed] * s.do_noise + [s.misset_seed] * run.experiment.crystal.random_misset
    return any(seed > 0 for seed in seeds)


def _z_beam_matrix(run: Run) -> bool:
    return run.experiment.settings.mat_file is not None and abs(run.experiment.beam.direction[0]) < 0.5


def _is_misread(run: Run) -> bool:
    d, s = run.experiment.detector, run.experiment.settings
    read = (d.Xbeam, d.Ybeam)  # what the header says, against what places the beam where it is
    right = (d.Fbeam - d.pixel_size, d.size_slow - d.Sbeam + d.pixel_size)
    return s.adc != 1.0 or max(abs(a - b) for a, b in zip(read, right, strict=True)) > d.pixel_size / 100.0


QUIRKS = (
    Quirk("Q01", "phi-carryover", "a phi step at exactly 0 keeps the orientation of the step before it", _carries_over),
    Quirk("Q03", "interpolation", "interpolation was chosen from the counts given by flag, not from the crystal's size",
          lambda r: r.experiment.settings.interp == 2 and r.plan.interpolate and _size_given(r)),
    Quirk("Q04", "oversampling", "-oversample_thick, _polar and _omega multiply the running sum, not each term",
          _running_product),
    Quirk("Q05", "thickness", "the sum over sensor layers is weighted with the last layer alone",
          lambda r: r.plan.layers > 1),
    Quirk("Q06", "thickness", "the sensor layers are thickness/(n-1) apart",
          lambda r: r.plan.layers > 1 and r.experiment.settings.thick_steps > 0),
    Quirk("Q07", "oversampling", "-oversample_thick without a sensor thickness: every pixel is 0",
          lambda r: r.plan.oversample_thick and r.plan.thickness == 0.0),
    Quirk("Q08", "thickness", "a sensor that absorbs nothing: every pixel is 0",
          lambda r: r.plan.thickness > 0.0 and r.plan.mu == 0.0),
    Quirk("Q10", "oversampling", "solid angle, polarization and capture come from the corner of each pixel",
          lambda r: r.plan.oversample > 1 and not (r.plan.oversample_omega and r.plan.oversample_polar)),
    Quirk("Q12", "background", "the scattering of water is scaled twice", lambda r: r.plan.water),
    Quirk("Q13", "background", "a pixel that -dmin cuts altogether loses its water background too",
          lambda r: r.plan.water and r.plan.dmin > 0.0),
    Quirk("Q15", "weights", "source weights are not used", _uneven_weights),
    Quirk("Q16", "oversampling", "-oversample_polar switches the polarization on again",
          lambda r: r.plan.nopolar and r.plan.oversample_polar),
    Quirk("Q17", "", "the polarization axis changes its last bits in the course of the run", _axis_drifts),
    Quirk("Q18", "curved", "the curved detector bends about the wrong axes", lambda r: r.plan.curved),
    Quirk("Q19", "point-pixel", "-point_pixel gives photons per square metre", lambda r: r.plan.point_pixel),
    Quirk("Q20", "spot-shape", "the width of Gaussian and top-hat spots depends on the product of the cell counts",
          lambda r: r.experiment.crystal.shape in ("gauss", "tophat")),
    Quirk("Q26", "", "the detector faces away: solid angles are negative", lambda r: r.plan.close_distance < 0.0),
    Quirk("Q34", "sampling", "the divergence grid of a range and a step is not centred", _off_centre_grid),
    Quirk("Q35", "sampling", "a count of divergence steps without a range: the range is 1 radian", _count_alone),
    Quirk("Q36", "sampling", "a step without a range: the count given is replaced by 2", _count_overwritten),
    Quirk("Q44", "random", "random orientations are not uniform", lambda r: r.experiment.crystal.random_misset),
    Quirk("Q45", "random", "mosaic domains favour large angles", lambda r: r.plan.mosaic_spread > 0.0),
    Quirk("Q48", "random", "a negative seed goes on with another stream's numbers", _negative_seed),
    Quirk("Q59", "files", "amplitudes come from a dump left by an earlier run",
          lambda r: r.experiment.factors.source == "dump"),
    Quirk("Q63", "files", "the matrix gives directions only, -cell the lengths",
          lambda r: r.experiment.settings.user_cell and r.experiment.settings.mat_file is not None),
    Quirk("Q101", "thickness", "each sensor layer stands at its front, not where its photons are absorbed",
          lambda r: r.plan.thickness > 0.0 and r.plan.mu > 0.0),
    Quirk("Q102", "smv", "readers take another beam centre and an offset of 1 from SMV headers", _is_misread),
    Quirk("Q83", "placement", "the value of -pix0_vector is not used", lambda r: any(r.experiment.settings.pix0)),
    Quirk("Q84", "placement", "the convention sets the pivot, whatever other flags said",
          lambda r: r.experiment.settings.pivot != r.experiment.detector.pivot),
    Quirk("Q85", "placement", "a beam centre or near point given does not move the detector in this convention",
          _unused_centre),
    Quirk("Q88", "placement", "distance, centres and oversampling do not know of the swing",
          lambda r: r.experiment.detector.twotheta != 0.0),
    Quirk("Q89", "placement", "the near distance given replaces -distance",
          lambda r: r.experiment.settings.close_distance is not None),
    Quirk("Q91", "placement", "-flux replaces -fluence", lambda r: r.experiment.settings.flux != 0.0
          and r.plan.fluence != r.experiment.settings.fluence),
    Quirk("Q98", "", "matrix and default orientation are taken as laboratory directions in every convention",
          _z_beam_matrix),
    Quirk("Q100", "cell", "the orientation of -cell gets the angles of this cell slightly wrong", _wrong_angles),
)  # fmt: skip


def biting(run: Run) -> Iterator[Quirk]:
    """The quirks that change something in this run."""
    fixes = run.experiment.settings.fixes
    return (quirk for quirk in QUIRKS if quirk.id not in fixes and quirk.bites(run))


INTERPOLATION_ENDED = (
    "Q02 interpolation: an index came near the edge of the table: interpolation went off for the rest of the image"
)


def overflowed(statistics: Statistics) -> bool:
    """Whether the original's own arithmetic overflowed in the image."""
    return not (math.isfinite(statistics.mean) and math.isfinite(statistics.max_I))
