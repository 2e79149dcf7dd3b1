"""What a model says of backgrounds and beamstop, as scatterers and shades of a scene."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.matter import absorption, molecules
from nanobragg.engine.model.background import BEHIND_MM, Amorphous, Background, Gas, Ice, check_stol
from nanobragg.engine.model.beamstop import Beamstop
from nanobragg.engine.scene.scene import NO_SHADE, Illumination, Scatterer, ScatteringTable
from nanobragg.kernels.surroundings.plan import Shade
from nanobragg.kernels.vectors import cross, dot, unit

STOL_STEP_A, STOL_END_A = 0.0004, 2.5  # of tables, 1/Angstrom
STEPS_OF_RING = 50  # in its width: between them the top of a ring is 3e-4 too low
BEFORE_DETECTOR = 0.98  # of the way, up to which lit gas is seen: next to a pixel it would be all that this sees
PLACES_OF_GAS = 12  # along the beam, where it is integrated by Gauss' and Legendre's rule


def scatterers_of(
    backgrounds: Sequence[Background], beamstop: Beamstop | None, beam: Illumination, nearest: float
) -> tuple[Scatterer, ...]:
    """Amorphous matter of a model; what is not there is left out. ``nearest`` is where the detector is, metres."""
    found = []
    for part in backgrounds:
        if isinstance(part, Amorphous | Ice) and part.molecules_per_area > 0.0:
            found.append(_of_slab(part, beam))
        elif isinstance(part, Gas) and part.molecules_per_volume > 0.0:
            found.append(_of_gas(part, beamstop, beam, nearest))
    return tuple(scatterer for scatterer in found if len(scatterer.offsets))


def grid(narrowest: float = math.inf) -> np.ndarray:
    """stol of tables, 1/Angstrom; finer where ``narrowest``, the width of a ring, needs it."""
    step = min(STOL_STEP_A, narrowest / STEPS_OF_RING)
    return np.arange(0.0, STOL_END_A + step, step)


def table_of(stol_A: np.ndarray, coherent: np.ndarray, incoherent: np.ndarray | None = None) -> ScatteringTable:
    """The table of what was made on a grid."""
    nothing = np.zeros(len(stol_A)) if incoherent is None else incoherent
    return ScatteringTable(float(stol_A[1]) * 1e10, coherent, nothing)


@functools.lru_cache(maxsize=16)
def _of_material(material: str, compton: bool) -> ScatteringTable:
    stol_A = grid()
    incoherent = molecules.incoherent(material, stol_A) if compton else None
    return table_of(stol_A, molecules.coherent(material, stol_A), incoherent)


@functools.lru_cache(maxsize=4)
def _of_ice(width: float) -> ScatteringTable:
    stol_A = grid(width)
    return table_of(stol_A, molecules.ice(stol_A, width))


@functools.lru_cache(maxsize=16)
def of_points(stol_A: tuple[float, ...], F: tuple[float, ...], material: str | None = None) -> ScatteringTable:
    """The table of some points, stol in 1/Angstrom; with the Compton scattering of a material, if one is said."""
    at = grid()
    incoherent = None if material is None else molecules.incoherent(material, at)
    return table_of(at, molecules.between(np.array(stol_A), np.array(F), at) ** 2, incoherent)


def _of_slab(part: Amorphous | Ice, beam: Illumination) -> Scatterer:
    number = np.array([part.molecules_per_area * beam.beamsize**2])
    table = _of_ice(part.width) if isinstance(part, Ice) else _table_of(part)
    return Scatterer(np.zeros(1), number, table)


def _table_of(part: Amorphous) -> ScatteringTable:
    given: Any = (part.stol, part.F) if part.file is None else read_stol(part.file)
    if given[0] is None:
        assert part.material is not None
        return _of_material(part.material, part.compton)
    stol, F = (tuple(float(x) for x in values) for values in given)
    return of_points(stol, F, part.material if part.compton else None)


def _of_gas(part: Gas, beamstop: Beamstop | None, beam: Illumination, nearest: float) -> Scatterer:
    stop = beamstop.distance_mm if beamstop is not None else BEHIND_MM
    begin, end = -part.before_mm * 1e-3, (stop if part.behind_mm is None else part.behind_mm) * 1e-3
    if beamstop is not None:
        end = min(end, beamstop.distance_mm * 1e-3)
    end = max(min(end, nearest * BEFORE_DETECTOR), begin)
    nodes, weights = np.polynomial.legendre.leggauss(PLACES_OF_GAS)
    offsets = begin + (end - begin) * (nodes + 1.0) / 2.0
    number = part.molecules_per_volume * beam.beamsize**2 * (end - begin) * weights / 2.0
    lit = number > 0.0
    return Scatterer(offsets[lit], number[lit], _of_material(part.material, part.compton))


def shade_of(backgrounds: Sequence[Background], beamstop: Beamstop | None, beam: Illumination) -> Shade:
    """What takes light away on the way to the detector."""
    energy_eV = HC / (beam.wavelength * 1e10)  # the nominal one, so that shots share what is made
    gases = [part for part in backgrounds if isinstance(part, Gas) and part.absorbs]
    mu = sum(absorption.of_gas(part.material, energy_eV) * part.pressure for part in gases)
    if beamstop is None:
        return NO_SHADE._replace(absorption=float(mu))
    up = cross(beam.direction, beam.polar)
    up = unit(up) if dot(up, up) > 0.0 else unit(cross(beam.direction, (0.3, 0.5, 0.8)))
    x, y = beamstop.offset_mm
    return Shade(
        absorption=float(mu), distance=beamstop.distance_mm * 1e-3, half=beamstop.size_mm * 0.5e-3,
        square=beamstop.shape == "square", across=unit(cross(up, beam.direction)), up=up, centre=(x * 1e-3, y * 1e-3),
    )  # fmt: skip


def read_stol(name: str) -> tuple[np.ndarray, np.ndarray]:
    """stol (1/Angstrom) and F of a file of two columns; lines that begin with # are comments.

    Raises
    ------
    BadInput
        If it cannot be read, or is no such table.
    """
    try:
        with open(name, encoding="utf-8", errors="replace") as file:
            lines = [line.split("#")[0].split() for line in file]
        rows = np.array([[float(word) for word in line[:2]] for line in lines if line], float)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None
    except ValueError:
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1:] != (2,):
        raise BadInput(f"{name}: must have two columns of numbers: sin(theta)/lambda (1/Angstrom), and F (electrons)")
    check_stol(rows[:, 0], rows[:, 1], name)
    return rows[:, 0], rows[:, 1]
