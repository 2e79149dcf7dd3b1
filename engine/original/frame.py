"""The laboratory frame: which way beam, detector, spindle and polarization point in each convention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.placement import CONVENTIONS
from nanobragg.kernels.vectors import Vector, cross, dot, magnitude, unit

CUSTOM = "CUSTOM"


@dataclasses.dataclass(frozen=True)
class LabFrame:
    """Unit vectors of the laboratory before the detector is turned; ``tt_axis`` keeps the length it was given."""

    convention: str
    pivot: str
    beam: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    tt_axis: Vector
    polar: Vector
    spindle: Vector


def frame(settings: Settings, warn: Callable[[str], None]) -> LabFrame:
    """Directions and pivot: the convention's own, or the user's under CUSTOM, made unit vectors."""
    if settings.convention == CUSTOM:
        beam, fdet, sdet, odet = settings.beam, settings.fdet, settings.sdet, settings.odet
        tt_axis, polar, spindle, pivot = settings.tt_axis, settings.polar, settings.spindle, settings.pivot
    else:
        table = CONVENTIONS[settings.convention]
        beam, fdet, sdet, odet, tt_axis, polar, spindle = table[:7]
        pivot = table[7]
        if "Q84" in settings.fixes and "-pivot" in settings.given:
            pivot = settings.pivot
    beam, fdet, sdet = unit(beam), unit(fdet), unit(sdet)
    length = magnitude(odet)
    odet = unit(odet)
    if length != 1.0:
        if length != 0.0:
            warn("the detector normal has not length 1: replaced by the product of the fast and slow axes")
        odet = unit(cross(fdet, sdet))
        if "Q83" in settings.fixes and dot(settings.pix0, odet) < 0.0:  # it points away from the sample
            odet = (-odet[0], -odet[1], -odet[2])
    polar, spindle = unit(polar), unit(spindle)
    return LabFrame(settings.convention, pivot, beam, fdet, sdet, odet, tt_axis, polar, spindle)


@dataclasses.dataclass(frozen=True)
class Centres:
    """Beam spot and near point on the detector, metres, before it is placed."""

    Xbeam: float
    Ybeam: float
    Fbeam: float
    Sbeam: float
    Xclose: float
    Yclose: float
    Fclose: float
    Sclose: float


def centres(settings: Settings, det_f: float, det_s: float) -> Centres:
    """Beam spot and near point in the detector's axes, from what the convention calls X and Y."""
    pixel = settings.pixel
    Fclose = det_f / 2.0 if settings.ORGX is None else (settings.ORGX - 0.5) * pixel
    Sclose = det_s / 2.0 if settings.ORGY is None else (settings.ORGY - 0.5) * pixel
    Xclose = Fclose if settings.Xclose is None else settings.Xclose
    Yclose = Sclose if settings.Yclose is None else settings.Yclose
    if "Q85" in settings.fixes:
        Fclose, Sclose = Xclose, Yclose
    defaults = {
        "ADXV": ((det_f + pixel) / 2.0, (det_s - pixel) / 2.0),
        "MOSFLM": ((det_s + pixel) / 2.0, (det_f + pixel) / 2.0),
        "DENZO": ((det_s + pixel) / 2.0, (det_f + pixel) / 2.0),
    }.get(settings.convention, (Xclose, Yclose))
    Xbeam = defaults[0] if settings.Xbeam is None else settings.Xbeam
    Ybeam = defaults[1] if settings.Ybeam is None else settings.Ybeam
    Fbeam, Sbeam = Xbeam, Ybeam
    if settings.convention == "ADXV":
        Sbeam = det_s - Ybeam
    elif settings.convention == "MOSFLM":
        Fbeam, Sbeam = Ybeam + 0.5 * pixel, Xbeam + 0.5 * pixel
    elif settings.convention == "DENZO":
        Fbeam, Sbeam = Ybeam, Xbeam
    elif settings.convention == CUSTOM and "Q85" not in settings.fixes:
        Fclose, Sclose = Xbeam, Ybeam
    return Centres(Xbeam, Ybeam, Fbeam, Sbeam, Xclose, Yclose, Fclose, Sclose)
