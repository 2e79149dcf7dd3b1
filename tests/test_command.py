"""What the command says and leaves: stdout for scripts, stderr for people, files for both."""

import os

import numpy as np
import pytest

from nanobragg.cli.nanobragg.command import main
from tests.support import BY_NAME, INPUT_FOLDERS, command, read_smv, working_in

TINY = "-cell 50 50 50 90 90 90 -default_F 10 -detpixels 20 -oversample 1 --backend cref "
INPUTS = INPUT_FOLDERS[0]


def run(line, folder, capsys):
    with working_in(folder):
        assert main(line.split()) == 0
    return capsys.readouterr()


def test_default_outputs(tmp_path, capsys):
    run(TINY + f"-hkl {INPUTS / 'small_cell.hkl'}", tmp_path, capsys)
    assert sorted(os.listdir(tmp_path)) == [
        "Fdump.bin",
        "floatimage.bin",
        "image.pgm",
        "intimage.img",
        "noiseimage.img",
    ]
    assert (tmp_path / "image.pgm").read_bytes().startswith(b"P5\n20 20\n# pixels scaled by ")


def test_outputs_that_are_off(tmp_path, capsys):
    run(TINY + "-nopgm -nonoise", tmp_path, capsys)
    assert sorted(os.listdir(tmp_path)) == ["floatimage.bin", "intimage.img"]


def test_a_dump_is_used_again_and_said_so(tmp_path, capsys):
    run(TINY + f"-hkl {INPUTS / 'small_cell.hkl'} -nonoise", tmp_path, capsys)
    first = (tmp_path / "floatimage.bin").read_bytes()
    again = run(TINY + "-nonoise", tmp_path, capsys)
    assert (tmp_path / "floatimage.bin").read_bytes() == first, "the dump wins over -default_F"
    assert "Q59" in again.err


def test_progress_lines(tmp_path, capsys):
    out = run(TINY, tmp_path, capsys).out
    percent = [int(line.split("%")[0]) for line in out.splitlines() if line.endswith("% done")]
    # 20 x 20 pixels, counted against 21 x 21: every 22nd, and every 4th of the first and last tenth
    expected = [
        c * 100 // 441 for c in range(400) if c % 22 == 0 or (c % 4 == 0 and (10 * c < 441 or 10 * c > 9 * 441))
    ]
    assert percent == expected
    assert "% done" not in run(TINY + "-noprogress", tmp_path, capsys).out


@pytest.mark.parametrize("backend", ["cref", "strict"])
def test_progress_is_the_same_on_every_backend(backend, tmp_path, capsys):
    line = TINY.replace("cref", backend) + "-nonoise -detpixels 60 -roi 3 50 2 40"
    assert run(line, tmp_path, capsys).out == run(TINY + "-nonoise -detpixels 60 -roi 3 50 2 40", tmp_path, capsys).out


def test_the_lines_that_scripts_pick_up(tmp_path, capsys):
    line = (
        TINY
        + "-phi 1 -osc 1 -phisteps 2 -hdivrange 1 -hdivsteps 2 -dispersion 1 -dispsteps 2 -mosaic 1 -mosaic_domains 2 -seed 4"
    )
    out = run(
        line + " -misset_seed 7 -misset random -detector_thick 100 -oversample_omega -water 2", tmp_path, capsys
    ).out
    for text in (
        "XDS incident beam: 0 0 1", "Unit Cell: 50 50 50 90 90 90", "Recp Cell: 0.02 0.02 0.02 90 90 90", "volume = 125000 A^3",
        "random orientation misset angles: 22.076402 19.703339 8.204977 deg", "crystal is 0.005 x 0.005 x 0.005 microns",
        "thick1 = 50 um", "phi1 = 1.5", "divergence deviation: -0.0005 0", "lambda0 = 9.95e-11", "created a total of 4 sources:",
        "created a total of 2 mosaic domains", "0 initialized hkls (all others =10)", " xtal: 1x1x1 cells",
        "wave=1e-10 meters +/- 1% in 2 steps", "Kahn polarization factor: 0.000000", "(20x20 pixels)", "roi: 0 < x < 20 && 0 < y < 20",
        "2 divergence steps", "4 sources", "2 mosaic domains over mosaic spread of 1 degrees", "2 phi steps from 1 to 2 degrees",
        "1x1 pixel oversample steps +omega", "seed: -4", "water droplet size: 2e-06 m", "solid angle subtended by detector = ",
        "max_I = ", "mean= ", "intfile_scale = ", "pgm_scale = ", " photons on noise image (",
    ):  # fmt: skip
        assert text in out, text


