"""One file per image, for small jobs: SMV, miniCBF, or raw binary32. The truth goes into the shard's record."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os

from nanobragg.engine.batch.job.job import STILLS, Job, Shard
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.folder import File
from nanobragg.engine.batch.store.shard_file import FrameOfShard, digest_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.cbf import Cbf
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.raw import Raw
from nanobragg.engine.formats.smv_image import SmvImage
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import Truth

FILE_FORMATS: dict[str, Format] = {"smv": SmvImage(), "cbf": Cbf(), "float": Raw()}


def own_stem(path: str) -> str:
    """What a file will be called, without its ending, from its temporary name."""
    return os.path.splitext(os.path.basename(path).removeprefix(".").partition("@")[0])[0]


def ending_of(job: Job) -> str:
    """What the names of a job's image files end in."""
    return FILE_FORMATS[job.format].endings[0]


def image_name(job: Job, number: int) -> str:
    """The file of an image, counted from 1 as readers of series want it."""
    return f"image_{number + 1:06d}{ending_of(job)}"


class ImageFiles:
    """The files of a shard under way; has what `ShardFile` has."""

    def __init__(self, job: Job, shard: Shard, started: str):
        self.job, self.shard, self.started = job, shard, started
        self.truths: list[Truth] = []
        self.digests: list[str] = []
        self.files: list[File] = []
        self.shapes: list[tuple[int, int]] = []
        self._go_on()

    @property
    def written(self) -> int:
        """Number of images that are there."""
        return len(self.truths)

    def _go_on(self) -> None:
        name = places.partial(self.shard.number)
        kept = places.read_json(self.job.output, name)
        with contextlib.suppress(OSError):
            os.unlink(places.path(self.job.output, name))
        try:
            if kept is None or kept["job"] != self.job.digest:
                return
            rows = list(zip(kept["truths"], kept["digests"], kept["files"], kept["shapes"], strict=True))
            for truth, digest, (file, size, sha256), (slow, fast) in rows:
                if places.described(self.job.output, file) != File(file, size, sha256):
                    return
                self._note(Truth._make(truth), digest, File(file, size, sha256), (slow, fast))
        except (KeyError, TypeError, ValueError, places.OutputLost):  # what is damaged is rendered again
            return

    def _note(self, truth: Truth, digest: str, file: File, shape: tuple[int, int]) -> None:
        self.truths.append(truth)
        self.digests.append(digest)
        self.files.append(file)
        self.shapes.append(shape)

    def append(self, frame: FrameOfShard) -> None:
        """Write the next image."""
        name = image_name(self.job, frame.truth.number)
        beside = places.temporary(name)
        with places.or_lost(self.job.output):
            try:
                self._write(places.path(self.job.output, beside), frame)
            except BadInput as error:
                raise places.OutputLost(str(error)) from None
        places.publish(self.job.output, beside, name)
        slow, fast = frame.pixels.shape
        self._note(frame.truth, digest_of(frame.pixels), places.described(self.job.output, name), (slow, fast))

    def _write(self, path: str, frame: FrameOfShard) -> None:
        detector = dataclasses.replace(frame.scene.detector, sensor_material=self.job.sensor_material)
        scene = dataclasses.replace(frame.scene, detector=detector)
        turns = self.job.scan != STILLS
        FILE_FORMATS[self.job.format].write(path, frame.pixels, scene, turns=turns, stem=own_stem(path))

    def finish(self, scene: Scene) -> list[File]:
        """The files, all of which have their names."""
        return self.files

    def suspend(self) -> None:
        """Keep a note of what is there, to go on from later."""
        kept = {"job": self.job.digest, "truths": self.truths, "digests": self.digests, "files": self.files,
                "shapes": self.shapes}  # fmt: skip
        places.write_text(self.job.output, places.partial(self.shard.number), json.dumps(kept))

    def abandon(self) -> None:
        """Images that are there stay; they will be written again."""
