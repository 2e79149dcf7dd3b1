"""What a user gets wrong: one clear line on stderr that names the file or flag, the right exit status, no half output."""

import os
import signal
import subprocess
import sys

import pytest

from nanobragg.cli.nanobragg.command import main
from tests.support import INPUT_FOLDERS, ROOT, command, working_in

CELL = "-cell 50 50 50 90 90 90 -default_F 10 -detpixels 8 -nonoise -noprogress --backend cref "
INPUTS = INPUT_FOLDERS[0]


def fails(arguments, folder, capsys, status, *words):
    """Run in this process; the last line on stderr must hold all words, and nothing may have been written."""
    before = set(os.listdir(folder))
    with working_in(folder):
        got = main(arguments.split() if isinstance(arguments, str) else arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert got == status, lines
    assert lines and "unexpected" not in lines[-1]
    for word in words:
        assert word in lines[-1]
    assert set(os.listdir(folder)) - before <= {"Fdump.bin"}


FLAGS = {
    "nothing at all": ("", 9, "no amplitudes", "no cell"),
    "no cell": ("-default_F 5", 9, "no cell"),
    "no amplitudes": ("-cell 50 50 50 90 90 90", 9, "no amplitudes"),
    "negative cell": ("-cell -50 -default_F 5", 9, "no cell"),
    "no pixel size": (CELL + "-pixel 0", 1, "-pixel"),
    "negative pixel": (CELL + "-pixel -0.1", 1, "-pixel"),
    "no pixels": (CELL + "-detpixels 0 -detsize 0", 1, "no pixels"),
    "negative pixels": (CELL + "-detpixels -5", 1, "no pixels"),
    "huge detector": (CELL + "-detpixels 1000000", 1, "GB"),
    "huge size in mm": (CELL + "-detpixels 0 -detsize 1e300", 1, "no pixels"),
    "no wavelength": (CELL + "-lambda 0", 1, "-lambda"),
    "no energy": (CELL + "-energy 0", 1, "-energy 0"),
    "infinite distance": (CELL + "-distance inf", 1, "-distance inf"),
    "not a number": (CELL + "-fluence nan", 1, "-fluence nan"),
    "infinite fluence": (CELL + "-flux 1e12 -beamsize 0", 1, "-beamsize 0"),
    "no phi steps": (CELL + "-osc 0 -phistep 1", 1, "-osc"),
    "too many steps": (CELL + "-phisteps 2000000000 -oversample 9", 1, "Q25"),
    "too many domains": (CELL + "-mosaic 1 -mosaic_domains 2000000000", 1, "-mosaic_domains"),
    "too many sources": (CELL + "-hdivrange 1 -hdivsteps 2000000000", 1, "sources"),
    "last flag without value": (CELL + "-detector_abs", 1, "-detector_abs"),
    "empty output name": ([*CELL.split(), "-floatfile", ""], 9, "-floatfile"),
    "output folder missing": (CELL + "-intfile nowhere/int.img", 9, "-intfile", "nowhere", "does not exist"),
    "output is a folder": (CELL + "-pgmfile .", 9, "-pgmfile", "folder"),
    "unknown backend": (CELL + "--backend quantum", 1, "--backend"),
    "bad threads": (CELL + "--threads -1", 1, "--threads"),
    "no hkl": ("-cell 50 -hkl nowhere.hkl -detpixels 8", 9, "-hkl nowhere.hkl", "No such file"),
    "hkl is a folder": ("-cell 50 -hkl . -detpixels 8", 9, "-hkl ."),
    "no matrix": ("-mat nowhere.mat -default_F 5 -detpixels 8", 1, "-mat nowhere.mat"),
    "no sources": (CELL + "-sourcefile nowhere", 9, "-sourcefile nowhere"),
    "no stol": (CELL + "-stol nowhere", 9, "nowhere"),
    "null byte": ([*CELL.split(), "-floatfile", "a\0b"], 9, "-floatfile"),
}  # fmt: skip


@pytest.mark.parametrize("case", FLAGS.values(), ids=FLAGS.keys())
def test_flags(case, tmp_path, capsys):
    line, status, *words = case
    fails(line, tmp_path, capsys, status, *words)


FILES = {
    "empty hkl": ("-cell 50 -hkl x", b"", 9, "-hkl x"),
    "binary hkl": ("-cell 50 -hkl x", bytes(range(256)) * 8, 9, "-hkl x"),
    "hkl with a title": ("-cell 50 -hkl x", b"h k l F\n1 2 3 4\n", 9, "-hkl x"),
    "infinite amplitude": ("-cell 50 -hkl x", b"1 2 3 inf\n", 1, "-hkl x"),
    "amplitude no number": ("-cell 50 -hkl x", b"1 2 3 nan\n", 1, "-hkl x"),
    "absurd indices": ("-cell 50 -hkl x", b"0 0 0 1\n999999999 999999999 9 1\n", 9, "GB"),
    "index beyond 32 bits": ("-cell 50 -hkl x", b"1e300 0 0 1\n", 9, "-hkl x"),
    "empty matrix": ("-mat x -default_F 5", b"", 1, "-mat x", "0 of the nine"),
    "short matrix": ("-mat x -default_F 5", b"1 2 3 4\n", 1, "4 of the nine"),
    "binary matrix": ("-mat x -default_F 5", bytes(range(256)), 1, "-mat x"),
    "infinite matrix": ("-mat x -default_F 5", b"1 0 0 0 inf 0 0 0 1", 1, "-mat x"),
    "flat matrix": ("-mat x -default_F 5", b"0 0 0 0 0 0 0 0 0", 1, "-mat x"),
    "empty dump": ("-cell 50 -dump x", b"", 1, "-dump x"),
    "binary dump": ("-cell 50 -dump x", bytes(range(256)), 1, "-dump x"),
    "dump of nothing": ("-cell 50 -dump x", b"5 1 5 1 5 1\n\f", 9, "-dump x"),
    "absurd dump": ("-cell 50 -dump x", b"0 2000000000 0 9 0 9\n\f", 9, "GB"),
    "empty sources": (CELL + "-sourcefile x", b"", 9, "-sourcefile x"),
    "blank sources": (CELL + "-sourcefile x", b"\n\n", 9, "-sourcefile x"),
    "comment in sources": (CELL + "-sourcefile x", b"# X Y Z w l\n-10 0 0 1 1e-10\n", 1, "-sourcefile x", "row 1"),
    "infinite source": (CELL + "-sourcefile x", b"inf 0 0 1 1e-10\n", 1, "-sourcefile x"),
    "empty mask": (CELL + "-mask x", b"", 9, "-mask x"),
    "short image": (CELL + "-img x", b"{\nHEADER_BYTES=512;\n", 9, "-img x"),
    "image of another kind": (CELL + "-img x", b"x" * 2000, 1, "-img x", "not an SMV"),
    "empty stol": (CELL + "-stol x", b"", 9, "x"),
}


@pytest.mark.parametrize("case", FILES.values(), ids=FILES.keys())
def test_files(case, tmp_path, capsys):
    line, data, status, *words = case
    (tmp_path / "x").write_bytes(data)
    fails(
        line + ("" if "-detpixels" in line else " -detpixels 8 -nonoise --backend cref"),
        tmp_path,
        capsys,
        status,
        *words,
    )


def test_a_mask_that_is_too_small(tmp_path, capsys):
    fails(f"-cell 50 -default_F 5 -mask {INPUTS / 'mask.img'} -detpixels 500", tmp_path, capsys, 1, "-mask", "9900")


def test_images_that_cannot_be_opened_are_ignored(tmp_path, capsys):
    with working_in(tmp_path):
        assert main((CELL + "-img nowhere -mask nothere").split()) == 0
    err = capsys.readouterr().err
    assert "-img nowhere" in err and "-mask nothere" in err


def test_a_matrix_that_cannot_be_opened_beside_a_cell(tmp_path, capsys):
    with working_in(tmp_path):
        assert main((CELL + "-mat nowhere").split()) == 0
    assert "Q62" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "shut").mkdir(mode=0o500)
    fails(CELL + "-floatfile shut/f.bin", tmp_path, capsys, 9, "-floatfile", "cannot be written")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("flag", ["-floatfile", "-intfile", "-pgmfile"])
