"""The beam: wavelength, fluence, polarization, and the point sources that stand for its spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.c_numbers import divide
from nanobragg.engine.original.frame import Frame
from nanobragg.engine.original.sampling import Steps, divergence_steps
from nanobragg.engine.original.settings import Settings
from nanobragg.kernels.vectors import Vector, rotate_axis, unit

SOURCE_DISTANCE = 10.0
MOST_SOURCES = 5_000_000


@dataclasses.dataclass(frozen=True)
class Beam:
    """Photons on their way to the sample.

    ``positions`` are the sources as set up or read, metres from the sample; ``directions`` their unit vectors;
    ``wavelengths`` metres; ``weights`` count only where that is fixed (Q15). ``divergence`` lists the points kept
    (horizontal, vertical, radians) and ``divergence_points`` is -1 when the sources come from a file.
    """

    lambda0: float
    fluence: float
    kahn: float
    nopolar: bool
    direction: Vector
    polar: Vector
    hdiv: Steps
    vdiv: Steps
    dispersion: Steps
    positions: np.ndarray
    directions: np.ndarray
    wavelengths: np.ndarray
    weights: np.ndarray
    divergence: tuple[tuple[float, float], ...]
    divergence_points: int
    from_file: bool


def fluence(settings: Settings) -> float:
    """Photons per square metre; a flux given replaces it (Q91)."""
    if settings.flux != 0.0 and settings.exposure > 0.0 and settings.beamsize >= 0.0:
        if settings.beamsize == 0.0:
            raise BadInput("-beamsize 0 with -flux: the fluence would be infinite")
        return settings.flux * settings.exposure / settings.beamsize / settings.beamsize
    return settings.fluence


def sample_clipped_by_beam(settings: Settings, warn: Callable[[str], None]) -> Vector:
    """Sample sizes; those across the beam are cut to the beam size (Q90)."""
    sizes = [settings.size_x, settings.size_y, settings.size_z]
    for k, name in ((1, "width"), (2, "height")):
        if "Q90" in settings.fixes and "beamsize" not in settings.given:
            break
        if 0.0 <= settings.beamsize < sizes[k]:
            warn(f"the beam ({settings.beamsize * 1000:g} mm) is smaller than the sample {name}: sample clipped")
            sizes[k] = settings.beamsize
    return tuple(sizes)  # type: ignore[return-value]


def _divergence(hdiv: Steps, vdiv: Steps, round_div: bool):
    """Points of the divergence grid, horizontal outer; an elliptical one drops the corners (Q42)."""
    for i in range(hdiv.count):
        for j in range(vdiv.count):
            eta, nu = hdiv.step * i - hdiv.range / 2.0, vdiv.step * j - vdiv.range / 2.0
            if round_div and (_ellipse(eta, hdiv) + _ellipse(nu, vdiv)) * 4.0 > 1.1:
                continue
            yield eta, nu


def _ellipse(x: float, steps: Steps) -> float:
    parity = 1.0 - steps.count % 2
    return divide(divide(x * x - steps.step * steps.step / 4.0 * parity, steps.range), steps.range)


def generated_sources(settings: Settings, frame: Frame, hdiv: Steps, vdiv: Steps, dispersion: Steps):
    """Divergence points times wavelengths; (n, 4) positions and wavelengths, and the points kept."""
    points = tuple(_divergence(hdiv, vdiv, settings.round_div))
    rows = []
    origin = tuple(-SOURCE_DISTANCE * b for b in frame.beam)
    for eta, nu in points:
        position = rotate_axis(rotate_axis(origin, frame.polar, nu), frame.vert, eta)
        for i in range(dispersion.count):
            wavelength = settings.lambda0 * (1.0 + dispersion.step * i - dispersion.range / 2.0)
            rows.append((*position, wavelength))
    return np.array(rows, dtype=float).reshape(-1, 4), points


def beam(settings: Settings, frame: Frame, source_rows: np.ndarray | None) -> Beam:
    """The beam; ``source_rows`` (n, 5: X Y Z weight wavelength) replace divergence and dispersion."""
    fixes = settings.fixes
    if "Q41" in fixes and settings.disp_steps > 1 and not settings.dispersion > 0.0:
        raise BadInput("-dispsteps: a count of wavelengths needs a range (-dispersion)")
    hdiv = divergence_steps(settings.hdiv_steps, settings.hdiv, settings.hdiv_step, fixes)
    vdiv = divergence_steps(settings.vdiv_steps, settings.vdiv, settings.vdiv_step, fixes)
    dispersion = divergence_steps(settings.disp_steps, settings.dispersion, settings.disp_step, fixes)
    if source_rows is None:
        check_source_count(hdiv.count * vdiv.count * dispersion.count)
        table, points = generated_sources(settings, frame, hdiv, vdiv, dispersion)
        count = len(points)
        weights = np.full(len(table), 1.0 / max(len(table), 1))
    else:
        table, points, count = source_rows[:, [0, 1, 2, 4]], (), -1
        weights = source_rows[:, 3]
    if not len(table):
        raise BadInput("no source is left: check -hdivrange, -vdivrange, -hdivsteps, -vdivsteps")
    directions = np.array([unit(tuple(v)) for v in table[:, :3].tolist()])
    return Beam(
        settings.lambda0, fluence(settings), settings.kahn, settings.nopolar, frame.beam, frame.polar,
        hdiv, vdiv, dispersion, table[:, :3], directions, table[:, 3].copy(), weights,
        points, count, source_rows is not None,
    )  # fmt: skip


def check_source_count(count: int) -> None:
    """Refuse source lists that cannot be meant."""
    if count > MOST_SOURCES:
        raise BadInput(f"{count} sources: check the divergence and dispersion steps")
