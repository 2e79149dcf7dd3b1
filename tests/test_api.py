"""The Python API: the same image as the command in c mode, right by default, and clear refusals."""

import re

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.experiment import freeze
from nanobragg.engine.fixes import fixes_of
from nanobragg.engine.render import render
from tests.support import INPUT_FOLDERS, ROOT, assert_same_image, plan_of, read_smv
from tests.test_fixes import fixed

INPUTS = INPUT_FOLDERS[0]
CELL = (50, 60, 70, 80, 85, 95)
CRYSTAL = nb.Crystal(cell=CELL, N=(4, 5, 6), misset_deg=(10, 20, 30))
DETECTOR = nb.Detector(shape=(20, 30), pixel_mm=1.0, distance_mm=90)
LINE = "-cell 50 60 70 80 85 95 -Na 4 -Nb 5 -Nc 6 -misset 10 20 30 -default_F 9 -detpixels_x 30 -detpixels_y 20 -pixel 1 -distance 90 "


def test_the_documented_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    assert len(blocks) >= 4
    names: dict = {}
    for block in blocks:
        exec(block, names)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("-lambda 1.1 -polar 0.9 -oversample 2", {"beam": nb.Beam(wavelength_A=1.1, polarization=0.9), "oversample": 2}),
        ("-lambda 1 -phi 5 -osc 2 -phisteps 4 -oversample 1", {"scan": nb.Scan(5, 2, 4), "oversample": 1}),
        ("-lambda 1 -hdivrange 2 -hdivsteps 3 -dispersion 1 -dispsteps 2 -oversample 1",
         {"beam": nb.Beam(divergence_mrad=(2, 0), divergence_steps=(3, 1), dispersion_percent=1, dispersion_steps=2),
          "oversample": 1}),
        ("-lambda 1 -nopolar -roi 3 20 4 15 -dmin 3", {"beam": nb.Beam(polarization=None), "roi": (3, 20, 4, 15), "dmin_A": 3.0}),
    ],
)  # fmt: skip
def test_c_mode_is_the_command(line, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = render(plan_of(LINE + line, tmp_path), "strict").image
    image = nb.simulate(CRYSTAL, DETECTOR, nb.constant(9.0), quirks="c", backend="strict", **parts)
    np.testing.assert_allclose(image, theirs, rtol=2e-6, atol=1e-9 * theirs.max())


def test_right_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = fixed(LINE + "-lambda 1 -osc 1 -phisteps 2 -oversample 2", fixes_of("all"), tmp_path)
    theirs = render(freeze(e), "strict").image
    image = nb.simulate(CRYSTAL, DETECTOR, nb.constant(9.0), scan=nb.Scan(0, 1, 2), oversample=2, backend="strict")
    np.testing.assert_allclose(image, theirs, rtol=2e-6, atol=1e-9 * theirs.max())


def test_structure_factors_from_arrays_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.loadtxt(INPUTS / "triclinic.hkl")
    arrays, file = nb.structure_factors(rows[:, :3], rows[:, 3]), nb.read_structure_factors(INPUTS / "triclinic.hkl")
    np.testing.assert_array_equal(arrays.table, file.table)
    assert not list(tmp_path.iterdir()), "no dump is left"


def test_files(tmp_path):
    made = nb.set_up(CRYSTAL, DETECTOR, nb.constant(9.0), oversample=1)
    counts = np.arange(600, dtype=np.uint16).reshape(20, 30)
    nb.write_smv_image(tmp_path / "a.img", counts, made)
    assert_same_image(read_smv(tmp_path / "a.img")[1], counts)
    assert_same_image(nb.read_image(str(tmp_path / "a.img")), counts)
    nb.write_float_image(tmp_path / "a.bin", counts)
    assert_same_image(nb.read_image(str(tmp_path / "a.bin"), (20, 30)), counts.astype(np.float32))


def test_noise_is_reproducible():
    image = np.full((30, 40), 25.0)
    a = nb.add_noise(image, 3)
    assert_same_image(nb.add_noise(image, 3, threads=2), a)
    assert abs(a.mean() - 25.0) < 0.6 and (nb.add_noise(image, 4) != a).any()
    assert (nb.add_noise(image, 3, offset=100.0) == a + 100).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"crystal": nb.Crystal()}, "cell or reciprocal"),
        ({"crystal": nb.Crystal(cell=CELL, reciprocal=np.eye(3))}, "cell or reciprocal"),
        ({"crystal": nb.Crystal(reciprocal=np.eye(2))}, "(3, 3)"),
        ({"crystal": nb.Crystal(reciprocal=np.zeros((3, 3)))}, "cell"),
        ({"detector": nb.Detector(shape=(20, 30), convention="LAUE")}, "convention"),
        ({"detector": nb.Detector(shape=(20, 30), distance_mm=float("nan"))}, "distance"),
        ({"beam": nb.Beam(wavelength_A=0.0)}, "wavelength"),
        ({"quirks": "wrong"}, "quirks"),
        ({"mask": np.ones((3, 3))}, "mask"),
        ({"backend": "best"}, "best"),
    ],
)
def test_what_cannot_be_simulated(change, says):
    parts = {"crystal": CRYSTAL, "detector": DETECTOR, "factors": nb.constant(9.0), "oversample": 1} | change
    with pytest.raises(nb.BadInput, match=re.escape(says)):
        nb.simulate(**parts)


@pytest.mark.parametrize(
    ("hkl", "F"),
    [(np.zeros((0, 3)), []), ([[1, 2]], [1]), ([[1, 2, 3]], [1, 2]), ([[1, 2, 0.5]], [1]), ([[1, 2, 3]], [np.nan])],
)
def test_arrays_that_do_not_fit(hkl, F):
    with pytest.raises(nb.BadInput):
        nb.structure_factors(hkl, F)


def test_importing_costs_nothing():
    import subprocess
    import sys

    code = "import sys, nanobragg; sys.exit('numpy' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
