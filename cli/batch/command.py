"""``nb-batch``: many images from one job file, on one machine or a cluster, resumable."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nanobragg.cli.batch.job_checks import check, corners
from nanobragg.cli.batch.job_file import read_job
from nanobragg.cli.batch.job_model import template
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.cli.nanobragg.options import MOST_DEVICES, MOST_THREADS
from nanobragg.cli.streams import forgiving
from nanobragg.cli.tools.plans import silent
from nanobragg.cli.tools.tool import Parser, tool_parser
from nanobragg.engine import reasons
from nanobragg.engine.batch.job.job import FALLING, FORMATS, Job, check_inputs
from nanobragg.engine.batch.job.scenes import SceneOf
from nanobragg.engine.batch.run import launching, stopping
from nanobragg.engine.batch.run.driver import left, run
from nanobragg.engine.batch.run.executors import InChild, InProcess
from nanobragg.engine.batch.run.on_dask import OnDask
from nanobragg.engine.batch.run.progress import Progress
from nanobragg.engine.batch.run.status import lines, status
from nanobragg.engine.batch.run.work import How, Outcome, ShardRenderer, attempt, gpus
from nanobragg.engine.batch.store import claims, records
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.dials import are_written, unwritten, write_expts
from nanobragg.engine.batch.store.folder import OutputLost
from nanobragg.engine.batch.store.labels import write_labels
from nanobragg.engine.batch.store.master import is_current, shown, write_masters
from nanobragg.engine.batch.store.sheet import NAME as SHEET
from nanobragg.engine.batch.store.sheet import in_counts, shown_images, write_sheet
from nanobragg.engine.batch.store.verify import faults
from nanobragg.engine.detectors.catalogue import detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.render import BACKENDS, default_threads
from nanobragg.engine.scene.scene import Scene

DONE, FAILED, STOPPED = 0, 1, 75
NAME = "nb-batch"
EPILOG = """
nb-batch new JOB.toml                      write a commented job file to start from
nb-batch run JOB.toml                      render what is not there yet, on this process
nb-batch run JOB.toml --workers 4          on four worker processes (dask)
nb-batch run JOB.toml --part 0/3           a third of the shards; also --part slurm, under srun
nb-batch expand JOB.toml [--image N]       the table of all images, or what one of them shows
nb-batch status FOLDER                     how far it is
nb-batch verify FOLDER                     whether all is as it was written
nb-batch master FOLDER                     write the master file and the contact sheet again

