"""Records: what is known of finished shards, and of those that were set aside.

A shard is finished when its record is there. The record is written last, under a temporary name, and renamed; so is
every file that it lists.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterable
from typing import Any

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.store.folder import File, names, path, read_json, stem, write_text

RECORD = re.compile(r"shard-(\d{6,})\.json")
ASIDE = re.compile(r"shard-(\d{6,})\.aside")


@dataclasses.dataclass(frozen=True)
class Record:
    """A finished shard: its files, a digest of each frame, who made it, from when to when.

    ``geometry`` is equal for shards that one master can show. Images in files of their own have their sizes (slow,
    fast) and ground truths here.
    """

    files: tuple[File, ...]
    frames: tuple[str, ...]
    backend: str
    host: str
    seconds: float
    started: str
    finished: str
    geometry: str
    shapes: tuple[tuple[int, int], ...] = ()
    truths: tuple[dict[str, Any], ...] = ()


def write_record(job: Job, shard: int, record: Record) -> None:
    """Finish a shard."""
    fields = dataclasses.asdict(record) | {"files": [file._asdict() for file in record.files]}
    write_text(job.output, f"{stem(shard)}.json", json.dumps({"digest": job.digest, "shard": shard} | fields) + "\n")


def read_record(job: Job, shard: int) -> Record | None:
    """The record of a shard, or ``None`` if it is not there, damaged, or of another job."""
    found = read_json(job.output, f"{stem(shard)}.json")
    if found is None or found.pop("digest", None) != job.digest or found.pop("shard", None) != shard:
        return None
    try:
        record = _of_json(found)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return record if len(record.frames) == job.shard(shard).images else None


def _of_json(found: dict[str, Any]) -> Record:
    """The record, every part of it of the right kind."""
    parts = dict(found)
    parts["files"] = tuple(File(str(f["name"]), int(f["bytes"]), str(f["sha256"])) for f in found["files"])
    parts["frames"] = tuple(map(str, found["frames"]))
    parts["seconds"] = float(found["seconds"])
    parts["shapes"] = tuple((int(slow), int(fast)) for slow, fast in found["shapes"])
    parts["truths"] = tuple(dict(truth) for truth in found["truths"])
    record = Record(**parts)
    texts = (record.backend, record.host, record.started, record.finished, record.geometry)
    if not record.files or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a record")
    return record


def finished_record(job: Job, shard: int) -> Record | None:
    """The record of a shard whose files are there and as long as they were."""
    record = read_record(job, shard)
    for file in record.files if record else ():
        try:
            if os.stat(path(job.output, file.name)).st_size != file.bytes:
                return None
        except (OSError, ValueError):
            return None
    return record


def recorded(job: Job) -> set[int]:
    """Numbers of the shards that have a record, good or not."""
    found = (RECORD.fullmatch(name) for name in names(job.output))
    return {int(f.group(1)) for f in found if f and int(f.group(1)) < job.shards}


def finished(job: Job, among: Iterable[int]) -> set[int]:
    """Numbers of the finished shards; only the records of those in question are read."""
    there = recorded(job)
    return {shard for shard in among if shard in there and finished_record(job, shard)}


def set_aside(job: Job, shard: int, why: str) -> None:
    """Leave a note that a shard is not to be tried again, and why."""
    write_text(job.output, f"{stem(shard)}.aside", json.dumps({"shard": shard, "why": why}) + "\n")


def aside(job: Job) -> dict[int, str]:
    """Shards that were set aside and are not finished, and why."""
    noted = {}
    for name in names(job.output):
        if (found := ASIDE.fullmatch(name)) and int(found.group(1)) < job.shards:
            noted[int(found.group(1))] = str((read_json(job.output, name) or {}).get("why", "no reason is left"))
    done = finished(job, noted)
    return {shard: why for shard, why in sorted(noted.items()) if shard not in done}


def forget_aside(job: Job, shard: int) -> None:
    """Let a shard be tried again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path(job.output, f"{stem(shard)}.aside"))
