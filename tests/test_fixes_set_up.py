"""Corrected set-up, files and reports: placement, dumps, sources, headers, flags, integers."""

import math

import numpy as np
import pytest

from nanobragg.cli.tools.plans import set_up_of_line
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.smv import read_smv
from nanobragg.engine.original.detector import fitting_mask
from nanobragg.engine.original.headers import header_settings
from nanobragg.engine.original.quirks import NONE, fixes_of
from nanobragg.engine.render import render
from tests import brute_force
from tests.support import command, frozen, locate_pixels
from tests.test_fixes import BACKENDS, CRYSTAL, INPUTS, fixed


def run(folder, line, *more):
    words = [w.replace("{in}", str(INPUTS)) for w in line.split()]
    return command([*words, *more], folder)


def value(done, label):
    """A number after ``label=`` on stdout."""
    return float(done.stdout.split(f"{label}=")[1].split()[0])


def test_figures_of_the_report(tmp_path, monkeypatch):
    """With a mask of zeros and layers: figures of the rendered pixels alone, against numpy on the float image."""
    line = (
        CRYSTAL
        + "-oversample 3 -detector_thick 300 -detector_thicksteps 2 -roi 1 3 0 2 -nonoise --backend strict --fix"
    )
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, line, "report")
    image = np.fromfile(tmp_path / "floatimage.bin", "<f4").reshape(4, 5)[0:3, 1:4].astype(float)
    assert value(done, "mean") == pytest.approx(image.mean(), rel=1e-5)
    assert value(done, " rms") == pytest.approx(math.sqrt((image**2).mean()), rel=1e-5)
    assert value(done, "rmsd") == pytest.approx(image.std(ddof=1), rel=1e-5)
    slow, fast = np.unravel_index(np.argmax(image), image.shape)
    assert f"at {(fast + 1.5) * 0.002:g} {(slow + 0.5) * 0.002:g}" in done.stdout
    solid = float(done.stdout.split("solid angle subtended by detector = ")[1].split()[0])
    d = fixed(CRYSTAL, NONE, tmp_path).detector.panel
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
    assert len(plain.split(b"\f")[0]) > 511 and b"HEADER_BYTES=512;" in plain, "the line is meant to make a long header"
    assert size == 1024
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
        frozen(fixed(line, NONE, tmp_path))
    assert frozen(fixed(line, fixes_of("Q25"), tmp_path)).scale.steps == 2.5e9


def corners(d):
    """The four corners of a detector in the laboratory."""
    f, s = d.pixel_size * d.n_fast, d.pixel_size * d.n_slow
    pix0, fdet, sdet = (np.array(v) for v in (d.panel.pix0, d.panel.fdet, d.panel.sdet))
    return [pix0 + x * fdet + y * sdet for x, y in ((0, 0), (f, 0), (0, s), (f, s))]


def test_placement(tmp_path, monkeypatch):
    """A swing turns the whole detector about the sample; centres and distance follow; a pivot that is given holds."""
    monkeypatch.chdir(tmp_path)
    right, at = fixes_of("placement"), "-distance 100 -detpixels 20 -pixel 1 "
    start, swung = (with_given(at + more, right, tmp_path) for more in ("", "-twotheta 15"))
    turned = [brute_force.turned(p[None], np.array([0, 0, -1.0]), np.radians(15))[0] for p in corners(start)]
    np.testing.assert_allclose(corners(swung), turned, atol=1e-15)
    panel = swung.panel
    hit = np.array(panel.pix0) + panel.Fbeam * np.array(panel.fdet) + panel.Sbeam * np.array(panel.sdet)
    np.testing.assert_allclose(hit, [panel.distance, 0.0, 0.0], atol=1e-12)  # where the beam meets the plane
    about_spot = with_given(at + "-twotheta 15 -pivot beam", right, tmp_path)
    assert about_spot.pivot == "BEAM" and about_spot.panel.distance == pytest.approx(0.1, rel=1e-9)
    given = with_given(at + "-pix0_vector 0.2 0.01 -0.02", right, tmp_path)
    assert given.panel.pix0 == (0.2, 0.01, -0.02)
    near = with_given("-xds " + at + "-Xclose 3 -Yclose 4", right, tmp_path)
    assert (near.panel.Fclose, near.panel.Sclose) == (pytest.approx(0.003), pytest.approx(0.004))


