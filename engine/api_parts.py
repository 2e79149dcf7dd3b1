"""What Python users describe an experiment with, in their units."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.settings import Settings

Vector = tuple[float, float, float]


class Part:
    """Something that is described by numbers and texts, and equal to what is described by the same."""

    def __post_init__(self) -> None:
        """Keep arrays and lists as tuples of plain numbers, so that they can be compared; checks come later."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True)
class Beam(Part):
    """X-rays on the crystal.

    Parameters
    ----------
    wavelength_A
        Angstrom.
    fluence
        Photons per square metre.
    polarization
        Kahn factor: 0 for unpolarized, 1 for horizontally polarized light; ``None`` leaves polarization out.
    divergence_mrad, divergence_steps
        Full widths and numbers of points, horizontal and vertical.
    dispersion_percent, dispersion_steps
        Full width of the wavelengths, in percent of the middle one, and their number.
    """

    wavelength_A: float = 1.0
    fluence: float = Settings.fluence
    polarization: float | None = 0.0
    divergence_mrad: tuple[float, float] = (0.0, 0.0)
    divergence_steps: tuple[int, int] = (1, 1)
    dispersion_percent: float = 0.0
    dispersion_steps: int = 1


@dataclasses.dataclass(frozen=True)
class Crystal(Part):
    """A block of unit cells, or one of the other shapes, with mosaic domains and water around it.

    Parameters
    ----------
    cell
        a, b, c (Angstrom), alpha, beta, gamma (degrees), in the default orientation; or
    reciprocal
        The vectors a*, b*, c* as rows, 1/Angstrom, laboratory frame, (3, 3).
    N
        Unit cells along a, b and c.
    misset_deg
        Turns about x, y and z after that, degrees.
    shape
        Of the spots: ``square`` for a block of cells, ``round`` for an ellipsoid, ``gauss`` or ``tophat`` for a block
        with Gaussian or sharp-edged spots; ``gauss_round`` and ``tophat_round`` for spots that are round in reciprocal
        space, of a crystal of the same volume. ``fudge`` scales the squared width of all but the first.
    mosaic_deg, mosaic_domains, mosaic_seed
        Largest angle of a domain, degrees; their number; the seed of their orientations.
    water_um
        Edge of the droplet of water, micrometres.
    """

    cell: tuple[float, float, float, float, float, float] | None = None
    reciprocal: npt.ArrayLike | None = None
    N: tuple[int, int, int] = (1, 1, 1)
    misset_deg: Vector = (0.0, 0.0, 0.0)
    shape: str = "square"
    fudge: float = 1.0
    mosaic_deg: float = 0.0
    mosaic_domains: int = 1
    mosaic_seed: int = 12345678
    water_um: float = 0.0


@dataclasses.dataclass(frozen=True)
class Detector(Part):
    """A flat or curved panel.

    Parameters
    ----------
    shape
        Pixels, slow and fast.
    pixel_mm, distance_mm
        Edge of a pixel and distance along the beam, millimetres.
    convention
        ``MOSFLM``, ``XDS``, ``DIALS``, ``ADXV`` or ``DENZO``: directions, and what ``beam_center_mm`` means.
    beam_center_mm
        As the convention has it: ``Xbeam``, ``Ybeam``, or for XDS and DIALS ``ORGX``, ``ORGY`` times the pixel; the
        middle if not given.
    tilt_deg, twotheta_deg
        Turns about x, y and z, and the swing, degrees.
    fast, slow, origin_mm
        Instead of all that: the directions of the panel's axes, at right angles, and the corner of its first pixel, in
        the laboratory of ``convention`` with the sample at its origin.
    thickness_um, attenuation_um, layers
        The sensor, its attenuation depth, and in how many layers it is calculated; no sensor by default.
    curved, point_pixel
        Bent about the sample; without obliquity.
    """

    shape: tuple[int, int]
    pixel_mm: float = 0.1
    distance_mm: float = 100.0
    convention: str = "MOSFLM"
    beam_center_mm: tuple[float, float] | None = None
    tilt_deg: Vector = (0.0, 0.0, 0.0)
    twotheta_deg: float = 0.0
    fast: Vector | None = None
    slow: Vector | None = None
    origin_mm: Vector | None = None
    thickness_um: float = 0.0
    attenuation_um: float | None = None
    layers: int = 1
    curved: bool = False
    point_pixel: bool = False


@dataclasses.dataclass(frozen=True)
class Scan(Part):
    """A rotation about the spindle: start and range in degrees, number of steps."""

    start_deg: float = 0.0
    range_deg: float = 0.0
    steps: int = 1
