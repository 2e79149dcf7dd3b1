"""The detector: a panel, flat or curved, or many of them, in their places, and the sensor."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from nanobragg.engine.detectors.catalogue import PHOSPHOR, detector_model
from nanobragg.engine.detectors.sensor_table import TABLE
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind, one_of
from nanobragg.engine.model.panels import PanelInFrame, check_axes, flattened, parts_of
from nanobragg.engine.model.part import Part, Vector

if TYPE_CHECKING:
    from nanobragg.engine.model.beam import Beam
    from nanobragg.engine.model.crystal import Crystal

CONVENTIONS = ("MOSFLM", "XDS", "DIALS", "ADXV", "DENZO")
MOST_PANELS = 100_000


@dataclasses.dataclass(frozen=True, repr=False)
class Detector(Part):
    """A flat or curved panel, or several flat ones in one frame.

    Parameters
    ----------
    shape
        Pixels, slow and fast; with ``panels`` those of the frame that they stand in.
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
        the laboratory of ``convention`` with the sample at its origin; or those of the frame of the panels.
    thickness_um, attenuation_um, layers
        The sensor, its attenuation depth, and in how many layers it is calculated; no sensor by default.
    curved, point_pixel
        Bent about the sample; without obliquity.
    model
        Name of a detector ("Eiger2 16M"), which gives shape, pixel, sensor, panels, gaps and the highest count.
    panels
        Each a `Panel`, or a `Group` of them that moves together: their vectors are along the fast and slow axis of the
        frame and what is at right angles to both, from where its first pixel would begin. All that is said above
        moves the frame.
    material
        Of the sensor, ``Si``, ``CdTe`` or ``GaAs``: gives its attenuation for the photons of each source.
    saturation
        The highest count that is trusted, or photons of a detector that switches its gain; as much as a file's numbers
        hold if not given.
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
    panels: tuple[Any, ...] = ()
    material: str | None = None
    saturation: float | None = None

    def __post_init__(self) -> None:
        """Make parts of tables of panels."""
        self.let("panels", parts_of(self.panels, "Detector"))
        super().__post_init__()

    def check(self) -> None:
        """See `Part.check`."""
        one_of("Detector: convention", self.convention, CONVENTIONS)
        if self.model is not None:
            self._check_model()
        elif self.shape is not None:
            numbers("Detector: shape", self.shape, 2, whole=True, lowest=1)
        elif not (self.panels and self.origin_mm is not None):
            frame = " of the frame that the panels stand in" if self.panels else ""
            raise BadInput(f"Detector: give shape (slow, fast){frame}, or the name of a model")
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
        if self.material is not None:
            one_of("Detector: material", self.material, tuple(TABLE))
        if self.saturation is not None:
            numbers("Detector: saturation", self.saturation, 1, above=0)
        self._check_vectors()
        if self.panels:
            self._check_panels()

    def _check_panels(self) -> None:
        if self.curved:
            raise BadInput("Detector: panels are flat: a curved detector has none")
        count = len(self.panels_in_frame)
        if count > MOST_PANELS:
            raise BadInput(f"Detector: panels: {count} are more than {MOST_PANELS}")

    def _check_model(self) -> None:
        if not isinstance(self.model, str):
            raise BadInput(f"Detector: model: must be the name of a detector, not {self.model!r}")
        found = detector_model(self.model)
        own = (found.shape, found.pixel_mm, parts_of(found.panels, found.name))
        if (self.shape, self.pixel_mm, self.panels) not in ((None, Detector.pixel_mm, ()), own):
            raise BadInput(f"Detector: the {found.name} has its own shape, pixel_mm and panels: leave them out")

    def _check_vectors(self) -> None:
        """Refuse directions of a panel that are none, and what does not go with them."""
        given = [name for name in ("fast", "slow", "origin_mm") if getattr(self, name) is not None]
        if not given:
            return
        if len(given) < 3:
            raise BadInput("Detector: fast, slow and origin_mm go together: give all three")
        check_axes("Detector", self.fast, self.slow)
        numbers("Detector: origin_mm", self.origin_mm, 3)
        if not np.any(self.origin_mm) and not self.panels:
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
            self, shape=found.shape, pixel_mm=found.pixel_mm, thickness_um=thickness, model=found.name,
            panels=found.panels, saturation=self.saturation or float(found.saturation),
        )  # fmt: skip

    @functools.cached_property
    def panels_in_frame(self) -> list[PanelInFrame]:
        """All panels, each in the detector's frame, in order; those of groups one after the other."""
        return flattened(self.panels, np.eye(3), np.zeros(3))

    @property
    def of_each_panel(self) -> tuple[int, int]:
        """Pixels of a panel in images, slow and fast: those of the largest."""
        if not self.panels:
            assert self.shape is not None
            return int(self.shape[0]), int(self.shape[1])
        shapes = [each.panel.shape for each in self.panels_in_frame]
        return int(max(s for s, _ in shapes)), int(max(f for _, f in shapes))  # type: ignore[misc]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of images: (slow, fast), or (panel, slow, fast) where there are several."""
        count = len(self.panels_in_frame)
        return (count, *self.of_each_panel) if count > 1 else self.of_each_panel

    def resolution_map(self, beam: Beam | None = None) -> np.ndarray:
        """d of each pixel's centre, Angstrom, as images are: (slow, fast), or (panel, slow, fast)."""
        from nanobragg.engine.truth import maps

        return maps.resolution(self, beam)

    def two_theta_map(self) -> np.ndarray:
        """The scattering angle of each pixel's centre, degrees, as images are."""
        from nanobragg.engine.truth import maps

        return maps.two_theta_deg(self)

    def q_map(self, beam: Beam | None = None) -> np.ndarray:
        """Scattering vectors of the pixels' centres, 1/Angstrom (1/d long), laboratory, as images and (3,)."""
        from nanobragg.engine.truth import maps

        return maps.scattering(self, beam)

    def hkl_map(self, crystal: Crystal, beam: Beam | None = None) -> np.ndarray:
        """Indices, not whole ones, at the pixels' centres, as images and (3,)."""
        from nanobragg.engine.truth import maps

        return maps.hkl(self, crystal, beam)
