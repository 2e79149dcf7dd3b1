"""Spectra of a beam: given ones, models of them, and files of measured ones, a row for each shot."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.deviates import deviates
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.part import Part, of_table

FWHM = 2.3548200450309493  # of a Gaussian over its standard deviation
SPIKES_STREAM = 11  # of random numbers
SMALLEST = 1e-300  # sum of weights
MOST_CHANNELS = 1_000_000


class Shot(NamedTuple):
    """What random spectra are drawn from, and which row of a file counts."""

    seed: int
    number: int


class Channels(NamedTuple):
    """Wavelengths, Angstrom, and how many photons each has of a beam, up to a factor, (n,) each."""

    wavelengths_A: np.ndarray
    weights: np.ndarray


class SpectrumModel(Part):
    """What says the spectrum of a shot; a new one is a class of this, listed in `KINDS`."""

    varies = False  # whether shots differ

    def to_json(self) -> dict[str, Any]:
        """See `Part.to_json`; with its kind."""
        return {"kind": kind_of(self), **super().to_json()}

    def of_shot(self, energy_eV: float, shot: Shot) -> Channels:
        """The channels of a shot whose middle is at a photon energy."""
        raise NotImplementedError

    def nominal_A(self, energy_eV: float) -> float:
        """The wavelength that stands for all shots, Angstrom: the mean, where they do not differ."""
        wavelengths, weights = self.of_shot(energy_eV, Shot(0, 0))
        return float((wavelengths * weights).sum() / weights.sum())


@dataclasses.dataclass(frozen=True, repr=False)
class Spectrum(SpectrumModel):
    """Wavelengths of a beam and how many photons each has of them.

    Parameters
    ----------
    wavelengths_A
        Angstrom, (n,); or
    energies_eV
        the same as photon energies.
    weights
        Numbers of photons, (n,), up to a factor.
    """

    wavelengths_A: npt.ArrayLike | None = None
    weights: npt.ArrayLike | None = None
    energies_eV: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        """Keep wavelengths, whichever way they were given."""
        if self.energies_eV is not None:
            if self.wavelengths_A is not None:
                raise BadInput("Spectrum: give wavelengths_A or energies_eV")
            numbers("Spectrum: energies_eV", self.energies_eV, None, above=0)
            self.let("wavelengths_A", HC / np.asarray(self.energies_eV, float))
            self.let("energies_eV", None)
        super().__post_init__()

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Spectrum: wavelengths_A", self.wavelengths_A, None, above=0)
        numbers("Spectrum: weights", self.weights, None, lowest=0)
        if np.size(self.weights) != np.size(self.wavelengths_A):  # type: ignore[arg-type]
            raise BadInput("Spectrum: weights: must be as many as wavelengths_A")
        if not np.any(self.weights):  # type: ignore[arg-type]
            raise BadInput("Spectrum: weights: one must be above 0")
        if not SMALLEST < float(np.sum(self.weights)) < 1.0 / SMALLEST:  # type: ignore[arg-type]
            raise BadInput("Spectrum: weights: their sum leaves the range of numbers: scale them")

    def of_shot(self, energy_eV: float, shot: Shot) -> Channels:
        """The same of all shots, wherever their middle is said to be."""
        return Channels(np.asarray(self.wavelengths_A, float), np.asarray(self.weights, float))


@dataclasses.dataclass(frozen=True, repr=False)
class OnGrid(SpectrumModel):
    """Spectra on channels of one width about the beam's photon energy.

    Parameters
    ----------
    channels
        Their number.
    channel_eV
        Their width.
    """

    channels: int = 100
    channel_eV: float = 1.0

    def check(self) -> None:
        """See `Part.check`."""
        name = type(self).__name__
        numbers(f"{name}: channels", self.channels, 1, whole=True, lowest=1)
        if self.channels > MOST_CHANNELS:
            raise BadInput(f"{name}: channels: {self.channels} are more than {MOST_CHANNELS}")
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.name.endswith("_eV"):
                numbers(f"{name}: {field.name}", getattr(self, field.name), 1, above=0)

    def of_shot(self, energy_eV: float, shot: Shot) -> Channels:
        """See `SpectrumModel.of_shot`."""
        offsets = (np.arange(self.channels) - (self.channels - 1) / 2.0) * self.channel_eV
        energies = energy_eV + offsets
        if energies[0] <= 0.0:
            raise BadInput(f"{type(self).__name__}: channels reach below 0 eV: take fewer, or narrower ones")
        weights = self.photons(offsets, shot)
        if not weights.sum() > 0.0:
            raise BadInput(f"{type(self).__name__}: no channel has photons: take more channels, or wider ones")
        return Channels(HC / energies, weights / weights.sum())

    def nominal_A(self, energy_eV: float) -> float:
        """The middle."""
        return HC / energy_eV

    def photons(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """Photons at energies, by their differences from the beam's."""
        raise NotImplementedError


def gaussian(x: np.ndarray, middle: float, fwhm: float) -> np.ndarray:
    """A Gaussian whose integral is 1."""
    sigma = fwhm / FWHM
    return np.asarray(np.exp(-0.5 * ((x - middle) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi)))