def with_given(line, fixes, folder):
    """The detector of a command line, flags known as given."""
    words = ("-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -oversample 1 " + line).split()
    return set_up_of_line(words, lambda text: None, fixes).detector


def test_crystals_are_clipped_only_by_a_beam_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "-cell 50 60 70 90 90 90 -default_F 3 -lambda 1 -oversample 1 -detpixels 4 -xtal_size_y 0.3 -xtalsize 0.3"
    counts = [
        set_up_of_line([*line.split(), *more], lambda text: None, fixes_of("Q90")).crystal.n_cells[1]
        for more in ([], ["-beamsize", "0.2"])
    ]
    assert counts == [pytest.approx(0.3e-3 / 60e-10, abs=1), pytest.approx(0.2e-3 / 60e-10, abs=1)]


def test_a_detector_that_faces_away(tmp_path, monkeypatch):
    """The image of the same detector facing the sample: only the sign of its normal differs."""
    monkeypatch.chdir(tmp_path)
    plan = frozen(fixed(CRYSTAL + "-oversample 1 -detector_thick 300 -detector_abs 200", fixes_of("Q26"), tmp_path))
    plan = plan.changed(layers=1)
    away = plan.changed(odet=-plan.panels.odet)
    for backend in BACKENDS:
        a, b = render(plan, backend).image, render(away, backend).image
        np.testing.assert_array_equal(a, b)
    e = fixed(CRYSTAL.replace("-distance 100", "-distance -100") + "-oversample 1", fixes_of("Q26"), tmp_path)
    assert render(frozen(e), "strict").image.min() >= 0.0


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
    image = read_smv(str(tmp_path / "m.img"), "-mask")
    np.testing.assert_array_equal(image.pixels, pixels)
    found = header_settings(image, 1e-4, is_mask=True, fixes=right)
    assert found["distance"] == 0.08 and found["ORGX"] == 3.5 and found["Ybeam"] == 0.005 and "phi0" not in found
    assert found["twotheta"] == pytest.approx(math.radians(12))
    (tmp_path / "m.img").write_bytes((text.replace("unsigned_short", "float")).encode().ljust(512) + pixels.tobytes())
    with pytest.raises(BadInput, match="TYPE=float"):
        read_smv(str(tmp_path / "m.img"), "-mask")


def test_masks_and_cells_that_do_not_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="-mask"):
        fitting_mask(np.ones(50), (6, 8), "m.img", exact=True)
    assert len(fitting_mask(np.ones(50), (6, 8), "m.img")) == 48
    with pytest.raises(BadInput, match="-cell"):
        fixed("-cell 50 60 70 60 60 120 -default_F 3 -lambda 1 -detpixels 4 -oversample 1", fixes_of("Q94"), tmp_path)


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
    spelled = line.replace("-lambda", "-wavelength").replace("-phi", "-oscillation 0 -pixel_size 0.1 -phi")
    assert (
        run(tmp_path, spelled + " -mosaic_domains 3 -mosaicity 0 -height 0 -hklfile", "--fix", "flags").returncode != 0
    )
    assert run(tmp_path, spelled + " -mosaic_domains 3 -mosaicity 0 -height 0", "--fix", "flags").returncode == 0
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


def test_the_report_of_a_source_file(tmp_path):
    (tmp_path / "s.txt").write_text("-10 0 0 1 1e-10\n-10 0.1 0 1 1.02e-10\n")
    done = run(tmp_path, CRYSTAL + "-oversample 1 -nonoise -sourcefile s.txt --fix Q81")
    assert "wave=1.01e-10 meters +/- 1.9802% in 2 steps" in done.stdout and "\n  2 divergence steps" in done.stdout