def test_remarks_are_on_stderr(tmp_path, capsys):
    streams = run(TINY + "-misset_seed 7 -N 5 -odd -osc 1 -phisteps 2 -water 3", tmp_path, capsys)
    for text in ("Q92", "'-odd', is ignored", "Q01", "Q12"):
        assert text in streams.err and text not in streams.out


def test_explain(tmp_path, capsys):
    err = run(TINY + "--explain -Nabc 5", tmp_path, capsys).err
    assert "rule 1 -Na: N_a = 5" in err and "-detpixels: rule 51" in err


def test_the_seed_makes_the_noise(tmp_path, capsys):
    images = []
    for seed in ("5", "5", "6"):
        run(TINY + f"-fluence 1e33 -seed {seed}", tmp_path, capsys)
        images.append((tmp_path / "noiseimage.img").read_bytes())
    assert images[0] == images[1] != images[2]


def test_pixel_printing(tmp_path, capsys):
    out = run(TINY + "-printout_pixel 3 4", tmp_path, capsys).out
    image = np.fromfile(tmp_path / "floatimage.bin", "<f4").reshape(20, 20)
    assert [x for x in out.splitlines() if x.startswith("pixel")] == [f"pixel   {image[4, 3]:>15.10g}"]


def test_a_header_longer_than_it_says(tmp_path, capsys):
    long = "-pixel 0.172345 -detpixels_x 2463 -detpixels_y 4 -Xbeam 217.742295 -Ybeam 213.907080 -distance 231.274660 -lambda 0.976812"
    err = run(TINY + long + " -phi 12.3456 -osc 0.123456 -twotheta 12.3456 -detector_rotx 1.234", tmp_path, capsys).err
    data = (tmp_path / "intimage.img").read_bytes()
    assert "Q74" in err and data.index(b"}\f") > 510
    header, pixels = read_smv(tmp_path / "intimage.img")
    assert pixels.shape == (4, 2463) and len(data) == len(header) + pixels.nbytes


def test_overflow_is_reproduced_and_reported(tmp_path, capsys):
    case = BY_NAME["f074"]
    with working_in(tmp_path):
        assert main(["--backend", "cref", *case.arguments(tmp_path)]) == 0
    assert "Q79" in capsys.readouterr().err
    assert np.isinf(np.fromfile(tmp_path / "float.bin", "<f4")).any()


def test_devices_are_written_directly(tmp_path, capsys):
    run(TINY + "-floatfile /dev/null -nonoise -nopgm", tmp_path, capsys)
    assert os.listdir(tmp_path) == ["intimage.img"]


def test_the_environment_names_a_backend_for_scripts(tmp_path):
    line = "-cell 50 -default_F 5 -detpixels 8 -nonoise".split()
    refused = command(line, tmp_path, env={"NANOBRAGG_BACKEND": "best"})
    assert refused.returncode == 1 and "NANOBRAGG_BACKEND best: not one of" in refused.stderr
    assert command(line, tmp_path, env={"NANOBRAGG_BACKEND": "strict"}).returncode == 0
    assert command([*line, "--backend", "best"], tmp_path, env={"NANOBRAGG_BACKEND": "strict"}).returncode == 1
