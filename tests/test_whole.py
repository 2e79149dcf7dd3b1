"""Files appear whole or not at all: written by threads and processes at once, stopped by a signal, on a full disk."""

import concurrent.futures
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.whole import same_file, whole_file
from nanobragg.kernels.whole import LEFT_OVER, appearing, temporary
from tests.support import ROOT

PIXELS = 300


def write_many(folder, number):
    """Images that hold nothing but their number, over and over."""
    for k in range(8):
        value = number * 100 + k
        nb.write_float_image(os.path.join(folder, f"{value}.bin"), np.full((PIXELS, PIXELS), value, np.float32))
    return number


def check_many(folder, numbers):
    for number in numbers:
        for k in range(8):
            value = number * 100 + k
            image = np.fromfile(os.path.join(folder, f"{value}.bin"), np.float32)
            assert len(image) == PIXELS**2 and (image == value).all(), f"file {value} holds another image's pixels"
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]


def test_threads_write_their_own_files(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        check_many(tmp_path, list(pool.map(lambda n: write_many(tmp_path, n), range(25))))


def test_processes_write_their_own_files(tmp_path):
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        check_many(tmp_path, list(pool.map(write_many, [tmp_path] * 6, range(6))))


def test_threads_replace_one_file_by_whole_ones(tmp_path):
    target = tmp_path / "one.bin"

    def replace(value):
        nb.write_float_image(target, np.full((PIXELS, PIXELS), value, np.float32))
        image = np.fromfile(target, np.float32)
        return len(image) == PIXELS**2 and (image == image[0]).all()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(replace, range(100)))


def test_names_while_files_are_written():
    names = {temporary("x" * 300 + "@") for _ in range(100)}
    assert len(names) == 100 and all(len(name) < 200 and LEFT_OVER.fullmatch(name) for name in names)


def test_nothing_is_left_of_what_fails(tmp_path):
    (tmp_path / "kept").write_text("before")
    for writer in (lambda: appearing(str(tmp_path / "kept")), lambda: whole_file(str(tmp_path / "kept"), "-x")):
        with pytest.raises(RuntimeError), writer() as file:
            file.write(b"half")
            raise RuntimeError
    assert os.listdir(tmp_path) == ["kept"] and (tmp_path / "kept").read_text() == "before"


def test_the_same_file_by_any_name(tmp_path):
    (tmp_path / "a").write_text("")
    os.link(tmp_path / "a", tmp_path / "b")
    os.symlink("a", tmp_path / "c")
    a, b, c, new = (str(tmp_path / name) for name in ("a", "b", "c", "new"))
    assert same_file(a, b) and same_file(a, c) and same_file(new, os.path.join(str(tmp_path), ".", "new"))
    assert not same_file(a, new) and not same_file("/dev/null", "/dev/null")


SLOW_WRITER = """
import sys, time
from nanobragg.cli.nanobragg import command as nanobragg
from nanobragg.engine.formats import raw
write = raw.whole_file
class Slowly:
    def __init__(self, file): self.file = file
    def write(self, data):
        self.file.write(b"half"); self.file.flush()
        print("writing", flush=True); time.sleep(60)
import contextlib
@contextlib.contextmanager
def slow(path, what):
    with write(path, what) as file:
        yield Slowly(file)
raw.whole_file = slow
sys.exit(nanobragg.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_part_of_a_file(number, tmp_path):
    line = "-cell 50 -default_F 1 -detpixels 8 -oversample 1 -nonoise -noprogress --backend cref".split()
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, *line], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while run.stdout.readline().strip() != "writing":
        assert run.poll() is None
    begun = time.monotonic()
    run.send_signal(number)
    assert run.wait(20) == 128 + number and time.monotonic() - begun < 20
    assert os.listdir(tmp_path) == []


def with_small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_a_full_cache_is_no_end(tmp_path):
    """Neither machine code nor Numba's own cache can be kept: traces and images are made all the same."""
    line = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -N 3 -oversample 1".split()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "nanobragg.cli.tools.trace", "--pixel", "3", "3", "--", *line], cwd=tmp_path, text=True,
        env=environment, preexec_fn=with_small_files, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 and "floatimage_accumulated" in done.stdout and "unexpected" not in done.stderr
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert all(path.stat().st_size < 2000 for path in kept) and not [p for p in kept if p.name.endswith(".part")]


def test_an_unknown_file_is_refused_in_words(tmp_path):
    with pytest.raises(BadInput, match="no file name"), whole_file("", "-x"):
        pass


def test_what_was_left_under_our_number_is_no_hindrance(tmp_path, monkeypatch):
    """In containers all processes may have one number."""
    import itertools

    from nanobragg.kernels import whole

    target = str(tmp_path / "a.bin")
    monkeypatch.setattr(whole, "_numbers", itertools.count())
    left = os.path.join(os.path.dirname(target), whole.temporary(os.path.basename(target)))
    open(left, "w").close()
    monkeypatch.setattr(whole, "_numbers", itertools.count())
    with whole_file(target, "-floatfile") as file:
        file.write(b"1")
    assert open(target, "rb").read() == b"1" and os.path.exists(left)
