"""Light of what is at the sample, where photons come from one direction, or few.

A pixel's light is then what it sees of one squared electron, times a table at its scattering angle. What it sees is
made once for a geometry; the table, of all matter and wavelengths, for each image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nanobragg.engine.scene.scene import Scatterer, Scene
from nanobragg.engine.surroundings.kept import Kept, bare_plan, for_good, place_of
from nanobragg.engine.surroundings.wavelengths import absorption_at, summed
from nanobragg.kernels.surroundings import host
from nanobragg.kernels.surroundings.plan import COMPTON_WAVELENGTH, Sheet

MOST_SHEETS = 6
ALIKE = 1.06  # the ratio of absorptions in the sensor that one sheet may have
FINER = 2  # tables of several wavelengths bend at more places than each of theirs
_seen = Kept[tuple[np.ndarray, np.ndarray, float]](MOST_SHEETS)


class Photons(NamedTuple):
    """Photons of one direction, which the sensor absorbs nearly alike."""

    direction: tuple[float, float, float]
    wavelengths: np.ndarray  # metres
    shares: np.ndarray  # of all photons
    nominal: float  # in the middle of the wavelengths, the same for all shots of a spectrum


def photons_of(scene: Scene) -> tuple[Photons, ...]:
    """The photons of a scene, shared out to sheets; none where these would be too many."""
    b = scene.beam
    one = bool((b.directions == b.directions[0]).all())
    directions = b.directions[:1] if one else np.unique(b.directions, axis=0)
    waves = np.unique(b.wavelengths)
    alike = _alike(absorption_at(scene, waves))
    if len(directions) * len(alike) > MOST_SHEETS:
        return ()
    shares, found = b.weights / b.weights.sum(), []
    for x, y, z in directions.tolist():
        here = one or (b.directions == (x, y, z)).all(axis=1)
        for first, last in alike:
            own = here & (b.wavelengths >= waves[first]) & (b.wavelengths <= waves[last])
            found.append(Photons((x, y, z), b.wavelengths[own], shares[own], 0.5 * float(waves[first] + waves[last])))
    return tuple(photons for photons in found if len(photons.wavelengths))


def _alike(mu: np.ndarray) -> list[tuple[int, int]]:
    """The first and the last of wavelengths that stand side by side and are absorbed nearly alike."""
    found, first = [], 0
    for n in range(1, len(mu) + 1):
        if n == len(mu) or mu[first : n + 1].max() > ALIKE * mu[first : n + 1].min():
            found.append((first, n - 1))
            first = n
    return found


def sheet_of(
    scene: Scene, photons: Photons, scatterers: Sequence[Scatterer], molecules: Sequence[float], threads: int
) -> Sheet:
    """Light of some molecules of each part."""
    mu = float(absorption_at(scene, np.array([photons.nominal]))[0])

    def see() -> tuple[np.ndarray, np.ndarray, float]:
        sines, seen = host.seen_in(bare_plan(scene), scene.shade, photons.direction, mu, threads)
        return for_good(sines), for_good(seen), float(sines.max())

    sines, seen, highest = _seen.get((place_of(scene), photons.direction, mu), see)
    several = bool((photons.wavelengths != photons.wavelengths[0]).any())
    step = min(scatterer.table.step for scatterer in scatterers) / (FINER if several else 1)
    end = max(scatterer.table.step * len(scatterer.table.coherent) for scatterer in scatterers)  # held from there on
    steps = math.ceil(min(highest / photons.nominal, end * photons.wavelengths.max() / photons.nominal) / step) + 2
    at = step * photons.nominal * np.arange(steps)
    table = _electrons(scene, photons, scatterers, molecules, step, at, mu)
    return Sheet(sines, seen, table.astype(np.float32), 1.0 / (step * photons.nominal))


def _electrons(
    scene: Scene, photons: Photons, scatterers: Sequence[Scatterer], molecules: Sequence[float], step: float,
    sines: np.ndarray, mu: float,
) -> np.ndarray:  # fmt: skip
    """Squared electrons that the photons find together at each sin(theta); ``step`` is that of a table of all matter.

    They count as much as the sensor absorbs of them, against photons that it absorbs with ``mu``.
    """
    shares = photons.shares * _absorbed(scene, absorption_at(scene, photons.wavelengths)) / _absorbed(scene, mu)
    waves, shares = _few(photons.wavelengths, shares, len(sines))
    stol = step * np.arange(math.ceil(sines[-1] / (step * waves[0])) + 2)
    coherent, incoherent = np.zeros(len(stol)), np.zeros(len(stol))
    for table, number in zip((scatterer.table for scatterer in scatterers), molecules, strict=True):
        points = table.step * np.arange(len(table.coherent))
        coherent += number * np.interp(stol, points, table.coherent)
        incoherent += number * np.interp(stol, points, table.incoherent)
    total = np.zeros(len(sines))
    for wave, share in zip(waves, shares, strict=True):
        total += share * np.interp(sines / wave, stol, coherent)
        if incoherent.any():
            loss = 1.0 + COMPTON_WAVELENGTH / wave * 2.0 * sines**2
            total += share * np.interp(sines / wave, stol, incoherent) / loss**2
    return total


def _few(waves: np.ndarray, shares: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Different wavelengths in ascending order, and their shares.

    Where they are many, shares go to evenly spaced ones on either side, from one of which to the next the last place
    of the table moves by one step.
    """
    different, shares = summed(waves, shares)
    low, high = float(different[0]), float(different[-1])
    count = math.ceil((high / low - 1.0) * steps) + 1
    if len(different) <= count:
        return different, shares
    place = (different - low) / (high - low) * (count - 1)
    below = np.minimum(place.astype(int), count - 2)
    above = shares * (place - below)
    few = np.bincount(below, shares - above, count) + np.bincount(below + 1, above, count)
    return np.linspace(low, high, count), few


def _absorbed(scene: Scene, mu: np.ndarray | float) -> np.ndarray:
    """Share of photons that a sensor absorbs which they meet at right angles."""
    d = scene.detector
    thickness = d.layers * d.layer_step if d.thickness > 0.0 else 0.0
    return np.where((np.asarray(mu) > 0.0) & (thickness > 0.0), -np.expm1(-np.asarray(mu) * thickness), 1.0)
