"""What ``--structure`` brings: the cell, and amplitudes as far as the detector sees."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nanobragg.engine.c_numbers import DEGREES
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.amplitudes import Cell
from nanobragg.engine.factors.files import MODEL, cell_of, kind_of
from nanobragg.engine.factors.load import energies_of_tables, factors_by_energy, factors_of_structure, seen_to
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.model.structure_factors import FactorsFrom, StructureFactors
from nanobragg.engine.original.set_up import Geometry
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.scene import Illumination

if TYPE_CHECKING:
    from nanobragg.cli.nanobragg.physics import Physics

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


def wanted_of(physics: Physics, placed: Geometry, beam: Illumination) -> Wanted:
    """How amplitudes are wanted: as far as the detector sees, at this wavelength."""
    d_min = seen_to(placed.detector, placed.crystal, beam, placed.settings.dmin * 1e10)
    return dataclasses.replace(physics.wanted, d_min_A=d_min, wavelength_A=placed.settings.lambda0 * 1e10)


def factors_of(
    physics: Physics, placed: Geometry, beam: Illumination, remark: Callable[[str], None]
) -> StructureFactors | None:
    """Amplitudes of the structure, or `None` without one."""
    if physics.structure is None:
        return None
    name = f"--structure {physics.structure}"
    wanted = wanted_of(physics, placed, beam)
    if physics.tables is not None:
        source = FactorsFrom(structure=physics.structure, tables=physics.tables)
        energies, default_F = energies_of_tables(source, beam), placed.settings.default_F
        return factors_by_energy(physics.structure, wanted, energies, default_F, placed.crystal, remark)
    return factors_of_structure(physics.structure, wanted, placed.settings.default_F, placed.crystal, remark, name)