A job that was stopped goes on when it is run again. Exit status: 0 all done, 1 an error or shards set aside, 2 a
wrong command line, 75 stopped by a signal (SIGTERM, SIGUSR1, SIGINT) and to be run again, 130
a second SIGINT.
"""


def say(line: str) -> None:
    """A line on stderr."""
    print(f"{NAME}: {line}", file=sys.stderr, flush=True)


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Reads whole numbers of a range for argparse."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text[:12]) <= highest):
            raise argparse.ArgumentTypeError(f"{text}: not a whole number from {lowest} to {highest}")
        return int(text)

    return read


def workers(text: str) -> int:
    """A number of worker processes; ``auto`` is one for each GPU, or without one, for each processor."""
    return (gpus() or default_threads()) if text == "auto" else whole(1, 4096)(text)


def parser() -> Parser:
    """All forms of the command."""
    command = tool_parser(NAME, __doc__, EPILOG)
    forms = command.add_subparsers(dest="form", required=True, metavar="new|run|expand|status|verify|master")
    form = forms.add_parser("run", help="render what is not there yet")
    form.add_argument("job", help="a job file, or the output folder of a job that was begun")
    form.add_argument("--output", metavar="FOLDER", help="instead of the job file's own")
    form.add_argument("--format", choices=FORMATS, help="instead of the job file's own")
    form.add_argument("--backend", choices=BACKENDS, help="instead of the job file's own")
    form.add_argument("--retry", action="store_true", help="try again what was set aside")
    form.add_argument("--no-sheet", action="store_true", help="no contact sheet")
    add_how(form)
    who = form.add_mutually_exclusive_group()
    who.add_argument("--part", metavar="I/N", help="shards I, I + N, ... (I from 0), or slurm: this task's share")
    who.add_argument(
        "--workers",
        type=workers,
        metavar="N",
        help="worker processes on this machine (dask); auto: one a GPU or processor",
    )
    who.add_argument("--scheduler", metavar="ADDRESS", help="workers of a dask scheduler: its address or its file")
    who.add_argument(
        "--slurm-workers", type=whole(1, 100000), metavar="N", help="workers as Slurm jobs (dask-jobqueue)"
    )
    who.add_argument("--dask-srun", action="store_true", help="inside srun: task 0 drives, all tasks are dask workers")
    form.add_argument(
        "--slurm-option", action="append", default=[], metavar="KEY=VALUE", help="of dask_jobqueue.SLURMCluster"
    )
    form = forms.add_parser("new", help="write a commented job file to start from")
    form.add_argument("job", help="the job file, which must not be there yet")
    form.add_argument("--detector", metavar="NAME", default="Eiger2 4M", help="a detector by name (Eiger2 4M)")
    form.add_argument("--structure", metavar="FILE", help="PDB, mmCIF, MTZ or hkl text, relative to the job file")
    form = forms.add_parser("expand", help="print the table of images")
    form.add_argument("job", help="a job file")
    form.add_argument("--first", type=whole(1, 10**9), metavar="N", help="only so many")
    form.add_argument("--image", type=whole(0, 10**12), metavar="N", help="one image: what it shows, with units")
    for name, text in (
        ("status", "how far a job is"),
        ("verify", "compare all files with what was written"),
        ("master", "write the master and the contact sheet again"),
    ):
        form = forms.add_parser(name, help=text)
        form.add_argument("folder", help="the output folder of a job")
        if name == "status":
            form.add_argument("--json", action="store_true", help="for programs")
        if name == "verify":
            form.add_argument("--part", metavar="I/N", help="only shards I, I + N, ...; or slurm")
    form = forms.add_parser("shard")  # what `InChild` starts
    form.add_argument("folder")
    form.add_argument("shard", type=whole(0, 10**12))
    add_how(form)
    return command


def add_how(form: argparse.ArgumentParser) -> None:
    """Options of a worker."""
    form.add_argument("--threads", type=whole(1, MOST_THREADS), metavar="N", help="of each worker, on the CPU")
    form.add_argument("--device", type=whole(0, MOST_DEVICES), metavar="N", help="the GPU; else by the worker's place")


def job_of(options: argparse.Namespace) -> Job:
    """The job of a file, or of an output folder."""
    name = options.job
    instead = {key: value for key in ("format", "backend") if (value := getattr(options, key)) is not None}
    if not os.path.isdir(name):
        return read_job(name, options.output, **instead)
    if options.output is not None or instead:
        raise BadInput(f"{name}: is the output folder of a job that was begun: --output, --format, --backend are set")
    job = places.open_job(os.path.abspath(name))
    check_inputs(job)
    return job


@contextlib.contextmanager
def executors(options: argparse.Namespace, job: Job) -> Iterator[tuple[Any, Any]]:
    """Who renders, and who renders shards at which a process has died."""
    spread = launching.cluster(options, job.output)
    if spread is None:
        how = How(options.threads or default_threads(), options.device)
        yield InProcess(ShardRenderer(job, Scenes, how)), InChild(job, how)
        return
    with spread as client:
        how = How(options.threads or max(default_threads() // (options.workers or 1), 1), options.device)
        dask_workers = OnDask(job, client, Scenes, how, say)
        yield dask_workers, dask_workers


def show_run(options: argparse.Namespace) -> int:
    """Render what is left."""
    if options.slurm_option and options.slurm_workers is None:
        raise BadInput("--slurm-option: belongs to --slurm-workers")
    part = launching.part_of(options.part)
    job = job_of(options)
    if options.dask_srun and launching.serve_as_worker(job.output):
        return DONE
    if not places.is_begun(job):
        check(job, options.job)
    places.begin(job)
    shards = left(job, part, retry=options.retry, tell=say)
    told = tell_remarks(job)
    for shard, why in records.aside(job).items():
        say(f"shard {shard} was set aside: {why} (--retry tries it again)")
    try:
        render(options, job, part, shards, told)
    except OutputLost:
        raise
    except Exception:
        if not stopping.asked.is_set():  # else it is our workers, who were asked too before they were ready
            raise
    if stopping.asked.is_set() and left(job, part, retry=False, tell=silent):
        say("stopped; the same command goes on from here")
        return STOPPED
    return conclude(job, part, changed=bool(shards), sheet=not options.no_sheet)


def render(
    options: argparse.Namespace, job: Job, part: tuple[int, int], shards: Sequence[int], told: Iterable[str]
) -> None:
    """Start who renders, and let them; ``told`` are remarks that have been made."""
    with executors(options, job) as (executor, suspects):
        progress = Progress(*counted(job, part, shards), NAME, told=told)
        try:
            run(job, shards, executor, suspects, stopping.asked.is_set, progress)
        finally:
            progress.end()


def tell_remarks(job: Job) -> set[str]:
    """Say of the images at the corners of a job what nanoBragg would, oddities that bite among that; what was said."""
    told: set[str] = set()
    remarks: list[str] = []
    scenes = Scenes(job, remarks.append)
    for image in corners(job):
        remarks.clear()
        told_of_image = scenes.remarks(image)
        for line in dict.fromkeys([*remarks, *told_of_image, *untold(job, scenes(image))]):
            if line not in told:
                say(f"image {image}: {line}" if image else line)
                told.add(line)
    return told


def untold(job: Job, scene: Scene) -> Iterator[str]:
    """What the headers of a job's images have no words for, and where it stands instead."""
    if job.format not in ("smv", "cbf"):
        return
    form = job.format.upper()
    header = reasons.of_header(scene, form)
    if job.scan == FALLING:
        header = f"{form} headers have no words for a falling -phi: readers see images that do not follow"
    if header:
        yield header + ("" if unwritten(job, scene) else "; the .expt beside the images says what it is")


