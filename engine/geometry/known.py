"""Which reader a file's geometry is for."""

from __future__ import annotations

import os

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.apart import HDF5
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.geometry.crystfel import read_geom
from nanobragg.engine.geometry.expt import read_expt
from nanobragg.engine.geometry.found import FileGeometry
from nanobragg.engine.geometry.nxmx import read_nxmx


def read_geometry(name: str) -> FileGeometry:
    """What a file says of an experiment.

    Parameters
    ----------
    name
        A DIALS ``.expt``, an NXmx master, or a CrystFEL ``.geom``; what it is, its beginning says. ``FILE:N`` is
        experiment or image N, from 0 on.

    Raises
    ------
    BadInput
        In one line that names the file and the field.
    """
    path = file_of(name)
    which = int(name[len(path) + 1 :][:9] or 0)
    try:
        if "\0" in path or not os.path.isfile(path):
            raise BadInput(f"{path}: {'is no file' if os.path.exists(path.partition(chr(0))[0]) else 'No such file'}")
        with open(path, "rb") as file:
            start = file.read(256)
        return _checked(path, which, start)
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None


def _checked(path: str, which: int, start: bytes) -> FileGeometry:
    """What a file says, all of which makes parts of a model; whatever is wrong names the file."""
    try:
        with np.errstate(all="ignore"):
            if start.startswith(HDF5):
                found = read_nxmx(path, which)
            elif start.lstrip().startswith(b"{"):
                found = read_expt(path, which)
            elif which:
                raise BadInput("a .geom has one geometry: leave the number out")
            else:
                found = read_geom(path)
            _ = found.detector, found.beam, found.scan, found.crystal
            return found
    except BadInput as error:
        said = str(error)
        raise BadInput(said if path in said else f"{path}: {said}") from None
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        said = " ".join(str(error).split())[:100]
        raise BadInput(f"{path}: holds a value that cannot be meant ({said})") from None


def file_of(name: str) -> str:
    """The file of ``FILE:N``."""
    head, colon, tail = name.rpartition(":")
    numbered = colon and tail.isascii() and tail.isdigit() and not os.path.exists(name.partition("\0")[0])
    return head if numbered else name
