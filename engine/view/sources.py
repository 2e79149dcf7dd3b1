"""Images to be looked at: files of all formats, and the frames of data sets, with where they were taken."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.any_image import read_image, split_frame
from nanobragg.engine.formats.apart import HDF5, PATHS
from nanobragg.engine.formats.hdf5 import open_file
from nanobragg.engine.formats.nexus import DETECTOR
from nanobragg.engine.formats.nexus_chain import metres, transformation
from nanobragg.engine.formats.smv import HEADER_BYTES, value
from nanobragg.engine.placed import Placed, turned_about
from nanobragg.engine.truth.of_image import GROUP
from nanobragg.engine.view.assembled import assembled

BEAM = np.array([0.0, 0.0, 1.0])


class Source(Protocol):
    """One or more images."""

    name: str
    count: int

    def pixels(self, number: int) -> np.ndarray:
        """An image (slow, fast), counted from 0."""

    def placed(self, number: int) -> Placed | None:
        """Where it was taken, if its file says so."""

    def turn_deg(self, number: int) -> float:
        """By how much the crystal turns in it, if its file says so."""


class OneImage:
    """A file with one image: SMV, CBF, npy, raw."""

    count = 1

    def __init__(self, name: str, shape: tuple[int, int] | None = None):
        self.name = os.path.basename(name)
        self._pixels = read_image(name, shape)
        with open(file_of(name), "rb") as file:
            start = file.read(2**16)
        self._placed = _of_smv(start, self._pixels.shape) or _of_cbf(start, self._pixels.shape)

    def pixels(self, number: int) -> np.ndarray:
        """See `Source`."""
        return self._pixels

    def placed(self, number: int) -> Placed | None:
        """See `Source`."""
        return self._placed

    def turn_deg(self, number: int) -> float:
        """See `Source`."""
        return 0.0


class DataSet:
    """An HDF5 file with frames; NXmx says where they were taken."""

    def __init__(self, name: str, only: int | None = None):
        self._path, self._only = name, only
        self.name = os.path.basename(name) + ("" if only is None else f", frame {only}")
        try:
            with open_file(name) as file:
                self._data = next((p for p in PATHS if p in file), None)
                if self._data is None:
                    raise BadInput(f"{name}: no image at {' or '.join(PATHS)}")
                data = file[self._data]
                if not hasattr(data, "dtype") or data.dtype.kind not in "iuf" or not data.size:
                    raise BadInput(f"{name}: {self._data} holds no image")
                shape = data.shape
        except (OSError, KeyError, RuntimeError) as error:
            raise BadInput(f"{name}: cannot be read: {' '.join(str(error).split())[:150]}") from None
        if len(shape) not in (2, 3):
            raise BadInput(f"{name}: not images: shape {shape}")
        self._frames = shape[0] if len(shape) == 3 else 1
        if only is not None and not 0 <= only < self._frames:
            raise BadInput(f"{name}: has {self._frames} frames, from 0 on; frame {only} is not among them")
        self.count = 1 if only is not None else self._frames

    def _place(self, number: int) -> int:
        return self._only if self._only is not None else number

    def pixels(self, number: int) -> np.ndarray:
        """See `Source`."""
        with self._opened() as file, readable(self._path):
            data = file[self._data]
            image = np.asarray(data[self._place(number)] if data.ndim == 3 else data[()])
            mask = "entry/instrument/detector/pixel_mask"
            if image.dtype.kind in "iu" and mask in file and file[mask].shape == image.shape:
                image = np.where(file[mask][()] != 0, -1, image.astype(np.int64)).astype(np.int32)
            panels = self._panels(file, number)
            return image if len(panels) < 2 else assembled(panels, _of_slabs(file, image))[0]

    def _panels(self, file: Any, number: int) -> list[Placed]:
        """Where the panels are, if the file says so."""
        try:
            panels = _of_nxmx(file, self._place(number))
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, np.linalg.LinAlgError):
            return []
        return panels if all(panel.is_finite() for panel in panels) else []

    def _opened(self) -> Any:
        try:
            return open_file(self._path)
        except (OSError, RuntimeError) as error:
            raise BadInput(f"{self._path}: {' '.join(str(error).split())[:150]}") from None

    def placed(self, number: int) -> Placed | None:
        """See `Source`."""
        with self._opened() as file:
            panels = self._panels(file, number)
            if len(panels) < 2:
                return panels[0] if panels else None
            empty = np.zeros(file[self._data].shape[-2:], np.int8)
            return assembled(panels, _of_slabs(file, empty))[1]

    def turn_deg(self, number: int) -> float:
        """See `Source`."""
        with self._opened() as file:
            if f"{GROUP}/phi_end" not in file:
                return 0.0
            at = self._place(number)
            return abs(float(file[f"{GROUP}/phi_end"][at] - file[f"{GROUP}/phi"][at]))


@contextlib.contextmanager
def readable(path: str) -> Iterator[None]:
    """What HDF5 says of frames that cannot be read, in one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = " ".join(str(error).split())
        hint = " (pip install hdf5plugin)" if "filter" in said or "plugin" in said else ""
        raise BadInput(f"{path}: cannot be read: {said[:150]}{hint}") from None


