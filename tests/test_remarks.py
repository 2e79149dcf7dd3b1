"""What is not as it should be is said in one line: misread numbers, lost lines, empty images, outputs over inputs."""

import subprocess
import sys

import numpy as np
import pytest

from nanobragg.cli.batch.command import main as nb_batch
from nanobragg.cli.nanobragg.command import main
from nanobragg.engine.factors.tables import mates_present
from tests.batch_support import write_job
from tests.support import INPUT_FOLDERS, command, working_in

INPUTS = INPUT_FOLDERS[0]
CELL = "-cell 50 60 70 90 90 90 -lambda 1 -distance 100 -pixel 0.5 -detpixels 8 -N 3 -oversample 1 -nonoise -nopgm "
PLAIN = CELL + "-default_F 10 "


def said(line, folder, capsys, status=0):
    """What one run of the command says on stderr."""
    with working_in(folder):
        assert main([*line.split(), "--backend", "cref"]) == status
    return capsys.readouterr().err


def test_a_line_without_faults_says_nothing(tmp_path, capsys):
    """But that readers of SMV are misled by the original's headers."""
    line = PLAIN + "-N 1 -nointerpolate -pixel 0.1 -default_F 1000"
    (one,) = said(line, tmp_path, capsys).splitlines()
    assert one.startswith("nanoBragg: Q102 smv: readers take another beam centre")
    (one,) = said(line + " --fix smv", tmp_path, capsys).splitlines()
    assert one.startswith("nanoBragg: computed right")


def test_detectors_that_no_header_describes(tmp_path, capsys):
    stands = "the way this detector stands"
    for words in ("-detector_rotx 3", "-detector_roty 3", "-twotheta 5", "-spindle_axis 0 1 0", "-adxv", "-dials"):
        assert f"SMV headers have no words for {stands}" in said(PLAIN + words, tmp_path, capsys)
    assert "SMV headers have no words for a curved" in said(PLAIN + "-curved_det 1", tmp_path, capsys)
    for words in ("-mosflm", "-denzo", "-xds"):
        assert "have no words" not in said(PLAIN + words, tmp_path, capsys)


MISREAD = {
    "-energy 12keV": "-energy: '12keV' is no number, and was read as 12",
    "-distance abc": "-distance: 'abc' is no number, and was read as 0",
    "-N 10x": "-N: '10x' is no whole number, and was read as 10",
    "-detpixels 32.7": "-detpixels: '32.7' is no whole number, and was read as 32",
    "-fluence -1": "-fluence: -1 is below 0",
    "-osc -1": "-osc: -1 is below 0",
    "-seed 1e5": "-seed: '1e5' is no whole number, and was read as 1",
    "-misset 1 2 x": "-misset: 'x' is no number, and was read as 0",
    "-roi 0 5 0 a": "-roi: 'a' is no whole number, and was read as 0",
    "-cell 50 60 70 90 90 9o": "-cell: '9o' is no number, and was read as 9",
    "-printout_pixel 1 b": "-printout_pixel: 'b' is no whole number, and was read as 0",
}


@pytest.mark.parametrize("words", MISREAD)
def test_numbers_that_are_none(words, tmp_path, capsys):
    """As the original in c mode, with a remark; an error where flags are read right."""
    before = PLAIN.replace("-cell 50 60 70 90 90 90", "") if words.startswith("-cell") else PLAIN
    flag = words.split()[0]
    with working_in(tmp_path):
        status = main([*before.split(), *words.split(), "--backend", "cref"])
    remarks = capsys.readouterr().err
    assert status == 0 or "impossible" in remarks or "no unit cell" in remarks or "flat" in remarks
    assert f"nanoBragg: {MISREAD[words]}\n" in remarks
    error = said(before + words + " --fix flags", tmp_path, capsys, status=1).splitlines()[-1]
    assert error.startswith(f"nanoBragg: {flag}: ") and "read as" not in error


def test_values_that_are_right_are_not_remarked_on(tmp_path, capsys):
    line = (
        PLAIN
        + "-adc -5 -phi -10 -misset -1 -2 -3 -Xbeam -1 -distance -100 -seed -7 -detector_abs inf -scale 1e3 -polar -1"
    )
    assert "below 0" not in said(line, tmp_path, capsys) and "read as" not in said(line, tmp_path, capsys)


