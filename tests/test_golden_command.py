"""The installed command against everything the original wrote: arrays to the last bit, headers to the last byte."""

import numpy as np
import pytest

from tests.support import CASES, assert_same_image, command, libm_is_the_recorded_one, read_smv
from tests.tolerances import OTHER_LIBM, REPORTED

FIGURES = {
    "max_I": ("max_I = ", 0),
    "mean": ("mean= ", 0),
    "rms": ("rms= ", 0),
    "rmsd": ("rmsd= ", 0),
    "intfile_scale": ("intfile_scale = ", 0),
    "pgm_scale": ("pgm_scale = ", 0),
    "solid_angle": ("solid angle subtended by detector = ", 0),
}


def reported(stdout: str, key: str) -> float:
    """The figure that follows a key on stdout."""
    text, word = FIGURES[key]
    start = stdout.index(f"\n{text}") if f"\n{text}" in stdout else stdout.index(f" {text}")
    return float(stdout[start + 1 + len(text) :].split()[word])


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_strict_command_writes_what_the_original_wrote(case, tmp_path):
    done = command(["--backend", "strict", "--threads", "2", *case.arguments(tmp_path)], tmp_path)
    assert done.returncode == 0, done.stderr
    image = np.fromfile(tmp_path / "float.bin", "<f4").reshape(case.shape)
    exact = libm_is_the_recorded_one()
    assert_same_image(image[case.window], case.arrays["float"], 0.0 if exact else OTHER_LIBM)
    header, counts = read_smv(tmp_path / "int.img")
    assert header == case.entry["smv_header"]
    if not exact:
        return
    assert_same_image(counts[case.window], case.arrays["int"])
    if "pgm" in case.arrays:
        grey = np.frombuffer((tmp_path / "image.pgm").read_bytes()[-image.size :], "u1").reshape(case.shape)
        assert_same_image(grey[case.window], case.arrays["pgm"])
    if "noise" in case.arrays:
        header, noise = read_smv(tmp_path / "noise.img")
        assert header == case.entry["noise_header"]
        assert_same_image(noise[case.window], case.arrays["noise"])
    for key, value in case.entry["figures"].items():
        if key in FIGURES:
            np.testing.assert_allclose(reported(done.stdout, key), value, rtol=REPORTED, err_msg=key)
