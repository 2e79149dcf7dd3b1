"""A job's images described for DIALS and CrystFEL, beside them: tilts and the true crystals stand in no header."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator

from nanobragg.engine.batch.job.job import FALLING, STILLS, Job
from nanobragg.engine.batch.job.scenes import SceneOf
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.image_files import ending_of, image_name
from nanobragg.engine.batch.store.master import shown, wanted_names
from nanobragg.engine.batch.store.records import Record
from nanobragg.engine.formats import expt
from nanobragg.engine.formats.geom import geom_of
from nanobragg.engine.formats.nexus import rotation
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import OF_SPECTRUM

MOST_STILLS = 20_000
OURS = re.compile(r"master(-\d{3,})?\.(expt|geom)|images\.expt")
Still = tuple[str, "int | None", Scene]


def unwritten(job: Job, scene: Scene) -> str | None:
    """Why a job that has such images is not described."""
    if job.format == "float":
        return "raw images have no readers"
    if job.scan == STILLS and job.images > MOST_STILLS:
        return f"{job.images} stills are more than {MOST_STILLS}"
    return "it has no words for a curved detector" if scene.detector.curved else None


def write_expts(job: Job, scene_of: SceneOf, found: dict[int, Record], tell: Callable[[str], None]) -> list[str]:
    """Write an ``.expt`` for each master, or one for all images in files of their own; their names.

    ``found`` are the finished shards. Descriptions of before that are not among them are removed.
    """
    first, texts = scene_of(0), {}
    if why := unwritten(job, first):
        if job.format != "float":
            tell(f"no .expt for DIALS: {why}")
    elif job.scan == STILLS:
        texts = _stills(job, scene_of, found)
    else:
        texts = {name_of(job): _sweeps(job, first, found)}
    if not unwritten(job, first):
        texts |= _geoms(job, scene_of, found)
    for name, text in texts.items():
        places.write_text(job.output, name, text)
    for name in places.names(job.output):
        if OURS.fullmatch(name) and name not in texts:
            with contextlib.suppress(FileNotFoundError):  # two that finish at once remove the same
                os.unlink(places.path(job.output, name))
    return list(texts)


def _geoms(job: Job, scene_of: SceneOf, found: dict[int, Record]) -> dict[str, str]:
    """A geometry for CrystFEL beside each master."""
    if job.format != "nxmx":
        return {}
    shards = {record.geometry: n for n, record in sorted(found.items(), reverse=True)}
    firsts = [scene_of(job.shard(n).first) for n in sorted(shards.values())]
    one = not job.varies(*OF_SPECTRUM)
    names = [f"{os.path.splitext(name)[0]}.geom" for name in wanted_names(found)]
    return {name: geom_of(scene, one_wavelength=one) for name, scene in zip(names, firsts, strict=True)}


def are_written(job: Job, scene_of: SceneOf) -> bool:
    """Whether the descriptions are there that `write_expts` would write."""
    there = set(places.names(job.output))
    if unwritten(job, scene_of(0)):
        return True
    if job.format != "nxmx" or job.scan != STILLS:
        return name_of(job) in there
    return {_beside(name) for name in wanted_names(shown(job))} <= there


def name_of(job: Job) -> str:
    """The description of all images."""
    return "master.expt" if job.format == "nxmx" else "images.expt"


def _beside(master: str) -> str:
    return f"{os.path.splitext(master)[0]}.expt"


def _sweeps(job: Job, first: Scene, finished: Iterable[int]) -> str:
    begin, end = rotation(first)
    if job.scan == FALLING:
        begin, end = end, begin
    pieces = [(0, job.images)] if job.format == "nxmx" else _runs(job, finished)
    found = [expt.Sweep(begin + (end - begin) * at, end - begin, at, images) for at, images in pieces]
    template = None if job.format == "nxmx" else f"image_######{ending_of(job)}"
    return expt.sweeps(template, "master.h5", first, found, job.values, job.sensor_material)


def _runs(job: Job, finished: Iterable[int]) -> list[tuple[int, int]]:
    """First image and number of images of each row of finished shards."""
    runs: list[tuple[int, int]] = []
    for shard in map(job.shard, sorted(finished)):
        if runs and sum(runs[-1]) == shard.first:
            runs[-1] = (runs[-1][0], runs[-1][1] + shard.images)
        else:
            runs.append((shard.first, shard.images))
    return runs


def _stills(job: Job, scene_of: SceneOf, found: dict[int, Record]) -> dict[str, str]:
    if job.format != "nxmx":
        images = _images(job, scene_of, "", sorted(found))
        return {name_of(job): expt.stills(images, job.values, job.sensor_material)}
    masters: dict[str, list[int]] = {}
    for n, record in sorted(found.items()):
        masters.setdefault(record.geometry, []).append(n)
    return {
        _beside(name): expt.stills(_images(job, scene_of, name, shards), job.values, job.sensor_material)
        for name, shards in zip(wanted_names(found), masters.values(), strict=True)
    }


def _images(job: Job, scene_of: SceneOf, master: str, shards: list[int]) -> Iterator[Still]:
    """What each image of some shards shows, and where it is."""
    alone = master == "master.h5"  # shows the places of missing shards too
    place = 0
    for shard in map(job.shard, shards):
        for image in range(shard.first, shard.first + shard.images):
            where = (image if alone else place) if master else None
            yield master or image_name(job, image), where, scene_of(image)
            place += 1
