"""Corrected physics against what is right by direct summation or by analysis, never against our own code."""

import math

import numpy as np
import pytest

from nanobragg.engine.check.trace import first_only, trace
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.quirks import FIXABLE, NAMES, NONE, fixes_of
from nanobragg.engine.original.sampling import divergence_steps, phi_steps
from nanobragg.engine.original.set_up import geometry
from nanobragg.engine.original.set_up import set_up as set_up_original
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.render import render
from nanobragg.kernels.image.random import new_table, uniform_cap_rotation, uniform_misset
from tests import brute_force
from tests.support import BY_NAME, INPUT_FOLDERS, assert_close_image, command, cref_is_there, frozen, set_up

INPUTS = INPUT_FOLDERS[0]
AT = "-distance 100 -pixel 2 -detpixels_x 5 -detpixels_y 4 "
CRYSTAL = "-mat {in}/triclinic.mat -hkl {in}/triclinic.hkl -lambda 0.9768 -N 5 " + AT
SMALL = "-cell 20 21 22 90 95 100 -misset 11 22 33 -hkl {in}/small_cell.hkl -lambda 1.2 -N 2 "
LINES = {
    "phi and mosaic": CRYSTAL + "-oversample 2 -osc 2 -phisteps 3 -mosaic 0.7 -mosaic_domains 3",
    "layers": CRYSTAL + "-oversample 1 -detector_thick 400 -detector_abs 300 -detector_thicksteps 3",
    "one layer, all flags": CRYSTAL + "-oversample 2 -oversample_thick -oversample_polar -oversample_omega",
    "layers, sub-pixels, polarized": CRYSTAL + "-oversample 2 -detector_thick 400 -detector_abs 300 -polar 0.8",
    "water": CRYSTAL + "-oversample 2 -water 40",
    "water and resolution": CRYSTAL + "-oversample 2 -water 40 -dmin 20 -osc 1 -phisteps 2",
    "sources": CRYSTAL + "-oversample 1 -hdivrange 3 -hdivsteps 3 -dispersion 3 -dispsteps 2",
    "unpolarized, over_polar": CRYSTAL + "-oversample 2 -nopolar -oversample_polar",
    "curved": CRYSTAL + "-oversample 2 -curved_det -detector_thick 400 -detector_abs 300 -detector_thicksteps 2",
    "point pixels": CRYSTAL + "-oversample 2 -point_pixel",
    "gauss": CRYSTAL + "-oversample 2 -gauss_xtal -fudge 0.02",
    "top-hat": CRYSTAL + "-oversample 2 -tophat_spots -fudge 0.05",
    "round": CRYSTAL + "-oversample 2 -round_xtal",
    "interpolation, partly out of range": SMALL
    + "-distance 40 -pixel 5 -detpixels_x 6 -detpixels_y 5 -oversample 1 -interpolate",
    "triclinic cell": "-cell 50 60 70 75 85 95 -default_F 9 -lambda 1 -N 4 -oversample 1 " + AT,
}
BACKENDS = ["strict", "fast"] + ["cref"] * cref_is_there()