@dataclasses.dataclass(frozen=True, repr=False)
class GaussianSpectrum(OnGrid):
    """A Gaussian, of ``fwhm_eV`` full width at half maximum; a monochromator's, or the mean of many pulses."""

    fwhm_eV: float = 20.0

    def photons(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """See `OnGrid.photons`."""
        return gaussian(offsets_eV, 0.0, self.fwhm_eV)


@dataclasses.dataclass(frozen=True, repr=False)
class TopHatSpectrum(OnGrid):
    """The same number of photons at all energies of a range of ``width_eV``: that of a pink beam's harmonic."""

    width_eV: float = 100.0

    def photons(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """See `OnGrid.photons`; a channel that the range ends in has a share of it."""
        half, edge = self.width_eV / 2.0, self.channel_eV / 2.0
        inside = np.minimum(offsets_eV + edge, half) - np.maximum(offsets_eV - edge, -half)
        return np.clip(inside, 0.0, None)


@dataclasses.dataclass(frozen=True, repr=False)
class OfSpikes(OnGrid):
    """Spectra with spikes of spontaneous emission, which each shot has elsewhere.

    Parameters
    ----------
    bandwidth_eV
        The range that their middles are in.
    spike_eV
        Full width at half maximum of one.
    spikes
        Their number.
    """

    bandwidth_eV: float = 40.0
    spike_eV: float = 2.0
    spikes: int = 15
    varies = True

    def check(self) -> None:
        """See `Part.check`."""
        super().check()
        numbers(f"{type(self).__name__}: spikes", self.spikes, 1, whole=True, lowest=1)

    def emission(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """Gaussians whose middles are uniform in the bandwidth and whose areas are uniform between 0 and 1."""
        drawn = deviates(shot.seed, SPIKES_STREAM, shot.number, 2 * self.spikes)
        middles, areas = (np.array(drawn[: self.spikes]) - 0.5) * self.bandwidth_eV, np.array(drawn[self.spikes :])
        total = np.zeros_like(offsets_eV)
        for middle, area in zip(middles, areas, strict=True):
            total += area * gaussian(offsets_eV, middle, self.spike_eV)
        return total


@dataclasses.dataclass(frozen=True, repr=False)
class SaseSpectrum(OfSpikes):
    """Self-amplified spontaneous emission: spikes alone."""

    def photons(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """See `OnGrid.photons`."""
        return self.emission(offsets_eV, shot)


@dataclasses.dataclass(frozen=True, repr=False)
class SeededSpectrum(OfSpikes):
    """A self-seeded pulse: one narrow line on a pedestal of spikes.

    Parameters
    ----------
    fwhm_eV
        Full width at half maximum of the line.
    pedestal
        The share of the photons that is in the pedestal.
    """

    fwhm_eV: float = 1.5
    pedestal: float = 0.2

    def check(self) -> None:
        """See `Part.check`."""
        super().check()
        numbers("SeededSpectrum: pedestal", self.pedestal, 1, lowest=0)
        if self.pedestal > 1.0:
            raise BadInput(f"SeededSpectrum: pedestal: must be from 0 to 1, not {self.pedestal:g}")

    def photons(self, offsets_eV: np.ndarray, shot: Shot) -> np.ndarray:
        """See `OnGrid.photons`."""
        line, broad = gaussian(offsets_eV, 0.0, self.fwhm_eV), self.emission(offsets_eV, shot)
        shares = [part / part.sum() if part.sum() > 0.0 else part for part in (line, broad)]
        return (1.0 - self.pedestal) * shares[0] + self.pedestal * shares[1]


@dataclasses.dataclass(frozen=True, repr=False)
class SpectrumFile(SpectrumModel):
    """Measured spectra of a file.

    Parameters
    ----------
    file
        Text of two columns, or HDF5 with ``energies_eV`` (m,), or ``wavelengths_A``, and ``weights`` (n, m), of which
        the row of a shot counts, from the first on again after the last.
    """

    file: str = ""
    varies = True

    def check(self) -> None:
        """See `Part.check`."""
        of_kind("SpectrumFile: file", self.file, str, "a text")
        if not self.file or "\0" in self.file:
            raise BadInput(f"SpectrumFile: file: {self.file!r} is no name")

    def of_shot(self, energy_eV: float, shot: Shot) -> Channels:
        """See `SpectrumModel.of_shot`; the file says where the middle is."""
        from nanobragg.engine.spectra import channels_of_file

        return Channels(*channels_of_file(self.file, shot.number))

    def nominal_A(self, energy_eV: float) -> float:
        """The mean of all shots."""
        from nanobragg.engine.spectra import mean_wavelength_of_file

        return mean_wavelength_of_file(self.file)


KINDS: dict[str, type[SpectrumModel]] = {
    "given": Spectrum, "gaussian": GaussianSpectrum, "top-hat": TopHatSpectrum, "sase": SaseSpectrum,
    "seeded": SeededSpectrum, "file": SpectrumFile,
}  # fmt: skip


def kind_of(model: SpectrumModel) -> str:
    """The name of its kind."""
    return next(name for name, kind in KINDS.items() if kind is type(model))


def spectrum_of(given: Any, what: str) -> SpectrumModel:
    """A spectrum of whatever describes one: itself, a table with a ``kind``, or wavelengths and weights, (n, 2)."""
    if isinstance(given, SpectrumModel):
        return given
    if isinstance(given, dict):
        kind = given.get("kind", "given")
        if not isinstance(kind, str) or kind not in KINDS:
            raise BadInput(f"{what}: kind = {kind!r}: must be one of {', '.join(KINDS)}")
        return of_table(KINDS[kind], {name: value for name, value in given.items() if name != "kind"}, what)
    try:
        rows = np.asarray(given)
    except ValueError:  # rows of different lengths
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows) or rows.dtype.kind not in "iuf":
        raise BadInput(f"{what}: must be a Spectrum, or wavelengths (Angstrom) and weights, (n, 2)")
    if not np.isfinite(rows).all() or (rows[:, 0] <= 0.0).any() or (rows[:, 1] < 0.0).any() or not rows[:, 1].any():
        raise BadInput(f"{what}: wavelengths must be above 0, weights 0 or more, and one above it")
    return Spectrum(rows[:, 0], rows[:, 1])
