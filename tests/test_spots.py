"""Predicted spots against the spots of rendered images, and what Python users see of detector and crystal."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine import cost
from nanobragg.engine.placed import of_scene
from tests.support import ROOT, frozen

CRYSTAL = nb.Crystal(cell=(50, 60, 70, 85, 95, 100), N=(20, 20, 20), misset_deg=(10, 20, 30), shape="gauss")
DETECTOR = nb.Detector((300, 320), pixel_mm=0.3, distance_mm=120, tilt_deg=(3, -4, 5))
BEAM = nb.Beam(1.1, fluence=1e30)


def centroids(image, slow, fast, reach=3):
    """Centres of mass near places, and the photons there."""
    s, f = int(slow), int(fast)
    part = image[max(s - reach, 0) : s + reach + 1, max(f - reach, 0) : f + reach + 1].astype(float)
    rows, columns = np.indices(part.shape)
    total = part.sum()
    at = [float((x * part).sum() / total) + 0.5 for x in (rows, columns)]
    return at[0] + max(s - reach, 0), at[1] + max(f - reach, 0), total


@pytest.mark.parametrize("scan", [nb.Scan(), nb.Scan(5.0, 1.0, 40)], ids=["still", "rotation"])
def test_spots_are_where_they_are_predicted(scan):
    """Pixels are smaller than spots here, else their edges move the centres of mass."""
    detector = nb.Detector((900, 960), pixel_mm=0.1, distance_mm=120, tilt_deg=(3, -4, 5))
    made = nb.set_up(CRYSTAL, detector, nb.constant(100.0), BEAM, scan, oversample=1)
    image = nb.simulate(CRYSTAL, detector, nb.constant(100.0), BEAM, scan, oversample=1)
    spots = nb.predict_spots(made, weakest=0.5)
    inside = (spots.slow > 5) & (spots.slow < 895) & (spots.fast > 5) & (spots.fast < 955)
    assert inside.sum() > 15
    off = []
    for s, f in zip(spots.slow[inside], spots.fast[inside], strict=True):
        a, b, total = centroids(image, s, f, 5)
        off.append((a - s, b - f))
        assert total > 100 * np.median(image) * 49
    assert np.abs(np.median(off, axis=0)).max() < 0.1
    assert np.median(np.hypot(*np.array(off).T)) < 0.2
    bright = image.copy()
    for s, f in zip(*(getattr(nb.predict_spots(made, weakest=1e-3), n) for n in ("slow", "fast")), strict=True):
        bright[max(int(s) - 7, 0) : int(s) + 8, max(int(f) - 7, 0) : int(f) + 8] = 0
    s, f = (int(x) for x in of_scene(made).beam_center())
    bright[s - 15 : s + 16, f - 15 : f + 16] = 0  # the direct beam
    assert bright.max() < 0.05 * image.max()  # nothing bright is left that was not predicted


def test_partiality_follows_the_photons():
    """Of fully recorded reflections all photons are there: a wider rotation adds none."""
    crystal, flat = CRYSTAL, nb.constant(100.0)
    narrow = nb.predict_spots(nb.set_up(crystal, DETECTOR, flat, BEAM, nb.Scan(4.0, 2.0, 5), oversample=1))
    full = {tuple(h) for h, p in zip(narrow.hkl.tolist(), narrow.partiality, strict=True) if p > 0.999}
    partial = {tuple(h): p for h, p in zip(narrow.hkl.tolist(), narrow.partiality, strict=True) if 0.1 < p < 0.9}
    assert len(full) > 20 and len(partial) > 5
    images = [nb.simulate(crystal, DETECTOR, flat, BEAM, nb.Scan(4.0 - more, 2.0 + 2 * more, round(100 * (2 + 2 * more))), oversample=2) * (2 + 2 * more)
              for more in (0.0, 1.0)]  # fmt: skip
    for kind, low, high in ((full, 0.97, 1.03), (partial, 0.0, 0.97)):
        shares = []
        for n, h in enumerate(narrow.hkl.tolist()):
            s, f = narrow.slow[n], narrow.fast[n]
            if tuple(h) in kind and 6 < s < 294 and 6 < f < 314:
                shares.append(centroids(images[0], s, f)[2] / centroids(images[1], s, f)[2])
        assert low < np.median(shares) < high


def test_maps_of_what_pixels_see():
    placed = of_scene(nb.set_up(CRYSTAL, DETECTOR, nb.constant(1.0), BEAM, oversample=1))
    d, angle, q, hkl = (
        DETECTOR.resolution_map(BEAM),
        DETECTOR.two_theta_map(),
        DETECTOR.q_map(BEAM),
        DETECTOR.hkl_map(CRYSTAL, BEAM),
    )
    assert d.shape == angle.shape == (300, 320) and q.shape == hkl.shape == (300, 320, 3)
    np.testing.assert_allclose(d, 1.1 / (2 * np.sin(np.radians(angle) / 2)), rtol=1e-9)  # Bragg's law
    np.testing.assert_allclose(np.linalg.norm(q, axis=2), 1 / d, rtol=1e-12)
    np.testing.assert_allclose(hkl @ placed.reciprocal, q, atol=1e-12)
    brightest = nb.simulate(CRYSTAL, DETECTOR, nb.constant(100.0), BEAM, oversample=1)
    at = np.unravel_index(np.argmax(brightest), brightest.shape)
    assert np.abs(hkl[at] - np.rint(hkl[at])).max() < 0.1


def test_random_orientations_are_uniform_and_reproducible():
    """The mean of a rotated vector is 0, that of its squares a third: for all three axes."""
    assert nb.Crystal(cell=(5, 5, 5, 90, 90, 90)).randomly_oriented(3) == nb.Crystal(
        cell=(5, 5, 5, 90, 90, 90)
    ).randomly_oriented(3)
    seen = []
    for seed in range(600):
        crystal = nb.Crystal(cell=(50, 60, 70, 90, 90, 90)).randomly_oriented(seed)
        made = nb.set_up(crystal, nb.Detector((2, 2)), nb.constant(1.0), oversample=1)
        seen.append(np.array(made.crystal.recip) * np.array([[50], [60], [70]]))
    seen = np.array(seen)
    np.testing.assert_allclose(seen @ seen.transpose(0, 2, 1), np.tile(np.eye(3), (600, 1, 1)), atol=1e-9)
    assert np.abs(seen.mean(axis=0)).max() < 0.1 and np.abs((seen**2).mean(axis=0) - 1 / 3).max() < 0.06


def test_beams_by_energy_flux_and_spectrum():
    assert nb.Beam(energy_eV=12398.42).wavelength_A == pytest.approx(1.0)
    assert nb.Beam(flux=1e12, beamsize_mm=0.1, exposure_s=0.5).fluence == pytest.approx(5e19)
    assert nb.Beam().wavelength_A == 1.0 and nb.Beam(wavelength_A=2.0).fluence == nb.Beam().fluence
    kept = nb.Beam(energy_eV=12000.0, flux=1e12)
    assert dataclasses.replace(kept, wavelength_A=1.5).wavelength_A == 1.5
    assert dataclasses.replace(kept, wavelength_A=None, energy_eV=12398.42).wavelength_A == pytest.approx(1.0)
    assert dataclasses.replace(kept, polarization=0.5).fluence == kept.fluence
    for wrong in ({"energy_eV": True}, {"fluence": "x", "flux": 1e9}, {"wavelength_A": "x", "energy_eV": 9000.0},
                  {"wavelength_A": 1.0, "energy_eV": 9000}, {"flux": 1e12, "fluence": 3.0}, {"energy_eV": -1}, {"flux": 1e9, "beamsize_mm": 0},
                  {"energy_eV": "x"}):  # fmt: skip
        with pytest.raises(nb.BadInput, match="Beam: "):
            nb.Beam(**wrong)
    lines = [(1.0, 2.0), (1.02, 1.0)]
    flat = nb.constant(50.0)
    several = nb.simulate(CRYSTAL, DETECTOR, flat, nb.Beam(1.0, spectrum=lines), oversample=1)
    single = [nb.simulate(CRYSTAL, DETECTOR, flat, nb.Beam(w), oversample=1).astype(float) for w, _ in lines]
    np.testing.assert_allclose(several, (2 * single[0] + single[1]) / 3, rtol=1e-5, atol=1e-9 * several.max())
    for wrong in ([1.0, 2.0], [(0.0, 1.0)], [(1.0, -1.0)], [(1.0, 0.0)], "x"):
        with pytest.raises(nb.BadInput, match="Beam: spectrum"):
            nb.simulate(CRYSTAL, DETECTOR, flat, nb.Beam(spectrum=wrong))


def test_short_descriptions():
    made = nb.set_up(CRYSTAL, DETECTOR, nb.constant(100.0), BEAM, nb.Scan(0, 1, 5))
    lines = repr(made).splitlines()
    assert len(lines) <= 13 and all(len(line) < 120 for line in lines)
    assert any("photons/m^2" in line for line in lines) and any("320 x 300 pixels" in line for line in lines)
    assert repr(nb.constant(3.0)) == "StructureFactors(F = 3 for all indices)"
    assert repr(nb.Scan()) == "Scan()" and "misset_deg=(10, 20, 30)" in repr(CRYSTAL) and len(repr(BEAM)) < 80
    assert "reflections to" in repr(nb.predict_spots(made))


def test_auto_is_one_kernel_for_all_calls():
    flat = nb.constant(50.0)
    calls = [nb.simulate(CRYSTAL, DETECTOR, flat, BEAM, oversample=1) for _ in range(2)]
    np.testing.assert_array_equal(calls[0], calls[1])
    np.testing.assert_array_equal(calls[0], nb.simulate(CRYSTAL, DETECTOR, flat, BEAM, oversample=1, backend="fast"))


def test_squares_that_are_kept_are_those_of_the_table():
    hkl = np.array([(h, k, x) for h in range(-5, 6) for k in range(-5, 6) for x in range(-5, 6)])
    images = [
        nb.simulate(CRYSTAL, DETECTOR, nb.structure_factors(hkl, np.full(len(hkl), F)), BEAM, oversample=1)
        for F in (10.0, 20.0, 10.0)
    ]
    np.testing.assert_array_equal(images[0], images[2])
    np.testing.assert_allclose(images[1], 4 * images[0], rtol=1e-6, atol=1e-30)
    table = nb.structure_factors(hkl, np.full(len(hkl), 10.0))
    again = nb.structure_factors(hkl, np.full(len(hkl), 10.0), default_F=7.0)
    assert not np.array_equal(*(nb.simulate(CRYSTAL, DETECTOR, t, BEAM, oversample=1) for t in (table, again)))


def test_keywords_are_spelled_out(tmp_path):
    """mypy refuses a keyword that there is not, and knows what comes back."""
    code = tmp_path / "a.py"
    code.write_text(
        "import nanobragg as nb\nc = nb.Crystal(cell=(1, 1, 1, 90, 90, 90))\nd = nb.Detector((2, 2))\n"
        "nb.simulate(c, d, nb.constant(1.0), oversmple=1)\n"
        "nb.simulate(c, d, nb.constant(1.0), oversample=1).shape\n"
        "nb.simulate(c, [d], nb.constant(1.0)).append(1)\n"
    )
    found = subprocess.run([sys.executable, "-m", "mypy", str(code)], capture_output=True, text=True, cwd=ROOT).stdout
    wrong = {line.split(":")[1] for line in found.splitlines() if ": error:" in line}
    assert wrong == {"4", "6"} and "oversmple" in found, found


def test_help_lists_the_api():
    import pydoc

    text = pydoc.render_doc(nb, renderer=pydoc.plaintext)
    assert all(f"{name}(" in text or f"class {name}" in text for name in nb.__all__) and set(nb.__all__) <= set(dir(nb))


def test_cost_is_told_before():
    plan = frozen(nb.set_up(CRYSTAL, DETECTOR, nb.constant(1.0), BEAM, oversample=4))
    assert cost.steps_of(plan) == 300 * 320 * 16
    assert cost.in_words(plan, 9.2 * 3600) == "1.5e+06 steps: about 9.2 h on this machine (-oversample 1: 34 min)"
    assert [cost.duration(s) for s in (0.5, 59, 100, 7200, 1e6)] == ["0.5 s", "59 s", "1.7 min", "2 h", "12 days"]
    many = plan.changed(phi_steps=200_000)
    expected = cost.seconds(many, "fast", 2)
    assert 10 < expected < 3e5
    masked = np.zeros(plan.panels.n_fast * plan.panels.n_slow, np.uint8)
    masked[:50] = 1
    assert (
        cost.sample(many.changed(mask=masked), 10).n_rendered >= 10
        or cost.sample(many.changed(mask=masked), 10).n_rendered == 10
    )
    roi = cost.sample(many.changed(roi=(5, 9, 7, 7)), 3)
    assert 1 <= roi.n_rendered <= 5


def test_wide_rotations_and_whole_turns():
    """What slices of one degree see is what all of them together do."""
    flat, coarse = nb.constant(100.0), nb.Detector((300, 320), pixel_mm=0.3, distance_mm=120)
    wide = nb.predict_spots(nb.set_up(CRYSTAL, coarse, flat, BEAM, nb.Scan(0, 20, 20), oversample=1))
    slices = [
        nb.predict_spots(nb.set_up(CRYSTAL, coarse, flat, BEAM, nb.Scan(at, 1, 20), oversample=1)) for at in range(20)
    ]
    assert len(wide) == sum(map(len, slices)) and set(map(tuple, wide.hkl)) == {tuple(h) for s in slices for h in s.hkl}
    assert len(nb.predict_spots(nb.set_up(CRYSTAL, coarse, flat, BEAM, nb.Scan(0, 360, 20), oversample=1))) > 10 * len(
        wide
    )


def test_bent_detectors_have_no_maps():
    bent = nb.Detector((20, 20), pixel_mm=2, curved=True)
    for call in (
        lambda: bent.resolution_map(),
        lambda: nb.predict_spots(nb.set_up(CRYSTAL, bent, nb.constant(1.0), oversample=1)),
    ):
        with pytest.raises(nb.BadInput, match="flat detectors"):
            call()
    assert "curved" in repr(nb.set_up(CRYSTAL, bent, nb.constant(1.0), oversample=1))


def test_time_left_on_a_terminal(capsys, monkeypatch):
    from nanobragg.cli.nanobragg import time_left

    clock = iter([0.0, 10.0, 10.5, 40.0])
    monkeypatch.setattr(time_left.time, "monotonic", lambda: next(clock))
    tell = time_left.TimeLeft(100, 40.0)
    for done in (25, 26, 100):
        tell(done)
    err = capsys.readouterr().err
    assert err.startswith("\rnanoBragg: 25% rendered, 30 s left") and "26%" not in err and err.endswith("\r")


def test_a_long_run_is_announced(tmp_path, monkeypatch, capsys):
    from nanobragg.cli.nanobragg.command import main
    from tests.support import working_in

    monkeypatch.setattr(cost, "seconds", lambda plan, backend, threads: 3600.0)
    line = "-cell 50 60 70 90 90 90 -default_F 5 -detpixels 8 -oversample 2 -nonoise --backend cref --explain"
    with working_in(tmp_path):
        assert main(line.split()) == 0
    err = capsys.readouterr().err
    assert "nanoBragg: 2.6e+02 steps: about 60 min on this machine (-oversample 1: 15 min)" in err
    assert "256 steps: 64 pixels x 4 sub-pixels" in err
