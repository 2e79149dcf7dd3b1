"""The original's uniform generator and the rotations drawn from it, in plain Python.

All streams share one table (iy and 32 entries), each owns a seed; `kernels.noise` compiles the same `uniform`.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.vectors import magnitude, rotate_axis, unit

FULL_SPHERE = 90.0  # meant as degrees, used by the original as radians (Q44)


def new_table() -> np.ndarray:
    """The state shared by all streams before anything was drawn: 32 entries, then iy; int64."""
    return np.zeros(33, np.int64)


def uniform(seed, table):
    """A deviate in (0, 1) as float32, and the stream's next seed; changes ``table``.

    Minimal standard generator with a shuffle table (Park and Miller; Bays and Durham). A seed <= 0 fills the table
    anew; a positive one goes on with the table another stream left.
    """
    if seed <= 0 or table[32] == 0:
        seed = 1 if -seed < 1 else -seed
        for j in range(39, -1, -1):
            k = seed // 127773
            seed = 16807 * (seed - k * 127773) - 2836 * k
            if seed < 0:
                seed += 2147483647
            if j < 32:
                table[j] = seed
        table[32] = table[0]
    k = seed // 127773
    seed = 16807 * (seed - k * 127773) - 2836 * k
    if seed < 0:
        seed += 2147483647
    j = table[32] // 67108864
    table[32] = table[j]
    table[j] = seed
    deviate = np.float32((1.0 / 2147483647.0) * table[32])
    if np.float64(deviate) > 1.0 - 1.2e-7:
        deviate = np.float32(1.0 - 1.2e-7)
    return deviate, seed


@functools.lru_cache(maxsize=1)
def _powf() -> Callable[[float, float], float]:
    """The C library's binary32 power: array libraries have their own, which differs in the last place."""
    for name in ("libm.so.6", "libm.dylib", "msvcrt"):
        try:
            powf = ctypes.CDLL(name).powf
        except (OSError, AttributeError):
            continue
        powf.argtypes, powf.restype = [ctypes.c_float, ctypes.c_float], ctypes.c_float
        return powf
    return math.pow


def cap_rotation(cap: np.float32, seed: int, table: np.ndarray) -> tuple[tuple[float, ...], int]:
    """A random rotation by up to ``cap`` radians (float32), row by row, and the next seed (Q45)."""
    r = []
    for _ in range(3):
        deviate, seed = uniform(seed, table)
        r.append(2.0 * float(deviate) - 1.0)
    r1, r2, r3 = r
    xy = math.sqrt(1.0 - r2 * r2)
    power = np.float32(_powf()(float(np.float32(1.0 - r3 * r3)), float(np.float32(1.0 / 3.0))))
    angle = float(np.float32(cap) * power)
    v1, v2, v3 = xy * math.sin(math.pi * r1), xy * math.cos(math.pi * r1), r2
    c, s = math.cos(angle), math.sin(angle)
    t = 1.0 - c
    t6 = t * v1
    t7, t9, t11, t12, t19, t20 = t6 * v2, s * v3, t6 * v3, s * v2, t * v2 * v3, s * v1
    rotation = (
        c + t * (v1 * v1), t7 - t9, t11 + t12,
        t7 + t9, c + t * (v2 * v2), t19 - t20,
        t11 - t12, t19 + t20, c + t * (v3 * v3),
    )  # fmt: skip
    return rotation, int(seed)


def uniform_cap_rotation(cap: float, seed: int, table: np.ndarray) -> tuple[tuple[float, ...], int]:
    """A rotation by up to ``cap`` radians, evenly over axes and angle cubed, in binary64, and the next seed."""
    deviates = []
    for _ in range(3):
        deviate, seed = uniform(seed, table)
        deviates.append(float(deviate))
    z, turn, cube = 2.0 * deviates[0] - 1.0, 2.0 * math.pi * deviates[1], deviates[2]
    across = math.sqrt(1.0 - z * z)
    axis = (across * math.cos(turn), across * math.sin(turn), z)
    angle = float(cap) * cube ** (1.0 / 3.0)
    columns = [
        rotate_axis(unit_vector, axis, angle) for unit_vector in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ]
    return tuple(columns[k % 3][k // 3] for k in range(9)), int(seed)


def misset_of(u0: float, u1: float, u2: float) -> tuple[float, float, float]:
    """Misset angles about x, y, z (radians) of an orientation that is uniformly random if these deviates are in [0, 1).

    Shoemake (1992), Uniform random rotations, Graphics Gems III, 124-132.
    """
    a, b = math.sqrt(1.0 - u0), math.sqrt(u0)
    x, y = a * math.sin(2.0 * math.pi * u1), a * math.cos(2.0 * math.pi * u1)
    z, w = b * math.sin(2.0 * math.pi * u2), b * math.cos(2.0 * math.pi * u2)
    third = min(max(2.0 * (x * z - w * y), -1.0), 1.0)  # of the matrix that turns about x, then y, then z
    return (
        math.atan2(2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
        -math.asin(third),
        math.atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z)),
    )


def uniform_misset(seed: int, table: np.ndarray) -> tuple[tuple[float, float, float], int]:
    """Misset angles of a uniformly random orientation, and the next seed."""
    u = []
    for _ in range(3):
        deviate, seed = uniform(seed, table)
        u.append(float(deviate))
    return misset_of(*u), int(seed)


def mosaic_rotations(
    spread: float,
    domains: int,
    seed: int,
    table: np.ndarray,
    rotation: Callable[[Any, int, np.ndarray], tuple[tuple[float, ...], int]] = cap_rotation,
) -> tuple[np.ndarray, int]:
    """Rotations of the mosaic domains, (domains, 9), the first the identity (Q47), and the next seed."""
    rotations = np.empty((domains, 9))
    cap = np.float32(spread) if rotation is cap_rotation else spread
    for m in range(domains):
        rotations[m], seed = rotation(cap, seed, table)
    rotations[:1] = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    return rotations, seed


def random_misset(seed: int, table: np.ndarray) -> tuple[tuple[float, float, float], int]:
    """Misset angles about x, y, z (radians) of a random orientation, and the next seed."""
    rotation, seed = cap_rotation(np.float32(FULL_SPHERE), seed, table)
    rows = [rotation[0:3], rotation[3:6], rotation[6:9]]
    x, y, z = (_unit_twice(row) for row in rows)
    if z[0] * z[0] < 1.0:
        angles = (
            math.atan2(z[1], z[2]),
            math.atan2(-z[0], math.sqrt(z[1] * z[1] + z[2] * z[2])),
            math.atan2(y[0], x[0]),
        )
    else:
        angles = (4.0 * math.atan2(1.0, 1.0), 2.0 * math.atan2(1.0, 1.0), math.atan2(x[1], -y[1]))
    return angles, seed


def _unit_twice(row):
    """The original divides twice by the length; the second time still changes last bits."""
    return unit(unit(row)) if magnitude(row) > 0.0 else row