HKL = {  # what is in the file: what is said in c mode, and the end of what --fix files says, if it refuses
    "0 0 1 10\n0 1 0 ****\n0 0 2 30\n1 0 0 40\n": (
        "read to line 2 of 4 (1 reflections): '****' is no number",
        "line 2",
    ),
    "0 0 1 10\n0 0 2 20\n# more\n0 0 3 30\n": ("read to line 3 of 4 (2 reflections): '#' is no number", None),
    "0 0 1 10 1\n0 0 2 20 2\n0 0 3 30 1\n": ("line 1 has 5 numbers, not 4", None),
    "0 0 1 12.3D+00\n0 0 2 20\n": ("read to line 1 of 2 (1 reflections): 'D+00' is no number", "line 1"),
    "0 0 1 10\n0 0 2 20\n0 0 3": ("the last 3 numbers are not read", "line 3"),
    "0 0 1 10\n0 0.0 2 20\n0 0 3 30\n": ("an index is not written as a whole number", None),
    "1 0 0\n0 1 0\n0 0 1\n": ("is it a matrix, for -mat?", "line 1"),
}


@pytest.mark.parametrize("text", HKL)
def test_amplitudes_that_are_lost(text, tmp_path, capsys):
    (tmp_path / "a.hkl").write_text(text)
    remark, refused = HKL[text]
    assert remark in said(CELL + "-hkl a.hkl", tmp_path, capsys)
    fixed = CELL + "-hkl a.hkl --fix files"
    if refused is None:
        assert "is no number" not in said(fixed, tmp_path, capsys)
    else:
        assert refused in said(fixed, tmp_path, capsys, status=1).splitlines()[-1]


def test_sigma_columns_and_comments_are_read_right(tmp_path):
    (tmp_path / "a.hkl").write_text("# h k l F sigma\n0 0 1 10 1\n0 0 2 20 2 ! weak\n0 0 3 30 1\n")
    done = command([*CELL.split(), "-hkl", "a.hkl", "--fix", "files"], tmp_path)
    assert "3 initialized hkls" in done.stdout


def test_half_a_list(tmp_path, capsys):
    rows = np.loadtxt(INPUTS / "small_cell.hkl")
    for name, kept in (("half", rows[:, 2] > 0), ("eighth", (rows[:, :3] >= 0).all(axis=1))):
        np.savetxt(tmp_path / f"{name}.hkl", rows[kept], fmt="%d %d %d %.3f")
        assert "no Friedel mates" in said(CELL + f"-hkl {name}.hkl", tmp_path, capsys)
    assert "Friedel" not in said(CELL + f"-hkl {INPUTS / 'small_cell.hkl'}", tmp_path, capsys)
    assert mates_present(rows[:3, :3]) is None and mates_present(rows[:, :3]) == 1.0


def test_one_huge_index(tmp_path, capsys):
    (tmp_path / "a.hkl").write_text("0 0 1 10\n0 0 2 20\n90 160 1000 5\n-1 -1 -1 5\n")
    assert "for 4 reflections: is one of them a slip?" in said(CELL + "-hkl a.hkl", tmp_path, capsys)
    (tmp_path / "a.hkl").write_text("0 0 1 10\n0 0 2 20\n9000 16000 10000 5\n")
    assert "GB" in said(CELL + "-hkl a.hkl", tmp_path, capsys, status=9)


def test_a_matrix_with_more_than_nine_numbers(tmp_path, capsys):
    (tmp_path / "a.mat").write_text((INPUTS / "triclinic.mat").read_text() + "1 2 3\n")
    line = PLAIN.replace("-cell 50 60 70 90 90 90", "-mat a.mat")
    assert "more than the nine numbers of a matrix" in said(line, tmp_path, capsys)


EMPTY = {
    "-fluence 0": "there are no photons",
    "-roi 5 4 5 4": "roi and mask leave no pixel",
    "-gauss_xtal -N 300": "no spot falls on a pixel",
    "-dmin 70": "-dmin cuts every pixel",
    "-oversample_thick": "Q07",
    "-detector_abs inf -detector_thick 100": "Q08",
}


@pytest.mark.parametrize("words", EMPTY)
def test_an_image_that_is_all_zero(words, tmp_path, capsys):
    line = PLAIN.replace("-distance 100", "-distance 60 -Xbeam 1 -Ybeam 30")
    told = said(line + words, tmp_path, capsys)
    assert not np.fromfile(tmp_path / "floatimage.bin", np.float32).any()
    assert "the image is all zero: " in told and EMPTY[words] in told.splitlines()[-1]