def fixed(line, fixes, folder):
    """The experiment of a command line with some oddities computed right."""
    words = [w.replace("{in}", str(INPUTS)) for w in line.split()] if isinstance(line, str) else list(line)
    own = {}
    if "--shape" in words:  # the one option of ours that lines here may have
        at = words.index("--shape")
        own["shape"] = words[at + 1]
        del words[at : at + 2]
    assert not [word for word in words if word.startswith("--")]
    start = set_up(words, folder)
    settings = start.settings.__class__(**{**vars(start.settings), "fixes": fixes, **own})
    return set_up_original(geometry(settings, None, lambda text: None), lambda text: None)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_all_is_right(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = fixed(line, fixes_of("all"), tmp_path)
    right = brute_force.image(e)
    plan = frozen(e)
    assert right.max() > 0.0
    for backend in BACKENDS:
        image = render(plan, backend).image
        worst = np.abs(image - right).max() / right.max()
        assert worst < 2e-7, f"{backend}: {worst:.2g} of the maximum"


@pytest.mark.parametrize(
    "name", ["phi and mosaic", "layers", "water and resolution", "curved", "point pixels", "gauss"]
)
def test_the_lines_are_wrong_without(name, tmp_path, monkeypatch):
    """Or the test above shows nothing."""
    monkeypatch.chdir(tmp_path)
    right = brute_force.image(fixed(LINES[name], fixes_of("all"), tmp_path))
    wrong = render(frozen(fixed(LINES[name], NONE, tmp_path)), "strict").image
    assert np.abs(wrong - right).max() > 1e-3 * right.max()


@pytest.mark.parametrize("fix", ["Q04", "Q05", "Q10", "Q02", "Q13", "Q15", "Q18", "Q19", "Q20", "Q22", "Q12,Q16"])
def test_backends_agree_on_each(fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in (LINES["layers, sub-pixels, polarized"] + " -oversample_omega -water 30 -dmin 20 -hdivrange 3",
                 LINES["interpolation, partly out of range"], LINES["curved"] + " -point_pixel", LINES["gauss"]):  # fmt: skip
        plan = frozen(fixed(line, fixes_of(fix), tmp_path))
        strict = render(plan, "strict").image
        assert_close_image(render(plan, "fast").image, strict)
        if cref_is_there():
            np.testing.assert_array_equal(render(plan, "cref").image, strict)


def test_phi_carry_over_of_the_audit(tmp_path, monkeypatch):
    """The figure that others call spec mode: the sum before polarization with phi = 0 at the unrotated cell."""
    if "lysozyme_audit" not in BY_NAME:
        pytest.skip("the lysozyme cases are in the shared folder, which is not there")
    monkeypatch.chdir(tmp_path)
    arguments = BY_NAME["lysozyme_audit"].arguments(tmp_path)
    for backend in ["strict"] + ["cref"] * cref_is_there():
        plan = frozen(fixed(arguments, fixes_of("phi-carryover"), tmp_path))
        figures = {f.label: f.values for f in first_only(trace(plan, 685, 1039, backend))}
        assert abs(figures["I_before_scaling_pre_polar"][0] / 807189.768677586 - 1.0) < 1e-9


def test_weights(tmp_path, monkeypatch):
    """Two sources of weights 1 and 3: a quarter of the one alone and three quarters of the other."""
    monkeypatch.chdir(tmp_path)
    line = CRYSTAL + "-oversample 1 -nopolar -sourcefile s.txt"
    rows = ["-1 0 0 {} 1e-10\n", "-1 0.01 0 {} 1.01e-10\n"]

    def image_of(text, fixes):
        (tmp_path / "s.txt").write_text(text)
        return render(frozen(fixed(line, fixes, tmp_path)), "strict").image.astype(float)

    a, b = (image_of(row.format(1), NONE) for row in rows)
    both = image_of(rows[0].format(1) + rows[1].format(3), fixes_of("weights"))
    np.testing.assert_allclose(both, 0.25 * a + 0.75 * b, rtol=3e-7)


def test_cell_angles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = fixed(LINES["triclinic cell"], fixes_of("cell"), tmp_path)
    a, b, c = (np.array(v) * 1e10 for v in e.crystal.real)
    lengths = [np.linalg.norm(v) for v in (a, b, c)]
    angles = [
        math.degrees(math.acos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))) for u, v in ((b, c), (a, c), (a, b))
    ]
    np.testing.assert_allclose(lengths + angles, [50, 60, 70, 75, 85, 95], rtol=1e-12)


