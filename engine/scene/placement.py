"""Panels in the laboratory: the directions of each convention, tilt, swing, and where the beam meets the panel."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

from nanobragg.engine.scene.scene import PlacedPanel, Three, beam_spot
from nanobragg.kernels.vectors import Vector, cross, dot, rotate_axis, unit

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
MINUS_X, MINUS_Y, MINUS_Z = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
BEAM, SAMPLE = "BEAM", "SAMPLE"


class Convention(NamedTuple):
    """Directions in the laboratory before the panel is turned, and what stays where it is when it is: the pivot."""

    beam: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    tt_axis: Vector
    polar: Vector
    spindle: Vector
    pivot: str


CONVENTIONS = {
    "ADXV": Convention(Z, X, MINUS_Y, Z, MINUS_X, X, X, BEAM),
    "MOSFLM": Convention(X, Z, MINUS_Y, X, MINUS_Z, Z, Z, BEAM),
    "DENZO": Convention(X, Z, MINUS_Y, X, MINUS_Z, Z, Z, BEAM),
    "XDS": Convention(Z, X, Y, Z, X, X, X, SAMPLE),
    "DIALS": Convention(Z, X, Y, Z, Y, Y, Y, SAMPLE),
}


def rotate_xyz(v: Vector, angles: Vector) -> Vector:
    """Turn about x, then y, then z (radians); a zero angle leaves its step out."""
    x, y, z = v
    if angles[0] != 0.0:
        c, s = math.cos(angles[0]), math.sin(angles[0])
        y, z = y * c + z * -s, y * s + z * c
    if angles[1] != 0.0:
        c, s = math.cos(angles[1]), math.sin(angles[1])
        x, z = x * c + z * s, x * -s + z * c
    if angles[2] != 0.0:
        c, s = math.cos(angles[2]), math.sin(angles[2])
        x, y = x * c + y * -s, x * s + y * c
    return x, y, z


def corner(f: float, fdet: Vector, s: float, sdet: Vector, o: float, odet: Vector) -> Vector:
    """The corner of a panel whose point (f, s) along its axes is at ``o`` times ``odet`` from the sample."""
    return tuple(-f * fdet[k] - s * sdet[k] + o * odet[k] for k in range(3))  # type: ignore[return-value]


def near_zero(ratio: float) -> float:
    """A cosine to divide by: the smallest number instead of 0."""
    return ratio if ratio != 0.0 else sys.float_info.min


def placed(
    pix0: Vector, axes: tuple[Vector, Vector, Vector], beam: Vector, close: float, distance: float
) -> PlacedPanel:
    """A panel with where the beam meets it."""
    fdet, sdet, odet = axes
    return PlacedPanel(pix0, fdet, sdet, odet, distance, close, *beam_spot(pix0, fdet, sdet, beam, distance))


def along_beam(pix0: Vector, axes: Three, beam: Vector, ratio: float) -> PlacedPanel:
    """A panel whose distances follow from its corner; ``ratio`` is what to divide by where the panel is edge-on."""
    towards = dot(beam, axes[2])
    close = dot(pix0, axes[2])
    return placed(pix0, axes, beam, close, close / (towards if towards != 0.0 else ratio))


def by_vectors(fast: Vector, slow: Vector, pix0: Vector, beam: Vector) -> PlacedPanel:
    """A panel by its axes and the corner of its first pixel (metres); the normal points away from the sample."""
    fdet, sdet = unit(fast), unit(slow)
    odet = unit(cross(fdet, sdet))
    if dot(pix0, odet) < 0.0:
        odet = (-odet[0], -odet[1], -odet[2])
    return along_beam(pix0, (fdet, sdet, odet), beam, near_zero(0.0))


def in_frame(frame: PlacedPanel, fast: Vector, slow: Vector, origin: Vector, beam: Vector) -> PlacedPanel:
    """A panel of a frame: ``frame`` is where it stands, the rest is along its axes, ``origin`` in metres."""
    normal = cross(frame.fdet, frame.sdet)

    def turned(v: Vector) -> Vector:
        return tuple(v[0] * frame.fdet[k] + v[1] * frame.sdet[k] + v[2] * normal[k] for k in range(3))  # type: ignore[return-value]

    to_corner = turned(origin)
    corner: Vector = tuple(a + b for a, b in zip(frame.pix0, to_corner, strict=True))  # type: ignore[assignment]
    return by_vectors(turned(fast), turned(slow), corner, beam)


class Aim(NamedTuple):
    """What a panel is placed by: distance, centre on the panel (the beam's spot, or the near point), tilt and swing."""

    distance: float
    fast: float
    slow: float
    tilt: Vector
    twotheta: float


def by_convention(convention: Convention, aim: Aim) -> PlacedPanel:
    """A panel that is tilted about the laboratory's axes, swung about the two-theta axis, and kept at its pivot."""
    beam = convention.beam
    ratio = near_zero(dot(beam, rotate_xyz(convention.odet, aim.tilt)))
    close = abs(ratio * aim.distance)

    def swing(v: Vector) -> Vector:
        return rotate_axis(v, convention.tt_axis, aim.twotheta)

    f, s, o = (rotate_xyz(v, aim.tilt) for v in (convention.fdet, convention.sdet, convention.odet))
    if convention.pivot == SAMPLE:
        flat = corner(aim.fast, convention.fdet, aim.slow, convention.sdet, close, convention.odet)
        pix0 = swing(rotate_xyz(flat, aim.tilt))
    else:
        pix0 = swing(corner(aim.fast, f, aim.slow, s, close / ratio, beam))
    return along_beam(pix0, (swing(f), swing(s), swing(o)), beam, ratio)
