"""The detector: a panel, flat or curved, in its place, and its sensor."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from nanobragg.engine.detectors.catalogue import PHOSPHOR, detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind, one_of
from nanobragg.engine.model.part import Part, Vector

if TYPE_CHECKING:
    from nanobragg.engine.model.beam import Beam
    from nanobragg.engine.model.crystal import Crystal

CONVENTIONS = ("MOSFLM", "XDS", "DIALS", "ADXV", "DENZO")
UNORTHOGONAL = 1e-6  # cosine between the axes of a panel, from which on they are no axes of pixels
LONGEST_AXIS = 1e150  # its square must not overflow


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

    def check(self) -> None:
        """See `Part.check`."""
        one_of("Detector: convention", self.convention, CONVENTIONS)
        if self.model is not None:
            self._check_model()
        elif self.shape is None:
            raise BadInput("Detector: give shape (slow, fast), or the name of a model")
        else:
            numbers("Detector: shape", self.shape, 2, whole=True, lowest=1)
        numbers("Detector: pixel_mm", self.pixel_mm, 1, above=0)
        numbers("Detector: distance_mm", self.distance_mm, 1, above=0)
        numbers("Detector: tilt_deg", self.tilt_deg, 3)
        numbers("Detector: twotheta_deg", self.twotheta_deg, 1)
        numbers("Detector: thickness_um", self.thickness_um, 1, lowest=0)
        numbers("Detector: layers", self.layers, 1, whole=True, lowest=1)
        if self.attenuation_um is not None:
            numbers("Detector: attenuation_um", self.attenuation_um, 1, above=0)
        if self.beam_center_mm is not None:
            numbers("Detector: beam_center_mm", self.beam_center_mm, 2)
        for name in ("curved", "point_pixel"):
            of_kind(f"Detector: {name}", getattr(self, name), bool, "True or False")
        self._check_vectors()

    def _check_model(self) -> None:
        if not isinstance(self.model, str):
            raise BadInput(f"Detector: model: must be the name of a detector, not {self.model!r}")
        found = detector_model(self.model)
        as_it_is = (self.shape, self.pixel_mm) in ((None, Detector.pixel_mm), (found.shape, found.pixel_mm))
        if not as_it_is:
            raise BadInput(f"Detector: the {found.name} has its own shape and pixel_mm: leave them out")

    def _check_vectors(self) -> None:
        """Refuse directions of a panel that are none, and what does not go with them."""
        given = [name for name in ("fast", "slow", "origin_mm") if getattr(self, name) is not None]
        if not given:
            return
        if len(given) < 3:
            raise BadInput("Detector: fast, slow and origin_mm go together: give all three")
        for name in given:
            numbers(f"Detector: {name}", getattr(self, name), 3)
        fast, slow = (np.asarray(v, float) for v in (self.fast, self.slow))
        if not all(0.0 < math.hypot(*axis) < LONGEST_AXIS for axis in (fast, slow)):
            raise BadInput("Detector: fast and slow must have a length, and one that can be squared")
        if abs(fast @ slow) > UNORTHOGONAL * float(np.linalg.norm(fast) * np.linalg.norm(slow)):
            raise BadInput("Detector: fast and slow must be at right angles")
        if not np.any(self.origin_mm):
            raise BadInput("Detector: origin_mm: the corner of the panel is the sample itself")
        if self.beam_center_mm is not None or self.twotheta_deg or any(self.tilt_deg) or self.curved:
            raise BadInput(
                "Detector: a panel that is placed by fast, slow and origin_mm has no beam_center_mm, tilt_deg, "
                "twotheta_deg, and is not curved"
            )

    def of_model(self) -> Detector:
        """The same with what its model says of it; itself without one."""
        if self.model is None:
            return self
        found = detector_model(self.model)
        if self.shape == found.shape:
            return self
        sensor = 0.0 if found.sensor == PHOSPHOR else found.thickness_mm * 1e3
        thickness = self.thickness_um or sensor
        return dataclasses.replace(
            self, shape=found.shape, pixel_mm=found.pixel_mm, thickness_um=thickness, model=found.name
        )

    def resolution_map(self, beam: Beam | None = None) -> np.ndarray:
        """d of each pixel's centre, Angstrom, (slow, fast)."""
        from nanobragg.engine.truth import maps

        return maps.resolution(self, beam)

    def two_theta_map(self) -> np.ndarray:
        """The scattering angle of each pixel's centre, degrees, (slow, fast)."""
        from nanobragg.engine.truth import maps

        return maps.two_theta_deg(self)

    def q_map(self, beam: Beam | None = None) -> np.ndarray:
        """Scattering vectors of the pixels' centres, 1/Angstrom (1/d long), laboratory, (slow, fast, 3)."""
        from nanobragg.engine.truth import maps

        return maps.scattering(self, beam)

    def hkl_map(self, crystal: Crystal, beam: Beam | None = None) -> np.ndarray:
        """Indices, not whole ones, at the pixels' centres, (slow, fast, 3)."""
        from nanobragg.engine.truth import maps

        return maps.hkl(self, crystal, beam)
