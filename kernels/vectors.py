"""Vectors in plain Python, in the original's order of operations.

Set-up calls these as they are; `kernels.physics` compiles the same functions for the loops. None of them
calls another, so that each compiles on its own.
"""

import math
from typing import TypeAlias

Vector: TypeAlias = tuple[float, float, float]


def dot(u, v):
    """Scalar product, summed left to right."""
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def cross(u, v):
    """Vector product."""
    return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def magnitude(u):
    """Length."""
    return math.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2])


def unit(u):
    """The vector divided by its length, component by component; the zero vector stays zero."""
    m = math.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2])
    if m != 0.0:
        return (u[0] / m, u[1] / m, u[2] / m)
    return (0.0, 0.0, 0.0)


def rotate_axis(v, e, phi):
    """Right-handed turn of ``v`` by ``phi`` radians about ``e``, which is used as given, not normalised."""
    s = math.sin(phi)
    c = math.cos(phi)
    q = (e[0] * v[0] + e[1] * v[1] + e[2] * v[2]) * (1.0 - c)
    return (
        e[0] * q + v[0] * c + (-e[2] * v[1] + e[1] * v[2]) * s,
        e[1] * q + v[1] * c + (e[2] * v[0] - e[0] * v[2]) * s,
        e[2] * q + v[2] * c + (-e[1] * v[0] + e[0] * v[1]) * s,
    )


def rotate_matrix(v, u):
    """``v`` turned by the matrix ``u``, nine numbers row by row."""
    return (
        u[0] * v[0] + u[1] * v[1] + u[2] * v[2],
        u[3] * v[0] + u[4] * v[1] + u[5] * v[2],
        u[6] * v[0] + u[7] * v[1] + u[8] * v[2],
    )
