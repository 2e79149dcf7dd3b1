"""The formats of image files that there are."""

from __future__ import annotations

import os

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.cbf import Cbf
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.npy import Npy
from nanobragg.engine.formats.nxmx import Nxmx
from nanobragg.engine.formats.png import Png
from nanobragg.engine.formats.raw import Raw
from nanobragg.engine.formats.smv_image import SmvImage
from nanobragg.engine.formats.tiff import Tiff

FORMATS: tuple[Format, ...] = (Nxmx(), Tiff(), Png(), Npy(), SmvImage(), Cbf(), Raw())  # the last takes what is left


def format_of(path: str, *, counts: bool, what: str) -> Format:
    """The format that the ending of a name stands for; raises `BadInput` if there is none, or for other pixels."""
    ending = os.path.splitext(path)[1].lower()
    holding = [some for some in FORMATS if (some.counts if counts else some.photons)]
    for some in holding:
        if ending in some.endings:
            return some
    kind = "whole numbers" if counts else "expected photons"
    known = any(ending in some.endings for some in FORMATS)
    said = f"{ending} does not hold {kind}" if known else f"{ending or 'no ending'} is no format"
    endings = " ".join(end for some in holding for end in some.endings)
    raise BadInput(f"{what} {path}: {said}: take one of {endings}")


def format_begun_by(start: bytes) -> Format:
    """The format of a file, by its first bytes."""
    return next(some for some in FORMATS if some.is_begun_by(start))
