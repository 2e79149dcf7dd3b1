"""A contact sheet: the first images of a job in one picture, to see at a glance whether it is what was meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from nanobragg.engine.batch import folder as places
from nanobragg.engine.batch import records
from nanobragg.engine.batch.job import Job
from nanobragg.engine.batch.shard_file import open_file
from nanobragg.engine.files.any_image import read_image
from nanobragg.engine.files.nexus import DATA

NAME = "contact-sheet.png"
MOST, ACROSS, LARGEST = 20, 5, 512


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


def smaller(image: np.ndarray) -> np.ndarray:
    """Blocks of pixels replaced by their brightest, so that spots stay."""
    step = math.ceil(max(image.shape) / LARGEST)
    slow, fast = (n // step * step for n in image.shape)
    blocks = image[:slow, :fast].reshape(slow // step, step, fast // step, step)
    return blocks.max(axis=(1, 3))


def write_sheet(job: Job, tell: Callable[[str], None]) -> str | None:
    """Write the contact sheet; its name, or ``None`` where matplotlib is missing or there is no image."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        tell("no contact sheet: pip install matplotlib")
        return None
    shown = [(number, smaller(image)) for number, image in first_images(job)]
    if not shown:
        return None
    rows = -(-len(shown) // ACROSS)
    across = min(len(shown), ACROSS)
    figure, axes = pyplot.subplots(rows, across, figsize=(2.6 * across, 2.8 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (number, image) in zip(axes.flat, shown, strict=False):
        finite = image[np.isfinite(image)].astype(float)
        top = float(np.percentile(finite, 99.5)) if finite.size else 1.0
        axis.imshow(image, cmap="gray_r", vmin=0.0, vmax=max(top, 1.0), interpolation="nearest")
        axis.set_title(f"image {number}", fontsize=8)
    figure.tight_layout()
    made = places.temporary(NAME)
    with places.or_lost(job.output):
        figure.savefig(places.path(job.output, made), dpi=100, format="png")
    pyplot.close(figure)
    places.publish(job.output, made, NAME)
    return NAME
