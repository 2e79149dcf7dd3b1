"""Corrected physics against what is right by direct summation or by analysis, never against our own code."""

import math

import numpy as np
import pytest

from nanobragg.cli.plans import experiment_of
from nanobragg.engine.detector import fitting_mask
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import experiment, freeze, geometry
from nanobragg.engine.files.smv import read_smv
from nanobragg.engine.fixes import FIXABLE, NAMES, NONE, fixes_of
from nanobragg.engine.headers import header_settings
from nanobragg.engine.render import render
from nanobragg.engine.sampling import divergence_steps, phi_steps
from nanobragg.engine.settings import Settings
from nanobragg.engine.trace import first_only, trace
from nanobragg.kernels.random import new_table, uniform_cap_rotation, uniform_misset
from tests import brute_force
from tests.support import BY_NAME, INPUT_FOLDERS, assert_close_image, command, cref_is_there, locate_pixels, set_up

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
    start = set_up(words, folder)
    settings = start.settings.__class__(**{**vars(start.settings), "fixes": fixes})
    return experiment(geometry(settings, None, lambda text: None), lambda text: None)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_all_is_right(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = fixed(line, fixes_of("all"), tmp_path)
    right = brute_force.image(e)
    plan = freeze(e)
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
    wrong = render(freeze(fixed(LINES[name], NONE, tmp_path)), "strict").image
    assert np.abs(wrong - right).max() > 1e-3 * right.max()


@pytest.mark.parametrize("fix", ["Q04", "Q05", "Q10", "Q02", "Q13", "Q15", "Q18", "Q19", "Q20", "Q22", "Q12,Q16"])
def test_backends_agree_on_each(fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in (LINES["layers, sub-pixels, polarized"] + " -oversample_omega -water 30 -dmin 20 -hdivrange 3",
                 LINES["interpolation, partly out of range"], LINES["curved"] + " -point_pixel", LINES["gauss"]):  # fmt: skip
        plan = freeze(fixed(line, fixes_of(fix), tmp_path))
        strict = render(plan, "strict").image
        assert_close_image(render(plan, "fast").image, strict)
        if cref_is_there():
            np.testing.assert_array_equal(render(plan, "cref").image, strict)


def test_phi_carry_over_of_the_audit(tmp_path, monkeypatch):
    """The figure that others call spec mode: the sum before polarization with phi = 0 at the unrotated cell."""
    if "lysozyme_audit" not in BY_NAME:
        return
    monkeypatch.chdir(tmp_path)
    arguments = BY_NAME["lysozyme_audit"].arguments(tmp_path)
    for backend in ["strict"] + ["cref"] * cref_is_there():
        plan = freeze(fixed(arguments, fixes_of("phi-carryover"), tmp_path))
        figures = {f.label: f.values for f in first_only(trace(plan, 685, 1039, backend))}
        assert abs(figures["I_before_scaling_pre_polar"][0] / 807189.768677586 - 1.0) < 1e-9


def test_weights(tmp_path, monkeypatch):
    """Two sources of weights 1 and 3: a quarter of the one alone and three quarters of the other."""
    monkeypatch.chdir(tmp_path)
    line = CRYSTAL + "-oversample 1 -nopolar -sourcefile s.txt"
    rows = ["-1 0 0 {} 1e-10\n", "-1 0.01 0 {} 1.01e-10\n"]

    def image_of(text, fixes):
        (tmp_path / "s.txt").write_text(text)
        return render(freeze(fixed(line, fixes, tmp_path)), "strict").image.astype(float)

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
    assert fixes_of("Q12, thickness") == {"Q12", "Q05", "Q06", "Q08"}
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


def run(folder, line, *more):
    words = [w.replace("{in}", str(INPUTS)) for w in line.split()]
    return command([*words, *more], folder)


def value(done, label):
    """A number after ``label=`` on stdout."""
    return float(done.stdout.split(f"{label}=")[1].split()[0])


def test_figures_of_the_report(tmp_path):
    """With a mask of zeros and layers: figures of the rendered pixels alone, against numpy on the float image."""
    line = (
        CRYSTAL
        + "-oversample 3 -detector_thick 300 -detector_thicksteps 2 -roi 1 3 0 2 -nonoise --backend strict --fix"
    )
    done = run(tmp_path, line, "report")
    image = np.fromfile(tmp_path / "floatimage.bin", "<f4").reshape(4, 5)[0:3, 1:4].astype(float)
    assert value(done, "mean") == pytest.approx(image.mean(), rel=1e-5)
    assert value(done, " rms") == pytest.approx(math.sqrt((image**2).mean()), rel=1e-5)
    assert value(done, "rmsd") == pytest.approx(image.std(ddof=1), rel=1e-5)
    slow, fast = np.unravel_index(np.argmax(image), image.shape)
    assert f"at {(fast + 1.5) * 0.002:g} {(slow + 0.5) * 0.002:g}" in done.stdout
    solid = float(done.stdout.split("solid angle subtended by detector = ")[1].split()[0])
    d = fixed(CRYSTAL, NONE, tmp_path).detector
    expected = 0.0
    for s in np.arange(0, 3, 1 / 60) + 1 / 120:
        f = np.arange(1, 4, 1 / 60) + 1 / 120
        points = np.array(d.pix0)[:, None] + np.outer(d.fdet, f * 0.002) + (np.array(d.sdet) * s * 0.002)[:, None]
        r = np.linalg.norm(points, axis=0)
        expected += ((0.002 / 60) ** 2 * d.close_distance / r**3).sum()
    assert solid == pytest.approx(expected, rel=1e-4)


def test_integers_and_grey_levels(tmp_path):
    line = CRYSTAL + "-oversample 1 -scale 0.37 -pgmscale 1.7 -nonoise --backend strict --fix"
    assert run(tmp_path, line, "smv").returncode == 0
    image = np.fromfile(tmp_path / "floatimage.bin", "<f4").astype(float)
    data = (tmp_path / "intimage.img").read_bytes()
    counts = np.frombuffer(data[locate_pixels(data) :], "<u2")
    np.testing.assert_array_equal(counts, np.floor(np.minimum(image * 0.37 + 40.0, 65535.0) + 0.5))
    grey = np.frombuffer((tmp_path / "image.pgm").read_bytes()[-20:], np.uint8)
    np.testing.assert_array_equal(grey, np.floor(np.clip(image * 1.7, 0.0, 255.0) + 0.5))


def test_smv_headers(tmp_path):
    """A long header announces what it takes; the line of the origin ends; no negative zero."""
    line = (
        "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1.23456789 -distance 123.456789 -Xbeam 1.2345678 -Ybeam 2.3456789 "
        "-pixel 0.0123456 -detpixels_x 10 -detpixels_y 12 -phi 1.2345678 -osc 0.2345678 -detector_rotx 1.2345678 "
        "-detector_roty 2.3456789 -nonoise -oversample 1"
    )
    run(tmp_path, line)
    plain = (tmp_path / "intimage.img").read_bytes()
    run(tmp_path, line, "--fix", "smv")
    data = (tmp_path / "intimage.img").read_bytes()
    size = int(data.split(b"HEADER_BYTES=")[1].split(b";")[0])
    text = data[:size].decode()
    assert len(data) == size + 2 * 120 and size % 512 == 0 and text.rstrip(" ").endswith("}\f")
    assert len(plain.split(b"\f")[0]) < 511 or size == 1024
    assert all(line.endswith(";") for line in text.split("\n")[1:] if "=" in line)
    assert "=-0;" not in text


def test_a_missing_file_is_an_error(tmp_path):
    cell = "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -detpixels 8 -oversample 1 -nonoise "
    for more, fix in (("-mat missing.mat", "Q62"), ("-mask missing.img", "Q70")):
        assert run(tmp_path, cell + more).returncode == 0
        done = run(tmp_path, cell + more, "--fix", fix)
        assert done.returncode != 0 and "missing" in done.stderr.splitlines()[-1]


def test_hkl_files_by_line(tmp_path):
    """A fifth column, comments, an index written as a real: read; anything else names its line."""
    (tmp_path / "good.hkl").write_text("# h k l F sigma\n1 2 3 10.5 0.1\n\n4.0 5 6 20 0.2 ! note\n-1 -2 -3 30\n")
    line = "-cell 50 60 70 90 90 90 -lambda 1 -detpixels 8 -oversample 1 -nonoise -hkl good.hkl --fix Q54"
    e = fixed("-cell 50 60 70 90 90 90 -lambda 1 -detpixels 8 -oversample 1 -default_F 1", NONE, tmp_path)
    assert e is not None
    done = run(tmp_path, line)
    assert done.returncode == 0 and "3 initialized hkls" in done.stdout
    for bad in ("1 2 3 4\n1 2 3\n", "1 2 3 4\n1.5 2 3 4\n", "1 2 3 4\nh k l F\n", "1 2 3 4\n1 2 3 nan\n"):
        (tmp_path / "good.hkl").write_text(bad)
        done = run(tmp_path, line)
        assert done.returncode != 0 and "line 2" in done.stderr.splitlines()[-1]


def test_seeds(tmp_path):
    """A random orientation follows -seed; the degenerate seed is refused; noise is whole numbers and the same again."""
    line = CRYSTAL + "-oversample 1 -misset random --fix random -seed "

    def angles(seed, *more):
        return run(tmp_path, line + seed, *more).stdout.split("misset angles: ")[1].splitlines()[0]

    assert angles("3") == angles("3") != angles("4")
    assert angles("3", "-misset_seed", "9") == angles("4", "-misset_seed", "9")
    done = run(tmp_path, line + "2147483647", "-misset_seed", "2147483647")
    assert done.returncode != 0 and "2147483647" in done.stderr.splitlines()[-1]


def test_more_steps_than_the_original_can_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -detpixels 2 -oversample 50000"
    with pytest.raises(BadInput, match="Q25"):
        freeze(fixed(line, NONE, tmp_path))
    assert freeze(fixed(line, fixes_of("Q25"), tmp_path)).steps == 2.5e9


def corners(d):
    """The four corners of a detector in the laboratory."""
    f, s = d.pixel_size * d.n_fast, d.pixel_size * d.n_slow
    return [np.array(d.pix0) + x * np.array(d.fdet) + y * np.array(d.sdet) for x, y in ((0, 0), (f, 0), (0, s), (f, s))]


def test_placement(tmp_path, monkeypatch):
    """A swing turns the whole detector about the sample; centres and distance follow; a pivot that is given holds."""
    monkeypatch.chdir(tmp_path)
    right, at = fixes_of("placement"), "-distance 100 -detpixels 20 -pixel 1 "
    start, swung = (with_given(at + more, right, tmp_path) for more in ("", "-twotheta 15"))
    turned = [brute_force.turned(p[None], np.array([0, 0, -1.0]), np.radians(15))[0] for p in corners(start)]
    np.testing.assert_allclose(corners(swung), turned, atol=1e-15)
    hit = np.array(swung.pix0) + swung.Fbeam * np.array(swung.fdet) + swung.Sbeam * np.array(swung.sdet)
    np.testing.assert_allclose(hit, [swung.distance, 0.0, 0.0], atol=1e-12)  # where the beam meets the plane
    about_spot = with_given(at + "-twotheta 15 -pivot beam", right, tmp_path)
    assert about_spot.pivot == "BEAM" and about_spot.distance == pytest.approx(0.1, rel=1e-9)
    given = with_given(at + "-pix0_vector 0.2 0.01 -0.02", right, tmp_path)
    assert given.pix0 == (0.2, 0.01, -0.02)
    near = with_given("-xds " + at + "-Xclose 3 -Yclose 4", right, tmp_path)
    assert (near.Fclose, near.Sclose) == (pytest.approx(0.003), pytest.approx(0.004))


def with_given(line, fixes, folder):
    """The detector of a command line, flags known as given."""
    words = ("-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -oversample 1 " + line).split()
    return experiment_of(words, lambda text: None, fixes).detector


def test_crystals_are_clipped_only_by_a_beam_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -oversample 1 -detpixels 4 -xtal_size_y 0.3 -xtalsize 0.3"
    counts = [
        experiment_of([*line.split(), *more], lambda text: None, fixes_of("Q90")).crystal.n_cells[1]
        for more in ([], ["-beamsize", "0.2"])
    ]
    assert counts == [pytest.approx(0.3e-3 / 60e-10, abs=1), pytest.approx(0.2e-3 / 60e-10, abs=1)]


def test_a_detector_that_faces_away(tmp_path, monkeypatch):
    """The image of the same detector facing the sample: only the sign of its normal differs."""
    monkeypatch.chdir(tmp_path)
    plan = freeze(fixed(CRYSTAL + "-oversample 1 -detector_thick 300 -detector_abs 200", fixes_of("Q26"), tmp_path))
    plan = plan._replace(layers=1)
    away = plan._replace(odet=tuple(-x for x in plan.odet))
    for backend in BACKENDS:
        a, b = render(plan, backend).image, render(away, backend).image
        np.testing.assert_array_equal(a, b)
    e = fixed(CRYSTAL.replace("-distance 100", "-distance -100") + "-oversample 1", fixes_of("Q26"), tmp_path)
    assert render(freeze(e), "strict").image.min() >= 0.0


def test_dumps_only_when_named(tmp_path):
    line = "-cell 50 60 70 90 90 90 -lambda 1 -detpixels 8 -oversample 1 -nonoise --fix Q58,Q59,Q60,Q61 "
    (tmp_path / "a.hkl").write_text("0 0 1 5\n1 1 1 7\n-1 -2 -3 9\n")
    assert run(tmp_path, line + "-hkl a.hkl").returncode == 0
    assert not (tmp_path / "Fdump.bin").exists()
    assert run(tmp_path, line + "-hkl a.hkl -dump named.bin").returncode == 0
    image = (tmp_path / "floatimage.bin").read_bytes()
    assert run(tmp_path, line + "-dump named.bin").returncode == 0
    assert (tmp_path / "floatimage.bin").read_bytes() == image
    data = (tmp_path / "named.bin").read_bytes()
    (tmp_path / "named.bin").write_bytes(data[:-9])
    assert "missing" in run(tmp_path, line + "-dump named.bin").stderr.splitlines()[-1]
    (tmp_path / "Fdump.bin").write_bytes(data)
    assert run(tmp_path, line).returncode == 9


def test_source_files(tmp_path):
    """Comments, carriage returns and missing columns; what has no direction or wavelength is refused."""
    line = CRYSTAL + "-oversample 1 -nonoise -sourcefile s.txt --backend strict --fix Q64"
    (tmp_path / "s.txt").write_bytes(b"# X Y Z weight lambda\r\n-10 0 0\r\n-10 0.1 0 1 1.01e-10 # note")
    assert run(tmp_path, line).returncode == 0
    a = (tmp_path / "floatimage.bin").read_bytes()
    (tmp_path / "s.txt").write_text("-10 0 0 1 0.9768e-10\n-10 0.1 0 1 1.01e-10\n")
    assert run(tmp_path, line).returncode == 0 and (tmp_path / "floatimage.bin").read_bytes() == a
    for bad in ("0 0 0 1 1e-10\n", "-10 0 0 1 0\n", "-10 zero 0\n", "# nothing\n"):
        (tmp_path / "s.txt").write_text(bad)
        assert run(tmp_path, line).returncode != 0


def test_headers_that_are_read(tmp_path):
    keys = {
        "SIZE1": 6, "SIZE2": 8, "PIXEL_SIZE": 2, "CLOSE_DISTANCE": 77, "DISTANCE": 80, "XDS_ORGX": 3.5, "XDS_ORGY": 4.5,
        "BEAM_CENTER_Y": 5, "TWOTHETA": 12, "X_PHI": 3,
    }  # fmt: skip
    text = "{\nHEADER_BYTES=512;\nBYTE_ORDER=big_endian;\nTYPE=unsigned_short;\n"
    text += "".join(f"{k}={v};\n" for k, v in keys.items()) + "}\f"
    pixels = (np.arange(48) * 300).astype(">u2")
    (tmp_path / "m.img").write_bytes(text.encode().ljust(512) + pixels.tobytes())
    right = fixes_of("Q66,Q67,Q68,Q69")
    image = read_smv(str(tmp_path / "m.img"), "-mask", right)
    np.testing.assert_array_equal(image.pixels, pixels)
    found = header_settings(image, 1e-4, is_mask=True, fixes=right)
    assert found["distance"] == 0.08 and found["ORGX"] == 3.5 and found["Ybeam"] == 0.005 and "phi0" not in found
    assert found["twotheta"] == pytest.approx(math.radians(12))
    (tmp_path / "m.img").write_bytes((text.replace("unsigned_short", "float")).encode().ljust(512) + pixels.tobytes())
    with pytest.raises(BadInput, match="TYPE=float"):
        read_smv(str(tmp_path / "m.img"), "-mask", right)


def test_masks_and_cells_that_do_not_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="-mask"):
        fitting_mask(np.ones(50), 48, "m.img", exact=True)
    assert len(fitting_mask(np.ones(50), 48, "m.img")) == 48
    with pytest.raises(BadInput, match="-cell"):
        fixed("-cell 50 60 70 60 60 120 -default_F 3 -lambda 1 -detpixels 4 -oversample 1", fixes_of("Q94"), tmp_path)


@pytest.mark.cref
@pytest.mark.parametrize("fixes", ["all", "Q13", "Q02", ""])
@pytest.mark.parametrize(
    "name", ["water and resolution", "interpolation, partly out of range", "layers", "gauss", "curved"]
)
def test_traces_show_the_corrected_calculation(name, fixes, tmp_path, monkeypatch):
    """Every figure of strict is that of the C reference, and the last is the image's."""
    monkeypatch.chdir(tmp_path)
    plan = freeze(fixed(LINES[name], fixes_of(fixes) if fixes else NONE, tmp_path))
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


def test_exact_flags(tmp_path):
    """Misspellings and parts of names are errors; negative values are values; what is right goes on."""
    line = (
        "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -detpixels 8 -oversample 1 -nonoise -misset 10 -20 30 -phi -5"
    )
    assert run(tmp_path, line).returncode == 0
    image = (tmp_path / "floatimage.bin").read_bytes()
    assert run(tmp_path, line + " -curved_det", "--fix", "flags").returncode == 0
    assert run(tmp_path, line, "--fix", "flags").returncode == 0
    assert (tmp_path / "floatimage.bin").read_bytes() == image
    for more, says in (
        ("-distanse 100", "-distanse"),
        ("-my_lambda 2", "-my_lambda"),
        ("-pixel", "-pixel"),
        ("-detector_thick", "-detector_thick"),
    ):
        done = run(tmp_path, f"{line} {more}", "--fix", "flags")
        assert done.returncode != 0 and says in done.stderr.splitlines()[-1], more
    seeded = run(
        tmp_path, line.replace("-misset 10 -20 30", "-misset random -misset_seed 3 -N 2 -noprogress"), "--fix", "flags"
    )
    assert seeded.returncode == 0 and "misset angles" in seeded.stdout


def test_a_pure_polarization(tmp_path, monkeypatch):
    """An axis that the original keeps normalising for thousands of calls: all pixels see the one that was given."""
    monkeypatch.chdir(tmp_path)
    line = CRYSTAL + "-oversample 2 -polar 0.9 -polar_vector 1.917 1.88 0.019 -hdivrange 2 -hdivsteps 2"
    plan = freeze(fixed(line, fixes_of("Q17"), tmp_path))
    image = render(plan, "strict", threads=2).image
    if cref_is_there():
        np.testing.assert_array_equal(render(plan, "cref").image, image)
    part = render(plan._replace(roi=(3, 4, 2, 3)), "strict").image  # whatever the calls before
    np.testing.assert_array_equal(part[2:4, 3:5], image[2:4, 3:5])


def test_the_report_of_a_source_file(tmp_path):
    (tmp_path / "s.txt").write_text("-10 0 0 1 1e-10\n-10 0.1 0 1 1.02e-10\n")
    done = run(tmp_path, CRYSTAL + "-oversample 1 -nonoise -sourcefile s.txt --fix Q81")
    assert "wave=1.01e-10 meters +/- 1.9802% in 2 steps" in done.stdout and "\n2 divergence steps" in done.stdout
