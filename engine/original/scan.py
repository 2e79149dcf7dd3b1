"""The rotation of the crystal, as the original counts its steps."""

from __future__ import annotations

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.frame import LabFrame
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.scene import Rotation


def scan(settings: Settings, frame: LabFrame) -> Rotation:
    """The phi steps that settings ask for; the first begins its interval, or stands in its middle (Q38)."""
    chosen = sampling.phi_steps(settings)
    if chosen.count <= 0:
        raise BadInput(f"-osc and -phistep make {chosen.count} phi steps: there is nothing to render")
    middle = "Q38" in settings.fixes and chosen.range > 0.0
    first = settings.phi0 + chosen.step / 2.0 if middle else settings.phi0
    return Rotation(settings.phi0, chosen.range, chosen.step, chosen.count, first, frame.spindle)
