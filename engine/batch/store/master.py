"""The master: one NXmx file that shows the frames of all shards where they are, without reading any of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nanobragg.engine.batch.job.job import RISING, STILLS, Job, Shard
from nanobragg.engine.batch.job.scenes import SceneOf
from nanobragg.engine.batch.store import folder as places
from nanobragg.engine.batch.store import records
from nanobragg.engine.batch.store.records import Record
from nanobragg.engine.batch.store.shard_file import errors_of_hdf5, label, missing
from nanobragg.engine.formats import nexus
from nanobragg.engine.formats.hdf5 import hdf5, open_file
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import (
    GROUP,
    OF_FLUX,
    OF_SPECTRUM,
    PIXELS,
    SHAPES,
    SPECTRA,
    SPOTS,
    TEXTS,
    TYPES,
    UNITS,
    Truth,
    rotation,
    spectrum,
    wavelength,
)

MASTER = re.compile(r"master(-\d{3,})?\.h5")
SHOWS = "shows"  # an attribute: which files a master was made of


def write_masters(job: Job, scene_of: SceneOf, found: dict[int, Record], tell: Callable[[str], None]) -> list[str]:
    """Write the master of a job, or one for each detector if the detector varies; their names.

    Frames of shards that are not finished read as missing (-1, 65535 or NaN). Masters of before that are not among them
    are removed. ``found`` are the finished shards (`shown`), one at least.
    """
    first = {record.geometry: n for n, record in sorted(found.items(), reverse=True)}
    detectors = sorted(first, key=first.__getitem__)
    names_of_masters = wanted_names(found)
    for name, detector in zip(names_of_masters, detectors, strict=True):
        own = {n: record for n, record in found.items() if record.geometry == detector}
        shards = range(job.shards) if len(detectors) == 1 else sorted(own)
        _write(job, scene_of, name, own, shards, digest_of_all(found))
    if len(names_of_masters) > 1:
        tell(f"the detector varies: {len(names_of_masters)} masters, one for each")
    for name in set(master_names(job.output)) - set(names_of_masters):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(places.path(job.output, name))
    return names_of_masters


def wanted_names(found: dict[int, Record]) -> list[str]:
    """One master, or one for each detector."""
    detectors = len({record.geometry for record in found.values()})
    return ["master.h5"] if detectors == 1 else [f"master-{number:03d}.h5" for number in range(detectors)]


def shown(job: Job) -> dict[int, Record]:
    """The shards that a master would show now."""
    found = ((n, records.finished_record(job, n)) for n in sorted(records.recorded(job)))
    return {n: record for n, record in found if record is not None}


def digest_of_all(found: dict[int, Record]) -> str:
    """The same for the same files of the same shards."""
    known = [(n, [file.sha256 for file in record.files]) for n, record in sorted(found.items())]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def is_current(job: Job) -> bool:
    """Whether there are masters, and they show what is finished now."""
    found = shown(job)
    wanted, there = digest_of_all(found), master_names(job.output)
    try:
        return set(there) == set(wanted_names(found)) and all(
            _shows(places.path(job.output, name)) == wanted for name in there
        )
    except (OSError, KeyError, RuntimeError):
        return False


def _shows(path: str) -> str:
    with open_file(path) as file:
        return str(file[GROUP].attrs[SHOWS])


def _write(job: Job, scene_of: SceneOf, name: str, found: dict[int, Record], shards: Iterable[int], shows: str) -> None:
    h5py, _ = hdf5()
    shown = [job.shard(n) for n in shards]
    images = sum(shard.images for shard in shown)
    scene = scene_of(job.shard(min(found)).first)
    shape = scene.detector.stacked_shape
    dtype = np.dtype(job.values)
    beside, shapes = places.temporary(name), dict(SHAPES)
    text = h5py.string_dtype()

    def layout(where: str, tail: tuple[int, ...], kind: Any) -> Any:
        virtual = h5py.VirtualLayout((images, *tail), kind)
        at = 0
        for shard in shown:
            if shard.number in found:
                file = found[shard.number].files[0].name
                virtual[at : at + shard.images] = h5py.VirtualSource(file, where, (shard.images, *tail), dtype=kind)
            at += shard.images
        return virtual

    def truth(column: str) -> Any:
        kind = text if column in (*TEXTS, "sha256") else np.dtype(TYPES.get(column, np.float64))
        return layout(f"{GROUP}/{column}", shapes.get(column, ()), kind)

    with errors_of_hdf5(job.output), open_file(places.path(job.output, beside), "w") as file:
        times = min(r.started for r in found.values()), max(r.finished for r in found.values())
        turns = job.scan != STILLS
        nexus.describe(file, scene, job.values, job.sensor_material, times, images, turns=turns)
        file["entry/data"].create_virtual_dataset("data", layout(nexus.DATA, shape, dtype), fillvalue=missing(dtype))
        wave, photons = wavelength(scene), scene.beam.total_flux  # also of images that are missing
        one_spectrum = not job.varies(*OF_SPECTRUM)
        wavelengths = nexus.FrameAxis(np.array(wave)) if one_spectrum else nexus.FrameAxis(truth("wavelength"), wave)
        flux = nexus.FrameAxis(np.array(photons))
        if job.varies(*OF_FLUX):
            flux = nexus.FrameAxis(truth("flux"), photons)
        spectra = nexus.spectrum_axes(*spectrum(scene)) if one_spectrum else None
        if job.has_pulse_spectra and len(spectrum(scene)[0]) > 1:
            waves, weights = spectrum(scene)
            shapes["spectrum_weights"] = weights.shape
            spectra = (nexus.FrameAxis(waves), nexus.FrameAxis(truth("spectrum_weights")))
        nexus.frame_axes(file, wavelengths, flux, spectra)
        if turns:
            nexus.rotation_axis(file, scene, *_angles(job, scene, shown, min(found)))
        group = file.create_group(GROUP)
        label(group, job, scene)
        group.attrs[SHOWS] = shows
        for column in (*Truth._fields, "sha256"):
            if column in SPECTRA:
                continue
            empty = None if column in (*TEXTS, "sha256") else -1 if column in TYPES else np.nan
            group.create_virtual_dataset(column, truth(column), fillvalue=empty)
            if column in UNITS:
                group[column].attrs["units"] = UNITS[column]
        _spots_and_pixels(job, file, layout, found, shown)
    places.publish(job.output, beside, name)


def _spots_and_pixels(job: Job, file: Any, layout: Any, found: dict[int, Record], shown: list[Shard]) -> None:
    """Maps of pixels as one, where shards have them; spots, which are not as many in each, by links to the shards."""
    h5py, _ = hdf5()
    for shard in shown:
        if shard.number in found and job.truth:
            name = found[shard.number].files[0].name
            where = f"{SPOTS}/{os.path.splitext(name)[0]}"
            file[where] = h5py.ExternalLink(name, f"/{SPOTS}")
    if "pixels" in job.truth:
        with open_file(places.path(job.output, found[min(found)].files[0].name)) as first:
            kinds = {name: (data.shape[1:], data.dtype) for name, data in first[PIXELS].items()}
        for name, (tail, kind) in kinds.items():
            file.require_group(PIXELS).create_virtual_dataset(name, layout(f"{PIXELS}/{name}", tail, kind), fillvalue=0)


def _angles(job: Job, scene: Scene, shown: list[Shard], known: int) -> tuple[np.ndarray, np.ndarray]:
    """From where to where the crystal turns in each image, degrees; ``scene`` is the first of a known shard."""
    begin, end = rotation(scene)
    step = end - begin if job.scan == RISING else begin - end
    numbers = np.concatenate([np.arange(shard.first, shard.first + shard.images) for shard in shown])
    begins = np.array([nexus.plain(x) for x in begin + step * (numbers - job.shard(known).first)])
    return begins, np.array([nexus.plain(x) for x in begins + (end - begin)])


def master_names(folder: str) -> list[str]:
    """The masters that are in a folder."""
    return [name for name in places.names(folder) if MASTER.fullmatch(name)]