def test_amplitudes_that_no_pixel_sees(tmp_path, capsys):
    np.savetxt(tmp_path / "a.hkl", [(h, k, x, 5) for h in (-1, 0, 1) for k in (-1, 0, 1) for x in (-1, 0, 1)], fmt="%d")
    told = said(CELL + "-hkl a.hkl -nointerpolate -Xbeam 90 -Ybeam 90", tmp_path, capsys)
    assert "the image is all zero: the amplitudes reach to" in told
    (tmp_path / "zero.hkl").write_text("0 0 1 0\n")
    assert "all amplitudes are 0" in said(CELL + "-hkl zero.hkl", tmp_path, capsys)


def test_a_faint_image(tmp_path, capsys):
    assert "the brightest pixel expects 0.00" in said(PLAIN + "-fluence 1e26", tmp_path, capsys)


def test_what_no_x_ray_is(tmp_path, capsys):
    told = said(PLAIN + "-energy 12.4", tmp_path, capsys)
    assert "the wavelength is 999.873 A (12.4 eV)" in told and "no reflection can reach the detector" in told
    assert "no reflection" not in said(PLAIN, tmp_path, capsys)


def test_a_source_file_beside_divergence(tmp_path, capsys):
    line = PLAIN + f"-sourcefile {INPUTS / 'sources.txt'} "
    assert "divergence and dispersion of other flags are not used" in said(line + "-hdivrange 1", tmp_path, capsys)
    assert "not used" not in said(line, tmp_path, capsys).replace("weights are not used", "")


def test_directions_lose_the_half_pixel(tmp_path, capsys):
    told = said(PLAIN + "-spindle_axis 0 1 0 --fix all", tmp_path, capsys)
    assert "without MOSFLM's half pixel" in told
    assert "half pixel" not in said(PLAIN + "--fix all", tmp_path, capsys)


def test_cells_that_are_none_or_nearly(tmp_path, capsys):
    line = PLAIN.replace("90 90 90", "{}")
    assert "make no unit cell" in said(line.format("10 20 95"), tmp_path, capsys)
    assert "no unit cell" in said(line.format("10 20 95") + "--fix all", tmp_path, capsys, status=1)
    assert "nearly flat" in said(line.format("100 130 129.8"), tmp_path, capsys)
    assert "flat" not in said(line.format("100 110 95"), tmp_path, capsys)


def test_outputs_do_not_take_the_place_of_inputs(tmp_path, capsys):
    (tmp_path / "my.hkl").write_text((INPUTS / "small_cell.hkl").read_text())
    (tmp_path / "my.mat").write_text((INPUTS / "triclinic.mat").read_text())
    (tmp_path / "link").symlink_to("my.hkl")
    for words in ("-floatfile my.hkl", "-intfile ./my.hkl", "-pgmfile link", "-noisefile my.mat", "-dump my.hkl"):
        line = "-hkl my.hkl -mat my.mat -lambda 1 -detpixels 8 -oversample 1 " + words
        for more in ("", " --fix all"):
            told = said(line + more, tmp_path, capsys, status=1).splitlines()[-1]
            assert f"{words.split()[0]} {words.split()[1]}: is the file that -" in told
    assert (tmp_path / "my.hkl").read_text() == (INPUTS / "small_cell.hkl").read_text()
    assert not list(tmp_path.glob("*.bin"))


def test_two_outputs_of_one_name(tmp_path, capsys):
    told = said(PLAIN.replace("-nopgm", "") + "-floatfile a -intfile b -pgmfile a", tmp_path, capsys)
    assert "-pgmfile a takes the place of -floatfile a" in told
    assert (tmp_path / "a").read_bytes().startswith(b"P5")
    assert "takes the place" not in said(PLAIN + "-floatfile /dev/null -intfile /dev/null", tmp_path, capsys)


REFUSED_IN_JOBS = {
    "-lamda 2": "-lamda: no flag is called that",
    "-energy 12keV": "'12keV' is no number",
    "-misset 1 2": "-misset: ",
    "stray": "stray: no flag is called that",
    "-cell 50 60 70 10 20 95 --fix all": "no unit cell",
}


