"""Whether what a job has written is still what it wrote. Files are read, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store import records
from nanobragg.engine.batch.store.records import Record
from nanobragg.engine.batch.store.shard_file import digest_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.formats.hdf5 import open_file
from nanobragg.engine.formats.nexus import DATA


def faults(job: Job, shards: Iterable[int], seen: Callable[[int], None]) -> Iterator[str]:
    """One line for each thing that is wrong with some shards; ``seen`` hears of the images that were looked at."""
    aside, recorded = records.aside(job), records.recorded(job)
    for shard in shards:
        if shard not in recorded:
            yield f"shard {shard}: {'set aside: ' + aside[shard] if shard in aside else 'is not there'}"
            continue
        record = records.read_record(job, shard)
        if record is None:
            yield f"shard {shard}: its record is damaged or of another job"
            continue
        yield from _of_files(job, shard, record)
        yield from _of_frames(job, shard, record)
        seen(job.shard(shard).images)


def _of_files(job: Job, shard: int, record: Record) -> Iterator[str]:
    for file in record.files:
        try:
            found = places.described(job.output, file.name)
        except places.OutputLost as error:
            yield f"shard {shard}: {file.name}: {error}"
            continue
        if found.bytes != file.bytes:
            yield f"shard {shard}: {found.name}: has {found.bytes} bytes, and had {file.bytes}"
        elif found.sha256 != file.sha256:
            yield f"shard {shard}: {found.name}: its bytes are not those that were written"


def _of_frames(job: Job, shard: int, record: Record) -> Iterator[str]:
    first = job.shard(shard).first
    if not all(os.path.isfile(places.path(job.output, file.name)) for file in record.files):
        return
    if job.format == "nxmx":
        yield from _of_hdf5(job, shard, record.files[0].name, record.frames)
        return
    for number, (file, shape) in enumerate(zip(record.files, record.shapes, strict=False)):
        try:
            pixels = read_image(places.path(job.output, file.name), shape)
        except BadInput as error:
            yield f"image {first + number}: {error}"
            continue
        if digest_of(pixels) != record.frames[number]:
            yield f"image {first + number}: {file.name}: its pixels are not those that were written"


def _of_hdf5(job: Job, shard: int, name: str, digests: Sequence[str]) -> Iterator[str]:
    first = job.shard(shard).first
    try:
        with open_file(places.path(job.output, name)) as file:
            frames = file[DATA]
            for number, digest in enumerate(digests):
                try:
                    same = digest_of(frames[number]) == digest
                except (OSError, RuntimeError, ValueError) as error:
                    yield f"image {first + number}: {name}: cannot be read ({str(error)[:100]})"
                    continue
                if not same:
                    yield f"image {first + number}: {name}: its pixels are not those that were written"
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        yield f"shard {shard}: {name}: cannot be read ({str(error)[:100]})"
