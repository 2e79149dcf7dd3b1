"""The output folder of a job: its files are all that is known of how far it is.

A shard is finished when its record is there. The record is written last, under a temporary name, and renamed; so is
every file that it lists. A claim says who is at a shard; one that its owner has left behind says that the owner died.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from nanobragg.engine.batch.job import Job, as_text, from_text
from nanobragg.engine.errors import BadInput
from nanobragg.engine.files.reading import reason

JOB = "job.json"
RECORD = re.compile(r"shard-(\d{6,})\.json")
ASIDE = re.compile(r"shard-(\d{6,})\.aside")
CLAIM = re.compile(r"\.shard-(\d{6,})@(.+)@(\d+)\.claim")
LEFT_OVER = re.compile(r"\.[^@]+@(.+)@(\d+)\.part")
LOST = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EFBIG,
        errno.EACCES, errno.ENODEV, errno.ENOTCONN)  # fmt: skip
HOST = socket.gethostname()


class OutputLost(Exception):
    """The output folder cannot be written to any more: nothing of the job can go on."""


class Claim(NamedTuple):
    """Who is at a shard, or was."""

    shard: int
    host: str
    pid: int


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


def temporary(name: str) -> str:
    """The name of a file while this process writes it."""
    return f".{name}@{HOST}@{os.getpid()}.part"


def partial(shard: int) -> str:
    """The name of a shard that was stopped between two images."""
    return f".{stem(shard)}.partial"


def publish(folder: str, made: str, name: str) -> None:
    """Give a whole file its name, for good: the file first, then the folder, go to the disk."""
    with or_lost(folder):
        sync(path(folder, made))
        os.replace(path(folder, made), path(folder, name))
        sync(folder)


def sync(target: str) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(folder: str, name: str, content: str) -> None:
    """Write a small file whole."""
    made = temporary(name)
    with or_lost(folder), open(path(folder, made), "w", encoding="utf-8") as file:
        file.write(content)
    publish(folder, made, name)


def described(folder: str, name: str) -> File:
    """Size and digest of a file that has been written."""
    digest = hashlib.sha256()
    with or_lost(folder), open(path(folder, name), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        return File(name, file.tell(), digest.hexdigest())


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
        return
    if any(not LEFT_OVER.fullmatch(name) for name in there):
        raise BadInput(f"output {folder}: holds files of something else, and no job: take an empty or a new folder")
    write_text(folder, JOB, as_text(job))


def open_job(folder: str) -> Job:
    """The job of an output folder; raises `BadInput` if there is none."""
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
    """A small file, or ``None`` if it is not there or not whole."""
    try:
        with open(path(folder, name), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def record_of(job: Job, shard: int) -> dict[str, Any] | None:
    """The record of a shard if it is finished: its files are there and as long as they were."""
    record = read_json(job.output, f"{stem(shard)}.json")
    if record is None or record.get("digest") != job.digest or len(record.get("frames", ())) != job.shard(shard).images:
        return None
    for file in record["files"]:
        try:
            if os.stat(path(job.output, file["name"])).st_size != file["bytes"]:
                return None
        except OSError:
            return None
    return record


def recorded(job: Job) -> set[int]:
    """Numbers of the shards that have a record, good or not."""
    found = (RECORD.fullmatch(name) for name in names(job.output))
    return {int(f.group(1)) for f in found if f and int(f.group(1)) < job.shards}


def finished(job: Job, among: Iterable[int]) -> set[int]:
    """Numbers of the finished shards; only the records of those in question are read."""
    there = recorded(job)
    return {shard for shard in among if shard in there and record_of(job, shard)}


def write_record(job: Job, shard: int, record: dict[str, Any]) -> None:
    """Finish a shard."""
    write_text(job.output, f"{stem(shard)}.json", json.dumps({"digest": job.digest, "shard": shard} | record) + "\n")


def set_aside(job: Job, shard: int, why: str) -> None:
    """Leave a note that a shard is not to be tried again, and why."""
    write_text(job.output, f"{stem(shard)}.aside", json.dumps({"shard": shard, "why": why}) + "\n")


def aside(job: Job) -> dict[int, str]:
    """Shards that were set aside, and why."""
    noted = {}
    for name in names(job.output):
        if found := ASIDE.fullmatch(name):
            noted[int(found.group(1))] = str((read_json(job.output, name) or {}).get("why", "no reason is left"))
    return noted


def forget_aside(job: Job, shard: int) -> None:
    """Let a shard be tried again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path(job.output, f"{stem(shard)}.aside"))


@contextlib.contextmanager
def claimed(job: Job, shard: int) -> Iterator[None]:
    """Say that this process is at a shard, until it is not."""
    name = path(job.output, f".{stem(shard)}@{HOST}@{os.getpid()}.claim")
    with or_lost(job.output):
        open(name, "w").close()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def is_alive(host: str, pid: int) -> bool | None:
    """Whether a process is there; ``None`` if it is on another machine."""
    if host != HOST:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def claims(job: Job) -> list[Claim]:
    """All claims, of the living and of the dead."""
    found = (CLAIM.fullmatch(name) for name in names(job.output))
    return [Claim(int(f.group(1)), f.group(2), int(f.group(3))) for f in found if f]


def tidy(job: Job) -> None:
    """Remove all that was left behind, once nobody is at work any more."""
    for name in names(job.output):
        if CLAIM.fullmatch(name) or LEFT_OVER.fullmatch(name):
            with contextlib.suppress(OSError):
                os.unlink(path(job.output, name))


def clear(job: Job, shards: set[int]) -> set[int]:
    """Remove what processes have left behind that died at these shards; the shards at which one died.

    Of another machine's processes nothing is known: their claims count as left behind, but their files are left alone.
    """
    suspects = set()
    for claim in claims(job):
        if claim.shard in shards and not is_alive(claim.host, claim.pid):
            suspects.add(claim.shard)
            with contextlib.suppress(OSError):
                os.unlink(path(job.output, f".{stem(claim.shard)}@{claim.host}@{claim.pid}.claim"))
    for name in names(job.output):
        found = LEFT_OVER.fullmatch(name)
        if found and is_alive(found.group(1), int(found.group(2))) is False:
            with contextlib.suppress(OSError):
                os.unlink(path(job.output, name))
    return suspects