@pytest.mark.parametrize("words", REFUSED_IN_JOBS)
def test_jobs_refuse_what_cannot_be_meant(words, tmp_path, capsys):
    job = write_job(tmp_path, "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -oversample 1 " + words, images=2)
    assert nb_batch(["run", str(job)]) == 1
    assert REFUSED_IN_JOBS[words] in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_jobs_remark_once(tmp_path, capsys):
    line = "-cell 50 60 70 100 130 129.8 -default_F 10 -detpixels 8 -oversample 1 -lambda 30"
    assert nb_batch(["run", str(write_job(tmp_path, line, images=3)), "--no-sheet"]) == 0
    told = capsys.readouterr().err
    assert told.count("nearly flat") == 1 and told.count("is that meant?") == 1


@pytest.mark.parametrize(
    "tool", [["tools.trace", "--pixel", "3", "3"], ["tools.compare", "--a", "cref", "--b", "cref"]]
)
def test_tools_say_what_the_command_says(tool, tmp_path):
    line = [
        sys.executable,
        "-m",
        f"nanobragg.cli.{tool[0]}",
        *tool[1:],
        "--",
        *PLAIN.split(),
        "-lamda",
        "2",
        "-energy",
        "12keV",
    ]
    told = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True).stderr
    assert told.count("'-lamda', is ignored") == 1 and told.count("'12keV' is no number") == 1


def test_rules_that_fire_by_accident_misread_nothing(tmp_path, capsys):
    told = said(PLAIN + "-misset random -misset_seed 7 -phi 3", tmp_path, capsys)
    assert "no number" not in told and "Q92" in told
    job = tmp_path / "job.toml"
    words = PLAIN + "-misset random -misset_seed 7"
    job.write_text(f'arguments = "{words}"\nimages = 2\noutput = "out"\n[[axis]]\nflag = "-phi"\nstart = 0\nstep = 1\n')
    assert nb_batch(["expand", str(job)]) == 0


def test_numbers_beyond_32_bits(tmp_path, capsys):
    told = said(PLAIN + "-detpixels 4294967300", tmp_path, capsys)
    assert "-detpixels: 4294967300 does not fit into 32 bits, and was read as 4\n" in told


def test_why_a_detector_at_the_sample_sees_nothing(tmp_path, capsys):
    assert "at distance 0" in said(PLAIN + "-distance 0 -detpixels 6", tmp_path, capsys)


def test_half_lists_with_a_whole_layer_and_odd_columns(tmp_path, capsys):
    indices = [(h, k, x) for h in range(-6, 7) for k in range(-6, 7) for x in range(7)]
    (tmp_path / "half.hkl").write_text("".join(f"{h} {k} {x} 10\n" for h, k, x in indices))
    (tmp_path / "two.hkl").write_text("0 0 1 10 0 0 2 20\n0 1 0 30 1 2 3 4\n")
    (tmp_path / "mat.hkl").write_text("0.01 0 0\n0 0.02 0\n0 0 0.03\n")
    assert "few Friedel mates" in said(CELL + "-hkl half.hkl", tmp_path, capsys)
    assert "line 1 has 8 numbers, not 4" in said(CELL + "-hkl two.hkl -nodump", tmp_path, capsys)
    (tmp_path / "Fdump.bin").unlink()
    assert "is it a matrix, for -mat?" in said(CELL + "-hkl mat.hkl", tmp_path, capsys)


def test_one_line_for_an_impossible_cell(tmp_path, capsys):
    line = PLAIN.replace("50 60 70 90 90 90", "50 60 70 10 20 95")
    told = said(line, tmp_path, capsys)
    assert told.count("no unit cell") == 1 and "angle" not in told.replace("lengths and angles", "")


def test_why_a_detector_far_away_sees_nothing(tmp_path, capsys):
    assert "so far away that its pixels have no solid angle" in said(PLAIN + "-distance 1e300", tmp_path, capsys)


def test_a_detector_nearly_at_the_sample(tmp_path, capsys):
    assert "unexpected" not in said(PLAIN + "-distance 2.3e-309", tmp_path, capsys)


