"""What stops the direct beam, and shades the detector."""

from __future__ import annotations

import dataclasses

from nanobragg.engine.model.checks import numbers, one_of
from nanobragg.engine.model.part import Part

SHAPES = ("disk", "square")


@dataclasses.dataclass(frozen=True, repr=False)
class Beamstop(Part):
    """A beamstop across the beam.

    Parameters
    ----------
    distance_mm
        Behind the sample, along the beam.
    size_mm
        Its diameter, or the edge of a square one.
    shape
        ``disk`` or ``square``, whose edges are along the polarization's axis.
    offset_mm
        How far its middle is off the beam, along the polarization's axis and across.
    """

    distance_mm: float = 30.0
    size_mm: float = 2.0
    shape: str = "disk"
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Beamstop: distance_mm", self.distance_mm, 1, above=0)
        numbers("Beamstop: size_mm", self.size_mm, 1, above=0)
        one_of("Beamstop: shape", self.shape, SHAPES)
        numbers("Beamstop: offset_mm", self.offset_mm, 2)
