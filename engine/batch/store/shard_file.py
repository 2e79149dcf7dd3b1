"""One shard as an HDF5 file: frames as they come, everything else when the last one is there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine.batch.job.job import STILLS, Job, Shard
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store.folder import File, OutputLost
from nanobragg.engine.formats import nexus
from nanobragg.engine.formats.hdf5 import compressed, hdf5, open_file, said_of
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.labels import CLASSES, PixelTruth, SpotTruth
from nanobragg.engine.truth.of_image import (
    GROUP,
    OF_SPECTRUM,
    PIXELS,
    SPECTRA,
    SPOTS,
    TEXTS,
    UNITS,
    Truth,
    columns,
    spectrum,
)

UNFINISHED = "unfinished"
MARGIN = 1 << 20  # bytes; what is left free for tables and records


class FrameOfShard(NamedTuple):
    """An image to be written, and what is known of it."""

    pixels: np.ndarray
    truth: Truth
    scene: Scene
    spots: SpotTruth | None = None
    pixel_truth: PixelTruth | None = None


def digest_of(pixels: np.ndarray) -> str:
    """SHA-256 of the pixels as they are in memory."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


@contextlib.contextmanager
def errors_of_hdf5(folder: str) -> Iterator[None]:
    """What HDF5 says of a disk that takes no more, as `OutputLost`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise OutputLost(f"{folder}: writing failed: {said_of(error)}") from None


class ShardFile:
    """The file of a shard under way; images are written in order."""

    def __init__(self, job: Job, shard: Shard, started: str):
        self.job, self.shard, self.started = job, shard, started
        self.name = f"{places.stem(shard.number)}.h5"
        self._made = places.path(job.output, places.temporary(self.name))
        self._file: Any = None
        self.truths: list[Truth] = []
        self.digests: list[str] = []
        self._go_on()

    @property
    def written(self) -> int:
        """Number of images that are in the file."""
        return len(self.truths)

    def _go_on(self) -> None:
        """Take over what was finished of this shard before it was stopped, if every frame of it is whole."""
        left = places.path(self.job.output, places.partial(self.shard.number))
        try:
            os.replace(left, self._made)
        except OSError:
            return
        try:
            with open_file(self._made) as file:
                kept = json.loads(file[UNFINISHED][()].tobytes())
                truths = [Truth._make(row) for row in kept["truths"]]
                frames = file[nexus.DATA]
                whole = kept["job"] == self.job.digest and all(
                    digest_of(frames[k]) == digest for k, digest in enumerate(kept["digests"])
                )
            if whole:
                self._file = open_file(self._made, "r+")
                del self._file[UNFINISHED]
                self.truths, self.digests, self.started = truths, kept["digests"], kept["started"]
                return
        except (OSError, KeyError, ValueError, TypeError, RuntimeError):
            pass
        self.abandon()

    def _open(self, pixels: np.ndarray) -> None:
        self._file = open_file(self._made, "w")
        self._file.require_group("entry/data").create_dataset(
            "data", (self.shard.images, *pixels.shape), pixels.dtype, chunks=(1, *pixels.shape),
            fillvalue=missing(pixels.dtype), **compressed(self.job.compression),
        )  # fmt: skip

    def append(self, frame: FrameOfShard) -> None:
        """Write the next image; raises `OutputLost` where there is no room for it."""
        with errors_of_hdf5(self.job.output):
            self._check_room(frame.pixels.nbytes)
            if self._file is None:
                self._open(frame.pixels)
            self._file[nexus.DATA][self.written] = frame.pixels
            self._append_truth(frame)
        self.digests.append(digest_of(frame.pixels))
        self.truths.append(frame.truth)

    def _append_truth(self, frame: FrameOfShard) -> None:
        """What is known of the image's spots and pixels, where that is asked for."""
        if frame.spots is not None:
            columns = frame.spots._asdict() | {"image": np.full(len(frame.spots.d_A), frame.truth.number, np.int64)}
            for name, values in columns.items():
                where = f"{SPOTS}/{name}"
                if where not in self._file:
                    chunks = (4096, *values.shape[1:])
                    self._file.create_dataset(
                        where, (0, *values.shape[1:]), values.dtype, maxshape=(None, *values.shape[1:]), chunks=chunks,
                        compression="gzip", compression_opts=1,
                    )  # fmt: skip
                dataset = self._file[where]
                dataset.resize(len(dataset) + len(values), axis=0)
                dataset[len(dataset) - len(values) :] = values
        if frame.pixel_truth is not None:
            for name, maps in frame.pixel_truth._asdict().items():
                where, stacked = f"{PIXELS}/{name}", maps.reshape(*frame.pixels.shape, *maps.shape[3:])
                if where not in self._file:
                    self._file.create_dataset(
                        where, (self.shard.images, *stacked.shape), maps.dtype, chunks=(1, *stacked.shape),
                        compression="gzip", compression_opts=1,
                    )  # fmt: skip
                self._file[where][self.written] = stacked
            self._file[f"{PIXELS}/classes"].attrs["names"] = list(CLASSES)

    def _check_room(self, needed: int) -> None:
        """HDF5 loses its way when the disk is full: stop before."""
        system = os.statvfs(self.job.output)
        if system.f_bavail * system.f_frsize < needed + MARGIN:
            raise OutputLost(f"{self.job.output}: the disk is full")

    def finish(self, scene: Scene) -> list[File]:
        """Write what goes with the images, and give the file its name; ``scene`` is that of any of them."""
        with errors_of_hdf5(self.job.output):
            write_metadata(self._file, self.job, scene, self.truths, self.digests, self.started)
            self._file.flush()
            self._file.close()
        self._file = None
        places.publish(self.job.output, os.path.basename(self._made), self.name)
        return [places.described(self.job.output, self.name)]

    def suspend(self) -> None:
        """Keep what is there, to go on from later."""
        if not self.truths:
            self.abandon()
            return
        kept = {"job": self.job.digest, "started": self.started, "truths": self.truths, "digests": self.digests}
        with errors_of_hdf5(self.job.output):
            self._file.create_dataset(UNFINISHED, data=np.frombuffer(json.dumps(kept).encode(), np.uint8))
            self._file.close()
        self._file = None
        places.publish(self.job.output, os.path.basename(self._made), places.partial(self.shard.number))

    def abandon(self) -> None:
        """Leave nothing."""
        with contextlib.suppress(Exception):
            if self._file is not None:
                self._file.close()
        self._file = None
        with contextlib.suppress(OSError):
            os.unlink(self._made)


