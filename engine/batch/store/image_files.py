"""One file per image, for small jobs: SMV, miniCBF, or raw binary32. The truth goes into the shard's record."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

import numpy as np

from nanobragg.engine.batch.job.job import STILLS, Job, Shard
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.folder import File
from nanobragg.engine.batch.store.shard_file import Frame, digest_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats import cbf, smv
from nanobragg.engine.formats.images import write_float
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import Truth

SUFFIX = {"smv": ".img", "cbf": ".cbf", "float": ".bin"}


def write_smv(path: str, pixels: np.ndarray, scene: Scene, job: Job) -> None:
    """An SMV image whose header readers understand, whatever the job computes right."""
    smv.write_smv(path, "image", smv.header(scene, turns=job.scan != STILLS), pixels)


def write_raw(path: str, pixels: np.ndarray, scene: Scene, job: Job) -> None:
    """Binary32, one row after the other."""
    write_float(path, pixels)


def write_cbf(path: str, pixels: np.ndarray, scene: Scene, job: Job) -> None:
    """A miniCBF image, int32."""
    cbf.write_cbf(path, own_stem(path), pixels, scene, job.sensor_material, turns=job.scan != STILLS)


def own_stem(path: str) -> str:
    """What a file will be called, without its ending, from its temporary name."""
    return os.path.splitext(os.path.basename(path).removeprefix(".").partition("@")[0])[0]


WRITERS: dict[str, Callable[[str, np.ndarray, Scene, Job], None]] = {
    "smv": write_smv,
    "cbf": write_cbf,
    "float": write_raw,
}


def image_name(job: Job, number: int) -> str:
    """The file of an image, counted from 1 as readers of series want it."""
    return f"image_{number + 1:06d}{SUFFIX[job.format]}"


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

    def append(self, frame: Frame) -> None:
        """Write the next image."""
        name = image_name(self.job, frame.truth.number)
        made = places.temporary(name)
        with places.or_lost(self.job.output):
            try:
                WRITERS[self.job.format](places.path(self.job.output, made), frame.pixels, frame.scene, self.job)
            except BadInput as error:
                raise places.OutputLost(str(error)) from None
        places.publish(self.job.output, made, name)
        slow, fast = frame.pixels.shape
        self._note(frame.truth, digest_of(frame.pixels), places.described(self.job.output, name), (slow, fast))

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
