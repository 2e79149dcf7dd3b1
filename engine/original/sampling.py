"""How many steps of what size, from whichever of count, range and step were given."""

from __future__ import annotations

from typing import NamedTuple

from nanobragg.engine.c_numbers import DEGREES, ceil, divide, to_int32
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.quirks import NONE, Fixes
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.sources import Steps

WHOLE = 1e-9  # how near a ratio must be to a whole number to be one


def phi_steps(settings: Settings) -> Steps:
    """Rotation: the count, the range (``osc``) and the step, radians."""
    count, osc, step = settings.phisteps, settings.osc, settings.phistep
    if "Q34" in settings.fixes and count < 0 and osc >= 0.0 and step > 0.0:
        count = max(to_int32(ceil(osc / step - WHOLE)), 1)
        return Steps(count, osc, step)
    if "Q36" in settings.fixes and count > 0 and osc < 0.0 and step > 0.0:
        return Steps(count, count * step, step)
    if "Q39" in settings.fixes and step == 0.0:
        step = -1.0
    if count < 0:
        if osc < 0.0:
            return Steps(2, step, step) if step > 0.0 else Steps(1, 0.0, 0.0)
        if step <= 0.0:
            return Steps(2, osc, osc / 2.0)
        return Steps(to_int32(ceil(osc / step)), osc, step)
    count = max(count, 1)
    if osc < 0.0:
        if step > 0.0:
            return Steps(2, step, step)
        osc = 1.0 / DEGREES
        return Steps(count, osc, osc / count)
    return Steps(count, osc, osc / count if step < 0.0 else step)


def _range_steps(count: int, full: float, step: float, missing_range: float, divisor_alone: int) -> Steps:
    """The rules that divergence, dispersion and sensor layers share.

    ``missing_range`` is taken when only a count is given; ``divisor_alone`` divides a range given alone.
    """
    if count <= 0:
        if full < 0.0:
            return Steps(2, step, step) if step > 0.0 else Steps(1, 0.0, 0.0)
        if step <= 0.0:
            return Steps(2, full, full / divisor_alone)
        return Steps(to_int32(ceil(full / step)), full, step)
    if full < 0.0:
        return Steps(2, step, step) if step > 0.0 else Steps(count, missing_range, missing_range / count)
    if step <= 0.0:
        count = max(count, 2)
        return Steps(count, full, divide(full, count - 1))
    return Steps(count, full, step)


def _sane(steps: Steps) -> Steps:
    if steps.range <= 0.0 or steps.step <= 0.0 or steps.count <= 0:
        return Steps(1, 0.0, 0.0)
    return steps


def divergence_steps(count: int, full: float, step: float, fixes: Fixes = NONE) -> Steps:
    """Divergence of one direction (radians) or dispersion (fraction); centred and as asked for where that is fixed."""
    if "Q35" in fixes and count > 0 and full < 0.0 and step <= 0.0:
        raise BadInput("a count of divergence steps needs a range or a step (-hdivrange, -vdivrange)")
    if "Q36" in fixes and count > 0 and full < 0.0 and step > 0.0:
        return _sane(Steps(count, step * (count - 1), step))
    if "Q34" in fixes and count <= 0 and full > 0.0 and step > 0.0:
        count = int(full / step + WHOLE) + 1
        return _sane(Steps(count, step * (count - 1), step))
    return _sane(_range_steps(count, full, step, 1.0, 1))


def _layers(settings: Settings) -> Steps:
    return _range_steps(settings.thick_steps, settings.thick, settings.thick_step, 0.5e-6, 2)


def layer_steps(settings: Settings) -> Steps:
    """Sensor layers, metres."""
    return _sane(_layers(settings))


def absorption(settings: Settings) -> float:
    """mu (1/m): where none was given, the attenuation depth is the thickness that the rules have chosen (Q09)."""
    thickness = _layers(settings).range
    return 1.0 / thickness if thickness > 0.0 and settings.mu < 0.0 else settings.mu


class Mosaic(NamedTuple):
    """Domains and spread (radians), and what to tell the user."""

    domains: int
    spread: float
    remark: str


def mosaic(domains: int, spread: float) -> Mosaic:
    """Mosaic domains and spread from whichever was given."""
    if domains <= 0:
        if spread < 0.0:
            return Mosaic(1, 0.0, "")
        if spread == 0.0:
            return Mosaic(1, spread, "")
        return Mosaic(10, spread, "-mosaic without -mosaic_domains: 10 domains")
    if spread < 0.0:
        return Mosaic(1, 0.0, "-mosaic_domains without a positive -mosaic spread: 1 domain")
    if spread == 0.0:
        return Mosaic(1, 0.0, "-mosaic 0: 1 domain")
    return Mosaic(domains, spread, "")
