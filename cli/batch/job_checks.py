"""Images at the corners of a job, tried before any is rendered."""

from __future__ import annotations

from collections.abc import Iterable

from nanobragg.cli.batch.job_axes import settings_of
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.engine.batch.job.axes import FIELD, kind_of, places
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.run.work import geometry_digest
from nanobragg.engine.batch.store.image_files import FILE_FORMATS
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.cbf import cbf_package
from nanobragg.engine.formats.hdf5 import hdf5
from nanobragg.engine.formats.nexus import placement
from nanobragg.engine.original.settings import OF_DETECTOR

# Fields of other tables that stand once for all images of a file.
OF_FILE = (
    "sampling.roi", "beam.exposure_s", "beam.beamsize_mm", "beam.direction", "beam.polarization_axis", "scan.axis",
    "response.gain", "response.offset", "response.stages", "response.output", "response.counts_per_photon",
    "response.saturation",
)  # fmt: skip


def check(job: Job, name: str) -> None:
    """Set up the images at the corners of the job, so that what cannot be rendered is known before any is."""
    if any(word.startswith("-") and "-seed" in word for word in job.arguments) and job.noise != "none":
        raise BadInput(f"{name}: -seed in arguments: all images would have the same noise; take the job's seed")
    hdf5() if job.format == "nxmx" else None
    cbf_package() if job.format == "cbf" else None
    scenes = Scenes(job)
    for image in corners(job):
        try:
            scene = scenes(image)
        except BadInput as error:
            raise BadInput(f"{name}: image {image}: {error}") from None
        if job.format == "nxmx":
            placement(scene)
        elif len(scene.detector.panels) > 1 and not FILE_FORMATS[job.format].panels:
            raise BadInput(f"{name}: format = {job.format!r}: has no words for several panels: take 'nxmx'")
    if job.format == "nxmx":
        _check_shards(job, name, scenes)


def corners(job: Job) -> Iterable[int]:
    """The first and the last image, and those where an axis stands at its ends."""
    found, run = {0, job.images - 1}, 1
    for axis in reversed(job.opened_axes):
        if job.combine == "product" and axis.length is not None:
            found |= {min((axis.length - 1) * run, job.images - 1)}
            run *= axis.length
    return sorted(found)


def _check_shards(job: Job, name: str, scenes: Scenes) -> None:
    """An NXmx file has one detector: what moves it must not vary within a shard."""
    moving = [axis for axis in job.opened_axes if any(moves_detector(name) for name in axis.names)]
    if not moving:
        return
    known: dict[tuple[tuple[str, ...], ...], str] = {}
    for shard in map(job.shard, range(job.shards)):
        seen = set()
        for image in range(shard.first, shard.first + shard.images):
            given = [pair for axis, place in places(job.opened_axes, job.combine, image) for pair in axis.given(place)]
            key = tuple((flag, *values) for flag, values in given if moves_detector(flag))
            if key not in known:
                known[key] = geometry_digest(scenes(image))
            seen.add(known[key])
        if len(seen) > 1:
            flags = ", ".join(flag for axis in moving for flag in axis.names if moves_detector(flag))
            raise BadInput(
                f"{name}: {flags}: the detector changes within shard {shard.number}, and an NXmx file has one: "
                f"let it vary slowest, take images_per_shard = 1, or another format ({', '.join(FILE_FORMATS)})"
            )


def moves_detector(name: str) -> bool:
    """Whether a flag or field changes what NXmx says once for all images of a file."""
    if kind_of(name) == FIELD:
        return name.startswith("detector.") or name in OF_FILE
    return name == "-pivot" or bool(settings_of(name) & OF_DETECTOR)  # what -pivot sets hangs on its word
