"""What ``--structure`` brings: the cell, and amplitudes as far as the detector sees."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from nanobragg.cli.nanobragg.physics import Physics
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import Geometry
from nanobragg.engine.factors.amplitudes import Cell
from nanobragg.engine.factors.files import FINEST_A, MODEL, amplitudes_of, cell_of, kind_of
from nanobragg.engine.factors.reach import MARGIN, finest_d
from nanobragg.engine.factors.structure_factors import StructureFactors
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.original.beam import Beam
from nanobragg.engine.original.c_numbers import DEGREES
from nanobragg.engine.original.settings import Settings

OF_A_CELL = 0.02  # what an edge or angle may differ by
CELL = ("cell_a", "cell_b", "cell_c", "cell_alpha", "cell_beta", "cell_gamma")


def cell_settings(settings: Settings, structure: str) -> dict[str, Any]:
    """The structure's cell, unless a flag gives a cell or a matrix."""
    if settings.hkl_file is not None:
        raise BadInput(f"--structure {structure} and -hkl {settings.hkl_file}: both give amplitudes: take one")
    if "user_cell" in settings.given or settings.mat_file is not None:
        return {}
    cell = _cell_in(structure, _stamp(structure))
    if cell is None:
        hint = ": give -cell or -mat" if kind_of(structure) != MODEL else ""
        raise BadInput(f"--structure {structure}: has no unit cell{hint}")
    values = [*cell[:3], *(angle / DEGREES for angle in cell[3:])]
    return {"user_cell": True, **dict(zip(CELL, values, strict=True))}


def _stamp(path: str) -> tuple[int, ...] | None:
    """What changes when a file is written again."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=4)  # a batch asks for the same file again and again
def _cell_in(structure: str, stamp: tuple[int, ...] | None) -> Cell | None:
    return cell_of(structure)


def differs(cell: Sequence[float], simulated: Sequence[float]) -> bool:
    """Whether a cell (Angstrom, degrees) is not that of the crystal (Angstrom, radians)."""
    of_crystal = [*simulated[:3], *(angle * DEGREES for angle in simulated[3:])]
    return any(abs(a - b) > OF_A_CELL * abs(a) for a, b in zip(cell, of_crystal, strict=True))


def wanted_of(physics: Physics, placed: Geometry, beam: Beam) -> Wanted:
    """How amplitudes are wanted: as far as the detector sees, at this wavelength.

    The resolution is rounded, so that what is kept of much the same detector is found again.
    """
    finest = max(finest_d(placed, beam), placed.settings.dmin * 1e10 / MARGIN, FINEST_A)
    d_min = math.floor(finest * 100.0) / 100.0
    return dataclasses.replace(physics.wanted, d_min_A=d_min, wavelength_A=placed.settings.lambda0 * 1e10)


def factors_of(
    physics: Physics, placed: Geometry, beam: Beam, remark: Callable[[str], None]
) -> StructureFactors | None:
    """Amplitudes of the structure, or `None` without one."""
    if physics.structure is None:
        return None
    made = amplitudes_of(physics.structure, wanted_of(physics, placed, beam))
    for line in made.story:
        remark(line)
    if made.cell is not None and differs(made.cell, placed.crystal.cell):
        remark(f"--structure {physics.structure}: the cell that is simulated is another one, of -cell or -mat")
    return made.table(f"--structure {physics.structure}", placed.settings.default_F)
