"""What Python users describe an experiment with, in their units."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.detectors.catalogue import PHOSPHOR, detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.c_numbers import HC
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.truth import maps

Vector = tuple[float, float, float]
SAME = 1e-9


class Part:
    """Something that is described by numbers and texts, and equal to what is described by the same."""

    def __post_init__(self) -> None:
        """Keep arrays and lists as tuples of plain numbers, so that they can be compared; checks come later."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))

    def __repr__(self) -> str:
        """What is not as it is by default."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        said = [f"{f.name}={_short(getattr(self, f.name))}" for f in fields if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(said)})"

    def _let(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        shown = ", ".join(map(_short, value[:9])) + (f", ... {len(value)} in all" if len(value) > 9 else "")
        return f"({shown})"
    return repr(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True, repr=False)
class Beam(Part):
    """X-rays on the crystal.

    Parameters
    ----------
    wavelength_A, energy_eV
        Angstrom, or the same as photon energy; give one of them, 1 A by default.
    fluence
        Photons per square metre; or
    flux, beamsize_mm, exposure_s
        Photons per second, edge of a square beam, millimetres, and seconds, which make the fluence.
    polarization
        Kahn factor: 0 for unpolarized, 1 for horizontally polarized light; ``None`` leaves polarization out.
    divergence_mrad, divergence_steps
        Full widths and numbers of points, horizontal and vertical.
    dispersion_percent, dispersion_steps
        Full width of the wavelengths, in percent of the middle one, and their number.
    spectrum
        Instead of dispersion: wavelengths (Angstrom) and weights, (n, 2).
    """

    wavelength_A: float | None = None
    energy_eV: float | None = None
    fluence: float | None = None
    flux: float | None = None
    beamsize_mm: float = 0.1
    exposure_s: float = 1.0
    polarization: float | None = 0.0
    divergence_mrad: tuple[float, float] = (0.0, 0.0)
    divergence_steps: tuple[int, int] = (1, 1)
    dispersion_percent: float = 0.0
    dispersion_steps: int = 1
    spectrum: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        """Keep wavelength and fluence, whichever way they were given; energy and flux are ways to give them."""
        super().__post_init__()
        if self.energy_eV is not None:
            wavelength = HC / _positive("energy_eV", self.energy_eV)
            if self.wavelength_A is not None and abs(wavelength - _positive("wavelength_A", self.wavelength_A)) > SAME:
                raise BadInput(
                    "Beam: wavelength_A and energy_eV are of different photons: give one, and None for the other"
                )
            self._let("wavelength_A", wavelength)
        if self.flux is not None:
            fluence = self._fluence_of_flux()
            if self.fluence is not None and abs(fluence / _positive("fluence", self.fluence) - 1.0) > SAME:
                raise BadInput(
                    "Beam: fluence is not what flux, beamsize_mm and exposure_s make: give one, and None for the other"
                )
            self._let("fluence", fluence)
        self._let("wavelength_A", 1.0 if self.wavelength_A is None else self.wavelength_A)
        self._let("fluence", Settings.fluence if self.fluence is None else self.fluence)
        self._let("energy_eV", None)
        self._let("flux", None)

    def _fluence_of_flux(self) -> float:
        flux, edge, seconds = (_positive(name, getattr(self, name)) for name in ("flux", "beamsize_mm", "exposure_s"))
        return flux * seconds / (edge * 1e-3) ** 2


def _positive(name: str, value: Any) -> float:
    """A number of a beam that must be above 0."""
    if isinstance(value, bool) or not (isinstance(value, int | float) and 0.0 < value < math.inf):
        raise BadInput(f"Beam: {name}: must be a finite number above 0, not {value!r}")
    return float(value)


@dataclasses.dataclass(frozen=True, repr=False)
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

    def randomly_oriented(self, seed: int) -> Crystal:
        """The same crystal in an orientation that is drawn uniformly from all, by a seed."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise BadInput(f"seed: must be a whole number, 0 or more, not {seed!r}")
        q = np.random.default_rng(int(seed)).normal(size=4)
        w, x, y, z = q / np.linalg.norm(q)
        m = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        # turns about x, then y, then z: m = Rz Ry Rx
        angles = (math.atan2(m[2, 1], m[2, 2]), -math.asin(max(-1.0, min(1.0, m[2, 0]))), math.atan2(m[1, 0], m[0, 0]))
        return dataclasses.replace(self, misset_deg=tuple(math.degrees(angle) for angle in angles))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, repr=False)
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
    model
        Name of a detector ("Eiger2 16M"), which gives shape, pixel, sensor, gaps and the highest count.
    """

    shape: tuple[int, int] | None = None
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
    model: str | None = None

    def of_model(self) -> Detector:
        """The same with what its model says of it; itself without one.

        Raises
        ------
        BadInput
            If there is no such model, or shape or pixel are given beside it.
        """
        if self.model is None:
            return self
        if not isinstance(self.model, str):
            raise BadInput(f"Detector: model: must be the name of a detector, not {self.model!r}")
        found = detector_model(self.model)
        if self.shape is not None or self.pixel_mm != Detector.pixel_mm:
            raise BadInput(f"Detector: the {found.name} has its own shape and pixel_mm: leave them out")
        sensor = 0.0 if found.sensor == PHOSPHOR else found.thickness_mm * 1e3
        thickness = self.thickness_um or sensor
        made = dataclasses.replace(self, shape=found.shape, pixel_mm=found.pixel_mm, thickness_um=thickness, model=None)
        made._let("model", found.name)
        return made

    def resolution_map(self, beam: Beam | None = None) -> np.ndarray:
        """d of each pixel's centre, Angstrom, (slow, fast)."""
        return maps.resolution(self, beam)

    def two_theta_map(self) -> np.ndarray:
        """The scattering angle of each pixel's centre, degrees, (slow, fast)."""
        return maps.two_theta_deg(self)

    def q_map(self, beam: Beam | None = None) -> np.ndarray:
        """Scattering vectors of the pixels' centres, 1/Angstrom (1/d long), laboratory, (slow, fast, 3)."""
        return maps.scattering(self, beam)

    def hkl_map(self, crystal: Crystal, beam: Beam | None = None) -> np.ndarray:
        """Indices, not whole ones, at the pixels' centres, (slow, fast, 3)."""
        return maps.hkl(self, crystal, beam)


@dataclasses.dataclass(frozen=True, repr=False)
class Scan(Part):
    """A rotation about the spindle: start and range in degrees, number of steps."""

    start_deg: float = 0.0
    range_deg: float = 0.0
    steps: int = 1
