"""What a file says of an experiment: the tables of a model, in its laboratory with the beam along x, and a mask.

Our laboratory is that of the MOSFLM convention: the beam along +x, a horizontal spindle along +z. NeXus' and CrystFEL's
have the beam along +z and +y upwards, DIALS' the beam along -z.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.beam import Beam
from nanobragg.engine.model.crystal import Crystal
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.model.scan import Scan

OF_DIALS = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # from DIALS' laboratory to ours
OF_NEXUS = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # from NeXus' and CrystFEL's
SHORTEST_A, LONGEST_A = 1e-3, 1e3
SQUARE = 1e-6  # how much the edges of a pixel may differ


@dataclasses.dataclass(frozen=True)
class FileGeometry:
    """What a file says of an experiment; what it does not say is not there.

    Parameters
    ----------
    path
        The file.
    tables
        Fields of ``detector``, ``beam``, ``scan`` and ``crystal``, by the names of the model.
    mask
        0 for pixels that are none, as images are; or ``None``.
    to_dials
        The rotation from our laboratory to that in which DIALS has the experiment.
    remarks
        What a user should know of it.
    """

    path: str
    tables: dict[str, dict[str, Any]]
    mask: np.ndarray | None = None
    to_dials: np.ndarray = dataclasses.field(default_factory=lambda: OF_DIALS.T)
    remarks: tuple[str, ...] = ()

    @property
    def detector(self) -> Detector:
        """The detector."""
        return Detector(**self.tables["detector"])

    @property
    def beam(self) -> Beam:
        """The beam; what the file does not say of it is as it is by default."""
        return Beam(**self.tables.get("beam", {}))

    @property
    def scan(self) -> Scan:
        """The rotation of one image."""
        return Scan(**self.tables.get("scan", {}))

    @property
    def crystal(self) -> Crystal | None:
        """The crystal in its orientation, of one unit cell; ``None`` where the file has none."""
        return Crystal(**self.tables["crystal"]) if "crystal" in self.tables else None


def vector(values: Any, what: str) -> np.ndarray:
    """Three finite numbers, not all 0 for a direction."""
    try:
        found = np.asarray(values, float).ravel()
    except (TypeError, ValueError, OverflowError):
        found = np.empty(0)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise BadInput(f"{what}: must be three numbers")
    return found


def direction(values: Any, what: str) -> np.ndarray:
    """A unit vector."""
    found = vector(values, what)
    length = float(np.linalg.norm(found))
    if not length > 0.0:
        raise BadInput(f"{what}: has no length")
    return np.asarray(found / length)


def number(value: Any, what: str, above: float | None = None) -> float:
    """A finite number, above a bound."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = np.nan
    if not np.isfinite(found) or isinstance(value, bool) or (above is not None and not found > above):
        raise BadInput(f"{what}: must be a number" + (f" above {above:g}" if above is not None else ""))
    return found


def wavelength(value: float, what: str) -> float:
    """A wavelength, Angstrom, that X-rays can have."""
    found = number(value, what, 0.0)
    if not SHORTEST_A <= found <= LONGEST_A:
        raise BadInput(f"{what}: {found:g} A is no wavelength of X-rays")
    return found


def one_pixel(sizes: list[float], what: str) -> float:
    """The edge of the pixels of all panels, which must be squares of one size."""
    if not (np.isfinite(sizes).all() and min(sizes) > 0.0):
        raise BadInput(f"{what}: the edges of pixels must be numbers above 0")
    if max(sizes) - min(sizes) > SQUARE * max(sizes):
        raise BadInput(
            f"{what}: pixels of {min(sizes):g} and {max(sizes):g} mm: must be square, and the same on all panels"
        )
    return sizes[0]


def listed(v: np.ndarray) -> tuple[float, ...]:
    """A vector as plain numbers, without a minus before 0."""
    return tuple((v + 0.0).tolist())