def file_of(name: str) -> str:
    """The file alone."""
    return split_frame(name)[0]


def source_of(name: str, shape: tuple[int, int] | None = None) -> Source:
    """What a file holds; ``FILE:N`` is one frame of it.

    Raises
    ------
    BadInput
        Status 2, if it holds no image.
    """
    path, part = split_frame(name)
    if "\0" in name or not os.path.isfile(path or name):
        raise BadInput(f"{name}: {'is no file' if os.path.exists(path or name) else 'No such file'}")
    with open(path or name, "rb") as file:
        is_hdf5 = file.read(len(HDF5)) == HDF5
    if is_hdf5 and (not part or part.isdigit()):
        return DataSet(path, int(part) if part else None)
    return OneImage(name, shape)


def _of_smv(start: bytes, shape: tuple[int, ...]) -> Placed | None:
    """From the header of an SMV image whose detector is not turned."""
    if not start.lstrip().startswith(b"{"):
        return None
    text = start[: start.find(b"}") + 1 or HEADER_BYTES].decode("latin-1")
    pixel, distance, wavelength = (value(text, key) for key in ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH"))
    x, y = (value(text, key) for key in ("XDS_ORGX", "XDS_ORGY"))
    if None in (pixel, distance, wavelength, x, y) or value(text, "TWOTHETA"):
        return None
    return _facing(shape, pixel, distance, wavelength, (x - 0.5, y - 0.5))  # type: ignore[arg-type, operator]


def _of_cbf(start: bytes, shape: tuple[int, ...]) -> Placed | None:
    """From the header of a miniCBF image."""
    text = start.decode("latin-1")
    number = r"([-+0-9.eE]+)"
    patterns = (
        rf"Pixel_size {number} m", rf"Detector_distance {number} m", rf"Wavelength {number} A",
        rf"Beam_xy \({number}, *{number}\)",
    )  # fmt: skip
    found = [re.search(pattern, text) for pattern in patterns]
    if not all(found):
        return None
    try:
        numbers = [float(x) for match in found for x in match.groups()]  # type: ignore[union-attr]
    except ValueError:
        return None
    pixel, distance, wavelength, x, y = numbers
    return _facing(shape, pixel * 1e3, distance * 1e3, wavelength, (x, y))


def _facing(
    shape: tuple[int, ...], pixel_mm: float, distance_mm: float, wavelength: float, centre: tuple[float, float]
) -> Placed | None:
    """A panel at right angles to the beam, which meets it at ``centre`` (fast, slow; pixels)."""
    if not (pixel_mm > 0.0 and wavelength > 0.0 and distance_mm != 0.0):
        return None
    pixel = pixel_mm * 1e-3
    origin = np.array([-centre[0] * pixel, -centre[1] * pixel, distance_mm * 1e-3])
    fast, slow = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    return Placed((shape[0], shape[1]), pixel, origin, fast, slow, BEAM, wavelength)


def _modules(file: Any) -> list[Any]:
    """The modules of an NXmx detector, in the order of their names."""
    detector = file[DETECTOR]
    return [detector[name] for name in sorted(detector) if name.startswith("module") and "data_size" in detector[name]]


def _of_slabs(file: Any, image: np.ndarray) -> list[np.ndarray]:
    """The pixels of each module."""
    found = []
    for module in _modules(file):
        (slow, fast), (n_slow, n_fast) = (np.asarray(module[n][()]).ravel()[-2:] for n in ("data_origin", "data_size"))
        found.append(image[slow : slow + n_slow, fast : fast + n_fast])
    return found


def _of_nxmx(file: Any, number: int) -> list[Placed]:
    """From the transformations of NXmx, and our own ground truth: each module."""
    modules = _modules(file)
    if not modules:
        raise KeyError("module")
    return [_of_module(file, module, number) for module in modules]


def _of_module(file: Any, module: Any, number: int) -> Placed:
    fast, slow = module["fast_pixel_direction"], module["slow_pixel_direction"]
    chain = transformation(file, fast)
    to_fast, to_slow = (chain[:3, :3] @ np.asarray(axis.attrs["vector"], float) for axis in (fast, slow))
    pixel = float(np.asarray(fast[()]).ravel()[0]) * metres(fast.attrs["units"])
    waves = np.asarray(file["entry/instrument/beam/incident_wavelength"][()], float).ravel()
    n_slow, n_fast = np.asarray(module["data_size"][()]).ravel()[-2:]
    wavelength = float(waves[min(number, len(waves) - 1)])
    recip = _crystal(file, number)
    return Placed((int(n_slow), int(n_fast)), pixel, chain[:3, 3], to_fast, to_slow, BEAM, wavelength, recip)


def _crystal(file: Any, number: int) -> np.ndarray | None:
    """Reciprocal vectors as rows (1/Angstrom), as the crystal stands in the middle of the image."""
    if f"{GROUP}/orientation_nexus" not in file:
        return None
    group = file[GROUP]
    recip = np.asarray(group["orientation_nexus"][number], float).reshape(3, 3)
    phi = math.radians(float(group["phi"][number] + group["phi_end"][number]) / 2.0)
    return turned_about(recip, np.asarray(group.attrs["spindle_nexus"], float), phi)
