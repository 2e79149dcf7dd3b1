"""Tools under damage: files that are no images, readers that die or never end, streams that are closed or full."""

import os
import signal
import subprocess
import sys
import time

import fabio
import h5py
import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.tools.compare import main as nb_compare
from nanobragg.engine.batch.store.verify import faults
from nanobragg.engine.formats import apart
from tests.batch_support import write_job
from tests.support import ROOT

IMAGE = np.random.default_rng(3).exponential(100.0, (20, 30)).astype(np.float32)


def written(folder):
    """One good image of each kind that tools read."""
    np.save(folder / "a.npy", IMAGE)
    fabio.cbfimage.CbfImage(data=IMAGE.astype(np.int32)).write(str(folder / "a.cbf"))
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", data=IMAGE[None], compression="gzip", chunks=(1, 20, 30))
    counts = IMAGE.astype(np.uint16)
    head = "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=30;\nSIZE2=20;\n}\f"
    (folder / "a.img").write_bytes(head.encode().ljust(512) + counts.tobytes())
    return {name: folder / f"a.{name}" for name in ("npy", "cbf", "h5", "img")}


def test_good_images_are_read(tmp_path):
    files = written(tmp_path)
    np.testing.assert_array_equal(nb.read_image(files["npy"]), IMAGE)
    np.testing.assert_array_equal(nb.read_image(files["h5"]), IMAGE)
    np.testing.assert_array_equal(nb.read_image(f"{files['h5']}:0"), IMAGE)
    np.testing.assert_array_equal(nb.read_image(files["cbf"]), IMAGE.astype(np.int32))
    np.testing.assert_array_equal(nb.read_image(files["img"]), IMAGE.astype(np.uint16))


