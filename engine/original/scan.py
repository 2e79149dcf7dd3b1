"""The rotation of the crystal during the exposure."""

from __future__ import annotations

import dataclasses

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.frame import Frame
from nanobragg.engine.original.settings import Settings
from nanobragg.kernels.vectors import Vector


@dataclasses.dataclass(frozen=True)
class Scan:
    """Phi steps about the spindle: start, full range and step in radians; step t stands at ``phi0 + step * t``."""

    phi0: float
    osc: float
    step: float
    steps: int
    spindle: Vector


def scan(settings: Settings, frame: Frame) -> Scan:
    """The phi steps that settings ask for."""
    chosen = sampling.phi_steps(settings)
    if chosen.count <= 0:
        raise BadInput(f"-osc and -phistep make {chosen.count} phi steps: there is nothing to render")
    return Scan(settings.phi0, chosen.range, chosen.step, chosen.count, frame.spindle)
