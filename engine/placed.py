"""Where the pixels of an image are, and what they see: scattering angle, resolution, indices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.scene.scene import Scene


@dataclasses.dataclass(frozen=True)
class Placed:
    """A flat panel in some laboratory, metres: its corner, axes and pixel; the beam's direction; the wavelength.

    ``shape`` (slow, fast), ``wavelength_A``; ``reciprocal`` (rows a*, b*, c*; 1/Angstrom, as the crystal stands in the
    image) where the crystal is known.
    """

    shape: tuple[int, int]
    pixel_size: float
    origin: np.ndarray
    fast: np.ndarray
    slow: np.ndarray
    beam: np.ndarray
    wavelength_A: float
    reciprocal: np.ndarray | None = None

    def is_finite(self) -> bool:
        """Whether all of it is numbers; frames that are missing from a data set have none."""
        parts = [self.origin, self.fast, self.slow, np.array([self.wavelength_A, self.pixel_size])]
        parts += [] if self.reciprocal is None else [self.reciprocal]
        return all(bool(np.isfinite(part).all()) for part in parts)

    def points(self, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
        """Points on the panel (..., 3), metres; whole numbers and a half are centres of pixels."""
        f, s = (np.asarray(at, float)[..., None] * self.pixel_size for at in (fast, slow))
        return self.origin + f * self.fast + s * self.slow

    def scattering(self, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
        """Scattering vectors (..., 3), 1/Angstrom, of points given in pixels."""
        points = self.points(slow, fast)
        with np.errstate(all="ignore"):
            directions = points / np.linalg.norm(points, axis=-1, keepdims=True)
        return (directions - self.beam) / self.wavelength_A

    def resolution(self, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
        """d, Angstrom; infinite in the direct beam."""
        with np.errstate(divide="ignore"):
            return 1.0 / np.linalg.norm(self.scattering(slow, fast), axis=-1)

    def two_theta_deg(self, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
        """The scattering angle, degrees."""
        half = np.linalg.norm(self.scattering(slow, fast), axis=-1) * self.wavelength_A / 2.0
        return 2.0 * np.degrees(np.arcsin(np.clip(half, 0.0, 1.0)))

    def hkl(self, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
        """Indices (..., 3), not whole ones; the crystal must be known."""
        assert self.reciprocal is not None
        return self.scattering(slow, fast) @ np.linalg.inv(self.reciprocal)

    def beam_center(self) -> tuple[float, float] | None:
        """Where the direct beam meets the panel's plane, in pixels (slow, fast), counted from its corner."""
        normal = np.cross(self.fast, self.slow)
        towards = float(normal @ self.beam)
        if abs(towards) < 1e-9:
            return None
        hit = self.beam * float(normal @ self.origin) / towards - self.origin
        if float(normal @ self.origin) / towards <= 0.0:
            return None
        return float(hit @ self.slow) / self.pixel_size, float(hit @ self.fast) / self.pixel_size


def panels_of_scene(scene: Scene) -> list[Placed]:
    """What each panel of a scene's image shows; the crystal as it stands in the middle of its rotation.

    Raises
    ------
    BadInput
        For a curved detector.
    """
    d, e = scene.detector, scene
    if d.curved:
        raise BadInput("Detector: curved: maps, rings and predictions are of flat detectors")
    turned = turned_about(np.array(e.crystal.recip), e.scan.spindle, e.scan.mean)
    wavelength_A = e.beam.mean_wavelength * 1e10
    found = []
    for panel in d.panels:
        vectors = (panel.pix0, panel.fdet, panel.sdet, e.beam.direction)
        origin, fast, slow, beam = (np.asarray(v, float) for v in vectors)
        found.append(Placed((d.n_slow, d.n_fast), d.pixel_size, origin, fast, slow, beam, wavelength_A, turned))
    return found


def of_scene(scene: Scene) -> Placed:
    """The same of a scene with one panel."""
    (only,) = panels_of_scene(scene)
    return only


def turned_about(vectors: np.ndarray, axis: Sequence[float] | np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Vectors (n, 3) turned about an axis, by one angle or one each (radians)."""
    unit, phi = np.asarray(axis, float), np.asarray(angle)[..., None]
    along = np.outer(vectors @ unit, unit)
    return np.asarray(along + (vectors - along) * np.cos(phi) + np.cross(unit, vectors) * np.sin(phi))
