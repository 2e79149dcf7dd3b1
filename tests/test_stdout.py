"""The lines with figures on stdout are the original's, byte for byte and in its order."""

import json

import pytest

from tests.support import GOLDEN, _found, command, cref_is_there, libm_is_the_recorded_one

FOLDER = GOLDEN / "stdout"
CASES = json.loads((FOLDER / "cases.json").read_text())
BACKENDS = ["strict"] + ["cref"] * cref_is_there()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_what_the_original_printed(name, backend, tmp_path):
    if not libm_is_the_recorded_one():
        pytest.skip("another C library: last digits differ")
    words = [_found(word).replace("{out}", str(tmp_path)) for word in CASES[name]["args"]]
    done = command(["--backend", backend, *words], tmp_path)
    expected = (FOLDER / f"{name}.txt").read_text().replace("{out}", str(tmp_path))
    said = done.stdout
    if name == "noise_overflow":  # the sign of a NaN mean depends on who compiled the original: not recorded
        said = "".join(line for line in said.splitlines(keepends=True) if not line.startswith("mean="))
    assert done.returncode == CASES[name]["exit"], done.stderr
    assert said == expected


def test_no_progress_where_pixels_are_printed(tmp_path):
    line = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 20 -pixel 0.5 -N 3 -oversample 1 -nonoise".split()
    assert "% done" in command(line, tmp_path).stdout
    for more in (["-printout"], ["-printout_pixel", "3", "2"], ["-printout_pixel", "99", "2"]):
        assert "% done" not in command([*line, *more], tmp_path).stdout


def test_a_pixel_without_an_evaluation_shows_those_before_it(tmp_path):
    """-dmin cuts the corner: what was read last, or met last, still stands in the original's variables."""
    line = (
        "-cell 50 60 70 90 90 90 -hkl {in}/small_cell.hkl -lambda 1 -distance 100 -pixel 1 -detpixels 60 -N 3 -dmin 4 "
    )
    words = [
        _found(word) for word in (line + "-oversample 1 -nonoise -nopgm -nointerpolate -printout_pixel 0 0").split()
    ]
    shown = command(words, tmp_path).stdout
    assert "hkl= 9.000000 9.000000 9.000000  hkl0= 20 20 9\n F_cell=13.5301  F_latt=0   I = 0" in shown
    words[-2:] = ["59", "59"]
    shown = command(words, tmp_path).stdout
    inside = [*words[:-3], "-printout"]
    everything = command(inside, tmp_path).stdout
    block = shown[shown.index("  59   59 : stol") : shown.index("solid angle")]
    assert block in everything and "F_latt=0 " not in block and "I = 0" in block
