"""X-rays on the crystal."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy.typing as npt

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.deviates import normal_deviate
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, shown, spread
from nanobragg.engine.model.part import Part, Vector
from nanobragg.engine.model.spectrum import Channels, Shot, SpectrumModel, spectrum_of

SAME = 1e-9
PULSE_STREAM = 12  # of random numbers
FLUENCE = 125932015286227086360700780544.0  # photons per square metre: of every electron's area, one


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
        Instead of dispersion: a `Spectrum`, or wavelengths (Angstrom) and weights, (n, 2), which say what the
        wavelength is; or a `GaussianSpectrum`, `TopHatSpectrum`, `SaseSpectrum` or `SeededSpectrum` about the photon
        energy; or a `SpectrumFile`. It multiplies with divergence.
    pulse_jitter_percent
        Standard deviation of the photons of a pulse, in percent of ``fluence``.
    shot, seed
        Number of the pulse, which says what row of a file counts; random spectra and pulses are drawn from both.
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
    spectrum: npt.ArrayLike | SpectrumModel | None = None
    pulse_jitter_percent: float = 0.0
    shot: int = 0
    seed: int = 1
    direction: Vector | None = None
    polarization_axis: Vector | None = None

    def __post_init__(self) -> None:
        """Keep wavelength and fluence, whichever way they were given; energy and flux are ways to give them."""
        if self.spectrum is not None:
            self.let("spectrum", spectrum_of(self.spectrum, "Beam: spectrum"))
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
        numbers("Beam: pulse_jitter_percent", self.pulse_jitter_percent, 1, lowest=0)
        numbers("Beam: shot", self.shot, 1, whole=True, lowest=0)
        numbers("Beam: seed", self.seed, 1, whole=True, lowest=0)
        if self.spectrum is not None and self.dispersion_steps > 1:
            raise BadInput("Beam: spectrum: cannot stand beside dispersion")

    @property
    def pulse_fluence(self) -> float:
        """Photons per square metre of this pulse; a jitter that would take them below 0 leaves none."""
        assert self.fluence is not None
        if not self.pulse_jitter_percent:
            return self.fluence
        off = self.pulse_jitter_percent / 100.0 * normal_deviate(int(self.seed), PULSE_STREAM, int(self.shot))
        return self.fluence * max(1.0 + off, 0.0)

    def channels(self) -> Channels:
        """Wavelengths and weights of this pulse, where there is a spectrum."""
        assert self.wavelength_A is not None
        if not isinstance(self.spectrum, SpectrumModel):
            raise BadInput("Beam: channels: there is no spectrum")
        return self.spectrum.of_shot(HC / self.wavelength_A, Shot(int(self.seed), int(self.shot)))

    @property
    def nominal_A(self) -> float:
        """The wavelength that stands for all shots, Angstrom."""
        assert self.wavelength_A is not None
        if not isinstance(self.spectrum, SpectrumModel):
            return self.wavelength_A
        return self.spectrum.nominal_A(HC / self.wavelength_A)

    @property
    def varies(self) -> bool:
        """Whether shots differ."""
        return self.pulse_jitter_percent > 0.0 or (isinstance(self.spectrum, SpectrumModel) and self.spectrum.varies)

    def _fluence_of_flux(self) -> float:
        flux, edge, seconds = (_positive(name, getattr(self, name)) for name in ("flux", "beamsize_mm", "exposure_s"))
        return flux * seconds / (edge * 1e-3) ** 2


def _positive(name: str, value: Any) -> float:
    """A number of a beam that must be above 0."""
    numbers(f"Beam: {name}", value, 1, above=0)
    return float(value)
