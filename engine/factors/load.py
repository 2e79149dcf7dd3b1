"""Structure factors from where a model says that they come from, as far as the detector sees."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import DEGREES, HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.amplitudes import Cell
from nanobragg.engine.factors.files import FINEST_A, amplitudes_of, cell_of
from nanobragg.engine.factors.reach import MARGIN, finest_d
from nanobragg.engine.factors.tables import read_any_table, stacked
from nanobragg.engine.factors.wanted import Solvent, Wanted
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.model.structure_factors import CHANNELS, FactorsFrom, StructureFactors, constant_factors
from nanobragg.engine.scene.scene import Illumination, Lattice, PlacedDetector

OF_A_CELL = 0.02  # what an edge or angle may differ by


def differs(cell: Sequence[float], simulated: Sequence[float]) -> bool:
    """Whether a cell (Angstrom, degrees) is not that of the crystal (Angstrom, radians)."""
    of_crystal = [*simulated[:3], *(angle * DEGREES for angle in simulated[3:])]
    return any(abs(a - b) > OF_A_CELL * abs(a) for a, b in zip(cell, of_crystal, strict=True))


def seen_to(detector: PlacedDetector, crystal: Lattice, beam: Illumination, dmin_A: float) -> float:
    """The resolution that amplitudes are wanted to, Angstrom.

    It is rounded, so that what is kept of much the same detector is found again.
    """
    finest = max(finest_d(detector, crystal, beam), dmin_A / MARGIN, FINEST_A)
    return math.floor(finest * 100.0) / 100.0


def wanted_of(source: FactorsFrom) -> Wanted:
    """How amplitudes are to be made of a structure or list, resolution and wavelength apart."""
    solvent = source.solvent
    bulk = Solvent() if solvent is True else None if solvent is False else Solvent(*solvent)  # type: ignore[misc]
    given = source.anomalous or {}
    anomalous = tuple((e, v if isinstance(v, str) else ",".join(map(str, v))) for e, v in given.items())
    return Wanted(source.d_min_A, None, bulk, tuple(source.labels), source.symmetry, anomalous, source.F000)


def factors_of_structure(
    path: str, wanted: Wanted, default_F: float, crystal: Lattice, tell: Callable[[str], None], name: str
) -> StructureFactors:
    """Amplitudes of a structure or a list of reflections; ``name`` names it in messages."""
    amplitudes = amplitudes_of(path, wanted)
    for line in amplitudes.story:
        tell(line)
    if amplitudes.cell is not None and differs(amplitudes.cell, crystal.cell):
        tell(f"{name}: the cell that is simulated is another one, of -cell or -mat")
    return amplitudes.table(name, default_F)


def energies_of_tables(source: FactorsFrom, beam: Illumination) -> tuple[float, ...]:
    """The photon energies (eV) that amplitudes are made of; none where they are of one."""
    if source.tables is None:
        return ()
    channels = np.unique(HC / (beam.wavelengths * 1e10))
    if source.tables == CHANNELS or int(source.tables) >= len(channels):
        return tuple(channels.tolist())
    n = int(source.tables)
    if source.between_energies:
        return tuple(np.linspace(channels[0], channels[-1], n).tolist())
    width = (channels[-1] - channels[0]) / n
    return tuple((channels[0] + width * (np.arange(n) + 0.5)).tolist())


def factors_by_energy(
    path: str, wanted: Wanted, energies_eV: Sequence[float], default_F: float, crystal: Lattice,
    tell: Callable[[str], None], *, between: bool = False,
) -> StructureFactors:  # fmt: skip
    """Amplitudes of a structure at some photon energies, a table for each."""
    from nanobragg.engine.factors.by_energy import amplitudes_by_energy

    amplitudes = amplitudes_by_energy(path, wanted, energies_eV)
    for line in amplitudes.story:
        tell(line)
    if amplitudes.cell is not None and differs(amplitudes.cell, crystal.cell):
        tell(f"{path}: the cell that is simulated is another one, of -cell or -mat")
    return stacked(amplitudes.hkl, amplitudes.F, energies_eV, default_F, path, tell, between=between)


def load(
    source: FactorsFrom,
    detector: PlacedDetector,
    crystal: Lattice,
    beam: Illumination,
    *,
    dmin_A: float = 0.0,
    tell: Callable[[str], None] = lambda line: None,
) -> StructureFactors:
    """Read what a model only names.

    Raises
    ------
    BadInput
        In one line that names the file, for whatever it does not hold.
    """
    if source.structure is not None:
        wanted = wanted_of(source)
        d_min_A = wanted.d_min_A or seen_to(detector, crystal, beam, dmin_A)
        wanted = dataclasses.replace(wanted, d_min_A=d_min_A, wavelength_A=beam.wavelength * 1e10)
        if source.tables is not None:
            energies = energies_of_tables(source, beam)
            return factors_by_energy(source.structure, wanted, energies, source.default_F, crystal, tell,
                                     between=source.between_energies)  # fmt: skip
        return factors_of_structure(source.structure, wanted, source.default_F, crystal, tell, source.structure)
    if source.hkl is not None:
        try:
            return read_any_table(source.hkl, tell, source.default_F)
        except OSError as error:
            raise BadInput(f"{source.hkl}: {reason(error)}") from None
    return constant_factors(source.default_F)


@functools.lru_cache(maxsize=16)
def _cell_once(path: str) -> Cell | None:
    """The cell of a file, which all images of a job ask for."""
    return cell_of(path)


def with_cell(tables: dict[str, Any], folder: str) -> dict[str, Any]:
    """The tables of a model, the crystal's cell that of its structure where none is given.

    Names of files are relative to ``folder``.
    """
    crystal, factors = tables.get("crystal", {}), tables.get("factors", {})
    structure = factors.get("structure") if isinstance(factors, dict) else None
    if not isinstance(crystal, dict) or not isinstance(structure, str) or {"cell", "reciprocal"} & set(crystal):
        return tables
    cell = _cell_once(os.path.join(folder, structure))
    if cell is None:
        raise BadInput(f"{structure}: has no unit cell: give cell in [crystal]")
    return {**tables, "crystal": {**crystal, "cell": list(cell)}}