@pytest.mark.parametrize("kind", ["npy", "cbf", "h5", "img"])
def test_damaged_images(kind, tmp_path, capsys, monkeypatch):
    """Cut short, flipped, zeroed: read as an image, or refused in one line; never anything else."""
    monkeypatch.setattr(apart, "SECONDS", 5.0)  # some of these send fabio's reader into a loop without end
    file = written(tmp_path)[kind]
    whole, rng = file.read_bytes(), np.random.default_rng(5)
    damaged = [whole[:n] for n in (0, 1, 8, 60, len(whole) // 2, len(whole) - 1)] + [
        whole[:200] + bytes(len(whole) - 200)
    ]
    for _ in range(25):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 1500), 3):
            data[at] = rng.integers(256)
        damaged.append(bytes(data))
    for data in damaged:
        file.write_bytes(data)
        try:
            nb.read_image(file)
        except nb.BadInput as error:
            assert "\n" not in str(error)
    file.write_bytes(whole[: len(whole) // 2])
    assert nb_compare([str(file), str(file)]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and str(file) in told and "Traceback" not in told


def test_a_reader_without_end(tmp_path, monkeypatch):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("import fabio\ndef never(path):\n    while True: pass\nfabio.open = never\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook), str(ROOT)]))
    monkeypatch.setattr(apart, "_processes", [])
    monkeypatch.setattr(apart, "SECONDS", 3.0)
    files = written(tmp_path)
    begun = time.monotonic()
    with pytest.raises(nb.BadInput, match="has not come to an end after 3 s"):
        nb.read_image(files["cbf"])
    assert time.monotonic() - begun < 20
    monkeypatch.setattr(apart, "SECONDS", 60.0)
    np.testing.assert_array_equal(nb.read_image(files["h5"]), IMAGE)  # by another process


def test_a_reader_that_dies(tmp_path, monkeypatch):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("import fabio, os\nfabio.open = lambda path: os.abort()\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook), str(ROOT)]))
    monkeypatch.setattr(apart, "_processes", [])
    files = written(tmp_path)
    with pytest.raises(nb.BadInput, match="its reader died of it"):
        nb.read_image(files["cbf"])
    monkeypatch.setattr(apart, "_processes", [])


def test_special_files_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", tmp_path, "/dev/null"):
        with pytest.raises(nb.BadInput):
            nb.read_image(name)


def test_verify_does_not_wait_for_a_pipe(tmp_path, monkeypatch):
    from nanobragg.cli.batch.command import main
    from nanobragg.engine.batch.store.folder import open_job

    assert main(["run", str(write_job(tmp_path, images=2)), "--no-sheet"]) == 0
    shard = tmp_path / "out" / "shard-000000.h5"
    shard.unlink()
    os.mkfifo(shard)
    signal.alarm(30)
    found = list(faults(open_job(str(tmp_path / "out")), [0], lambda count: None))
    signal.alarm(0)
    assert len(found) >= 1 and "is no file" in found[0]


LINE = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -N 3 -oversample 1".split()
TOOLS = {
    "nanobragg.command": [*LINE, "-noprogress", "-nonoise"],
    "tools.trace": ["--pixel", "3", "3", "--", *LINE],
    "tools.compare": ["--a", "cref", "--b", "cref", "--", *LINE],
    "tools.bench": ["--help"],
    "batch.command": ["--help"],
}


def tool(name, folder, **streams):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", f"nanobragg.cli.{name}", *TOOLS[name]]
    return subprocess.Popen(line, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **streams)


@pytest.mark.parametrize("name", TOOLS)
def test_a_reader_that_goes_away(name, tmp_path):
    """As with ``| head``: the tool ends as it would, and says nothing about it."""
    reading, writing = os.pipe()
    os.close(reading)
    run = tool(name, tmp_path, stdout=writing)
    os.close(writing)
    told = run.communicate(timeout=120)[1]
    assert run.returncode == 0 and "Broken" not in told and "Traceback" not in told and "Exception" not in told, told


@pytest.mark.parametrize("name", TOOLS)
def test_a_full_standard_output(name, tmp_path):
    with open("/dev/full", "w") as full:
        run = tool(name, tmp_path, stdout=full)
        told = run.communicate(timeout=120)[1]
    assert run.returncode == 0 and "space" not in told and "Traceback" not in told and "Exception" not in told, told


VERDICTS = {
    "B = 2.000 x A": (IMAGE, 2 * IMAGE),
    "B is A moved by (0, 1) pixels": (IMAGE, np.roll(IMAGE, 1, axis=1) * (np.arange(30) > 0)),
    "B is A moved by (-3, 2) pixels": (IMAGE, np.pad(IMAGE[3:, :-2], ((0, 3), (2, 0)))),
    "B is empty": (IMAGE, 0 * IMAGE),
    "A is empty": (0 * IMAGE, IMAGE),
    "mirrored along fast": (IMAGE, IMAGE[:, ::-1]),
    "B = A + 40": (IMAGE, IMAGE + 40),
    "no factor, shift or mirror explains it": (IMAGE, IMAGE[::-1] * np.linspace(0.5, 2, 30, dtype=np.float32)),
    "A and B agree": (IMAGE, IMAGE),
}


@pytest.mark.parametrize("says", VERDICTS)
def test_verdicts_in_words(says, tmp_path, capsys):
    for name, image in zip("ab", VERDICTS[says], strict=True):
        np.save(tmp_path / f"{name}.npy", np.ascontiguousarray(image, np.float32))
    line = [
        str(tmp_path / "a.npy"),
        str(tmp_path / "b.npy"),
        "--outdir",
        str(tmp_path / "out"),
        "--roi",
        "0",
        "29",
        "0",
        "19",
    ]
    status = nb_compare(line)
    assert status == int(says != "A and B agree") and says in capsys.readouterr().out
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert says in summary and "| roi | [0, 29, 0, 19] |" in summary and "![zoom](zoom.png)" in summary
    assert "--roi 0 29 0 19" in (tmp_path / "out" / "commands.txt").read_text()


def test_readers_run_nothing_of_the_working_directory(tmp_path):
    """A folder of images may hold anything, also what is called like a module."""
    files = written(tmp_path)
    for name in ("fabio.py", "h5py.py", "struct.py", "queue.py"):
        (tmp_path / name).write_text("open('RAN', 'w').close(); raise SystemExit(3)\n")
    code = "import nanobragg as nb, sys; [nb.read_image(name) for name in sys.argv[1:]]"
    program = [sys.executable, "-c", f"import sys; sys.path = [p for p in sys.path if p]; {code}"]
    words = [files["cbf"].name, files["h5"].name]
    found = subprocess.run([*program, *words], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("name", ["job.json", "shard-000000.json", "master.h5"])
def test_pipes_in_a_jobs_folder_are_not_waited_for(name, tmp_path):
    from tests.batch_support import batch

    job = write_job(tmp_path, images=2)
    assert batch("run", job, "--no-sheet").returncode == 0
    (tmp_path / "out" / name).unlink()
    os.mkfifo(tmp_path / "out" / name)
    for form in ("status", "verify"):
        found = batch(form, tmp_path / "out")
        assert "Traceback" not in found.stderr and found.returncode in (0, 1)
