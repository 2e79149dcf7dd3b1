"""nb-compare: verdicts, figures, exit statuses, and every way in which it must not be fooled."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from nanobragg.cli.tools.compare import main
from nanobragg.engine.check import compare as comparing
from nanobragg.engine.check.engines import with_absolute_inputs
from nanobragg.engine.check.verdict import in_words
from nanobragg.engine.formats.any_image import read_image
from tests.batch_support import wait_until
from tests.support import INPUT_FOLDERS

INPUTS = INPUT_FOLDERS[0]
LINE = f"-mat {INPUTS}/triclinic.mat -hkl {INPUTS}/triclinic.hkl -lambda 1 -distance 100 -pixel 0.4 -detpixels 24 -N 5".split()


@pytest.fixture
def image():
    return np.random.default_rng(3).exponential(100.0, (20, 30)).astype(np.float32)


def saved(folder, **images):
    for name, pixels in images.items():
        pixels.astype("<f4").tofile(folder / f"{name}.bin")
    return [str(folder / f"{name}.bin") for name in images]


def compared(folder, *more, **images):
    out = folder / "out"
    status = main([*saved(folder, **images), "--shape", "20", "30", "--outdir", str(out), *more])
    metrics = out / "metrics.json"
    return status, json.loads(metrics.read_text()) if metrics.exists() else None


def test_an_image_agrees_with_itself(image, tmp_path, capsys):
    status, figures = compared(tmp_path, a=image, b=image)
    assert status == 0 and figures["identical"] == 600 and figures["ulp"]["0"] == 600
    assert figures["correlation"] == pytest.approx(1.0) and figures["sum_ratio"] == 1.0
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"summary.md", "metrics.json", "commands.txt", "checksums.sha256", "A.png", "zoom.png"} <= files
    assert "agree" in capsys.readouterr().out


def test_a_wrong_scale_differs_whatever_the_correlation(image, tmp_path):
    """A fluence 1.26e5 too high."""
    status, figures = compared(tmp_path, a=image * np.float32(1.26e5), b=image)
    assert status == 1 and figures["correlation"] > 0.999999
    assert figures["sum_ratio"] == pytest.approx(1.26e5, rel=1e-6) and figures["peaks"]["largest_displacement"] == 0.0


def test_the_worst_pixel_is_named(image, tmp_path):
    other = image.copy()
    other[7, 11] *= np.float32(1.0 + 1e-4)
    other[2, 3] = np.nextafter(other[2, 3], np.float32(np.inf))
    status, figures = compared(tmp_path, a=other, b=image)
    assert status == 1 and figures["outside_tolerance"] == 1 and figures["identical"] == 598
    assert (figures["worst_relative"]["slow"], figures["worst_relative"]["fast"]) == (7, 11)
    assert figures["worst_outside_tolerance"]["a"] == float(other[7, 11])
    assert figures["ulp"]["1"] == 1 and sum(figures["ulp"].values()) == 600


@pytest.mark.parametrize(
    ("tolerance", "factor", "status"),
    [("exact", 1.0, 0), ("exact", 1.0 + 1e-7, 1), ("fast", 1.0 + 5e-7, 0), ("fast", 1.0 + 3e-6, 1),
     ("1e-3", 1.0 + 5e-4, 0), ("1e-5", 1.0 + 5e-4, 1), ("0,1e-2", 1.0 + 5e-3, 0)],
)  # fmt: skip
def test_tolerances(tolerance, factor, status, image, tmp_path):
    found, _ = compared(tmp_path, "--tolerance", tolerance, a=(image * np.float64(factor)), b=image)
    assert found == status


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_differs(value, image, tmp_path):
    broken = image.copy()
    broken[4, 5] = value
    status, figures = compared(tmp_path, a=broken, b=image)
    assert status == 1 and figures["not_finite"] == [1, 0] and figures["outside_tolerance"] == 1
    assert compared(tmp_path, a=broken, b=broken)[0] == 0


def test_roi_and_mask(image, tmp_path):
    other = image.copy()
    other[10, 20] = 0.0
    assert compared(tmp_path, "--roi", "0", "19", "0", "19", a=other, b=image)[0] == 0
    assert compared(tmp_path, "--roi", "0", "20", "0", "10", a=other, b=image)[0] == 1
    mask = np.ones((20, 30))
    mask[10, 20] = 0
    np.save(tmp_path / "mask.npy", mask)
    assert compared(tmp_path, "--mask", str(tmp_path / "mask.npy"), a=other, b=image)[0] == 0


def test_displaced_peaks(tmp_path):
    x = np.zeros((40, 40))
    x[[5, 20, 30], [6, 30, 12]] = [100.0, 50.0, 70.0]
    peaks = comparing.matched_peaks(np.roll(x, 2, axis=1), x)
    assert peaks == {"looked_at": 3, "matched": 3, "largest_displacement": 2.0, "mean_displacement": 2.0}


def test_ulp_distance():
    a = np.array([1.0, -1.0, 0.0, 1.0], np.float32)
    b = np.array([np.nextafter(np.float32(1), np.float32(2)), -1.0, -0.0, -1.0], np.float32)
    assert comparing.ulp_distance(a, b).tolist() == [1, 0, 0, 2 * 0x3F800000]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["missing.bin", "b.bin"], "missing.bin"),
        (["b.bin"], "two images"),
        (["b.bin", "b.bin", "--shape", "3", "3"], "--shape"),
        (["b.bin", "b.bin", "--tolerance", "wide"], "--tolerance"),
        (["b.bin", "b.bin", "--roi", "0", "99", "0", "3"], "--roi"),
        (["b.bin", "small.npy"], "different shapes"),
        (["b.bin", "text.txt"], "text.txt"),
        (["--a", "fast"], "--b"),
        (["--a", "fast", "--b", "best", "--", *LINE], "best"),
        (["--a", "fast", "--b", "bin:/no/such", "--", *LINE], "/no/such"),
        (["--a", "strict", "--b", "cref", "--", "-mat", "missing.mat", "-default_F", "1"], "exit status"),
    ],
)
def test_what_cannot_be_compared(line, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NB_C_BIN", raising=False)
    np.ones(400, "<f4").tofile("b.bin")
    np.save("small.npy", np.ones((3, 3)))
    (tmp_path / "text.txt").write_text("nothing")
    assert main(line) == 2
    error = capsys.readouterr().err
    assert says in error and error.startswith("nb-compare:") and "Traceback" not in error


def test_kinds_of_images(image, tmp_path):
    h5py = pytest.importorskip("h5py")
    counts = image.astype(np.uint16)
    np.save(tmp_path / "a.npy", counts)
    header = "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=30;\nSIZE2=20;\n}\f"
    (tmp_path / "a.img").write_bytes(header.encode().ljust(512) + counts.astype("<u2").tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.stack([counts * 0, counts])
    names = [str(tmp_path / "a.npy"), str(tmp_path / "a.img"), f"{tmp_path}/a.h5:1"]
    for name in names:
        assert np.array_equal(read_image(name), counts), name
        assert main([names[0], name, "--tolerance", "exact"]) == 0
    assert main([names[0], f"{tmp_path}/a.h5:0"]) == 1
    assert main([names[0], f"{tmp_path}/a.h5:7"]) == 2


@pytest.mark.cref
def test_two_engines_on_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--a", "cref", "--b", "strict", "--tolerance", "exact", "--outdir", str(out)]
    assert main([*words, "--", *LINE]) == 0
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["integer_mismatches"] == 0 and len(figures["seconds"]) == 2
    assert (out / "commands.txt").read_text().count("--backend") == 2
    assert "a/float.bin" in (out / "checksums.sha256").read_text()


@pytest.mark.cref
def test_quirks_and_fixes_are_in_the_metrics(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--a", "cref", "--b", "strict", "--tolerance", "exact", "--outdir", str(out), "--", *LINE, "-osc", "1"]
    assert main(words) == 0
    assert any(q.startswith("Q01") for q in json.loads((out / "metrics.json").read_text())["quirks"][0])
    assert main([*words, "--fix", "phi-carryover"]) == 0
    quirks = json.loads((out / "metrics.json").read_text())["quirks"][1]
    assert any(q.startswith("computed right") for q in quirks) and not any(q.startswith("Q01") for q in quirks)


@pytest.mark.parametrize("ours", ["--backend", "--trace"])
def test_an_engine_is_not_named_twice(ours, capsys):
    assert main(["--a", "strict", "--b", "cref", "--", *LINE, ours, "cref"]) == 2
    assert ours in capsys.readouterr().err


def test_a_binary_that_writes_no_image_is_a_failure(tmp_path, capsys):
    program = tmp_path / "liar"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    assert main(["--a", "strict", "--b", f"bin:{program}", "--", *LINE]) == 2
    assert "left no float.bin" in capsys.readouterr().err


def test_inputs_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.mat").write_text("x")
    assert with_absolute_inputs(["-mat", "A.mat", "-hkl", "P1.hkl"], tmp_path) == [
        "-mat",
        str(tmp_path / "A.mat"),
        "-hkl",
        "P1.hkl",
    ]


def test_verdicts_that_a_bright_pixel_or_a_background_must_not_turn():
    rng = np.random.default_rng(5)
    a, b, kept = rng.exponential(10.0, (60, 50)), rng.exponential(10.0, (60, 50)), np.ones((60, 50), bool)
    a[30, 25] = b[30, 25] = 1e8  # a direct beam in both
    assert "no factor, shift or mirror" in in_words(a, b, kept, 9)
    b[30, 25] = 2e8
    assert "no factor, shift or mirror" in in_words(a, b, kept, 9)
    assert in_words(a, 2.0 * a, kept, 9) == "B = 2.000 x A" and in_words(a, 1.0005 * a, kept, 9) == "B = 1.00050 x A"
    spots = rng.poisson(3.0, (80, 70)) + 100.0
    assert in_words(spots[7:67, :50], spots[12:72, 6:56], kept, 9) == "B is A moved by (-5, -6) pixels (slow, fast)"
    assert in_words(a, np.full_like(a, np.nan), kept, 9) == "B: no pixel is a finite number"


def test_scales_of_pictures():
    """Differences by their logarithm to both sides, ratios clipped, both so that a shifted image shows something."""
    from matplotlib.colors import SymLogNorm

    from nanobragg.engine.check.pictures import MOST_POWERS, _scale

    difference = np.array([[-1e-3, 0.0], [1e4, 3.0]])
    colours = _scale("difference", difference, 1.0)[1]["norm"]
    assert isinstance(colours, SymLogNorm) and (colours.vmin, colours.vmax) == (-1e4, 1e4)
    shades = colours(difference).ravel()
    assert shades[0] < shades[1] == 0.5 < shades[3] < shades[2]
    of_ratio = _scale("ratio", np.array([[11.0]]), 1.0)[1]["norm"]
    assert (of_ratio.vmin, of_ratio.vmax) == (-MOST_POWERS, MOST_POWERS)


def test_the_zoom_has_the_coordinates_of_the_detector(image, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    extents, draw = [], Axes.imshow
    monkeypatch.setattr(Axes, "imshow", lambda axes, *a, **k: (extents.append(k["extent"]), draw(axes, *a, **k))[1])
    other = image.copy()
    other[15, 25] += 5.0
    names = saved(tmp_path, a=image, b=other)
    main([*names, "--shape", "20", "30", "--outdir", str(tmp_path / "report")])
    assert sorted(p.name for p in (tmp_path / "report").glob("*.png")) == [
        "A.png", "B.png", "difference.png", "ratio.png", "zoom.png"]  # fmt: skip
    fast, _, _, slow = extents[-1]
    assert (slow, fast) == (-0.5, 25 - 20 - 0.5)


def test_a_full_disk_leaves_no_stub_and_the_verdict(image, tmp_path, monkeypatch, capsys):
    from matplotlib.figure import Figure

    def full(figure, file, **options):
        file.write(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    assert main([*saved(tmp_path, a=image, b=image), "--shape", "20", "30", "--outdir", str(tmp_path / "report")]) == 2
    out, err = capsys.readouterr()
    assert "agree" in out and "No space left" in err and not list((tmp_path / "report").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_neither_folder_nor_engine(number, tmp_path):
    engine = tmp_path / "slow"
    engine.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    engine.chmod(0o755)
    line = [
        sys.executable,
        "-m",
        "nanobragg.cli.tools.compare",
        "--a",
        f"bin:{engine}",
        "--b",
        "strict",
        "--",
        "-N",
        "5",
    ]
    with subprocess.Popen(line, env=os.environ | {"TMPDIR": str(tmp_path)}) as tool:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        tool.send_signal(number)
        assert tool.wait(20) == 128 + number
    assert not list(tmp_path.glob("nb-compare-*"))
    engine_pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(engine_pid) or psutil.Process(engine_pid).status() == "zombie", 10)


def test_outputs_of_a_line_are_the_engines_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -oversample 1 -floatfile mine.bin -intfile my.img -misset 1 2"
    assert main(["--a", "strict", "--b", "strict", "--", *line.split()]) == 0
    assert not list(tmp_path.iterdir()) and "3 arguments must follow" in capsys.readouterr().err
