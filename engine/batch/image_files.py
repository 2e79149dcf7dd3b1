"""One file per image, for small jobs: SMV, miniCBF, or raw binary32. The truth goes into the shard's record."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

import numpy as np

from nanobragg.engine.batch import folder as places
from nanobragg.engine.batch.folder import File
from nanobragg.engine.batch.job import STILLS, Job, Shard
from nanobragg.engine.batch.shard_file import Frame, digest_of
from nanobragg.engine.batch.truth import Truth, rotation, wavelength
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import Experiment
from nanobragg.engine.files import smv, smv_header
from nanobragg.engine.files.images import write_float
from nanobragg.engine.files.nexus import SATURATION, now, total_flux
from nanobragg.engine.fixes import fixes_of

FOR_READERS = fixes_of("smv")
SUFFIX = {"smv": ".img", "cbf": ".cbf", "float": ".bin"}


def write_smv(path: str, pixels: np.ndarray, experiment: Experiment, job: Job) -> None:
    """An SMV image whose header readers understand, whatever the job computes right."""
    text = smv_header.of_experiment(experiment, noise=True, fixes=experiment.settings.fixes | FOR_READERS,
                                    turns=job.scan != STILLS)  # fmt: skip
    smv.write_smv(path, "image", text, pixels)


def write_raw(path: str, pixels: np.ndarray, experiment: Experiment, job: Job) -> None:
    """Binary32, one row after the other."""
    write_float(path, pixels)


def cbf_header(experiment: Experiment, job: Job) -> str:
    """What readers of miniCBF look for. It has no words for tilts."""
    d, s = experiment.detector, experiment.settings
    pixel = f"{d.pixel_size:g} m x {d.pixel_size:g} m"
    material = {"Si": "Silicon"}.get(job.sensor_material, job.sensor_material)
    begin, end = rotation(experiment)
    width = end - begin if job.scan != STILLS else 0.0  # else readers make a sweep of crystals
    lines = [
        "Detector: simulated", now().replace("Z", ".000"), f"Pixel_size {pixel}",
        *([f"{material} sensor, thickness {d.thickness:.6f} m"] if d.thickness > 0.0 else []),  # none: no parallax
        f"Exposure_time {s.exposure:g} s", f"Exposure_period {s.exposure:g} s",
        f"Count_cutoff {SATURATION['int32']} counts", f"Pedestal {s.adc:g} counts",
        f"Wavelength {wavelength(experiment):.8g} A",
        f"Detector_distance {d.distance:.8g} m",
        f"Beam_xy ({d.Fbeam / d.pixel_size:.4f}, {d.Sbeam / d.pixel_size:.4f}) pixels",
        f"Flux {total_flux(experiment):g}", f"Start_angle {begin:.6f} deg.",
        f"Angle_increment {width:.6f} deg.",
    ]  # fmt: skip
    return "\r\n".join(f"# {line}" for line in lines)


def write_cbf(path: str, pixels: np.ndarray, experiment: Experiment, job: Job) -> None:
    """A miniCBF image, int32."""
    fabio = cbf_package()
    header = {
        "_array_data.header_convention": '"GENERIC_MINI"',  # a Pilatus is made of modules
        "_array_data.header_contents": cbf_header(experiment, job),
    }
    fabio.cbfimage.CbfImage(data=pixels, header=header).write(path)
    # fabio calls the data after the file, which has its temporary name still.
    temporary = os.path.splitext(os.path.basename(path))[0]
    with open(path, "r+b") as file:
        whole = file.read()
        file.seek(0)
        file.write(whole.replace(f"data_{temporary}".encode(), f"data_{own_stem(path)}".encode(), 1))
        file.truncate()


def own_stem(path: str) -> str:
    """What a file will be called, without its ending, from its temporary name."""
    return os.path.splitext(os.path.basename(path).removeprefix(".").partition("@")[0])[0]


def cbf_package():
    """fabio; raises `BadInput` where it is missing."""
    try:
        import fabio.cbfimage
    except ImportError:
        raise BadInput("format cbf needs fabio: pip install 'nanobragg[batch]'") from None
    return fabio


WRITERS: dict[str, Callable[[str, np.ndarray, Experiment, Job], None]] = {
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
                WRITERS[self.job.format](places.path(self.job.output, made), frame.pixels, frame.experiment, self.job)
            except BadInput as error:
                raise places.OutputLost(str(error)) from None
        places.publish(self.job.output, made, name)
        slow, fast = frame.pixels.shape
        self._note(frame.truth, digest_of(frame.pixels), places.described(self.job.output, name), (slow, fast))

    def finish(self, experiment: Experiment) -> list[File]:
        """The files, all of which have their names."""
        return self.files

    def suspend(self) -> None:
        """Keep a note of what is there, to go on from later."""
        kept = {"job": self.job.digest, "truths": self.truths, "digests": self.digests, "files": self.files,
                "shapes": self.shapes}  # fmt: skip
        places.write_text(self.job.output, places.partial(self.shard.number), json.dumps(kept))

    def abandon(self) -> None:
        """Images that are there stay; they will be written again."""
