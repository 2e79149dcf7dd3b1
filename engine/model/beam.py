"""X-rays on the crystal."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, shown, spread
from nanobragg.engine.model.part import Part, Vector

SAME = 1e-9
FLUENCE = 125932015286227086360700780544.0  # photons per square metre: of every electron's area, one


@dataclasses.dataclass(frozen=True, repr=False)
class Spectrum(Part):
    """Wavelengths of a beam and how many photons each has of them.

    Parameters
    ----------
    wavelengths_A
        Angstrom, (n,).
    weights
        Numbers of photons, (n,), up to a factor.
    """

    wavelengths_A: npt.ArrayLike
    weights: npt.ArrayLike

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Spectrum: wavelengths_A", self.wavelengths_A, None, above=0)
        numbers("Spectrum: weights", self.weights, None, lowest=0)
        if np.size(self.weights) != np.size(self.wavelengths_A):
            raise BadInput("Spectrum: weights: must be as many as wavelengths_A")
        if not np.any(self.weights):
            raise BadInput("Spectrum: weights: one must be above 0")


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
        Instead of dispersion: a `Spectrum`, or wavelengths (Angstrom) and weights, (n, 2).
    direction, polarization_axis
        Of the photons, and of what the beam is polarized along, in the laboratory; those of the detector's convention
        if not given.
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
    spectrum: npt.ArrayLike | Spectrum | None = None
    direction: Vector | None = None
    polarization_axis: Vector | None = None

    def __post_init__(self) -> None:
        """Keep wavelength and fluence, whichever way they were given; energy and flux are ways to give them."""
        if isinstance(self.spectrum, Spectrum):
            self.let("spectrum", np.column_stack([self.spectrum.wavelengths_A, self.spectrum.weights]))
        if self.energy_eV is not None:
            wavelength = HC / _positive("energy_eV", self.energy_eV)
            if self.wavelength_A is not None and abs(wavelength - _positive("wavelength_A", self.wavelength_A)) > SAME:
                raise BadInput(
                    "Beam: wavelength_A and energy_eV are of different photons: give one, and None for the other"
                )
            self.let("wavelength_A", wavelength)
        if self.flux is not None:
            fluence = self._fluence_of_flux()
            if self.fluence is not None and abs(fluence / _positive("fluence", self.fluence) - 1.0) > SAME:
                raise BadInput(
                    "Beam: fluence is not what flux, beamsize_mm and exposure_s make: give one, and None for the other"
                )
            self.let("fluence", fluence)
        self.let("wavelength_A", 1.0 if self.wavelength_A is None else self.wavelength_A)
        self.let("fluence", FLUENCE if self.fluence is None else self.fluence)
        self.let("energy_eV", None)
        self.let("flux", None)
        super().__post_init__()

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Beam: wavelength_A", self.wavelength_A, 1, above=0)
        numbers("Beam: fluence", self.fluence, 1, lowest=0)
        for name in ("beamsize_mm", "exposure_s"):
            numbers(f"Beam: {name}", getattr(self, name), 1, above=0)
        self._check_spectrum()
        for name in ("direction", "polarization_axis"):
            if getattr(self, name) is not None:
                numbers(f"Beam: {name}", getattr(self, name), 3)
                if not any(getattr(self, name)):
                    raise BadInput(f"Beam: {name}: has no length")
        numbers("Beam: divergence_mrad", self.divergence_mrad, 2, lowest=0)
        numbers("Beam: divergence_steps", self.divergence_steps, 2, whole=True, lowest=1)
        numbers("Beam: dispersion_percent", self.dispersion_percent, 1, lowest=0)
        numbers("Beam: dispersion_steps", self.dispersion_steps, 1, whole=True, lowest=1)
        if self.polarization is not None:
            numbers("Beam: polarization", self.polarization, 1)
            if not -1.0 <= self.polarization <= 1.0:
                raise BadInput(f"Beam: polarization: must be from -1 to 1, not {shown(self.polarization)}")
        spread("Beam: dispersion_percent", self.dispersion_percent, self.dispersion_steps, "dispersion_steps")
        for width, count in zip(self.divergence_mrad, self.divergence_steps, strict=True):
            spread("Beam: divergence_mrad", width, count, "divergence_steps")

    def _check_spectrum(self) -> None:
        if self.spectrum is None:
            return
        try:
            rows = np.asarray(self.spectrum)
        except ValueError:  # rows of different lengths
            rows = np.empty(0)
        if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows) or rows.dtype.kind not in "iuf":
            raise BadInput("Beam: spectrum: must be wavelengths (Angstrom) and weights, (n, 2)")
        if not np.isfinite(rows).all() or (rows[:, 0] <= 0.0).any() or (rows[:, 1] < 0.0).any() or not rows[:, 1].any():
            raise BadInput("Beam: spectrum: wavelengths must be above 0, weights 0 or more, and one above it")
        if self.dispersion_steps > 1 or max(self.divergence_steps) > 1:
            raise BadInput("Beam: spectrum: cannot stand beside dispersion or divergence")

    def _fluence_of_flux(self) -> float:
        flux, edge, seconds = (_positive(name, getattr(self, name)) for name in ("flux", "beamsize_mm", "exposure_s"))
        return flux * seconds / (edge * 1e-3) ** 2


def _positive(name: str, value: Any) -> float:
    """A number of a beam that must be above 0."""
    numbers(f"Beam: {name}", value, 1, above=0)
    return float(value)
