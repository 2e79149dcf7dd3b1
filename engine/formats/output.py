"""One image in any format, by the ending of its name: expected photons, or counts with noise."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats import cbf, nexus
from nanobragg.engine.formats.hdf5 import compressed, hdf5_alone, said_of
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.smv import header, write_smv
from nanobragg.engine.formats.whole import check_writable, whole_file
from nanobragg.engine.scene.describe import tables_of
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import GROUP, UNITS, columns, spectrum, truth_of
from nanobragg.engine.view.picture import write_picture
from nanobragg.kernels.whole import appearing_path

EVERYWHERE = compressed("gzip")  # every reader has this filter
NO_COUNT = -1  # of pixels that are none, in formats of signed numbers
Writer = Callable[[str, np.ndarray, Scene], None]


def _npy(path: str, pixels: np.ndarray, scene: Scene) -> None:
    with whole_file(path, "output") as file:
        np.save(file, pixels)


def _raw(path: str, pixels: np.ndarray, scene: Scene) -> None:
    with whole_file(path, "output") as file:
        file.write(np.ascontiguousarray(pixels, "<f4").data)


def _tiff(path: str, pixels: np.ndarray, scene: Scene) -> None:
    try:
        from PIL import Image
    except ImportError:
        raise BadInput(f"{path}: TIFF needs pillow: pip install 'nanobragg[pictures]'") from None
    with whole_file(path, "output") as file:
        Image.fromarray(pixels).save(file, format="TIFF", compression="tiff_adobe_deflate")


def _smv(path: str, pixels: np.ndarray, scene: Scene) -> None:
    """16 bits, with a header that readers take for what is meant."""
    write_smv(path, "output", header(scene), np.clip(pixels, 0, 65535).astype(np.uint16))


def _cbf(path: str, pixels: np.ndarray, scene: Scene) -> None:
    stem = os.path.splitext(os.path.basename(path))[0]
    turns = scene.scan.osc > 0.0
    with appearing_path(os.path.realpath(path)) as made:
        cbf.write_cbf(made, stem, pixels.astype(np.int32), scene, scene.detector.sensor_material, turns=turns)


def _png(path: str, pixels: np.ndarray, scene: Scene) -> None:
    write_picture(path, pixels, scene)


@contextlib.contextmanager
def _errors_of_hdf5(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{path}: writing failed: {said_of(error)}; nothing was left of it") from None


def _nxmx(path: str, pixels: np.ndarray, scene: Scene) -> None:
    """One frame of NXmx, with its ground truth."""
    h5py = hdf5_alone()
    nexus.placement(scene)  # refuses what NXmx has no words for
    counts = pixels if pixels.dtype.kind == "f" else pixels.astype(np.int32)
    values, sensor, turns = str(counts.dtype), scene.detector.sensor_material, scene.scan.osc > 0.0
    now = nexus.now()
    with _errors_of_hdf5(path), appearing_path(os.path.realpath(path)) as made, h5py.File(made, "w") as file:
        frames = file.require_group("entry/data").create_dataset(
            "data", (1, *counts.shape), counts.dtype, chunks=(1, *counts.shape), **EVERYWHERE
        )
        frames[0] = counts
        nexus.describe(file, scene, values, sensor, (now, now), 1, turns=turns)
        truth = columns([truth_of(0, [], scene, np.clip(pixels, 0, None), json.dumps(tables_of(scene)))])
        wavelengths, flux = (nexus.Axis(truth[name][:1].reshape(())) for name in ("wavelength", "flux"))
        nexus.frame_axes(file, wavelengths, flux, spectrum(scene))
        if turns:
            nexus.rotation_axis(file, scene, truth["phi"], truth["phi_end"])
        _write_truth(file.create_group(GROUP), truth, scene)


def _write_truth(group: Any, truth: dict[str, Any], scene: Scene) -> None:
    group.attrs["NX_class"] = "NXcollection"
    group.attrs["spindle_nexus"] = nexus.placement(scene).spindle
    group.attrs["laboratory_to_nexus"] = nexus.turn(scene.beam.direction, scene.scan.spindle)
    for name, values in truth.items():
        if name not in ("argv", "photons"):  # of counts, the photons are not those that were expected
            made = group.create_dataset(name, data=values)
            if name in UNITS:
                made.attrs["units"] = UNITS[name]


COUNTS: dict[str, Writer] = {
    ".h5": _nxmx, ".nxs": _nxmx, ".cbf": _cbf, ".npy": _npy, ".tif": _tiff, ".tiff": _tiff, ".img": _smv, ".png": _png,
}  # fmt: skip
PHOTONS: dict[str, Writer] = {
    ".h5": _nxmx, ".nxs": _nxmx, ".npy": _npy, ".tif": _tiff, ".tiff": _tiff, ".bin": _raw, ".png": _png,
}  # fmt: skip


def writer_of(path: str, *, counts: bool, what: str = "output") -> Writer:
    """Who writes a format; raises `BadInput` for an ending that stands for none, or for other pixels."""
    ending, writers = os.path.splitext(path)[1].lower(), COUNTS if counts else PHOTONS
    if ending in writers:
        return writers[ending]
    kind = "whole numbers" if counts else "expected photons"
    other = ending in (PHOTONS if counts else COUNTS)
    said = f"{ending} does not hold {kind}" if other else f"{ending or 'no ending'} is no format"
    raise BadInput(f"{what} {path}: {said}: take one of {' '.join(writers)}")


def check_output(path: str, *, counts: bool, what: str) -> Writer:
    """Who writes an output; refuses what cannot be written, before anything is rendered."""
    writer = writer_of(path, counts=counts, what=what)
    check_writable(path, what)
    if writer in (_nxmx, _cbf) and os.path.exists(path) and not os.path.isfile(path):
        raise BadInput(f"{what} {path}: is no file, and this format is not written in one go")
    if writer is _nxmx:
        hdf5_alone()
    elif writer is _cbf:
        cbf.cbf_package()
    return writer


def write_output(path: str, pixels: np.ndarray, scene: Scene, what: str = "output") -> None:
    """Write an image (slow, fast), whole numbers or reals, in the format of its name's ending.

    Pixels that are none (gaps, masked ones) are -1 among whole numbers that can be.

    Raises
    ------
    BadInput
        If there is no such format, or it cannot be written.
    """
    counts = pixels.dtype.kind in "iu"
    writer = check_output(path, counts=counts, what=what)
    if counts and writer is not _smv:
        pixels = np.where(nexus.unrendered(scene) != 0, NO_COUNT, pixels.astype(np.int32)).astype(np.int32)
    try:
        writer(path, pixels if counts else np.ascontiguousarray(pixels, np.float32), scene)
    except OSError as error:
        raise BadInput(f"{what} {path}: {reason(error)}; nothing was left of it") from None
