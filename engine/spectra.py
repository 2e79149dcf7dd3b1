"""Files of spectra: text of two columns, or HDF5 with a row for each shot."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.apart import HDF5
from nanobragg.engine.formats.hdf5 import open_file, said_of
from nanobragg.engine.formats.reading import read, reason

ENERGIES, WAVELENGTHS, WEIGHTS = "energies_eV", "wavelengths_A", "weights"
LEAST_EV = 100.0  # a first column above it is of photon energies, where no line says what it is
MOST_EV, SHORTEST_A, LONGEST_A = 1e6, 0.01, 5.0
MOST_BYTES = 100_000_000


def channels_of_file(path: str, shot: int) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths (Angstrom) and weights of a shot, (n,) each.

    Parameters
    ----------
    path
        Text, its first line may say ``energy`` or ``eV``, ``wavelength`` or ``A``; or HDF5.
    shot
        The row of HDF5, counted from the first on again after the last.

    Raises
    ------
    BadInput
        In one line that names the file and what is wrong in it.
    """
    try:
        axis, spectra = _opened(path, _stamp(path))
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None
    weights = np.asarray(spectra[shot % len(spectra)], float)
    return axis, _checked(weights, path, f"{WEIGHTS} of row {shot % len(spectra)}")


def mean_wavelength_of_file(path: str) -> float:
    """The mean wavelength of all shots of a file, Angstrom; errors are those of `channels_of_file`."""
    axis, _ = channels_of_file(path, 0)
    _, spectra = _opened(path, _stamp(path))
    weights = np.nansum(np.clip(spectra, 0.0, None), axis=0)
    return float((axis * weights).sum() / weights.sum())


def _stamp(path: str) -> tuple[int, ...]:
    """What changes when a file is written again."""
    try:
        found = os.stat(path)
    except ValueError as error:
        raise BadInput(f"{path!r}: {error}") from None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=4)  # the shots of a batch ask again and again
def _opened(path: str, stamp: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths (m,) and weights (n, m)."""
    if not os.path.isfile(path):
        raise BadInput(f"{path}: is no file")
    with open(path, "rb") as file:
        is_hdf5 = file.read(len(HDF5)) == HDF5
    return _of_hdf5(path) if is_hdf5 else _of_text(path)


def _of_hdf5(path: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with open_file(path) as file:
            found: dict[str, Any] = {}
            for name in (ENERGIES, WAVELENGTHS, WEIGHTS):
                if name in file:
                    data = file[name]
                    if not hasattr(data, "dtype") or data.dtype.kind not in "iuf":
                        raise BadInput(f"{path}: {name}: holds no numbers")
                    found[name] = np.asarray(data[()], float)
    except (OSError, RuntimeError, KeyError) as error:
        raise BadInput(f"{path}: cannot be read: {said_of(error)}") from None
    if WEIGHTS not in found:
        raise BadInput(f"{path}: {WEIGHTS}: is missing: (n, m), a row for each shot")
    if (ENERGIES in found) == (WAVELENGTHS in found):
        raise BadInput(f"{path}: must have one of {ENERGIES} and {WAVELENGTHS}, (m,)")
    name = ENERGIES if ENERGIES in found else WAVELENGTHS
    axis, weights = found[name], np.atleast_2d(found[WEIGHTS])
    if axis.ndim != 1 or weights.ndim != 2 or weights.shape[1] != len(axis) or not weights.size:
        raise BadInput(f"{path}: {WEIGHTS} {found[WEIGHTS].shape} and {name} {axis.shape}: must be (n, m) and (m,)")
    return _wavelengths(axis, path, name, in_eV=name == ENERGIES), weights


def _of_text(path: str) -> tuple[np.ndarray, np.ndarray]:
    if os.path.getsize(path) > MOST_BYTES:
        raise BadInput(f"{path}: is too large for a spectrum of two columns")
    lines = [line.replace(",", " ").split() for line in read(path, "spectrum").decode("latin-1").splitlines()]
    rows: list[list[float]] = []
    header = ""
    for number, words in enumerate(lines, 1):
        if not words or (words[0].startswith("#") and rows):
            continue
        try:
            rows.append([float(word) for word in words])
        except ValueError:
            if rows or header:
                raise BadInput(f"{path}: line {number}: {' '.join(words)[:40]!r}: must be two numbers") from None
            header = " ".join(words).lower()
            continue
        if len(rows[-1]) != 2:
            raise BadInput(f"{path}: line {number}: has {len(rows[-1])} numbers: must be two")
    if not rows:
        raise BadInput(f"{path}: has no line with two numbers")
    table = np.array(rows)
    in_eV = bool(np.median(table[:, 0]) > LEAST_EV)
    if header:
        says_eV, says_A = "ev" in header or "energ" in header, "wave" in header or "angstrom" in header
        in_eV = says_eV if says_eV != says_A else in_eV
    scale = 1e3 if in_eV and "kev" in header else 10.0 if not in_eV and "nm" in header else 1.0
    axis = _wavelengths(table[:, 0] * scale, path, "first column", in_eV=in_eV)
    return axis, _checked(table[:, 1], path, "second column")[None]


def _wavelengths(axis: np.ndarray, path: str, name: str, *, in_eV: bool) -> np.ndarray:
    if not (np.isfinite(axis).all() and (axis > 0.0).all()):
        raise BadInput(f"{path}: {name}: must be numbers above 0")
    lowest, highest, unit = (LEAST_EV, MOST_EV, "eV") if in_eV else (SHORTEST_A, LONGEST_A, "A")
    if axis.min() < lowest or axis.max() > highest:
        raise BadInput(f"{path}: {name}: {axis.min():g} to {axis.max():g}: must be {lowest:g} to {highest:g} {unit}")
    return HC / axis if in_eV else axis


def _checked(weights: np.ndarray, path: str, name: str) -> np.ndarray:
    if not np.isfinite(weights).all() or (weights < 0.0).any() or not weights.any():
        raise BadInput(f"{path}: {name}: must be numbers, 0 or more, and one above it")
    return weights
