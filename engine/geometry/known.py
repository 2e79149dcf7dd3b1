"""Which reader a file's geometry is for."""

from __future__ import annotations

import os

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
        if start.startswith(HDF5):
            return read_nxmx(path, which)
        if start.lstrip().startswith(b"{"):
            return read_expt(path, which)
        return read_geom(path)
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None


def file_of(name: str) -> str:
    """The file of ``FILE:N``."""
    head, colon, tail = name.rpartition(":")
    numbered = colon and tail.isascii() and tail.isdigit() and not os.path.exists(name.partition("\0")[0])
    return head if numbered else name
