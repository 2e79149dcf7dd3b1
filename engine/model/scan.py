"""The rotation of the crystal during the exposure."""

from __future__ import annotations

import dataclasses

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers
from nanobragg.engine.model.part import Part, Vector


@dataclasses.dataclass(frozen=True, repr=False)
class Scan(Part):
    """A rotation about the spindle: start and range in degrees, number of steps.

    ``axis`` is the spindle's direction in the laboratory, that of the detector's convention if not given.
    """

    start_deg: float = 0.0
    range_deg: float = 0.0
    steps: int = 1
    axis: Vector | None = None

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Scan: start_deg", self.start_deg, 1)
        numbers("Scan: range_deg", self.range_deg, 1, lowest=0)
        numbers("Scan: steps", self.steps, 1, whole=True, lowest=1)
        if self.axis is not None:
            numbers("Scan: axis", self.axis, 3)
            if not any(self.axis):
                raise BadInput("Scan: axis: has no length")
