"""The polarization factor: Kahn, Fourme, Gadet, Janin, Dumas & Andre (1982), J. Appl. Cryst. 15, 330-337."""

from __future__ import annotations

import math

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.step.vectors import cross, dot, unit


@separate
def polarization(kahn, incident, diffracted, axis):
    """Kahn's factor; ``incident``, ``diffracted`` and ``axis`` are unit vectors; fast: `fast_polarization`."""
    c = dot(incident, diffracted)
    c2 = c * c
    s2 = 1.0 - c2
    psi = 0.0
    if kahn != 0.0:
        b = unit(cross(axis, incident))
        e = unit(cross(incident, b))
        psi = -math.atan2(dot(diffracted, b), dot(diffracted, e))
    return 0.5 * (1.0 + c2 - kahn * math.cos(2.0 * psi) * s2)


@scalar
def polar_frame(axis, incident):
    """The directions across the incident beam that polarization is measured along."""
    b = unit(cross(axis, incident))
    return b, unit(cross(incident, b))


@scalar
def fast_polarization(kahn, incident, frame, d):
    """`polarization`; cos 2 psi comes from the components of ``d`` instead of trigonometric functions."""
    c = dot(incident, d)
    if kahn == 0.0:
        return 0.5 * (1.0 + c * c)
    x, y = dot(d, frame[1]), dot(d, frame[0])
    r2 = x * x + y * y
    twice = (x * x - y * y) / r2 if r2 > 0.0 else 1.0
    return 0.5 * (1.0 + c * c - kahn * twice * (1.0 - c * c))
