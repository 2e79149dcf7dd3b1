"""The output folder of a job: names in it, files that appear whole or not at all, and whose folder it is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from nanobragg.engine.batch.job.job import Job, as_text, digest_to_end, from_text
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.kernels.whole import HOST as HOST
from nanobragg.kernels.whole import LEFT_OVER as LEFT_OVER
from nanobragg.kernels.whole import appear, appearing
from nanobragg.kernels.whole import temporary as temporary

JOB, CLUSTER = "job.json", ".dask"


class OutputLost(Exception):
    """The output folder cannot be written to any more: nothing of the job can go on."""


class File(NamedTuple):
    """A file of a shard, by its name in the folder."""

    name: str
    bytes: int
    sha256: str


@contextlib.contextmanager
def or_lost(folder: str) -> Iterator[None]:
    """Turn what the system says of a full disk or a vanished folder into `OutputLost`."""
    try:
        yield
    except OSError as error:
        raise OutputLost(f"{folder}: {reason(error)}") from None


def stem(shard: int) -> str:
    """What the names of a shard's files begin with."""
    return f"shard-{shard:06d}"


def path(folder: str, name: str) -> str:
    """A file of the folder."""
    return os.path.join(folder, name)


def partial(shard: int) -> str:
    """The name of a shard that was stopped between two images."""
    return f".{stem(shard)}.partial"


def publish(folder: str, temporary_name: str, name: str) -> None:
    """Give a whole file its name, for good: the file first, then the folder, go to the disk."""
    with or_lost(folder):
        appear(path(folder, temporary_name), path(folder, name), lasting=True)


def write_text(folder: str, name: str, content: str) -> None:
    """Write a small file whole."""
    with or_lost(folder), appearing(path(folder, name), lasting=True) as file:
        file.write(content.encode())


def described(folder: str, name: str) -> File:
    """Size and digest of a file that has been written."""
    if os.path.exists(path(folder, name)) and not os.path.isfile(path(folder, name)):
        raise OutputLost(f"{path(folder, name)}: is no file")  # a pipe would be waited for without end
    with or_lost(folder), open(path(folder, name), "rb") as file:
        digest = digest_to_end(file)
        return File(name, file.tell(), digest)


def begin(job: Job) -> None:
    """Make the output folder, or go on in it.

    Raises
    ------
    BadInput
        If it holds another job, or files and no job, or cannot be made.
    """
    folder = job.output
    try:
        os.makedirs(folder, exist_ok=True)
        there = os.listdir(folder)
    except OSError as error:
        raise BadInput(f"output {folder}: {reason(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"output {folder}: cannot be written to")
    if JOB in there:
        kept = open_job(folder)
        if kept.digest != job.digest:
            differs = [key for key, value in job.canonical().items() if kept.canonical()[key] != value]
            raise BadInput(f"output {folder}: holds another job ({', '.join(differs)} differ): take another folder")
        if kept.folder != job.folder:  # it was moved; workers look for its inputs where it is now
            write_text(folder, JOB, as_text(job))
        return
    if any(not LEFT_OVER.fullmatch(name) and name != CLUSTER for name in there):
        raise BadInput(f"output {folder}: holds files of something else, and no job: take an empty or a new folder")
    write_text(folder, JOB, as_text(job))


def is_begun(job: Job) -> bool:
    """Whether the output folder holds this very job already."""
    try:
        return open_job(job.output).digest == job.digest
    except BadInput:
        return False


def open_job(folder: str) -> Job:
    """The job of an output folder; raises `BadInput` if there is none."""
    if os.path.exists(path(folder, JOB)) and not os.path.isfile(path(folder, JOB)):  # a pipe would be waited for
        raise BadInput(f"{path(folder, JOB)}: is no file: this is not the output folder of a job")
    try:
        with open(path(folder, JOB), encoding="utf-8") as file:
            content = file.read()
    except (OSError, UnicodeDecodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "no text"
        raise BadInput(f"{path(folder, JOB)}: {said}: this is not the output folder of a job") from None
    return from_text(content, path(folder, JOB), folder)


def names(folder: str) -> list[str]:
    """All names in the folder, sorted."""
    with or_lost(folder):
        return sorted(os.listdir(folder))


def read_json(folder: str, name: str) -> dict[str, Any] | None:
    """A small file, or ``None`` if it is not there, not whole, or no file."""
    if not os.path.isfile(path(folder, name)):  # a pipe would be waited for without end
        return None
    try:
        with open(path(folder, name), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
