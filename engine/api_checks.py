"""What the Python API refuses, in its own words: one line that says what must be given instead."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.settings import SHAPES

if TYPE_CHECKING:
    from nanobragg.engine.api_parts import Beam, Crystal, Detector, Scan

CONVENTIONS = ("MOSFLM", "XDS", "DIALS", "ADXV", "DENZO")
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
UNORTHOGONAL = 1e-6  # cosine between the axes of a panel, from which on they are no axes of pixels


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


def of_kind(what: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    """Refuse what is not of a kind."""
    if not isinstance(value, kind):
        raise BadInput(f"{what}: must be {expected}, not {type(value).__name__}")


def numbers(
    what: str, values: Any, count: int, *, whole: bool = False, lowest: float = -math.inf, above: float = -math.inf
) -> None:
    """Refuse what is not ``count`` finite numbers, from ``lowest`` on or ``above`` a bound."""
    try:
        array = np.asarray(values).reshape(-1)
        array = array.astype(float) if array.dtype.kind in "iuf" else np.full(1, math.nan)
    except (TypeError, ValueError, OverflowError):
        array = np.full(1, math.nan)
    fits = len(array) == count and bool(np.isfinite(array).all())
    if fits and not ((array < lowest).any() or (array <= above).any() or (whole and (array % 1).any())):
        return
    kind = "whole number" if whole else "finite number"
    some = f"a {kind}" if count == 1 else f"{count} {kind}s"
    bound = f", {lowest:g} or more" if lowest > -math.inf else f" above {above:g}" if above > -math.inf else ""
    raise BadInput(f"{what}: must be {some}{bound}, not {_shown(values)}")


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


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
        raise BadInput(f"image: must be an array (slow, fast) of numbers, not {_shown(image)}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(pixels, np.float32)


def possible_cell(cell: Any) -> None:
    """Refuse angles that no cell can have."""
    numbers("Crystal: cell", cell, 6, above=0)
    alpha, beta, gamma = (float(angle) for angle in list(cell)[3:])
    if not (alpha + beta + gamma < 360.0 and max(alpha, beta, gamma) * 2.0 < alpha + beta + gamma):
        raise BadInput(
            f"Crystal: cell: no cell has the angles {alpha:g}, {beta:g}, {gamma:g}: each must be smaller than the "
            "sum of the other two, and all three together smaller than 360"
        )


def panel_vectors(detector: Detector, quirks: str) -> None:
    """Refuse directions of a panel that are none, and what does not go with them."""
    given = [name for name in ("fast", "slow", "origin_mm") if getattr(detector, name) is not None]
    if not given:
        return
    if len(given) < 3:
        raise BadInput("Detector: fast, slow and origin_mm go together: give all three")
    for name in given:
        numbers(f"Detector: {name}", getattr(detector, name), 3)
    fast, slow = (np.asarray(v, float) for v in (detector.fast, detector.slow))
    if not all(0.0 < np.linalg.norm(axis) < math.inf for axis in (fast, slow)):
        raise BadInput("Detector: fast and slow must have a length, and one that can be squared")
    if abs(fast @ slow) > UNORTHOGONAL * float(np.linalg.norm(fast) * np.linalg.norm(slow)):
        raise BadInput("Detector: fast and slow must be at right angles")
    if not np.any(detector.origin_mm):
        raise BadInput("Detector: origin_mm: the corner of the panel is the sample itself")
    if detector.beam_center_mm is not None or detector.twotheta_deg or any(detector.tilt_deg) or detector.curved:
        raise BadInput(
            "Detector: a panel that is placed by fast, slow and origin_mm has no beam_center_mm, tilt_deg, "
            "twotheta_deg, and is not curved"
        )
    if quirks != "right":
        raise BadInput(
            'Detector: fast, slow and origin_mm: the original cannot place a panel so: quirks must be "right"'
        )


def check_crystal(crystal: Crystal) -> None:
    """Refuse what would silently be another crystal."""
    if (crystal.cell is None) == (crystal.reciprocal is None):
        raise BadInput("Crystal: give either cell or reciprocal")
    if crystal.cell is not None:
        possible_cell(crystal.cell)
    else:
        rows = "Crystal: reciprocal (a*, b* and c* as rows, (3, 3), 1/Angstrom)"
        numbers(rows, crystal.reciprocal, 9)
        if np.asarray(crystal.reciprocal).shape != (3, 3):
            raise BadInput(f"{rows}: has the shape {np.asarray(crystal.reciprocal).shape}")
    numbers("Crystal: N", crystal.N, 3, whole=True, lowest=1)
    numbers("Crystal: misset_deg", crystal.misset_deg, 3)
    numbers("Crystal: mosaic_deg", crystal.mosaic_deg, 1, lowest=0)
    numbers("Crystal: mosaic_domains", crystal.mosaic_domains, 1, whole=True, lowest=1)
    numbers("Crystal: mosaic_seed", crystal.mosaic_seed, 1, whole=True)
    numbers("Crystal: fudge", crystal.fudge, 1)
    numbers("Crystal: water_um", crystal.water_um, 1, lowest=0)
    if crystal.shape not in SHAPES:
        raise BadInput(f"Crystal: shape: must be one of {', '.join(SHAPES)}, not {_shown(crystal.shape)}")


def check_detector(detector: Detector, quirks: str) -> None:
    """Refuse what would silently be another detector."""
    if detector.convention not in CONVENTIONS:
        raise BadInput(
            f"Detector: convention: must be one of {', '.join(CONVENTIONS)}, not {_shown(detector.convention)}"
        )
    if detector.shape is None:
        raise BadInput("Detector: give shape (slow, fast), or the name of a model")
    numbers("Detector: shape", detector.shape, 2, whole=True, lowest=1)
    numbers("Detector: pixel_mm", detector.pixel_mm, 1, above=0)
    numbers("Detector: distance_mm", detector.distance_mm, 1, above=0)
    numbers("Detector: tilt_deg", detector.tilt_deg, 3)
    numbers("Detector: twotheta_deg", detector.twotheta_deg, 1)
    numbers("Detector: thickness_um", detector.thickness_um, 1, lowest=0)
    numbers("Detector: layers", detector.layers, 1, whole=True, lowest=1)
    if detector.attenuation_um is not None:
        numbers("Detector: attenuation_um", detector.attenuation_um, 1, above=0)
    if detector.beam_center_mm is not None:
        numbers("Detector: beam_center_mm", detector.beam_center_mm, 2)
    for name in ("curved", "point_pixel"):
        of_kind(f"Detector: {name}", getattr(detector, name), bool, "True or False")
    panel_vectors(detector, quirks)


def check_beam(beam: Beam) -> None:
    """Refuse what would silently be another beam."""
    numbers("Beam: wavelength_A", beam.wavelength_A, 1, above=0)
    numbers("Beam: fluence", beam.fluence, 1, lowest=0)
    for name in ("beamsize_mm", "exposure_s"):
        numbers(f"Beam: {name}", getattr(beam, name), 1, above=0)
    _check_spectrum(beam)
    numbers("Beam: divergence_mrad", beam.divergence_mrad, 2, lowest=0)
    numbers("Beam: divergence_steps", beam.divergence_steps, 2, whole=True, lowest=1)
    numbers("Beam: dispersion_percent", beam.dispersion_percent, 1, lowest=0)
    numbers("Beam: dispersion_steps", beam.dispersion_steps, 1, whole=True, lowest=1)
    if beam.polarization is not None:
        numbers("Beam: polarization", beam.polarization, 1)
        if not -1.0 <= beam.polarization <= 1.0:
            raise BadInput(f"Beam: polarization: must be from -1 to 1, not {_shown(beam.polarization)}")


def _check_spectrum(beam: Beam) -> None:
    if beam.spectrum is None:
        return
    rows = np.asarray(beam.spectrum)
    if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows) or rows.dtype.kind not in "iuf":
        raise BadInput("Beam: spectrum: must be wavelengths (Angstrom) and weights, (n, 2)")
    if not np.isfinite(rows).all() or (rows[:, 0] <= 0.0).any() or (rows[:, 1] < 0.0).any() or not rows[:, 1].any():
        raise BadInput("Beam: spectrum: wavelengths must be above 0, weights 0 or more, and one above it")
    if beam.dispersion_steps > 1 or max(beam.divergence_steps) > 1:
        raise BadInput("Beam: spectrum: cannot stand beside dispersion or divergence")


def check_spreads(crystal: Crystal, beam: Beam) -> None:
    """Refuse a spread of one point."""
    spread = [
        ("Crystal: mosaic_deg", crystal.mosaic_deg, crystal.mosaic_domains, "mosaic_domains"),
        ("Beam: dispersion_percent", beam.dispersion_percent, beam.dispersion_steps, "dispersion_steps"),
        *(("Beam: divergence_mrad", w, n, "divergence_steps")
          for w, n in zip(beam.divergence_mrad, beam.divergence_steps, strict=True)),
    ]  # fmt: skip
    for what, width, count, name in spread:
        if width > 0.0 and count < 2:
            raise BadInput(f"{what}: a spread of {width:g} needs {name} of 2 or more")


def check_scan(scan: Scan) -> None:
    """Refuse what would silently be another scan."""
    numbers("Scan: start_deg", scan.start_deg, 1)
    numbers("Scan: range_deg", scan.range_deg, 1, lowest=0)
    numbers("Scan: steps", scan.steps, 1, whole=True, lowest=1)
