"""A job's images described for DIALS, beside them: polarization, tilts and the true crystals stand in no header."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from nanobragg.engine.batch import folder as places
from nanobragg.engine.batch.image_files import SUFFIX, image_name
from nanobragg.engine.batch.job import FALLING, STILLS, Job
from nanobragg.engine.batch.master import shown, wanted_names
from nanobragg.engine.batch.truth import rotation
from nanobragg.engine.batch.work import Prepare
from nanobragg.engine.experiment import Experiment
from nanobragg.engine.files import expt

MOST_STILLS = 20_000
Still = tuple[str, "int | None", Experiment]


def write_expts(job: Job, prepare: Prepare, tell: Callable[[str], None]) -> list[str]:
    """Write an ``.expt`` for each master, or one for all images in files of their own; their names."""
    if job.format == "float" or not shown(job):
        return []
    if job.scan == STILLS and job.images > MOST_STILLS:
        tell(f"no .expt for DIALS: {job.images} stills are more than {MOST_STILLS}")
        return []
    if prepare(job.words(0)).detector.curved:
        tell("no .expt for DIALS: it has no words for a curved detector")
        return []
    texts = _stills(job, prepare) if job.scan == STILLS else {name_of(job): _sweep(job, prepare)}
    for name, text in texts.items():
        places.write_text(job.output, name, text)
    return list(texts)


def name_of(job: Job) -> str:
    """The description of all images."""
    return "master.expt" if job.format == "nxmx" else "images.expt"


def _sweep(job: Job, prepare: Prepare) -> str:
    first = prepare(job.words(0))
    begin, end = rotation(first)
    sweep = expt.Sweep(begin, end - begin, job.images)
    if job.scan == FALLING:
        sweep = expt.Sweep(end, begin - end, job.images)
    template = None if job.format == "nxmx" else f"image_######{SUFFIX[job.format]}"
    return expt.sweep_of(template, "master.h5", first, sweep, job.values, job.sensor_material)


def _stills(job: Job, prepare: Prepare) -> dict[str, str]:
    found = shown(job)
    if job.format != "nxmx":
        images = _images(job, prepare, "", sorted(found))
        return {name_of(job): expt.stills(images, job.values, job.sensor_material)}
    masters: dict[str, list[int]] = {}
    for n, record in sorted(found.items()):
        masters.setdefault(record.geometry, []).append(n)
    return {
        f"{os.path.splitext(name)[0]}.expt": expt.stills(
            _images(job, prepare, name, shards), job.values, job.sensor_material
        )
        for name, shards in zip(wanted_names(found), masters.values(), strict=True)
    }


def _images(job: Job, prepare: Prepare, master: str, shards: list[int]) -> Iterator[Still]:
    """What each image of some shards shows, and where it is."""
    alone = master == "master.h5"  # shows the places of missing shards too
    place = 0
    for shard in map(job.shard, shards):
        for image in range(shard.first, shard.first + shard.images):
            where = (image if alone else place) if master else None
            yield master or image_name(job, image), where, prepare(job.words(image))
            place += 1