def missing(dtype: np.dtype) -> Any:
    """What a pixel that was never written reads as; NXmx' readers take it for masked."""
    return {"i": -1, "u": np.iinfo(np.uint16).max, "f": np.nan}[dtype.kind]


def one_if_same(values: np.ndarray) -> np.ndarray:
    """A number instead of an array of equal ones."""
    return values[:1].reshape(()) if (values == values[0]).all() else values


def write_metadata(file: Any, job: Job, scene: Scene, truths: list[Truth], digests: list[str], started: str) -> None:
    """NXmx around the frames of an open file, and the ground truth."""
    h5py, _ = hdf5()
    turns = job.scan != STILLS
    nexus.describe(file, scene, job.values, job.sensor_material, (started, nexus.now()), len(truths), turns=turns)
    truth = columns(truths)
    wavelengths, flux = (nexus.FrameAxis(one_if_same(truth[name])) for name in ("wavelength", "flux"))
    nexus.frame_axes(file, wavelengths, flux, _spectrum(job, scene, truth))
    if turns:
        nexus.rotation_axis(file, scene, truth["phi"], truth["phi_end"])
    group = file.require_group(GROUP)
    label(group, job, scene)
    for name, values in (truth | {"sha256": digests}).items():
        if name in SPECTRA and not job.has_pulse_spectra:
            continue
        text = name in (*TEXTS, "sha256")
        written = group.create_dataset(name, data=values, dtype=h5py.string_dtype() if text else None)
        if name in UNITS:
            written.attrs["units"] = UNITS[name]


def _spectrum(job: Job, scene: Scene, truth: dict[str, Any]) -> tuple[nexus.FrameAxis, nexus.FrameAxis] | None:
    """What readers are told of the spectra: each image's own, or that of all; nothing where axes change it."""
    if job.has_pulse_spectra:
        return nexus.spectrum_axes(truth["spectrum"], truth["spectrum_weights"])
    return None if job.varies(*OF_SPECTRUM) else nexus.spectrum_axes(*spectrum(scene))


def label(group: Any, job: Job, scene: Scene) -> None:
    """Say which job these images are of, and how our laboratory is turned into NeXus'."""
    group.attrs["NX_class"] = "NXcollection"
    group.attrs["job"] = job.digest
    group.attrs["laboratory_to_nexus"] = nexus.turn(scene.beam.direction, scene.scan.spindle)
    group.attrs["spindle_nexus"] = nexus.placement(scene).spindle
