"""Structure factors of an atomic model at many photon energies.

Only f' and f'' depend on the energy: F(E) = F_0 + sum over elements of (f'(E) + i f''(E)) C, where F_0 is of the atoms
without dispersion and of the solvent, and C of one electron at the place of each atom of an element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors import atoms
from nanobragg.engine.factors import dispersion as anomalous
from nanobragg.engine.factors.amplitudes import Cell
from nanobragg.engine.factors.files import MODEL, kind_of, structure_of
from nanobragg.engine.factors.gemmi_package import errors_of
from nanobragg.engine.factors.wanted import Wanted


class AmplitudesByEnergy(NamedTuple):
    """Amplitudes ``F`` (energy, reflection; electrons) of indices ``hkl`` (n, 3) in P1, the cell, and what was done."""

    hkl: np.ndarray
    F: np.ndarray
    cell: Cell | None
    story: tuple[str, ...]


def amplitudes_by_energy(path: str, wanted: Wanted, energies_eV: Sequence[float]) -> AmplitudesByEnergy:
    """Amplitudes of a structure at some photon energies (eV); ``wanted`` says all else.

    Raises
    ------
    BadInput
        In one line that names the file, for whatever it does not hold; lists of reflections have one energy.
    """
    if kind_of(path) != MODEL:
        raise BadInput(f"{path}: is a list of reflections, of one photon energy: tables are of structures")
    assert wanted.d_min_A is not None
    structure, given = structure_of(path), dict(wanted.anomalous)
    with errors_of(path):
        elements = atoms.checked_elements(structure, path)
        found = [anomalous.of_elements(elements, energy, given) for energy in energies_eV]
        sphere = atoms.within(structure.cell, wanted.d_min_A, path)
        if wanted.F000:
            sphere = atoms.with_F000(sphere)
        atoms.check_memory(structure.cell, wanted.d_min_A, path)
        still = atoms.of_atoms(structure, sphere, wanted.d_min_A, {})
        if wanted.solvent is not None:
            still = still + atoms.of_bulk_solvent(structure, sphere, wanted.solvent)[1]
        moving = {name: atoms.of_points(structure, sphere, wanted.d_min_A, name) for name in sorted(elements)}
    F = np.empty((len(energies_eV), len(sphere.hkl)))
    for number, dispersion in enumerate(found):
        total = still.copy()
        for name, (real, imaginary) in dispersion.items():
            total += (real + 1j * imaginary) * moving[name]
        F[number] = np.abs(total)
    if not np.isfinite(F).all():
        raise BadInput(f"{path}: an amplitude is infinite or not a number: check B factors and occupancies")
    span = f"{min(energies_eV):.6g} to {max(energies_eV):.6g} eV"
    told = f"{path}: {len(sphere.hkl)} reflections in P1 to {wanted.d_min_A:.4g} A at {len(F)} energies, {span}"
    return AmplitudesByEnergy(sphere.hkl, F, tuple(structure.cell.parameters), (told,))
