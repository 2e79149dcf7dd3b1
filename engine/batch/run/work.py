"""What a worker does: images of a shard, one after the other, written while the next one is rendered."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nanobragg.engine import reasons
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.job.scenes import MakeScenes
from nanobragg.engine.batch.store import claims, records
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.folder import OutputLost
from nanobragg.engine.batch.store.image_files import ImageFiles
from nanobragg.engine.batch.store.records import Record
from nanobragg.engine.batch.store.shard_file import FrameOfShard, ShardFile
from nanobragg.engine.errors import BadInput, DeviceLost
from nanobragg.engine.exposure import expose
from nanobragg.engine.formats.nexus import now
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import choose, counts_of
from nanobragg.engine.scene.scene import PlacedDetector, Scene
from nanobragg.engine.surroundings.photons import background_of
from nanobragg.engine.truth.labels import PixelTruth, SpotTruth, labels_of, most_photons, pixels_of
from nanobragg.engine.truth.of_image import truth_of
from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.cuda import driver
from nanobragg.kernels.image.rendered import Rendered

# What the sensor absorbs follows from wavelengths, which vary in a file.
BY_THEMSELVES = ("mask", "mu", "absorption", "wide_pixels")
MOST_REMARKS = 10  # on the images of a shard that travel


class How(NamedTuple):
    """How a worker renders: threads of the CPU, and which GPU (``None``: by its place among the workers)."""

    threads: int = 1
    device: int | None = None


class Stopped(Exception):
    """The worker was asked to stop, and has: between two images."""


class Outcome(NamedTuple):
    """How it went with a shard, and by which worker of a cluster.

    ``finished``, ``failed``, ``stopped``, ``elsewhere`` (left to another process), ``died`` (its worker), ``device``
    (a GPU has failed), or ``lost`` (the output, or all that could go on).
    """

    shard: int
    kind: str
    why: str = ""
    worker: str = ""
    remarks: tuple[tuple[int, str], ...] = ()  # on images, by their numbers


def local_rank() -> int:
    """The place of this process among those of its machine, as its launcher says."""
    for name in ("NANOBRAGG_DEVICE", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"):
        if (value := os.environ.get(name, "")).isdigit():
            return int(value)
    return 0


def gpus() -> int:
    """Number of GPUs that this process sees."""
    if not os.path.exists("/dev/nvidiactl"):
        return 0
    try:
        return driver.count_devices()
    except Unavailable:
        return 0


def device_of(how: How) -> int:
    """The GPU of this worker: as told, else by its place on the machine."""
    return how.device if how.device is not None else local_rank() % max(gpus(), 1)


class ShardRenderer:
    """What a worker keeps from image to image; raises `BadInput` if its backend cannot be had here."""

    def __init__(self, job: Job, make_scenes: MakeScenes, how: How):
        self.job, self.threads = job, how.threads
        self._image, self._remarks = 0, {}  # type: ignore[var-annotated]
        self._scene_of = make_scenes(job, self._note)
        self._device = device_of(how)
        wanted = job.backend if job.backend != "auto" else "cuda" if gpus() else "fast"
        self.backend = choose(wanted, plan_of(self.scene(0)), device=self._device)

    def scene(self, number: int) -> Scene:
        """What an image shows."""
        return self._scene_of(number)

    def frame(self, number: int) -> FrameOfShard:
        """Render an image."""
        self._image = number
        scene = self.scene(number)
        plan = plan_of(scene)
        rendered = expose(
            scene, plan, self.backend, threads=self.threads, device=self._device, precision=self.job.precision
        )
        described = self._scene_of.described(number, scene)
        below = background_of(scene, rendered, self.threads)
        truth = truth_of(number, self.job.words(number), scene, rendered.image, described, below)
        if not np.isfinite(truth.photons):
            raise BadInput("the image overflows: a pixel is infinite or not a number")
        for remark in reasons.of_faint(scene, plan, rendered.image):
            self._note(remark)
        values = self._values(scene, rendered).reshape(scene.detector.stacked_shape)
        return FrameOfShard(values, truth, scene, *self._labels(scene, rendered))

    def _labels(self, scene: Scene, rendered: Rendered) -> tuple[SpotTruth | None, PixelTruth | None]:
        """What is known of the image's spots and pixels, as far as the job wants it."""
        if not self.job.truth:
            return None, None
        labels = labels_of(scene, rendered.panels, self.threads)
        if "pixels" not in self.job.truth:
            return labels.spots, None
        highest = most_photons(scene, self.job.values)
        return labels.spots, pixels_of(scene, labels, rendered.panels, highest, self.threads)

    def _note(self, remark: str) -> None:
        """Keep what a user should know, of the first image that it is true of."""
        if len(self._remarks) < MOST_REMARKS:
            self._remarks.setdefault(remark, self._image)

    def remarks(self) -> tuple[tuple[int, str], ...]:
        """What there was to say of images since this was last asked."""
        found = tuple((image, remark) for remark, image in self._remarks.items())
        self._remarks.clear()
        return found

    def _values(self, scene: Scene, rendered: Rendered) -> np.ndarray:
        if self.job.values == "float32":
            return rendered.panels
        dtype = np.dtype(self.job.values)
        if self.job.noise == "none":
            return np.rint(np.clip(rendered.panels, 0, np.iinfo(dtype).max, dtype=np.float64)).astype(dtype)
        philox = self.job.noise == "philox"
        return counts_of(scene, rendered, philox=philox, threads=self.threads, dtype=dtype)[0]


