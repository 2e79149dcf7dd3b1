"""What the tests of batches need: small jobs, runs of the command, frames of a folder, and injected faults."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import h5py
import hdf5plugin  # noqa: F401 (its filters are found by being imported)
import numpy as np

from tests.support import INPUT_FOLDERS, ROOT

INPUTS = INPUT_FOLDERS[0]
CRYSTAL = f"-mat {INPUTS}/triclinic.mat -hkl {INPUTS}/triclinic.hkl -lambda 1 -N 10 -nointerpolate -oversample 1 "
SMALL = CRYSTAL + "-distance 100 -pixel 0.4 -detpixels 64 -fluence 1e28"
RANDOM = '\n[[axis]]\norientation = "random"\n'
# What a worker process loads before anything else where PYTHONPATH says so: it dies, or goes slowly, at chosen images.
INJECTED = """
import os, signal, time
from nanobragg.engine.batch.run import work
from nanobragg.engine.errors import DeviceLost
if "GPUS" in os.environ:
    from nanobragg.engine.batch.run import on_dask
    on_dask.gpus = work.gpus = lambda: int(os.environ["GPUS"])
frame = work.ShardRenderer.frame
poisoned = {int(n) for n in os.environ.get("POISONED", "").split()}
def injected(self, number):
    time.sleep(float(os.environ.get("SLOW_S", "0")))
    if number in poisoned:
        with open(os.environ.get("DEATHS", os.devnull), "a") as deaths:
            deaths.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("BROKEN_DEVICE") in ("all", str(self._device)):
        raise DeviceLost("--backend cuda: it has fallen off the bus")
    made = frame(self, number)
    with open(os.environ.get("SEEN", os.devnull), "a") as seen:
        seen.write(f"{number}\\n")
    return made
work.ShardRenderer.frame = injected
"""


def write_job(folder: pathlib.Path, arguments: str = SMALL, more: str = RANDOM, **keys: object) -> pathlib.Path:
    """A job file of some keys; images go to ``out`` beside it."""
    made = {"arguments": arguments, "output": "out", "backend": "strict"} | keys
    lines = [f"{key} = {value if isinstance(value, int) else repr(str(value))}" for key, value in made.items()]
    path = folder / "job.toml"
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def environment(folder: pathlib.Path, **injected: object) -> dict[str, str]:
    """The environment of a run in which faults are injected."""
    (folder / "injected").mkdir(exist_ok=True)
    (folder / "injected" / "sitecustomize.py").write_text(INJECTED)
    path = os.pathsep.join([str(folder / "injected"), str(ROOT)])
    return os.environ | {"PYTHONPATH": path} | {name: str(value) for name, value in injected.items()}


def wait_until(reached: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for what a test needs, looking often; fail if it does not come."""
    begun = time.monotonic()
    while not reached():
        assert time.monotonic() - begun < seconds, f"has not come in {seconds:g} s"
        time.sleep(0.01)


def is_over(pid: int) -> bool:
    """Whether a process has ended, buried or not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def command(*words: object) -> list[str]:
    """nb-batch as a process."""
    return [sys.executable, "-m", "nanobragg.cli.batch.command", *map(str, words)]


def batch(*words: object, **options) -> subprocess.CompletedProcess:
    """A run of nb-batch to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300, **options)


def frames(name: pathlib.Path) -> np.ndarray:
    """All frames of an NXmx file."""
    with h5py.File(name) as file:
        return file["entry/data/data"][()]


def digests(name: pathlib.Path) -> list[str]:
    """A digest of each frame of an NXmx file."""
    with h5py.File(name) as file:
        data = file["entry/data/data"]
        return [hashlib.sha256(data[k].tobytes()).hexdigest() for k in range(len(data))]