def test_pixels_that_are_no_numbers_have_their_reason(tmp_path, capsys):
    """The original's own ``-nan``, from a negative zero divided by zero; it dies where such an index is a place."""
    with working_in(tmp_path):
        assert main([*(PLAIN + "-distance 0 -curved_det x").split(), "--backend", "strict"]) == 0
    out, err = capsys.readouterr()
    assert "solid angle subtended by detector = -nan steradian ( -nan% sphere)" in out.splitlines()
    assert "mean= -nan rms= -nan rmsd= -nan" in out
    assert "distance 0: pixels are not numbers" in err and "overflows" not in err
    (tmp_path / "a.hkl").write_text("-3 -3 -3 1\n3 3 3 1\n")
    with working_in(tmp_path):
        assert main([*(CELL + "-hkl a.hkl -distance 0 -interpolate -curved_det x").split(), "--backend", "strict"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no index is a number" in line]
    assert "the original dies here" in line


def test_a_place_in_millimetres(tmp_path, capsys):
    """``-pix0_vector_mm`` where its value counts."""
    for words in ("-pix0_vector 0.1 0.002 -0.002", "-pix0_vector_mm 100 2 -2"):
        with working_in(tmp_path):
            assert main([*(PLAIN + words).split(), "--fix", "all", "--backend", "strict"]) == 0
        out, err = capsys.readouterr()
        assert "distance=0.1 detsize=0.004x0.004  pixel=0.0005 meters (8x8 pixels)" in out
        assert "custom convention" not in err  # what it says of beam centres is not so here
    assert "dials origin= 2 2 -100" in out.replace("-2 2", "2 2")


def test_detector_abs_is_infinite_for_a_word_that_says_so_alone(tmp_path, capsys):
    assert "'info' is no number, and was read as infinite" in said(PLAIN + "-detector_abs info", tmp_path, capsys)
    assert "-detector_abs" not in said(PLAIN + "-detector_abs inf", tmp_path, capsys)


def test_flags_without_their_values_are_named(tmp_path, capsys):
    told = said(PLAIN + "-misset 1 2", tmp_path, capsys)
    assert "'-misset', is ignored: 3 arguments must follow" in told
    job = write_job(tmp_path, PLAIN.replace("-nonoise -nopgm", "") + "-misset 1 2", images=2)
    assert nb_batch(["run", str(job)]) == 1
    assert "arguments: -misset: 3 arguments must follow" in capsys.readouterr().err


def test_jobs_remark_on_later_images_too(tmp_path, capsys):
    cells = [f'["50", "60", "70", "{alpha}", "{alpha * 2}", "95"]' for alpha in (90, 90, 10, 90)]
    cells = [c.replace('"180"', '"90"') for c in cells]
    job = tmp_path / "job.toml"
    line = "-default_F 10 -detpixels 8 -oversample 1 -N 3 -distance 100 -pixel 0.5"
    job.write_text(f'arguments = "{line}"\nimages = 4\noutput = "out"\n[[axis]]\nflag = "-cell"\n'
                   f"values = [{', '.join(cells)}]\n[[axis]]\nflag = \"-fluence\"\n"
                   "values = [1e30, 1e30, 1e30, 0]\n")  # fmt: skip
    assert nb_batch(["run", str(job), "--no-sheet"]) == 0
    told = capsys.readouterr().err
    assert told.count("image 2: -cell: these lengths and angles make no unit cell") == 1
    assert told.count("image 3: the image is all zero: there are no photons") == 1
    assert "raise -fluence" not in told


def test_two_reflections_on_a_line_are_refused(tmp_path, capsys):
    (tmp_path / "two.hkl").write_text("0 0 1 10 0 0 2 20\n0 1 0 30 0.5\n")
    with working_in(tmp_path):
        assert main([*(CELL + "-hkl two.hkl").split(), "--fix", "files"]) == 1
    assert "line 1 holds more than one reflection" in capsys.readouterr().err
    (tmp_path / "two.hkl").write_text("0 0 1 10 1.5 2 3.5 20\n0 1 0 30 0.5\n")
    assert "all zero" not in said(CELL + "-hkl two.hkl --fix files", tmp_path, capsys)


def test_a_processor_that_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NANOBRAGG_CPU", "foo")
    for tool in (["nanobragg"], ["nanobragg.cli.tools.trace", "--pixel", "3", "3", "--"]):
        ran = subprocess.run(
            [sys.executable, "-m", *tool, *PLAIN.split()], cwd=tmp_path, capture_output=True, text=True
        )
        assert ran.returncode in (1, 2) and "NANOBRAGG_CPU=foo: not one of native, x86-64-v2" in ran.stderr
        assert "Traceback" not in ran.stderr and "unexpected" not in ran.stderr
