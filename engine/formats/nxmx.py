"""One frame of NXmx with its ground truth."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats import nexus
from nanobragg.engine.formats.apart import HDF5, read_apart
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.hdf5 import compressed, hdf5_alone, said_of
from nanobragg.engine.scene.describe import tables_of
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.of_image import GROUP, SPECTRA, UNITS, columns, spectrum, truth_of
from nanobragg.kernels.whole import appearing_path


class Nxmx(Format):
    """See the module; it reads the images of any HDF5 file."""

    endings = (".h5", ".nxs")
    frames = True

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.startswith(HDF5)

    def check(self, path: str, what: str) -> None:
        """See `Format`."""
        not_in_one_go(path, what)
        hdf5_alone()

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        h5py = hdf5_alone()
        nexus.placement(scene)  # refuses what NXmx has no words for
        values, sensor, now = str(pixels.dtype), scene.detector.sensor_material, nexus.now()
        with _errors_of_hdf5(path), appearing_path(os.path.realpath(path)) as beside, h5py.File(beside, "w") as file:
            frames = file.require_group("entry/data").create_dataset(
                "data", (1, *pixels.shape), pixels.dtype, chunks=(1, *pixels.shape),
                **compressed("gzip"),  # every reader has this filter
            )  # fmt: skip
            frames[0] = pixels
            nexus.describe(file, scene, values, sensor, (now, now), 1, turns=turns)
            truth = columns([truth_of(0, [], scene, np.clip(pixels, 0, None), json.dumps(tables_of(scene)))])
            wavelengths, flux = (nexus.FrameAxis(truth[name][:1].reshape(())) for name in ("wavelength", "flux"))
            nexus.frame_axes(file, wavelengths, flux, nexus.spectrum_axes(*spectrum(scene)))
            if turns:
                nexus.rotation_axis(file, scene, truth["phi"], truth["phi_end"])
            _write_truth(file.create_group(GROUP), truth, scene)

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        return read_apart(path, part)


def not_in_one_go(path: str, what: str) -> None:
    """Raise `BadInput` for a device or pipe, where a file is written out of order."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadInput(f"{what} {path}: is no file, and this format is not written in one go")


@contextlib.contextmanager
def _errors_of_hdf5(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{path}: writing failed: {said_of(error)}; nothing was left of it") from None


def _write_truth(group: Any, truth: dict[str, Any], scene: Scene) -> None:
    group.attrs["NX_class"] = "NXcollection"
    group.attrs["spindle_nexus"] = nexus.placement(scene).spindle
    group.attrs["laboratory_to_nexus"] = nexus.turn(scene.beam.direction, scene.scan.spindle)
    for name, values in truth.items():
        if name not in ("argv", "photons", *SPECTRA):  # of counts, the photons are not those that were expected
            dataset = group.create_dataset(name, data=values)
            if name in UNITS:
                dataset.attrs["units"] = UNITS[name]