def test_sampling():
    """Centred grids, counts that are kept, midpoints."""
    fixes = fixes_of("sampling")
    grid = divergence_steps(-1, 1.0, 0.3, fixes)
    points = grid.step * np.arange(grid.count) - grid.range / 2.0
    np.testing.assert_allclose(points, [-0.45, -0.15, 0.15, 0.45])
    assert divergence_steps(-1, 1.0, 0.1, fixes).count == 11
    grid = divergence_steps(5, -1.0, 0.1, fixes)
    np.testing.assert_allclose(
        grid.step * np.arange(grid.count) - grid.range / 2.0, [-0.2, -0.1, 0.0, 0.1, 0.2], atol=1e-15
    )
    with pytest.raises(BadInput, match="range"):
        divergence_steps(5, -1.0, -1.0, fixes)
    steps = phi_steps(Settings(phisteps=4, phistep=0.5, fixes=fixes))
    assert (steps.count, steps.range) == (4, 2.0)
    assert phi_steps(Settings(phisteps=4, osc=2.0, phistep=0.0, fixes=fixes)).step == 0.5
    assert phi_steps(Settings(osc=0.3, phistep=0.1, fixes=fixes)).count == 3


def test_a_count_of_wavelengths_alone_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="-dispsteps"):
        fixed(CRYSTAL + "-dispsteps 4", fixes_of("sampling"), tmp_path)


def test_layers_fill_the_sensor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    d = fixed(CRYSTAL + "-detector_thick 300 -detector_thicksteps 3", fixes_of("thickness"), tmp_path).detector
    assert (d.layers, d.layer_step) == (3, pytest.approx(100e-6, rel=1e-12))
    one = fixed(CRYSTAL + "-detector_thick 300 -detector_thicksteps 1", fixes_of("thickness"), tmp_path).detector
    assert (one.layers, one.layer_step) == (1, pytest.approx(300e-6, rel=1e-12))
    off = fixed(CRYSTAL + "-detector_abs 0 -detector_thick 300", fixes_of("thickness"), tmp_path).detector
    assert off.thickness == 0.0


def test_random_orientations_are_uniform():
    """Of uniform rotations the angle has the distribution (x - sin x)/pi, and turned axes are even on the sphere."""
    angles, heights = [], []
    seed, table = -5, new_table()
    for _ in range(4000):
        (x, y, z), seed = uniform_misset(seed, table)
        cx, sx, cy, sy, cz, sz = math.cos(x), math.sin(x), math.cos(y), math.sin(y), math.cos(z), math.sin(z)
        matrix = (
            np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
            @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        )
        angles.append(math.acos(min(max((np.trace(matrix) - 1.0) / 2.0, -1.0), 1.0)))
        heights.append(matrix[:, 0])
    x = np.sort(angles)
    distance = np.abs((x - np.sin(x)) / math.pi - np.arange(len(x)) / len(x)).max()
    assert distance < 1.63 / math.sqrt(len(x))  # Kolmogorov and Smirnov, 1 %
    assert np.abs(np.mean(heights, axis=0)).max() < 4.0 / math.sqrt(3 * len(heights))


def test_mosaic_rotations_fill_the_cap_evenly():
    """Angle cubed is even up to the cap, axes are even on the sphere, and each is a rotation."""
    cap, seed, table, cubes, axes = 0.02, -9, new_table(), [], []
    for _ in range(4000):
        rotation, seed = uniform_cap_rotation(cap, seed, table)
        m = np.reshape(rotation, (3, 3))
        np.testing.assert_allclose(m @ m.T, np.eye(3), atol=1e-14)
        axis = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]]) / 2.0
        size = np.linalg.norm(axis)
        cubes.append((math.asin(size) / cap) ** 3)
        axes.append(axis / size)
    x = np.sort(cubes)
    assert x[-1] <= 1.0 + 1e-9 and np.abs(x - np.arange(len(x)) / len(x)).max() < 1.63 / math.sqrt(len(x))
    assert np.abs(np.mean(axes, axis=0)).max() < 4.0 / math.sqrt(3 * len(axes))


