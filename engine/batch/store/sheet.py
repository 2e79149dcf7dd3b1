"""A contact sheet: the first images of a job in one picture, to see at a glance whether it is what was meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.job.scenes import SceneOf
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store import records
from nanobragg.engine.batch.store.labels import spots_of_shard
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.formats.hdf5 import open_file
from nanobragg.engine.formats.nexus import DATA, pedestal, rotation
from nanobragg.engine.placed import panels_of_scene
from nanobragg.engine.response import defects
from nanobragg.engine.truth.reflections import can_be_seen
from nanobragg.engine.view.assembled import assembled

NAME = "contact-sheet.png"
MOST, ACROSS, LARGEST = 20, 5, 256
FAINT = 10  # counts of a pixel; programs find no spots below
GAMMA, TINY = 0.4, 1e-30


def first_images(job: Job, most: int = MOST) -> Iterator[tuple[int, np.ndarray]]:
    """Numbers and pixels of the first images that are there."""
    given = 0
    for shard in sorted(records.recorded(job)):
        record = records.finished_record(job, shard)
        if record is None:
            continue
        first = job.shard(shard).first
        for k in range(min(job.shard(shard).images, most - given)):
            if job.format == "nxmx":
                with open_file(places.path(job.output, record.files[0].name)) as file:
                    yield first + k, file[DATA][k]
            else:
                yield first + k, read_image(places.path(job.output, record.files[k].name), record.shapes[k])
            given += 1
        if given >= most:
            return


class SheetImage(NamedTuple):
    """An image of the sheet: counts without their offset, where it was taken, and what is in it.

    ``boxes`` (n, 4) are those of spots that can be seen, in pixels of the sheet: left, right, top, bottom.
    """

    number: int
    pixels: np.ndarray
    phi: tuple[float, float]
    total: float
    brightest: float
    boxes: np.ndarray


def shown_images(job: Job, scene_of: SceneOf) -> Iterator[SheetImage]:
    """The first images, made small."""
    for number, image in first_images(job):
        scene = scene_of(number)
        counts = image.astype(float) - pedestal(scene, job.values)
        counts[~np.isfinite(counts) | defects(scene).reshape(counts.shape)] = 0.0
        total, brightest = counts.sum(), counts.max()
        boxes = np.empty((0, 4))
        if len(scene.detector.panels) == 1 and job.truth:
            boxes = boxes_of(job, number) / step_of(image.shape)
        if len(scene.detector.panels) > 1:
            whole = assembled(panels_of_scene(scene), list(counts.reshape(scene.detector.shape)))[0]
            counts = np.nan_to_num(whole)
        yield SheetImage(number, smaller(counts), rotation(scene), total, brightest, boxes)


def boxes_of(job: Job, number: int) -> np.ndarray:
    """Boxes of an image's spots that can be seen, (n, 4)."""
    shard = number // job.images_per_shard
    spots = spots_of_shard(job, shard)[number - job.shard(shard).first]
    return spots.box[can_be_seen(spots)].astype(float)


def step_of(shape: tuple[int, ...]) -> int:
    """How many pixels of an image are one of the sheet."""
    return math.ceil(max(shape) / LARGEST)


def smaller(image: np.ndarray) -> np.ndarray:
    """Blocks of pixels replaced by their brightest, so that spots stay."""
    step = step_of(image.shape)
    slow, fast = (-(-n // step) * step for n in image.shape)
    padded = np.zeros((slow, fast))
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(slow // step, step, fast // step, step).max(axis=(1, 3))


def in_counts(images: Sequence[SheetImage], values: str) -> str:
    """What a job renders, in counts, and whether that is next to nothing."""
    lowest, highest = min(image.total for image in images), max(image.total for image in images)
    brightest = max(image.brightest for image in images)
    what = f"images of {number(lowest)} to {number(highest)} photons, the brightest pixel has {number(brightest)}"
    if np.dtype(values).kind in "iu" and brightest >= np.iinfo(values).max:
        return f"{what}, the most that {values} holds: counts are cut there"
    return what + (f": too few for programs to find spots, which want {FAINT} or more" if brightest < FAINT else "")


def number(count: float) -> str:
    """A count in few digits."""
    return f"{count:.0f}" if 0.5 <= abs(count) < 1e6 else f"{count:.3g}"


def title(image: SheetImage) -> str:
    """What stands above an image."""
    begin, end = image.phi
    angle = f"{begin:g} to {end:g}°" if end != begin else f"{begin:g}°"
    return f"{image.number}: phi {angle}\n{number(image.total)} photons, up to {number(image.brightest)}"


def write_sheet(job: Job, images: Sequence[SheetImage], tell: Callable[[str], None]) -> str | None:
    """Write the contact sheet; its name, or ``None`` where matplotlib is missing.

    All images have the same greys: a pixel as bright as the brightest but one in ten thousand is black, and one of a
    hundredth of that can be seen.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import colors, pyplot
    except ImportError:
        tell("no contact sheet: pip install matplotlib")
        return None
    rows, across = -(-len(images) // ACROSS), min(len(images), ACROSS)
    figure, axes = pyplot.subplots(rows, across, figsize=(3.2 * across, 3.6 * rows), squeeze=False)
    top = float(np.percentile(np.concatenate([image.pixels.ravel() for image in images]), 99.99))
    greys = colors.PowerNorm(GAMMA, vmin=0.0, vmax=max(top, TINY), clip=True)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image in zip(axes.flat, images, strict=False):
        axis.imshow(image.pixels, cmap="gray_r", norm=greys, interpolation="nearest")
        axis.add_patch(
            pyplot.Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, lw=0.5, color="0.7", clip_on=False)
        )
        for left, right, top, bottom in image.boxes:
            place, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
            axis.add_patch(pyplot.Rectangle(place, *size, fill=False, lw=0.4, color="tab:red"))
        axis.set_title(title(image), fontsize=9)
    figure.tight_layout()
    beside = places.temporary(NAME)
    with places.or_lost(job.output):
        figure.savefig(places.path(job.output, beside), dpi=100, format="png", bbox_inches="tight")
    pyplot.close(figure)
    places.publish(job.output, beside, NAME)
    return NAME
