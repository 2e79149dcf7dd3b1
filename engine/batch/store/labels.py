"""The truth of spots beside a job's images: reflections for DIALS, a stream for CrystFEL, boxes to learn from."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.engine.batch.job.job import FALLING, STILLS, Job
from nanobragg.engine.batch.job.scenes import SceneOf
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.dials import MOST_STILLS
from nanobragg.engine.batch.store.master import wanted_names
from nanobragg.engine.batch.store.records import Record
from nanobragg.engine.formats import coco, refl, stream
from nanobragg.engine.formats.hdf5 import open_file
from nanobragg.engine.truth.labels import SpotTruth
from nanobragg.engine.truth.of_image import SPOTS
from nanobragg.engine.truth.reflections import SpotsOfImage, can_be_seen, of_scan, of_stills

OURS = re.compile(r"master(-\d{3,})?\.(refl|stream)|boxes\.json")


def write_labels(job: Job, scene_of: SceneOf, found: dict[int, Record], tell: Callable[[str], None]) -> list[str]:
    """Write what the job's ``truth`` asks for beside each master; the names of the files.

    ``found`` are the finished shards; masters and their descriptions for DIALS are there.
    """
    wanted = {"refl", "stream", "boxes"} & set(job.truth)
    written: list[str] = []
    if wanted and job.images > MOST_STILLS:
        tell(f"no {', '.join(sorted(wanted))}: {job.images} images are more than {MOST_STILLS}")
    elif wanted:
        written = _write(job, scene_of, found, wanted, tell)
    for name in places.names(job.output):
        if OURS.fullmatch(name) and name not in written:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(places.path(job.output, name))
    return written


def _write(
    job: Job, scene_of: SceneOf, found: dict[int, Record], wanted: set[str], tell: Callable[[str], None]
) -> list[str]:
    written, boxes = [], _Boxes()
    by_master: dict[str, list[int]] = {}
    for n, record in sorted(found.items()):
        by_master.setdefault(record.geometry, []).append(n)
    for master, shards in zip(wanted_names(found), by_master.values(), strict=True):
        stem = os.path.splitext(master)[0]
        images = list(spots_of(job, scene_of, master, shards))
        if "boxes" in wanted:
            for number, image in images:
                boxes.add(number, master, image)
        if "refl" in wanted:
            written.append(f"{stem}.refl")
            beside = places.temporary(written[-1])
            with places.or_lost(job.output), open(places.path(job.output, beside), "wb") as file:
                file.write(_reflections(job, stem, [image for _, image in images]))
            places.publish(job.output, beside, written[-1])
        if "stream" in wanted:
            written.append(f"{stem}.stream")
            places.write_text(job.output, written[-1], _stream(job, stem, master, images))
    if "boxes" in wanted:
        if not boxes.annotations:
            tell("boxes.json: no spot stands out of its background in any image")
        written.append("boxes.json")
        places.write_text(job.output, written[-1], json.dumps(coco.file_of(boxes.images, boxes.annotations)) + "\n")
    return written


class _Boxes:
    """Images and annotations, numbered as they come."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, number: int, file: str, image: SpotsOfImage) -> None:
        """Those of an image."""
        self.images.append(coco.image_of(number, file, image.place, image.scene))
        seen = can_be_seen(image.spots)
        first = len(self.annotations) + 1
        self.annotations += coco.annotations_of(number, first, image.scene, image.spots, seen)


def spots_of(job: Job, scene_of: SceneOf, master: str, shards: list[int]) -> Iterator[tuple[int, SpotsOfImage]]:
    """Numbers and spots of the images that a master shows, and where they stand in it."""
    alone, place, experiment = master == "master.h5", 0, 0
    for shard in map(job.shard, shards):
        tables = spots_of_shard(job, shard.number)
        for image in range(shard.first, shard.first + shard.images):
            scene = scene_of(image)
            spots = tables[image - shard.first]
            yield image, SpotsOfImage(scene, spots, experiment, image if alone else place)
            place += 1
            experiment += 0 if job.scan != STILLS else 1 + len(scene.other_crystals)


def spots_of_shard(job: Job, number: int) -> list[SpotTruth]:
    """The spots of each image of a finished shard."""
    shard = job.shard(number)
    with open_file(places.path(job.output, f"{places.stem(number)}.h5")) as file:
        columns = {name: file[f"{SPOTS}/{name}"][()] for name in (*SpotTruth._fields, "image")}
    ends = np.searchsorted(columns.pop("image"), np.arange(shard.first, shard.first + shard.images + 1))
    return [
        SpotTruth(**{name: values[begin:end] for name, values in columns.items()})
        for begin, end in itertools.pairwise(ends)
    ]


def _reflections(job: Job, stem: str, images: list[SpotsOfImage]) -> bytes:
    with open(places.path(job.output, f"{stem}.expt"), encoding="utf-8") as file:
        identifiers = [row["identifier"] for row in json.load(file)["experiment"]]
    if job.scan == STILLS:
        return refl.reflection_table(of_stills(images), identifiers)
    return refl.reflection_table(of_scan(images, falling=job.scan == FALLING), identifiers)


def _stream(job: Job, stem: str, master: str, images: list[tuple[int, SpotsOfImage]]) -> str:
    with open(places.path(job.output, f"{stem}.geom"), encoding="utf-8") as file:
        begin = stream.heading(file.read())
    return begin + "".join(
        stream.chunk(master, image.place, serial, image.scene, image.spots, can_be_seen(image.spots))
        for serial, (_, image) in enumerate(images, 1)
    )
