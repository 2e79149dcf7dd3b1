"""Matter in the beam and on the way to the detector, as numbers and arrays."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

COMPTON_WAVELENGTH = 2.42631023867e-12  # metres: h / (m c)
OFFSET, AMOUNT = 0, 1  # columns of `Matter.places`


class Matter(NamedTuple):
    """One amorphous part: where its molecules are along the beam, and what they scatter."""

    places: np.ndarray  # (n, 2) metres behind the sample along the beam, and molecules there
    coherent: np.ndarray  # (m,) squared electrons of a molecule, from stol 0 on
    incoherent: np.ndarray  # (m,) the same of Compton scattering, 0 where that is left out
    stol_step: float  # of both tables, metres^-1
    directions: np.ndarray  # (d, 3) unit vectors from the sample towards the sources
    shares: np.ndarray  # (d,) of the photons, which add up to 1
    wavelength: float  # metres
    absorption: float  # of its photons in the sensor, 1/m


class Shade(NamedTuple):
    """What takes away light on the way to the detector."""

    absorption: float  # of the gas there, 1/m
    distance: float  # of the beamstop from the sample, metres; 0 where there is none
    half: float  # half of its edge, or its radius, metres
    square: bool
    across: tuple[float, float, float]  # along one of its edges
    up: tuple[float, float, float]
    centre: tuple[float, float]  # how far it is off the beam along both, metres


class Sheet(NamedTuple):
    """All matter in one place, lit from one direction: a pixel's light depends on the angle between the two."""

    sines: np.ndarray  # sin(theta) of each pixel, float32 (panel * slow * fast,), theta half of that angle
    seen: np.ndarray  # what it has of one squared electron there, float32 (panel * slow * fast,)
    table: np.ndarray  # squared electrons over sin(theta) from 0 on, float32 (m,), at least two
    per_step: float  # steps of the table in sin(theta) of 1


class Surroundings(NamedTuple):
    """What is put into an image: float32 (panel * slow * fast,), or empty."""

    transmission: np.ndarray  # share of the sample's light that reaches a pixel
    scattered: np.ndarray  # photons that a pixel has of all other matter, up to a factor
    scale: float  # that factor


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """Light of parts of the surroundings, and how much an image has of each.

    Whoever adds it up may keep the sum for images that have the very same.
    """

    parts: tuple[np.ndarray, ...]  # float32 (panel * slow * fast,) each, not changed any more
    weights: tuple[float, ...]
    sheets: tuple[Sheet, ...] = ()  # and what is in one place

    @property
    def images(self) -> int:
        """How many images are added up."""
        return len(self.parts) + len(self.sheets)


class Around(NamedTuple):
    """What surrounds the sample of an image."""

    transmission: np.ndarray  # as that of `Surroundings`
    light: Light
    scale: float  # a factor of all light
