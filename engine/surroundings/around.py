"""What surrounds a scene's sample: light of amorphous matter, and shades.

Both are made once for a geometry and kept for other images, which have their own amounts of each.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np

from nanobragg.engine.plan import R_E_SQR
from nanobragg.engine.scene.scene import NO_SHADE, Scatterer, ScatteringTable, Scene
from nanobragg.engine.surroundings.kept import Kept, bare_plan, for_good, place_of
from nanobragg.engine.surroundings.parts import parts_of
from nanobragg.engine.surroundings.sheet import photons_of, sheet_of
from nanobragg.kernels.surroundings import host
from nanobragg.kernels.surroundings.plan import Around, Light

NOTHING = np.empty(0, np.float32)
EVERYWHERE = ScatteringTable(1e10, np.ones(2), np.zeros(2))  # what scatters the same in every direction
_lock = threading.Lock()
_shades, _lights = Kept[np.ndarray](2), Kept[Light](3)


def surroundings_of(scene: Scene, threads: int) -> Around:
    """What surrounds the sample, for `nanobragg.kernels.image.rendered.Rendered.surround`."""
    with _lock:
        shares = NOTHING
        if scene.shade != NO_SHADE:
            shares = _shades.get(place_of(scene), lambda: _transmission(scene, threads))
        light, scale = _light(scene, threads)
        return Around(shares, light, scale)


def all_around(scene: Scene, threads: int) -> Around:
    """What surrounds the sample, with what scatters the same in every direction among it."""
    if not scene.background > 0.0:
        return surroundings_of(scene, threads)
    constant = Scatterer(np.zeros(1), np.array([scene.background / scene.sampled.steps]), EVERYWHERE)
    return surroundings_of(dataclasses.replace(scene, scatterers=(*scene.scatterers, constant)), threads)


def _transmission(scene: Scene, threads: int) -> np.ndarray:
    return for_good(host.transmission(bare_plan(scene), scene.shade, threads))


def _light(scene: Scene, threads: int) -> tuple[Light, float]:
    """All light, and a factor of it: images that differ by that alone have the very same."""
    if not scene.scatterers:
        return Light((), ()), 0.0
    photons = photons_of(scene)
    at_sample: list[Scatterer] = []
    others: list[Scatterer] = []
    for scatterer in scene.scatterers:
        (others if scatterer.offsets.any() or not photons else at_sample).append(scatterer)
    images, amounts = parts_of(scene, others, threads)
    molecules = [float(scatterer.molecules.sum()) for scatterer in at_sample]
    factor = sum(amounts) + sum(molecules)
    weights, of_sheets = (tuple(round(n / factor, 12) for n in numbers) for numbers in (amounts, molecules))

    def light() -> Light:
        sheets = [sheet_of(scene, each, at_sample, of_sheets, threads) for each in photons if at_sample]
        return Light(tuple(images), weights, tuple(sheets))

    key: Any = tuple(map(id, images)), weights
    if at_sample:
        tables = tuple(scatterer.table for scatterer in at_sample)
        key += place_of(scene), tables, of_sheets, _beam(scene)
    return _lights.get(key, light), factor * scene.beam.fluence * R_E_SQR


def _beam(scene: Scene) -> Any:
    """The photons, in all that light of a sheet depends on beside its place and matter."""
    b, d = scene.beam, scene.detector
    return b.wavelengths.tobytes(), b.weights.tobytes(), b.directions.tobytes(), d.mu, d.absorption.tobytes()
