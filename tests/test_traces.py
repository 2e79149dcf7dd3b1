"""traces.json: intermediate figures of chosen pixels, as the original recorded them, from every backend's trace."""

import json

import numpy as np
import pytest

from nanobragg.engine.check.trace import first_only, last_figures, trace
from tests.support import BY_NAME, GOLDEN, plan_of
from tests.tolerances import FAST_TRACE_DIGITS, TRACE_DIGITS

TRACES = [t for t in json.loads((GOLDEN / "traces.json").read_text()) if t["case"] in BY_NAME]


def figures_of(recorded, backend, folder):
    plan = plan_of(BY_NAME[recorded["case"]].arguments(folder), folder)
    return {f.label: f.values for f in first_only(trace(plan, recorded["slow"], recorded["fast"], backend))}


@pytest.mark.parametrize("backend", [pytest.param("cref", marks=pytest.mark.cref), "strict", "fast"])
@pytest.mark.parametrize("recorded", TRACES, ids=lambda t: f"{t['case']}-{t['slow']}-{t['fast']}")
def test_figures_of_a_pixel(recorded, backend, tmp_path):
    """Fast evaluates lattice factors another way, up to their sign, and its sums with other roundings."""
    ours = figures_of(recorded, backend, tmp_path)
    for name, theirs in recorded["values"].items():
        if name not in ours and name.startswith("F_latt_"):
            continue  # of the other shapes, which have no factors per axis
        mine, expected = np.atleast_1d(ours[name]).astype(float), np.atleast_1d(theirs).astype(float)
        if backend == "fast" and name.startswith("F_latt"):
            mine, expected = np.abs(mine), np.abs(expected)
        scale = np.abs(expected).max() or 1.0
        worst = np.abs(mine - expected).max() / scale
        digits = FAST_TRACE_DIGITS if backend == "fast" else TRACE_DIGITS
        assert worst <= digits or np.array_equal(mine, expected), f"{name}: {mine} against {expected}"


@pytest.mark.parametrize("name", [t["case"] for t in TRACES if t["case"] in ("supervisor_spot", "lysozyme_audit")])
@pytest.mark.parametrize("backend", [pytest.param("cref", marks=pytest.mark.cref), "strict"])
def test_sums_before_and_after_polarization(name, backend, tmp_path):
    recorded = next(t for t in TRACES if t["case"] == name)
    ours, theirs = figures_of(recorded, backend, tmp_path), recorded["values"]
    for label, expected in (
        ("I_before_scaling_pre_polar", theirs["I_before_scaling"]),
        ("I_before_scaling_post_polar", theirs["I_before_scaling"] * theirs["polar"]),
    ):
        assert abs(ours[label][0] / expected - 1.0) < 1e-12


@pytest.mark.parametrize("fix", [[], ["--fix", "spot-shape"], ["--shape", "gauss_round"]])
def test_reciprocal_axes_are_the_crystals(fix, tmp_path, monkeypatch):
    """Also where spots measure distances with other vectors (Q20)."""
    from nanobragg.cli.tools.trace import plan_of as plan_of_line

    monkeypatch.chdir(tmp_path)
    line = "-cell 50 60 70 80 85 95 -misset 10 20 30 -default_F 9 -detpixels 20 -pixel 1 -N 4 -gauss_xtal -oversample 1"
    plan = plan_of_line([*line.split(), *fix])
    figures = {f.label: f.values for f in trace(plan, 3, 4)}
    real = np.reshape(plan.cells.cell, (3, 3)) * 1e10
    stars = np.array([figures[f"rot_{axis}_star_A_inv"] for axis in "abc"])
    np.testing.assert_allclose(stars @ real.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("backend", [pytest.param("cref", marks=pytest.mark.cref), "strict"])
def test_last_figures_are_the_last_of_all(backend, tmp_path):
    """What ``-printout`` shows, which keeps one figure of each label however many evaluations there are."""
    line = "-cell 50 60 70 80 85 95 -default_F 9 -N 5 -detpixels 6 -pixel 1 -distance 90 -oversample 2 -osc 1 "
    plan = plan_of((line + "-phisteps 3 -mosaic 1 -mosaic_domains 2 -dispersion 1 -dispsteps 2").split(), tmp_path)
    wanted = list(range(plan.panels.n_fast * plan.panels.n_slow))
    for index, shown in last_figures(plan, wanted, backend):
        every = {f.label: f.values for f in trace(plan, *divmod(index, plan.panels.n_fast), backend)}
        common = set(every) & set(shown)
        assert {label: every[label] for label in common} == {label: shown[label] for label in common}
        assert len(common) > 15
