"""What a batch costs beside the rendering: rate against bare renders, two workers against one, memory.

python benchmarks/batch.py [--images N] [--pixels N] [--rounds N] [memory|rate|workers|pieces ...]
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from nanobragg.cli.batch.job_file import read_job
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.cli.tools.bench import timed
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.run.driver import left
from nanobragg.engine.batch.run.executors import InProcess
from nanobragg.engine.batch.run.status import status
from nanobragg.engine.batch.run.work import How, ShardRenderer, render_shard
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store import records
from nanobragg.engine.batch.store.master import shown, write_masters
from nanobragg.engine.batch.store.shard_file import ShardFile, digest_of
from nanobragg.engine.check.workloads import write_amplitudes
from nanobragg.engine.formats.hdf5 import open_file
from nanobragg.engine.formats.nexus import DATA, now
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import default_threads, drawn, render
from nanobragg.kernels.image.rendered import Rendered

LINE = (
    "-hkl {hkl} -default_F 50 -cell 42 55 48 88 81 95 -lambda 1 -oversample 1 -distance 120 -pixel {pixel} "
    "-detpixels {pixels} -phi 1 -osc 1 -phisteps 10 -N 50 -mosaic 0.5 -mosaic_domains {domains}"
)


def make_job(folder: pathlib.Path, images: int, per_shard: int, pixels: int, domains: int) -> pathlib.Path:
    """A job file of random orientations, ten phi steps each."""
    line = LINE.format(hkl=write_amplitudes(folder), pixel=102.4 / pixels, pixels=pixels, domains=domains)
    path = folder / "job.toml"
    path.write_text(
        f'arguments = "{line}"\nimages = {images}\nimages_per_shard = {per_shard}\nbackend = "fast"\noutput = "out"\n'
        '[[axis]]\norientation = "random"\n'
    )
    return path


def bare_rate(job: Job) -> float:
    """Images per second of renders of the job's plans and nothing else."""
    scenes = Scenes(job)
    plans = [plan_of(scenes(n)) for n in range(job.images)]
    started = time.perf_counter()
    for plan in plans:
        render(plan, job.backend, threads=default_threads())
    return job.images / (time.perf_counter() - started)


def batch_rate(path: pathlib.Path, output: pathlib.Path) -> float:
    """Images per second of the whole way: words, set-up, rendering, noise, compression, files."""
    job = read_job(str(path), str(output))
    places.begin(job)
    started = time.perf_counter()
    executor = InProcess(ShardRenderer(job, Scenes, How(default_threads())))
    kinds = {o.kind for o in executor.outcomes(collections.deque(range(job.shards)), lambda: False, lambda count: None)}
    assert kinds == {"finished"}, kinds
    return job.images / (time.perf_counter() - started)