def test_a_full_disk(flag, tmp_path):
    done = command([*CELL.split(), "-detpixels", "400", "-oversample", "1", flag, "/dev/full"], tmp_path)
    assert done.returncode == 1 and f"{flag} /dev/full" in done.stderr and "Traceback" not in done.stderr


def test_a_dump_that_cannot_be_written_is_a_remark(tmp_path, capsys):
    with working_in(tmp_path):
        line = f"-cell 50 -hkl {INPUTS / 'small_cell.hkl'} -dump no/where -detpixels 8 -nonoise --backend cref"
        assert main(line.split()) == 0
    assert "-dump no/where" in capsys.readouterr().err


def test_stdout_that_goes_away_does_not_end_the_run(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "nanobragg", *CELL.split(), "-phisteps", "3000", "-oversample", "1"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as run:
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read().decode().count("Traceback") == 0
        assert run.wait(120) == 0
    assert (tmp_path / "floatimage.bin").stat().st_size == 256


def test_termination_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = CELL + "-detpixels 600 -oversample 4 -phisteps 200"
    with subprocess.Popen(
        [sys.executable, "-m", "nanobragg", *line.split()], cwd=tmp_path, stdout=subprocess.PIPE, env=environment
    ) as run:
        run.stdout.readline()
        run.terminate()
        assert run.wait(60) in (-15, 128 + 15)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_stream_that_is_closed_does_not_end_the_run(stream, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = f"exec {sys.executable} -m nanobragg {CELL} {stream}>&-"
    assert subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, timeout=60).returncode == 0
    assert (tmp_path / "floatimage.bin").exists()


def test_a_header_that_gives_an_infinite_number_is_named(tmp_path, capsys):
    text = "{\nHEADER_BYTES=512;\nBYTE_ORDER=x;\nSIZE1=4;\nSIZE2=4;\nDISTANCE=inf;\n}\f"
    (tmp_path / "x.img").write_bytes(text.encode().ljust(544))
    fails(CELL + "-img x.img", tmp_path, capsys, 1, "-img x.img", "distance")


def test_a_mask_that_is_cut_short_is_a_remark(tmp_path, capsys):
    (tmp_path / "m.img").write_bytes((INPUTS / "mask.img").read_bytes()[:700])
    with working_in(tmp_path):
        assert main("-cell 50 -default_F 5 -mask m.img -oversample 1 -nonoise -noprogress --backend cref".split()) == 0
    assert "-mask m.img" in capsys.readouterr().err


def test_geometry_and_cell_are_reported_before_a_missing_hkl_file(tmp_path, capsys):
    with working_in(tmp_path):
        assert main("-cell 50 -hkl nowhere.hkl -detpixels 8".split()) == 9
    out = capsys.readouterr().out
    assert "XDS incident beam" in out and "Unit Cell: 50 50 50 90 90 90" in out and "sources" not in out


def test_a_job_in_the_background_goes_on_ignoring_interrupts(tmp_path):
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"os.execv(sys.executable, [sys.executable, '-m', 'nanobragg', *{CELL.split()!r}, '-phisteps', '200000'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, env=environment) as run:
        run.stdout.readline()
        run.send_signal(signal.SIGINT)
        run.stdout.read()
        assert run.wait(120) == 0
    assert (tmp_path / "floatimage.bin").exists()
