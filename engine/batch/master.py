"""The master: one NXmx file that shows the frames of all shards where they are, without reading any of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.engine.batch import folder as places
from nanobragg.engine.batch.job import Job
from nanobragg.engine.batch.shard_file import errors_of_hdf5, hdf5, label, missing, open_file
from nanobragg.engine.batch.truth import GROUP, SHAPES, TYPES, UNITS, Truth
from nanobragg.engine.batch.work import Prepare
from nanobragg.engine.errors import BadInput
from nanobragg.engine.files import nexus


def write_masters(job: Job, prepare: Prepare, tell: Callable[[str], None]) -> list[str]:
    """Write the master of a job, or one for each detector if the detector varies; their names.

    Frames of shards that are not finished read as missing (-1, 65535 or NaN).

    Raises
    ------
    BadInput
        If no shard is finished, or images are no HDF5.
    """
    if job.format != "nxmx":
        raise BadInput(f"{job.output}: images in format {job.format} have no master")
    records = {n: record for n in range(job.shards) if (record := places.record_of(job, n)) is not None}
    if not records:
        raise BadInput(f"{job.output}: no shard is finished")
    if len(records) < job.shards:
        tell(f"{job.shards - len(records)} of {job.shards} shards are not there: their frames read as missing")
    detectors = sorted({record["geometry"] for record in records.values()})
    first = {d: min(n for n, record in records.items() if record["geometry"] == d) for d in detectors}
    if len(detectors) == 1:
        _write(job, prepare, "master.h5", records, range(job.shards))
        return ["master.h5"]
    made = []
    for number, detector in enumerate(sorted(detectors, key=first.__getitem__)):
        name = f"master-{number:03d}.h5"
        own = {n: record for n, record in records.items() if record["geometry"] == detector}
        _write(job, prepare, name, own, sorted(own))
        made.append(name)
    tell(f"the detector varies: {len(made)} masters, one for each")
    return made


def _write(job: Job, prepare: Prepare, name: str, records: dict[int, dict[str, Any]], shards: Any) -> None:
    h5py, _ = hdf5()
    shown = [job.shard(n) for n in shards]
    images = sum(shard.images for shard in shown)
    experiment = prepare(job.words(job.shard(min(records)).first))
    shape = (experiment.detector.n_slow, experiment.detector.n_fast)
    dtype = np.dtype(job.values)
    made = places.temporary(name)
    text = h5py.string_dtype()

    def layout(where: str, tail: tuple[int, ...], kind: Any) -> Any:
        virtual = h5py.VirtualLayout((images, *tail), kind)
        at = 0
        for shard in shown:
            if shard.number in records:
                file = records[shard.number]["files"][0]["name"]
                virtual[at : at + shard.images] = h5py.VirtualSource(file, where, (shard.images, *tail), dtype=kind)
            at += shard.images
        return virtual

    def truth(column: str) -> Any:
        kind = text if column in ("argv", "sha256") else np.dtype(TYPES.get(column, np.float64))
        return layout(f"{GROUP}/{column}", SHAPES.get(column, ()), kind)

    with errors_of_hdf5(job.output), open_file(places.path(job.output, made), "w") as file:
        nexus.describe(file, experiment, images, job.values, job.sensor_material, started(records))
        file["entry/data"].create_virtual_dataset("data", layout(nexus.DATA, shape, dtype), fillvalue=missing(dtype))
        same = not wavelength_varies(job)
        one = np.array(float(f"{experiment.beam.lambda0 * 1e10:.14g}"))
        nexus.frame_axes(file, experiment, one if same else truth("wavelength"), truth("phi"), truth("phi_end"))
        group = file.create_group(GROUP)
        label(group, job, experiment)
        for column in (*Truth._fields, "sha256"):
            is_number = column not in ("argv", "sha256") and column not in TYPES
            group.create_virtual_dataset(column, truth(column), **({"fillvalue": np.nan} if is_number else {}))
            if column in UNITS:
                group[column].attrs["units"] = UNITS[column]
    places.publish(job.output, made, name)


def wavelength_varies(job: Job) -> bool:
    """Whether an axis gives wavelengths."""
    flags = {flag for axis in job.opened_axes for flag in axis.flags}
    return any(flag in ("-lambda", "-wave", "-energy", "-img") for flag in flags)


def started(records: dict[int, dict[str, Any]]) -> str:
    """When the first of some shards was finished, as far as records know."""
    return min(record["finished"] for record in records.values())


def master_names(folder: str) -> list[str]:
    """The masters that are in a folder."""
    return [name for name in places.names(folder) if name.startswith("master") and name.endswith(".h5")]


def remove_masters(job: Job) -> None:
    """Take away masters of before, which may show shards that have changed."""
    for name in master_names(job.output):
        os.unlink(places.path(job.output, name))
