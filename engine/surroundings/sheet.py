"""Light of what is at the sample, where all photons come from one direction.

A pixel's light is then what it sees of one squared electron, times a table at its scattering angle. What it sees is
made once for a geometry; the table, of all matter and wavelengths, for each image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nanobragg.engine.scene.scene import Scatterer, Scene
from nanobragg.engine.surroundings.kept import Kept, bare_plan, for_good, place_of
from nanobragg.engine.surroundings.wavelengths import absorption_at, shares_of
from nanobragg.kernels.surroundings import host
from nanobragg.kernels.surroundings.plan import COMPTON_WAVELENGTH, Sheet

MOST_KEPT = 6
FINER = 2  # the table of many wavelengths: steps of theirs are elsewhere
_seen = Kept[tuple[np.ndarray, np.ndarray, float]](MOST_KEPT)


def is_in_sheet(scene: Scene, scatterer: Scatterer) -> bool:
    """Whether a part's light is that of a sheet."""
    d = scene.beam.directions
    return len(scatterer.offsets) == 1 and scatterer.offsets[0] == 0.0 and bool((d == d[0]).all())


def sheet_of(scene: Scene, scatterers: Sequence[Scatterer], molecules: Sequence[float], threads: int) -> Sheet:
    """Light of some molecules of each part."""
    waves, _ = shares_of(scene)
    nominal = 0.5 * float(waves[0] + waves[-1])  # shots of one spectrum share what is seen
    mu = float(absorption_at(scene, np.array([nominal]))[0])
    first = scene.beam.directions[0]
    direction = (float(first[0]), float(first[1]), float(first[2]))

    def see() -> tuple[np.ndarray, np.ndarray, float]:
        sines, seen = host.seen_in(bare_plan(scene), scene.shade, direction, mu, threads)
        return for_good(sines), for_good(seen), float(sines.max())

    sines, seen, highest = _seen.get((place_of(scene), direction, mu), see)
    step = min(scatterer.table.step for scatterer in scatterers) / (FINER if len(waves) > 1 else 1)
    end = max(scatterer.table.step * len(scatterer.table.coherent) for scatterer in scatterers)  # held from there on
    at = step * nominal * np.arange(math.ceil(min(highest, end * waves[-1]) / (step * nominal)) + 2)
    table = _electrons(scene, scatterers, molecules, step, at, mu)
    return Sheet(sines, seen, table.astype(np.float32), 1.0 / (step * nominal))


def _electrons(
    scene: Scene, scatterers: Sequence[Scatterer], molecules: Sequence[float], step: float, sines: np.ndarray, mu: float
) -> np.ndarray:
    """Squared electrons that all photons find together at each sin(theta); ``step`` is that of a table of all matter.

    They count as much as the sensor absorbs of them, against photons that it absorbs with ``mu``.
    """
    waves, shares = shares_of(scene)
    stol = step * np.arange(math.ceil(sines[-1] / (step * waves[0])) + 2)
    coherent, incoherent = np.zeros(len(stol)), np.zeros(len(stol))
    for table, number in zip((scatterer.table for scatterer in scatterers), molecules, strict=True):
        points = table.step * np.arange(len(table.coherent))
        coherent += number * np.interp(stol, points, table.coherent)
        incoherent += number * np.interp(stol, points, table.incoherent)
    absorbed = _absorbed(scene, absorption_at(scene, waves)) / _absorbed(scene, np.array([mu]))
    total = np.zeros(len(sines))
    for wave, share in zip(waves, shares * absorbed, strict=True):
        total += share * np.interp(sines / wave, stol, coherent)
        if incoherent.any():
            loss = 1.0 + COMPTON_WAVELENGTH / wave * 2.0 * sines**2
            total += share * np.interp(sines / wave, stol, incoherent) / loss**2
    return total


def _absorbed(scene: Scene, mu: np.ndarray) -> np.ndarray:
    """Share of photons that a sensor absorbs which they meet at right angles."""
    d = scene.detector
    thickness = d.layers * d.layer_step if d.thickness > 0.0 else 0.0
    return np.where((mu > 0.0) & (thickness > 0.0), -np.expm1(-mu * thickness), 1.0)