def test_streams_do_not_depend_on_each_other(tmp_path, monkeypatch):
    """The same mosaic domains whether or not an orientation was drawn before, and whatever the sign of a seed."""
    monkeypatch.chdir(tmp_path)
    line = CRYSTAL + "-mosaic 1 -mosaic_domains 4 -mosaic_seed SEED "
    fixes = fixes_of("random")
    plain = fixed(line.replace("SEED", "7"), fixes, tmp_path).crystal.rotations
    for other in (line.replace("SEED", "-7"), line.replace("SEED", "7") + "-misset random -misset_seed 3"):
        np.testing.assert_array_equal(fixed(other, fixes, tmp_path).crystal.rotations, plain)


def test_names():
    assert fixes_of("Q01") == fixes_of("phi-carryover") == fixes_of("q1") == {"Q01"}
    assert fixes_of("Q12, thickness") == {"Q12", "Q05", "Q06", "Q08", "Q101"}
    assert fixes_of("all") == FIXABLE and set().union(*map(set, NAMES.values())) <= FIXABLE
    for text, says in (("Q99x", "not one of"), ("", "not one of"), ("Q23", "nothing to fix")):
        with pytest.raises(BadInput, match=says):
            fixes_of(text)


def test_the_command(tmp_path):
    line = [w.replace("{in}", str(INPUTS)) for w in LINES["phi and mosaic"].split()] + ["-nonoise"]
    plain = command(line, tmp_path)
    assert "Q01 phi-carryover" in plain.stderr
    spec = command([*line, "--phi-mode", "spec"], tmp_path)
    assert spec.returncode == 0 and "computed right, not as the original does: Q01" in spec.stderr
    assert "Q01 phi-carryover" not in spec.stderr
    image = (tmp_path / "floatimage.bin").read_bytes()
    command([*line, "--fix", "phi-carryover"], tmp_path)
    assert (tmp_path / "floatimage.bin").read_bytes() == image
    for wrong in (["--fix", "nothing"], ["--phi-mode", "best"]):
        assert command([*line, *wrong], tmp_path).returncode == 1


@pytest.mark.cref
@pytest.mark.parametrize("fixes", ["all", "Q13", "Q02", ""])
@pytest.mark.parametrize(
    "name", ["water and resolution", "interpolation, partly out of range", "layers", "gauss", "curved"]
)
def test_traces_show_the_corrected_calculation(name, fixes, tmp_path, monkeypatch):
    """Every figure of strict is that of the C reference, and the last is the image's."""
    monkeypatch.chdir(tmp_path)
    plan = frozen(fixed(LINES[name], fixes_of(fixes) if fixes else NONE, tmp_path))
    image = render(plan, "strict").image
    for pixel in ((0, 0), (2, 3)):
        a, b = (
            {f.name: f.values for f in trace(plan, *pixel, backend) if len(f.at) > 0 or f.label != "I_contribution"}
            for backend in ("strict", "cref")
        )
        assert set(a) == set(b)
        for label, values in a.items():
            np.testing.assert_allclose(values, b[label], rtol=1e-13, atol=1e-300, err_msg=label)
        assert a["floatimage_accumulated"][0] == float(image[pixel])


def test_a_pure_polarization(tmp_path, monkeypatch):
    """An axis that the original keeps normalising for thousands of calls: all pixels see the one that was given."""
    monkeypatch.chdir(tmp_path)
    line = CRYSTAL + "-oversample 2 -polar 0.9 -polar_vector 1.917 1.88 0.019 -hdivrange 2 -hdivsteps 2"
    plan = frozen(fixed(line, fixes_of("Q17"), tmp_path))
    image = render(plan, "strict", threads=2).image
    if cref_is_there():
        np.testing.assert_array_equal(render(plan, "cref").image, image)
    part = render(plan.changed(roi=(3, 4, 2, 3)), "strict").image  # whatever the calls before
    np.testing.assert_array_equal(part[2:4, 3:5], image[2:4, 3:5])