def writer_of(job: Job, number: int) -> ShardFile | ImageFiles:
    """Who writes the images of a shard."""
    kind = ShardFile if job.format == "nxmx" else ImageFiles
    return kind(job, job.shard(number), now())


def render_shard(renderer: ShardRenderer, number: int, stop: Callable[[], bool], seen: Callable[[int], None]) -> None:
    """Render and write a shard, and leave its record.

    Parameters
    ----------
    renderer
        Of the job.
    number
        The shard.
    stop
        Asked before each image.
    seen
        Called with the number of images that have been done since.

    Raises
    ------
    BadInput
        If an image cannot be simulated; its message begins with the image's number.
    Stopped
        If it was asked to stop; what is done is kept.
    OutputLost
        If the output folder takes no more.
    """
    job, begun = renderer.job, time.perf_counter()
    with claims.claimed(job, number):
        writer = writer_of(job, number)
        try:
            seen(writer.written)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                _render_images(renderer, number, writer, pool, stop, seen)
            if records.finished_record(job, number):  # by a process of another machine, meanwhile
                writer.abandon()
                return
            first = renderer.scene(job.shard(number).first)
            files = writer.finish(first)
        except Stopped:
            writer.suspend()
            raise
        except BaseException:
            writer.abandon()
            raise
        record = Record(
            files=tuple(files), frames=tuple(writer.digests), backend=renderer.backend, host=places.HOST,
            seconds=round(time.perf_counter() - begun, 3), started=writer.started, finished=now(),
            geometry=geometry_digest(first),
        )  # fmt: skip
        if isinstance(writer, ImageFiles):
            truths = tuple(truth._asdict() for truth in writer.truths)
            record = dataclasses.replace(record, shapes=tuple(writer.shapes), truths=truths)
        records.write_record(job, number, record)


def _render_images(
    renderer: ShardRenderer,
    number: int,
    writer: ShardFile | ImageFiles,
    pool: concurrent.futures.Executor,
    stop: Callable[[], bool],
    seen: Callable[[int], None],
) -> None:
    shard = renderer.job.shard(number)
    written: concurrent.futures.Future | None = None
    for image in range(shard.first + writer.written, shard.first + shard.images):
        if stop():
            if written is not None:
                written.result()
            raise Stopped
        try:
            frame = renderer.frame(image)
        except DeviceLost:
            raise
        except (BadInput, MemoryError) as error:
            raise BadInput(f"image {image}: {str(error) or 'not enough memory'}") from None
        if written is not None:
            written.result()
        written = pool.submit(writer.append, frame)
        del frame  # the writer alone holds on to it
        seen(1)
    if written is not None:
        written.result()


def geometry_digest(scene: Scene) -> str:
    """The same for experiments whose images one file can describe."""
    d, beam = scene.detector, scene.beam
    named = {f.name: getattr(d, f.name) for f in dataclasses.fields(PlacedDetector) if f.name not in BY_THEMSELVES}
    if scene.response is not None:
        named |= {"counts": scene.response.counts, "highest": scene.response.highest_of(d.saturation)}
    known = repr((named, beam.direction, beam.polar, scene.scan.spindle, beam.exposure, beam.beamsize)).encode()
    return hashlib.sha256(known + d.mask.tobytes()).hexdigest()[:16]


def attempt(renderer: ShardRenderer, number: int, stop: Callable[[], bool], seen: Callable[[int], None]) -> Outcome:
    """Render a shard, unless it is finished; whatever happens, as an outcome."""
    told: list[int] = []

    def seen_here(images: int) -> None:
        told.append(images)
        seen(images)

    outcome = _outcome(renderer, number, stop, seen_here)
    if outcome.kind == "failed":
        seen(-sum(told))
    return outcome._replace(remarks=renderer.remarks())


def _outcome(renderer: ShardRenderer, number: int, stop: Callable[[], bool], seen: Callable[[int], None]) -> Outcome:
    try:
        if records.finished_record(renderer.job, number):
            seen(renderer.job.shard(number).images)
            return Outcome(number, "finished")
        if claims.claimed_by_another(renderer.job, number):
            return Outcome(number, "elsewhere", "another process is at it")
        render_shard(renderer, number, stop, seen)
        return Outcome(number, "finished")
    except Stopped:
        return Outcome(number, "stopped")
    except OutputLost as error:
        return Outcome(number, "lost", str(error))
    except DeviceLost as error:
        return Outcome(number, "device", str(error))
    except BadInput as error:
        return Outcome(number, "failed", str(error))
    except Exception as error:
        return Outcome(number, "failed", f"unexpected {type(error).__name__}: {error}")