def counted(job: Job, part: tuple[int, int], shards: Sequence[int]) -> tuple[int, int, int]:
    """Images of a part, how many of them are done, and how many set aside."""
    mine = range(part[0], job.shards, part[1])
    failed = sum(job.shard(n).images for n in records.aside(job) if n in mine)
    images = sum(job.shard(n).images for n in mine)
    return images, images - failed - sum(job.shard(n).images for n in shards), failed


def conclude(job: Job, part: tuple[int, int], *, changed: bool, sheet: bool) -> int:
    """Once nothing is left of the whole job, write the master and the contact sheet, unless they show that already."""
    aside, mine = records.aside(job), range(part[0], job.shards, part[1])
    missing = set(range(job.shards)) - records.recorded(job) - set(aside)
    if not missing and len(aside) < job.shards:
        claims.tidy(job)
        no_sheet = sheet and not os.path.exists(places.path(job.output, SHEET))
        scene_of = Scenes(job)
        if changed or no_sheet or not are_written(job, scene_of) or (job.format == "nxmx" and not is_current(job)):
            finish(job, scene_of, sheet=sheet)
    elif missing:
        say(f"{len(missing)} shards are left to others")
    return FAILED if set(aside) & set(mine) else DONE


def finish(job: Job, scene_of: SceneOf, *, sheet: bool) -> None:
    """Master, descriptions for DIALS, and contact sheet."""
    found = shown(job)
    missing = job.shards - len(found)
    if missing == job.shards:
        raise BadInput(f"{job.output}: no shard is finished")
    if missing:
        say(f"{missing} of {job.shards} shards are not there: their frames are missing, or read as missing")
    files = write_masters(job, scene_of, found, say) if job.format == "nxmx" else []
    files += write_expts(job, scene_of, found, say)
    files += write_labels(job, scene_of, found, say)
    images = list(shown_images(job, scene_of))
    say(in_counts(images, job.values))
    if sheet and (name := write_sheet(job, images, say)):
        files.append(name)
    for name in files:
        print(places.path(job.output, name), flush=True)


def show_master(options: argparse.Namespace) -> int:
    """Write the master and the contact sheet again."""
    job = places.open_job(os.path.abspath(options.folder))
    check_inputs(job)
    finish(job, Scenes(job), sheet=True)
    return DONE