def measure_rate(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Alternating, batch against bare."""
    path = make_job(folder, options.images, max(options.images // 2, 1), options.pixels, 100)
    ratios = []
    for number in range(options.rounds):
        bare = bare_rate(read_job(str(path), str(folder / "none")))
        batch = batch_rate(path, folder / f"rate-{number}")
        ratios.append(batch / bare)
        print(f"rate: bare {bare:.3f}, batch {batch:.3f} images per s: {batch / bare:.3f}", flush=True)
    print(f"rate: median {statistics.median(ratios):.3f} ({options.pixels} x {options.pixels}, 1000 steps a pixel)")


def worker_rate(path: pathlib.Path, output: pathlib.Path, workers: int) -> float:
    """Images per second of processes that share the shards, one thread each, from the first image to the last."""
    line = [
        sys.executable,
        "-m",
        "nanobragg.cli.batch.command",
        "run",
        str(path),
        "--output",
        str(output),
        "--no-sheet",
    ]
    job = read_job(str(path), str(output))
    places.begin(job)
    started = time.perf_counter()
    parts = [subprocess.Popen([*line, "--threads", "1", "--part", f"{n}/{workers}"], stderr=subprocess.DEVNULL)
             for n in range(workers)]  # fmt: skip
    for part in parts:
        part.wait()
    return job.images / (time.perf_counter() - started)


def measure_workers(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Alternating, two workers against one."""
    path = make_job(folder, options.images, max(options.images // 8, 1), options.pixels, 50)
    ratios = []
    for number in range(options.rounds):
        one = worker_rate(path, folder / f"one-{number}", 1)
        two = worker_rate(path, folder / f"two-{number}", 2)
        ratios.append(two / one)
        print(f"workers: one {one:.3f}, two {two:.3f} images per s: {two / one:.3f}", flush=True)
    print(f"workers: median {statistics.median(ratios):.3f} (start included)")


def measure_memory(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """The most that a worker took, beside three images of four bytes a pixel."""
    for pixels in (1024, 4096):
        path = make_job(folder, 6, 3, pixels, 1)
        line = [
            sys.executable,
            "-m",
            "nanobragg.cli.batch.command",
            "run",
            str(path),
            "--output",
            str(folder / f"m{pixels}"),
        ]
        subprocess.run([*line, "--no-sheet"], check=True, capture_output=True)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        images = 3 * pixels * pixels * 4 / 2**20
        print(
            f"memory: {pixels} x {pixels}: {most:.0f} MB, three images are {images:.0f} MB: {most - images:.0f} MB more"
        )


def measure_pieces(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """What the plan of docs/batch.md for a million images is made from."""
    frame_pieces(folder)
    folder_pieces(folder, 10_000, 100)


def frame_pieces(folder: pathlib.Path) -> None:
    """A frame of 16 Mpixel with a photon in every second pixel: noise, digest, compression, size."""
    path = make_job(folder, 4, 4, 4096, 1)
    job = read_job(str(path), str(folder / "frames"))
    places.begin(job)
    shop = ShardRenderer(job, Scenes, How(1))
    frame = shop.frame(0)
    pixels = np.random.default_rng(1).poisson(0.5, frame.pixels.shape).astype(np.int32)
    rendered = Rendered(plan_of(frame.scene), np.full(pixels.shape, 0.5, np.float32))
    noise, _ = timed(lambda: drawn(rendered, 0.0, 1, 1, np.int32))
    digest, _ = timed(lambda: digest_of(pixels))
    file = ShardFile(job, job.shard(0), now())
    file.append(frame._replace(pixels=pixels))
    append, _ = timed(lambda: file.append(frame._replace(pixels=pixels)))
    file.append(frame._replace(pixels=pixels))
    file.append(frame._replace(pixels=pixels))
    finish, files = timed(lambda: file.finish(frame.scene))
    print(f"frame of 4096 x 4096, int32: noise {noise:.3f} s, digest {digest:.3f} s, digest and write {append:.3f} s, "
          f"{files[0].bytes / 4e6:.2f} MB compressed; end of a shard of 4: {finish:.3f} s")  # fmt: skip


def folder_pieces(folder: pathlib.Path, shards: int, per_shard: int) -> None:
    """A folder with so many finished shards: what a start, a status and a master cost."""
    path = make_job(folder, shards * per_shard, per_shard, 64, 1)
    job = read_job(str(path), str(folder / "many"))
    places.begin(job)
    shop = ShardRenderer(job, Scenes, How(1))
    render_shard(shop, 0, lambda: False, lambda count: None)
    record = records.finished_record(job, 0)
    assert record is not None
    for number in range(1, shards):
        name = f"{places.stem(number)}.h5"
        os.link(places.path(job.output, "shard-000000.h5"), places.path(job.output, name))
        records.write_record(job, number, dataclasses.replace(record, files=(record.files[0]._replace(name=name),)))
    size = os.stat(places.path(job.output, "shard-000001.json")).st_size
    start, _ = timed(lambda: left(job, (0, 1), retry=False, tell=print))
    share, _ = timed(lambda: left(job, (0, 256), retry=False, tell=print))
    state, _ = timed(lambda: status(job))
    master, names = timed(lambda: write_masters(job, Scenes(job), shown(job), print))
    whole = places.path(job.output, names[0])
    first, _ = timed(lambda: read_frame(whole, 0))
    last, _ = timed(lambda: read_frame(whole, shards * per_shard - 1))
    print(f"{shards} shards of {per_shard} images (records of {size} bytes): start {start:.2f} s, of a share of "
          f"256 {share:.2f} s, status {state:.2f} s, master {master:.2f} s and {os.stat(whole).st_size / 1e6:.1f} MB, "
          f"its first frame {first:.2f} s, its last {last:.2f} s (opening included)")  # fmt: skip


def read_frame(name: str, number: int) -> np.ndarray:
    """A frame of a master, from opening the file on."""
    with open_file(name) as file:
        return file[DATA][number]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["rate", "workers", "memory", "pieces", []])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--pixels", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.what or ("memory", "rate", "workers", "pieces"):
        with tempfile.TemporaryDirectory() as folder:
            globals()[f"measure_{name}"](pathlib.Path(folder), options)


if __name__ == "__main__":
    main()
