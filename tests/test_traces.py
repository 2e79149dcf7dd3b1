"""traces.json: intermediate figures of chosen pixels, from our plan and the functions the strict kernel calls."""

import json

import numpy as np
import pytest

from nanobragg.kernels import geometry, physics, strict_pixels
from nanobragg.kernels.interpolation import tricubic
from nanobragg.kernels.orientation import cells_per_phi, polar_axes, with_domains
from tests.support import BY_NAME, GOLDEN, plan_of
from tests.tolerances import TRACE_DIGITS

TRACES = [t for t in json.loads((GOLDEN / "traces.json").read_text()) if t["case"] in BY_NAME]


def last_cosine(plan, slow, fast):
    """Cosine of the scattering angle at the last layer, sub-pixel and source, which is what the trace shows."""
    sub = plan.pixel_size / plan.oversample
    f_pos, s_pos = (sub * (i * plan.oversample + plan.oversample - 1) + sub / 2.0 for i in (fast, slow))
    point = geometry.position(plan, f_pos, s_pos, (plan.layers - 1) * plan.layer_step)
    return physics.dot(tuple(-x for x in plan.sources[-1, :3].tolist()), physics.unit(point))


def traced(plan, slow, fast):
    """First sub-pixel, source, phi step and domain of a pixel; its sums."""
    first, later = cells_per_phi(plan)
    first_visit = slow == 0 and fast == 0
    cells, first_cells = with_domains(plan, later), with_domains(plan, first)
    axes = polar_axes(plan.polar_axis, plan.n_fast * plan.n_slow)
    sub = plan.pixel_size / plan.oversample
    f_pos, s_pos = (sub * (i * plan.oversample) + sub / 2.0 for i in (fast, slow))
    point = geometry.position(plan, f_pos, s_pos, 0.0)
    air, d = physics.magnitude(point), physics.unit(point)
    incident = tuple(-x for x in plan.sources[0, :3].tolist())
    wavelength = float(plan.sources[0, 3])
    q = physics.scattering_vector(d, incident, wavelength)
    cell = (first_cells if first_visit else cells)[0, 0].tolist()
    a, b, c = cell[0:3], cell[3:6], cell[6:9]
    hkl = tuple(physics.dot(tuple(v), q) for v in (a, b, c))
    node = tuple(physics.nearest(x) for x in hkl)
    gratings = [physics.grating(np.pi * h, n) if n > 1.0 else 1.0 for h, n in zip(hkl, plan.n_cells, strict=True)]
    if plan.interpolate:
        f_cell = tricubic(plan.table, hkl, plan.hkl_min)
    else:
        f_cell = physics.table_factor(node, plan.hkl_min, plan.hkl_max, plan.n_hkl, plan.table, plan.default_F)
    total, capture, polar, omega, *_ = strict_pixels.pixel_sum(
        plan, first_cells if first_visit else cells, cells, axes, fast, slow, 0, plan.interpolate
    )
    photons = strict_pixels.photons(plan, total, capture, polar, omega)
    recip = np.array(plan.recip).reshape(3, 3)
    return {
        "pix0_vector_meters": plan.pix0,
        "fdet_vec": plan.fdet,
        "sdet_vec": plan.sdet,
        "pixel_pos_meters": point,
        "R_distance_meters": air,
        "omega_pixel_sr": geometry.pixel_solid_angle(plan, air),
        "close_distance_meters": plan.close_distance,
        "obliquity_factor": plan.close_distance / air,
        "diffracted_vec": d,
        "incident_vec": incident,
        "lambda_meters": wavelength,
        "lambda_angstroms": wavelength * 1e10,
        "scattering_vec_A_inv": q,
        "rot_a_angstroms": np.array(a) * 1e10,
        "rot_b_angstroms": np.array(b) * 1e10,
        "rot_c_angstroms": np.array(c) * 1e10,
        "rot_a_star_A_inv": recip[0],
        "rot_b_star_A_inv": recip[1],
        "rot_c_star_A_inv": recip[2],
        "hkl_frac": hkl,
        "hkl_rounded": node,
        "F_latt_a": gratings[0],
        "F_latt_b": gratings[1],
        "F_latt_c": gratings[2],
        "F_latt": physics.lattice_factor(plan.shape, hkl, node, plan.n_cells, plan.recip, plan.fudge),
        "F_cell": f_cell,
        "I_before_scaling": total,
        "r_e_meters": np.sqrt(plan.r_e_sqr),
        "r_e_sqr": plan.r_e_sqr,
        "fluence_photons_per_m2": plan.fluence,
        "steps": plan.steps,
        "oversample_thick": plan.oversample_thick,
        "oversample_polar": plan.oversample_polar,
        "oversample_omega": plan.oversample_omega,
        "capture_fraction": capture,
        "polar": polar,
        "omega_pixel": omega,
        "cos_2theta": last_cosine(plan, slow, fast),
        "I_pixel_final": photons,
        "floatimage_accumulated": np.float32(photons),
    }


@pytest.mark.parametrize("trace", TRACES, ids=lambda t: f"{t['case']}-{t['slow']}-{t['fast']}")
def test_figures_of_a_pixel(trace, tmp_path):
    case = BY_NAME[trace["case"]]
    ours = traced(plan_of(case.arguments(tmp_path), tmp_path), trace["slow"], trace["fast"])
    for name, theirs in trace["values"].items():
        mine, recorded = np.atleast_1d(ours[name]).astype(float), np.atleast_1d(theirs).astype(float)
        scale = np.abs(recorded).max() or 1.0
        worst = np.abs(mine - recorded).max() / scale
        assert worst <= TRACE_DIGITS or np.array_equal(mine, recorded), f"{name}: {mine} against {recorded}"
