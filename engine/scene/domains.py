"""Mosaic domains that are turned by more about some axes than about others, or have cells of their own."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.engine.deviates import deviates, normal_deviate
from nanobragg.engine.model.crystal import Crystal
from nanobragg.engine.scene.scene import NO_SCALES, Three
from nanobragg.kernels.vectors import rotate_axis

AXES_STREAM, ANGLE_STREAM, CELL_STREAM = 14, 15, 16  # of random numbers
UNITS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def turned_by_axes(crystal: Crystal, recip: Three) -> np.ndarray:
    """Rotations (domain, 9), row by row, about axes that are drawn evenly, by normal angles; the first is none."""
    assert crystal.mosaic_axes_deg is not None
    widths, seed = np.radians(crystal.mosaic_axes_deg), int(crystal.mosaic_seed)
    frame = _frame(np.array(recip))
    rotations = np.empty((int(crystal.mosaic_domains), 9))
    rotations[0] = np.eye(3).ravel()
    for number in range(1, len(rotations)):
        u, v = deviates(seed, AXES_STREAM, number, 2)
        z, turn = 2.0 * u - 1.0, 2.0 * math.pi * v
        across = math.sqrt(1.0 - z * z)
        axis = np.array([across * math.cos(turn), across * math.sin(turn), z])
        angle = normal_deviate(seed, ANGLE_STREAM, number) / math.sqrt(float(((axis / widths) ** 2).sum()))
        in_lab = tuple((axis @ frame).tolist())
        columns = [rotate_axis(vector, in_lab, angle) for vector in UNITS]  # type: ignore[arg-type]
        rotations[number] = np.array(columns).T.ravel()
    return rotations


def _frame(recip: np.ndarray) -> np.ndarray:
    """Unit vectors along a*, across it in the plane of a* and b*, and along c, as rows."""
    x = recip[0] / np.linalg.norm(recip[0])
    z = np.cross(recip[0], recip[1])
    z /= np.linalg.norm(z)
    return np.array([x, np.cross(z, x), z])


def scales(crystal: Crystal) -> np.ndarray:
    """How much longer a, b and c of each domain are, (domain, 3); the first has the cell itself."""
    widths = np.array(crystal.cell_spread_percent, float) / 100.0
    if not widths.any() or crystal.mosaic_domains < 2:
        return NO_SCALES
    seed, number = int(crystal.mosaic_seed), int(crystal.mosaic_domains)
    drawn = [[normal_deviate(seed, CELL_STREAM, 3 * n + k) for k in range(3)] for n in range(number)]
    found = np.maximum(1.0 + widths * np.array(drawn), 0.1)
    found[0] = 1.0
    return found
