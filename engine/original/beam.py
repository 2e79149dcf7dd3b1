"""The beam as the original sets it up: fluence, and the point sources that stand for its spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.frame import LabFrame
from nanobragg.engine.original.sampling import divergence_steps
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene import sources
from nanobragg.engine.scene.scene import Illumination
from nanobragg.engine.scene.sources import Steps
from nanobragg.kernels.vectors import Vector


@dataclasses.dataclass(frozen=True)
class ToldBeam(Illumination):
    """The beam, with the sources as they were set up or read.

    ``positions`` in metres from the sample; ``given_weights`` count only where that is fixed (Q15). ``divergence``
    lists the points kept (horizontal, vertical, radians) and ``divergence_points`` is -1 when the sources come from a
    file.
    """

    hdiv: Steps
    vdiv: Steps
    dispersion: Steps
    positions: np.ndarray
    given_weights: np.ndarray
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


def beam(settings: Settings, frame: LabFrame, source_rows: np.ndarray | None) -> ToldBeam:
    """The beam; ``source_rows`` (n, 5: X Y Z weight wavelength) replace divergence and dispersion."""
    fixes = settings.fixes
    if "Q41" in fixes and settings.disp_steps > 1 and not settings.dispersion > 0.0:
        raise BadInput("-dispsteps: a count of wavelengths needs a range (-dispersion)")
    hdiv = divergence_steps(settings.hdiv_steps, settings.hdiv, settings.hdiv_step, fixes)
    vdiv = divergence_steps(settings.vdiv_steps, settings.vdiv, settings.vdiv_step, fixes)
    dispersion = divergence_steps(settings.disp_steps, settings.dispersion, settings.disp_step, fixes)
    if source_rows is None:
        sources.check_number(hdiv.count * vdiv.count * dispersion.count)
        points = tuple(sources.divergence_points(hdiv, vdiv, settings.round_div))
        table = sources.grid_of_sources(settings.lambda0, (frame.beam, frame.polar), points, dispersion)
        count, given = len(points), np.full(len(table), 1.0 / max(len(table), 1))
    else:
        table, points, count = source_rows[:, [0, 1, 2, 4]], (), -1
        given = source_rows[:, 3]
    if not len(table):
        raise BadInput("no source is left: check -hdivrange, -vdivrange, -hdivsteps, -vdivsteps")
    return ToldBeam(
        wavelength=settings.lambda0, fluence=fluence(settings), exposure=settings.exposure, beamsize=settings.beamsize,
        kahn=settings.kahn, polarization_left_out=settings.nopolar, direction=frame.beam, polar=frame.polar,
        directions=sources.directions_of(table[:, :3]), wavelengths=table[:, 3].copy(),
        weights=_shares(given, settings), table_numbers=np.zeros(len(table), np.int64),
        hdiv=hdiv, vdiv=vdiv, dispersion=dispersion,
        positions=table[:, :3], given_weights=given, divergence=points, divergence_points=count,
        from_file=source_rows is not None,
    )  # fmt: skip


def _shares(given: np.ndarray, settings: Settings) -> np.ndarray:
    """What the terms of each source count; the original leaves weights unused (Q15)."""
    if "Q15" not in settings.fixes:
        return np.ones(len(given))
    if not float(given.sum()) > 0.0 or (given < 0.0).any():
        raise BadInput("-sourcefile: the weights must not be negative, and one must be above 0")
    return sources.shares(given)
