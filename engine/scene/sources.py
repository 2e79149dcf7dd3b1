"""Point sources that stand for a beam's divergence and bandwidth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from nanobragg.engine.c_numbers import divide
from nanobragg.engine.errors import BadInput
from nanobragg.kernels.vectors import Vector, cross, rotate_axis, unit

SOURCE_DISTANCE = 10.0  # metres
MOST_SOURCES = 5_000_000


@dataclasses.dataclass(frozen=True)
class Steps:
    """A sampled range: number of points, full range, distance of two points."""

    count: int
    range: float
    step: float


NONE = Steps(1, 0.0, 0.0)


def spread_over(full: float, count: int) -> Steps:
    """Points from end to end of a range; one point without a range."""
    return Steps(count, full, divide(full, count - 1)) if count > 1 and full > 0.0 else NONE


def divergence_points(hdiv: Steps, vdiv: Steps, elliptical: bool) -> Iterator[tuple[float, float]]:
    """Points of the divergence grid, horizontal outer, radians; an elliptical one drops the corners (Q42)."""
    for i in range(hdiv.count):
        for j in range(vdiv.count):
            eta, nu = hdiv.step * i - hdiv.range / 2.0, vdiv.step * j - vdiv.range / 2.0
            if elliptical and (_ellipse(eta, hdiv) + _ellipse(nu, vdiv)) * 4.0 > 1.1:
                continue
            yield eta, nu


def _ellipse(x: float, steps: Steps) -> float:
    parity = 1.0 - steps.count % 2
    return divide(divide(x * x - steps.step * steps.step / 4.0 * parity, steps.range), steps.range)


def grid_of_sources(
    wavelength: float, axes: tuple[Vector, Vector], points: tuple[tuple[float, float], ...], dispersion: Steps
) -> np.ndarray:
    """Divergence points times wavelengths, (n, 4): positions (metres from the sample) and wavelengths.

    ``axes`` are the beam's direction and that of its polarization, about which vertical divergence turns.
    """
    beam, polar = axes
    vert = unit(cross(beam, polar))
    rows = []
    origin: Vector = tuple(-SOURCE_DISTANCE * b for b in beam)  # type: ignore[assignment]
    for eta, nu in points:
        position = rotate_axis(rotate_axis(origin, polar, nu), vert, eta)
        for i in range(dispersion.count):
            rows.append((*position, wavelength * (1.0 + dispersion.step * i - dispersion.range / 2.0)))
    return np.array(rows, dtype=float).reshape(-1, 4)


def times_wavelengths(rows: np.ndarray, wavelengths: np.ndarray) -> np.ndarray:
    """Sources (n, 4) each of which has all of some wavelengths (metres), one after the other."""
    positions = np.repeat(rows[:, :3], len(wavelengths), axis=0)
    return np.column_stack([positions, np.tile(wavelengths, len(rows))])


def directions_of(positions: np.ndarray) -> np.ndarray:
    """Unit vectors of positions, (n, 3)."""
    return np.array([unit(tuple(v)) for v in positions.tolist()])


def shares(weights: np.ndarray) -> np.ndarray:
    """What the terms of each source count: its weight over their mean."""
    total = float(weights.sum())
    return weights * (len(weights) / total)


def check_number(count: int) -> None:
    """Refuse source lists that cannot be meant."""
    if count > MOST_SOURCES:
        raise BadInput(f"{count} sources: check the divergence and dispersion steps")
