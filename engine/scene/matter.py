"""What a model says of backgrounds and beamstop, as scatterers and shades of a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.matter import absorption, molecules
from nanobragg.engine.model.background import BEHIND_MM, Amorphous, Background, Gas, Ice, check_stol
from nanobragg.engine.model.beamstop import Beamstop
from nanobragg.engine.scene.scene import NO_SHADE, Illumination, Scatterer
from nanobragg.kernels.surroundings.plan import Shade
from nanobragg.kernels.vectors import cross, dot, unit

STOL_STEP_A, STOL_END_A = 0.0004, 2.5  # of tables, 1/Angstrom
PLACES_OF_GAS = 12  # along the beam, where it is integrated by Gauss' and Legendre's rule


def scatterers_of(
    backgrounds: Sequence[Background], beamstop: Beamstop | None, beam: Illumination
) -> tuple[Scatterer, ...]:
    """Amorphous matter of a model; what is not there is left out."""
    found = []
    for part in backgrounds:
        if isinstance(part, Amorphous | Ice) and part.molecules_per_area > 0.0:
            found.append(_of_slab(part, beam))
        elif isinstance(part, Gas) and part.molecules_per_volume > 0.0:
            found.append(_of_gas(part, beamstop, beam))
    return tuple(scatterer for scatterer in found if len(scatterer.offsets))


def grid(narrowest: float = math.inf) -> np.ndarray:
    """stol of tables, 1/Angstrom; finer where ``narrowest``, the width of a ring, needs it."""
    step = min(STOL_STEP_A, narrowest / 20.0)
    return np.arange(0.0, STOL_END_A + step, step)


def _of_slab(part: Amorphous | Ice, beam: Illumination) -> Scatterer:
    number = np.array([part.molecules_per_area * beam.beamsize**2])
    if isinstance(part, Ice):
        stol_A = grid(part.width)
        coherent, incoherent = molecules.ice(stol_A, part.width), np.zeros(len(stol_A))
    else:
        stol_A = grid()
        coherent = _coherent(part, stol_A)
        incoherent = molecules.incoherent(part.material, stol_A) if part.compton and part.material else 0.0 * stol_A
    return Scatterer(np.zeros(1), number, stol_A * 1e10, coherent, incoherent)


def _coherent(part: Amorphous, stol_A: np.ndarray) -> np.ndarray:
    if part.file is not None:
        stol, F = read_stol(part.file)
    elif part.stol is not None:
        stol, F = np.asarray(part.stol, float), np.asarray(part.F, float)
    else:
        assert part.material is not None
        return molecules.coherent(part.material, stol_A)
    return molecules.between(stol, F, stol_A) ** 2


def _of_gas(part: Gas, beamstop: Beamstop | None, beam: Illumination) -> Scatterer:
    stop = beamstop.distance_mm if beamstop is not None else BEHIND_MM
    begin, end = -part.before_mm * 1e-3, (stop if part.behind_mm is None else part.behind_mm) * 1e-3
    if beamstop is not None:
        end = min(end, beamstop.distance_mm * 1e-3)
    nodes, weights = np.polynomial.legendre.leggauss(PLACES_OF_GAS)
    offsets = begin + (end - begin) * (nodes + 1.0) / 2.0
    number = part.molecules_per_volume * beam.beamsize**2 * (end - begin) * weights / 2.0
    stol_A = grid()
    incoherent = molecules.incoherent(part.material, stol_A) if part.compton else np.zeros(len(stol_A))
    lit = number > 0.0
    return Scatterer(offsets[lit], number[lit], stol_A * 1e10, molecules.coherent(part.material, stol_A), incoherent)


def shade_of(backgrounds: Sequence[Background], beamstop: Beamstop | None, beam: Illumination) -> Shade:
    """What takes light away on the way to the detector."""
    energy_eV = HC / (beam.mean_wavelength * 1e10)
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
