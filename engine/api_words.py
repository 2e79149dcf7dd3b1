"""What the Python API says, in its own words: parts of the API instead of flags of the command."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import of_kind, shown

NAMES = {  # what the flags that messages name are called here
    "-cell": "Crystal: cell", "-mat": "Crystal: reciprocal", "-N": "Crystal: N", "-mosaic": "Crystal: mosaic_deg",
    "-mosaic_domains": "Crystal: mosaic_domains", "-distance": "Detector: distance_mm", "-pixel": "Detector: pixel_mm",
    "-detpixels": "Detector: shape", "-detsize": "Detector: shape", "-lambda": "Beam: wavelength_A",
    "-energy": "Beam: wavelength_A", "-hdivrange": "Beam: divergence_mrad", "-vdivrange": "Beam: divergence_mrad",
    "-hdivsteps": "Beam: divergence_steps", "-vdivsteps": "Beam: divergence_steps", "-osc": "Scan: range_deg",
    "-phistep": "Scan: steps", "-dmin": "dmin_A", "-oversample": "oversample", "-hkl": "factors",
    "-polar": "Beam: polarization", "--fix": "quirks", "--shape": "shape",
}  # fmt: skip
FLAG = re.compile(r"(?<![\w-])-{1,2}[A-Za-z]\w*")


@contextlib.contextmanager
def in_own_words() -> Iterator[None]:
    """Let what is raised inside name parts of the API instead of flags of the command, and numpy warn of nothing."""
    try:
        with np.errstate(all="ignore"):
            yield
    except BadInput as error:
        raise BadInput(FLAG.sub(lambda flag: NAMES.get(flag.group(), flag.group().lstrip("-")), str(error))) from None
    except (OverflowError, FloatingPointError) as error:
        raise BadInput(f"these numbers overflow ({error}): check fluence, sizes, distances and wavelengths") from None


@contextlib.contextmanager
def of_file(flag: str) -> Iterator[None]:
    """Let what is raised inside name the file alone, without the flag that names it for the command."""
    try:
        with in_own_words():
            yield
    except OSError as error:
        raise BadInput(f"{error.filename}: {error.strerror or type(error).__name__}") from None
    except BadInput as error:
        raise BadInput(str(error).removeprefix(f"{NAMES.get(flag, flag.lstrip('-'))} ")) from None


def words_for(remark: Callable[[str], None] | None) -> Callable[[str], None]:
    """What hears remarks, in the API's words; one that hears nothing, if none is given."""
    if remark is None:
        return lambda line: None
    if not callable(remark):
        raise BadInput(f"remark: must be a function of a line, not {type(remark).__name__}")
    hears = remark
    return lambda line: hears(FLAG.sub(lambda flag: NAMES.get(flag.group(), flag.group()), line))


def path_of(path: Any) -> str:
    """A file's name as text; refuses what is none."""
    of_kind("path", path, (str, os.PathLike), "a file's name")
    name = os.fspath(path)
    if not isinstance(name, str) or not name or "\0" in name:
        raise BadInput(f"path: {name!r} is no name of a file")
    return name


def pixels_of(image: Any) -> np.ndarray:
    """An image as binary32 (slow, fast); refuses what is none. What is too large for it is infinite."""
    try:
        pixels = np.asarray(image)
    except ValueError:  # rows of different lengths
        pixels = np.empty(0, object)
    if pixels.dtype.kind not in "iuf" or pixels.ndim != 2 or not pixels.size:
        raise BadInput(f"image: must be an array (slow, fast) of numbers, not {shown(image)}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(pixels, np.float32)
