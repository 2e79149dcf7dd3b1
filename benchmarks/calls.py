"""Small and many, and first runs: what is spent beside the kernel.

    python benchmarks/calls.py [simulate|batch|command|first ...]

Medians; run it with the interpreter nanobragg is installed in. ``command`` and ``first`` start whole programs.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from batch import bare_rate, batch_rate

import nanobragg as nb
from nanobragg.cli.batch.job_file import read_job
from nanobragg.engine.check.workloads import write_amplitudes
from nanobragg.engine.plan import plan_of
from nanobragg.kernels.fast import host as fast

CALLS = 200
LINE = "-cell 42 55 48 88 81 95 -default_F 50 -lambda 1 -distance 120 -pixel 0.4 -detpixels 512 -N 20 -oversample 1 "
LINE += "-seed 1"
PROGRAM = str(pathlib.Path(sys.executable).with_name("nanoBragg"))


def milliseconds(work: Callable[[int], object], times: int = CALLS) -> float:
    """The median of so many calls, which are told their number."""
    spent = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        spent.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(spent)


def measure_simulate() -> None:
    """`nanobragg.simulate` of 256 x 256 pixels of one step, against the kernel alone."""
    hkl = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in (25, 25, 50)], indexing="ij"), axis=-1).reshape(-1, 3)
    factors = nb.structure_factors(hkl, np.random.default_rng(1).exponential(100.0, len(hkl)))
    detector = nb.Detector((256, 256), pixel_mm=100 / 256, distance_mm=150)
    crystals = [
        nb.Crystal(cell=(42, 42, 89, 90, 90, 90), N=(10, 10, 10), misset_deg=(i, 2 * i, 3)) for i in range(CALLS)
    ]
    how = {"oversample": 1, "interpolate": False}
    plan = plan_of(nb.set_up(crystals[0], detector, factors, **how))
    run = fast.FastRun(plan, np.zeros(plan.shape, np.float32))
    pixels, nothing = plan.rendered_pixels()[:], np.empty(0, np.int64)
    bare = milliseconds(lambda number: run.draw(pixels, nothing, False, False))
    same = milliseconds(lambda number: nb.simulate(crystals[0], detector, factors, **how))
    turned = milliseconds(lambda number: nb.simulate(crystals[number], detector, factors, **how))
    print(f"simulate, 256 x 256 pixels of one step: kernel {bare:.2f} ms, a call {same:.2f}, turned {turned:.2f}")


def measure_batch() -> None:
    """A job of 256 x 256 pixels of one step, noise, compression and files included, against its renders alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        line = f"-hkl {write_amplitudes(folder)} {LINE} -detpixels 256"
        path = folder / "job.toml"
        path.write_text(
            f'arguments = "{line}"\nimages = 300\nimages_per_shard = 300\nbackend = "fast"\noutput = "out"\n'
            '[[axis]]\norientation = "random"\n'
        )
        beside, bare = [], 0.0
        for number in range(4):
            bare = 1e3 / bare_rate(read_job(str(path), str(folder / "none")))
            beside.append(1e3 / batch_rate(path, folder / f"out-{number}") - bare)
        extra = statistics.median(beside[1:])
        print(f"batch, 256 x 256 pixels of one step: render {bare:.2f} ms, beside it {extra:.2f} ms")


def seconds(words: list[str], folder: str, **environment: str) -> float:
    """Wall time of a program."""
    begun = time.perf_counter()
    subprocess.run([PROGRAM, *words], cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True)
    return time.perf_counter() - begun


def measure_command() -> None:
    """The command on 512 x 512 pixels of one step, all files; and what it says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        for words in (LINE.split(), [*LINE.split(), "--backend", "fast"], ["--help"], ["--version"]):
            seconds(words, folder)
            spent = statistics.median(seconds(words, folder) for _ in range(9))
            print(f"nanoBragg {' '.join(words[-2:])}: {spent:.3f} s")


def measure_first() -> None:
    """First runs, nothing kept: compiling included."""
    for more in (
        "",
        "-round_xtal",
        "-gauss_xtal",
        "-interpolate",
        "-oversample_omega",
        "--noise philox",
        "-detpixels 2400",
        "--trace 3,4",
        "--backend strict --trace 3,4",
    ):
        spent = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                words = [*LINE.split(), "--backend", "fast", *more.split()]
                spent.append(seconds(words, folder, NUMBA_CACHE_DIR=folder))
        print(f"first run {more or 'of a block'}: {statistics.median(spent):.1f} s")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["simulate", "batch", "command", "first", []])
    for name in parser.parse_args().what or ("simulate", "batch", "command", "first"):
        globals()[f"measure_{name}"]()


if __name__ == "__main__":
    main()
