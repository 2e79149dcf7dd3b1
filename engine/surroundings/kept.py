"""Images that are made once for a geometry, and kept for other scenes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from nanobragg.engine.plan import plan_of
from nanobragg.engine.scene.scene import PlacedDetector, Scene
from nanobragg.engine.surroundings.wavelengths import absorption_at
from nanobragg.kernels.plan import RenderPlan

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """What was made last, by what it was made for."""

    def __init__(self, most: int):
        self._most, self._made = most, collections.OrderedDict[Any, Made]()

    def get(self, key: Any, make: Callable[[], Made], at_least: int = 0) -> Made:
        """What was made for a key, or ``make`` makes now; what was asked for longest ago is forgotten.

        ``at_least`` so many are kept.
        """
        if key not in self._made:
            self._made[key] = make()
            while len(self._made) > max(self._most, at_least):
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]


def for_good(image: np.ndarray) -> np.ndarray:
    """An image that is not changed any more."""
    image.setflags(write=False)
    return image


def place_of(scene: Scene) -> Any:
    """All of a scene that light of a wavelength depends on, but its matter."""
    d, b = _nominal_detector(scene), scene.beam
    return (
        d.panels, d.n_fast, d.n_slow, d.pixel_size, d.thickness, d.layers, d.layer_step, d.mu, d.centroid_of_layer,
        d.curved, d.point_pixel, b.direction, b.polar, b.kahn, b.polarization_left_out, scene.shade, scene.habits,
    )  # fmt: skip


def bare_plan(scene: Scene) -> RenderPlan:
    """A plan of the scene for its geometry alone."""
    return plan_of(dataclasses.replace(scene, scatterers=(), other_crystals=(), detector=_nominal_detector(scene)))


def _nominal_detector(scene: Scene) -> PlacedDetector:
    """Its sensor is that of the nominal wavelength, whatever the mean of a shot: shots share what is made."""
    mu = float(absorption_at(scene, np.array([scene.beam.wavelength]))[0])
    return dataclasses.replace(scene.detector, mu=mu, absorption=np.empty(0))