def show_new(options: argparse.Namespace) -> int:
    """Write a job file to start from, and say what to do with it."""
    name = options.job
    if os.path.exists(name):
        raise BadInput(f"{name}: is there already: take another name")
    detector = detector_model(options.detector).name
    folder = os.path.dirname(os.path.abspath(name))
    if options.structure is not None and not os.path.isfile(os.path.join(folder, options.structure)):
        raise BadInput(f"--structure {options.structure}: no such file beside {name}")
    output = os.path.splitext(os.path.basename(name))[0]
    with whole_file(name, "job file") as file:
        file.write(template(name, detector, options.structure, output).encode())
    say(f"{name} is written: look at it, then nb-batch expand {name}, nb-batch run {name}")
    return DONE


def show_expand(options: argparse.Namespace) -> int:
    """The table of images: tab-separated, what varies, and the whole command line or model; or one image in words."""
    job = read_job(options.job)
    check(job, options.job)
    if options.image is not None:
        if options.image >= job.images:
            raise BadInput(f"--image {options.image}: the job has {job.images} images, counted from 0")
        print(repr(Scenes(job)(options.image)))
        return DONE
    of_model = job.model is not None
    print(f"image\tshard\tvarying\t{'experiment' if of_model else 'arguments'}")
    for image in itertools.islice(range(job.images), options.first):
        words = shlex.join(job.varying_words(image))
        whole_of_it = json.dumps(job.tables(image)) if of_model else shlex.join(job.words(image))
        print(f"{image}\t{image // job.images_per_shard}\t{words}\t{whole_of_it}")
    say(f"job {job.digest[:12]}: {job.images} images in {job.shards} shards, to {job.output}")
    return DONE


def show_status(options: argparse.Namespace) -> int:
    """How far a job is."""
    found = status(places.open_job(os.path.abspath(options.folder)))
    print(json.dumps(found, indent=1) if options.json else "\n".join(lines(found)))
    return DONE


def show_verify(options: argparse.Namespace) -> int:
    """Whether all is as it was written."""
    part = launching.part_of(options.part)
    job = places.open_job(os.path.abspath(options.folder))
    shards = range(part[0], job.shards, part[1])
    progress = Progress(counted(job, part, ())[0], 0, 0, NAME)
    number = 0
    try:
        for fault in faults(job, shards, progress.seen):
            print(fault, flush=True)
            number += 1
        if not number and part == launching.WHOLE and job.format == "nxmx" and not is_current(job):
            print("the master is not there, or shows something else: nb-batch master writes it")
            number += 1
    finally:
        progress.end()
    print(f"{job.output}: {number or 'no'} faults")
    return FAILED if number else DONE


def show_shard(options: argparse.Namespace) -> int:
    """Render one shard; the outcome, as JSON, on stdout."""
    job = places.open_job(options.folder)
    try:
        renderer = ShardRenderer(job, Scenes, How(options.threads or default_threads(), options.device))
        outcome = attempt(renderer, options.shard, stopping.asked.is_set, lambda count: None)
    except BadInput as error:
        outcome = Outcome(options.shard, "lost", str(error))
    print(json.dumps(outcome))
    return DONE


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    with forgiving():
        return carried_out(parser().parse_args(line))


def carried_out(options: argparse.Namespace) -> int:
    """The status of a form of the command."""
    forms = {
        "new": show_new, "run": show_run, "expand": show_expand, "status": show_status, "verify": show_verify,
        "master": show_master, "shard": show_shard,
    }  # fmt: skip
    try:
        if options.form not in ("run", "shard"):
            return forms[options.form](options)
        with stopping.on_signals():
            return forms[options.form](options)
    except (BadInput, OutputLost, MemoryError) as error:
        say(str(error) or "not enough memory")
        return FAILED
    except KeyboardInterrupt:
        say("interrupted: what was under way is lost, what is finished stays")
        return 130
    except Exception as error:
        if "NANOBRAGG_DEBUG" in os.environ:
            raise
        say(f"unexpected {type(error).__name__}: {error} (set NANOBRAGG_DEBUG=1 to see where)")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
