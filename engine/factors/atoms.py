"""Structure factors of an atomic model: atoms as densities on a grid, bulk solvent, anomalous scattering, one FFT each.

F = F_atoms + k exp(-B s^2 / 4) F_mask with s = 1/d; with anomalous scattering F_atoms(h) = A(h) + i D(h), where A are
the coefficients of f0 + f' and D those of f'', so that Friedel mates differ.
"""

from __future__ import annotations

import collections
import math
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors import dispersion as anomalous
from nanobragg.engine.factors.amplitudes import Amplitudes
from nanobragg.engine.factors.gemmi_package import package
from nanobragg.engine.factors.tables import packed_indices
from nanobragg.engine.factors.wanted import Solvent

RATE, CUTOFF = 1.8, 1e-6  # of the grid, and where densities are cut: 1e-6 of F against direct summation
SPACING_A, COARSE_A = 0.4, 0.6  # of the solvent's mask, and of that of cells with more points than these
MOST_POINTS = 200_000_000
BYTES_AN_INDEX = 100
BYTES_A_POINT = 24  # the density, its transform, and what is copied of them
LEAST_DIFFERENCE = 1e-4  # of the amplitudes, from which on Friedel mates are said to differ


class Sphere(NamedTuple):
    """Indices (n, 3) within a resolution, 0 0 0 apart, and 1/d^2 (1/square Angstrom)."""

    hkl: np.ndarray
    inverse_d2: np.ndarray


def of_structure(
    structure: Any,
    path: str,
    d_min_A: float,
    *,
    energy_eV: float | None,
    solvent: Solvent | None,
    given: dict[str, str],
    F000: bool = False,
) -> Amplitudes:
    """Amplitudes of all reflections of a model to a resolution.

    Parameters
    ----------
    structure
        A `gemmi.Structure`; its first model counts.
    path
        Its file, for messages.
    d_min_A
        Resolution.
    energy_eV
        Photon energy, for f' and f''; `None` for none but those given.
    solvent
        Bulk solvent, or `None`.
    given
        f' and f'' by element: see `dispersion.of_elements`.
    F000
        Whether 0 0 0 is among them.

    Raises
    ------
    BadInput
        If it is no crystal, has no atoms or such of no known element, or does not fit in memory.
    """
    elements = checked_elements(structure, path)
    found = anomalous.of_elements(elements, energy_eV, given)
    sphere = within(structure.cell, d_min_A, path)
    if F000:
        sphere = with_F000(sphere)
    check_memory(structure.cell, d_min_A, path)
    F = of_atoms(structure, sphere, d_min_A, found)
    told = [
        f"{path}: {sum(elements.values())} atoms ({', '.join(f'{n} {name}' for name, n in elements.most_common())})",
        f"cell {' '.join(f'{x:g}' for x in structure.cell.parameters)}, {symmetry_of(structure)}",
    ]
    group = structure.find_spacegroup()
    if group is not None and not structure.cell.is_compatible_with_spacegroup(group, 0.01):
        told.append(f"this cell does not have the symmetry of {group.hm}: one of them is wrong")
    if len(structure) > 1:
        told.append(f"has {len(structure)} models: the first one is taken")
    if solvent is not None:
        share, of_bulk = of_bulk_solvent(structure, sphere, solvent)
        F = F + of_bulk
        told.append(f"bulk solvent in {share:.0%} of the cell: k {solvent.k:g} e/A^3, B {solvent.B:g} A^2")
    else:
        told.append("no bulk solvent")
    amplitudes = np.abs(F)
    if not np.isfinite(amplitudes).all():
        raise BadInput(f"{path}: an amplitude is infinite or not a number: check B factors and occupancies")
    if energy_eV is not None or given:
        at = "as given" if energy_eV is None else f"at {energy_eV:.6g} eV ({HC / energy_eV:.5g} A)"
        told.append(f"anomalous scatterers {at}: {anomalous.story(found)}{_difference(sphere.hkl, amplitudes)}")
    of_beam = f"F of 0 0 0 is {amplitudes[-1]:.6g}" if F000 else "F of 0 0 0 left out"
    told.append(f"{len(sphere.hkl)} reflections in P1 to {d_min_A:.4g} A, all that there are; {of_beam}")
    name = symmetry_of(structure)
    return Amplitudes(sphere.hkl, amplitudes, tuple(structure.cell.parameters), name, tuple(told))


def symmetry_of(structure: Any) -> str:
    """The name of the space group; P 1 where the file has none."""
    group = structure.find_spacegroup()
    return str(group.hm) if group is not None else "P 1"


def checked_elements(structure: Any, path: str) -> collections.Counter[str]:
    """Number of atoms by element; raises `BadInput` for a model that has no structure factors."""
    if not structure.cell.is_crystal():
        raise BadInput(f"{path}: has no unit cell (CRYST1 in PDB, _cell in mmCIF): it is no crystal structure")
    if not (len(structure) and structure[0].count_atom_sites()):
        raise BadInput(f"{path}: has no atoms")
    if structure.spacegroup_hm and structure.find_spacegroup() is None:
        raise BadInput(f"{path}: {structure.spacegroup_hm!r} is no space group")
    found: collections.Counter[str] = collections.Counter()
    for site in structure[0].all():
        atom, element = site.atom, site.atom.element
        if element.atomic_number == 0 or element.atomic_number > 98:
            raise BadInput(f"{path}: atom {atom.name} {atom.serial}: {element.name!r} has no form factor")
        numbers = (*atom.pos.tolist(), atom.occ, atom.b_iso)
        if not all(map(math.isfinite, numbers)):
            raise BadInput(f"{path}: atom {atom.name} {atom.serial}: a coordinate, occupancy or B is no number")
        found[element.name] += 1
    return found


def within(cell: Any, d_min_A: float, path: str) -> Sphere:
    """All reflections of a cell to a resolution."""
    recip = np.linalg.inv(np.array(cell.orth.mat.tolist()))  # rows a*, b*, c*
    found = indices_within(recip, 1.0 / d_min_A, path)
    if not len(found.hkl):
        raise BadInput(f"{path}: has no reflection to {d_min_A:g} A")
    return found


def indices_within(recip: np.ndarray, longest: float, path: str) -> Sphere:
    """All indices whose reciprocal vectors are no longer, plane by plane; ``recip`` has a*, b*, c* as rows, 1/Angstrom.

    Raises
    ------
    BadInput
        If they do not fit in memory.
    """
    metric, real = recip @ recip.T, np.linalg.inv(recip).T
    reach = [int(length * longest) for length in np.linalg.norm(real, axis=1)]
    number = 4.2 * longest**3 * abs(float(np.linalg.det(real)))
    if memory.lacks(number * BYTES_AN_INDEX):
        raise BadInput(f"{path}: {number:.3g} reflections to {1.0 / longest:g} A do not fit in memory")
    k, x = (grid.ravel() for grid in np.mgrid[-reach[1] : reach[1] + 1, -reach[2] : reach[2] + 1])
    of_plane = k * k * metric[1, 1] + x * x * metric[2, 2] + 2.0 * k * x * metric[1, 2]
    slope = 2.0 * (k * metric[0, 1] + x * metric[0, 2])
    indices, squares = [np.empty((0, 3), np.int32)], [np.empty(0)]
    for h in range(-reach[0], reach[0] + 1):
        inverse_d2 = h * h * metric[0, 0] + h * slope + of_plane
        kept = (inverse_d2 <= longest**2) & (inverse_d2 > 1e-12)
        indices.append(np.column_stack([np.full(int(kept.sum()), h), k[kept], x[kept]]).astype(np.int32))
        squares.append(inverse_d2[kept])
    return Sphere(np.concatenate(indices), np.concatenate(squares))


def check_memory(cell: Any, d_min_A: float, path: str) -> None:
    """Refuse a grid that does not fit."""
    mask = cell.volume / SPACING_A**3
    mask = mask if mask < MOST_POINTS else cell.volume / COARSE_A**3
    needed = BYTES_A_POINT * max(cell.volume * (2.0 * RATE / d_min_A) ** 3, mask)
    if memory.lacks(needed):
        raise BadInput(f"{path}: to {d_min_A:g} A takes {needed / 1e9:.3g} GB: this machine has not so much")


def of_atoms(structure: Any, sphere: Sphere, d_min_A: float, found: anomalous.Dispersion) -> np.ndarray:
    """Complex structure factors of the atoms alone."""
    gemmi = package()
    density = _density(structure, d_min_A)
    for name, (real, _) in found.items():
        density.addends.set(gemmi.Element(name), real)
    density.put_model_density_on_grid(structure[0])
    F = _transformed(density.grid, sphere, density.blur)
    strong = {name: f[1] for name, f in found.items() if f[1]}
    if strong:
        F = F + 1j * _of_points(structure, sphere, d_min_A, strong, density.blur)
    return F


def of_points(structure: Any, sphere: Sphere, d_min_A: float, element: str) -> np.ndarray:
    """Complex structure factors of one electron at the place of each atom of an element, as that moves."""
    blur = _density(structure, d_min_A).blur
    return _of_points(structure, sphere, d_min_A, {element: 1.0}, blur)


def _of_points(structure: Any, sphere: Sphere, d_min_A: float, electrons: dict[str, float], blur: float) -> np.ndarray:
    points = _density(structure, d_min_A, blur)
    points.initialize_grid()
    for site in structure[0].all():
        if part := electrons.get(site.atom.element.name):
            points.add_c_contribution_to_grid(site.atom, part)
    points.grid.symmetrize_sum()
    return _transformed(points.grid, sphere, points.blur)


def _density(structure: Any, d_min_A: float, blur: float | None = None) -> Any:
    calculator = package().DensityCalculatorX()
    calculator.d_min, calculator.rate, calculator.cutoff = d_min_A, RATE, CUTOFF
    calculator.set_grid_cell_and_spacegroup(structure)
    if blur is None:
        calculator.set_refmac_compatible_blur(structure[0])
    else:
        calculator.blur = blur
    return calculator


def _transformed(grid: Any, sphere: Sphere, blur: float) -> np.ndarray:
    """Coefficients of a density on a grid, sharpened by what atoms were blurred with."""
    transform = np.asarray(package().transform_map_to_f_phi(grid, half_l=False).array)
    h, k, x = (column % n for column, n in zip(sphere.hkl.T, transform.shape, strict=True))
    return transform[h, k, x].astype(np.complex128) * np.exp(blur * sphere.inverse_d2 / 4.0)


def with_F000(sphere: Sphere) -> Sphere:
    """The same and 0 0 0, the last."""
    return Sphere(np.vstack([sphere.hkl, np.zeros((1, 3), np.int32)]), np.append(sphere.inverse_d2, 0.0))


def of_bulk_solvent(structure: Any, sphere: Sphere, solvent: Solvent) -> tuple[float, np.ndarray]:
    """The share of the cell that is solvent, and its structure factors: a mask whose border is smeared."""
    share, mask = of_solvent(structure, sphere)
    return share, solvent.k * np.exp(-solvent.B * sphere.inverse_d2 / 4.0) * mask


def of_solvent(structure: Any, sphere: Sphere) -> tuple[float, np.ndarray]:
    """The share of the cell that is solvent, and the coefficients of its mask."""
    gemmi = package()
    grid = gemmi.FloatGrid()
    spacing = SPACING_A if structure.cell.volume / SPACING_A**3 < MOST_POINTS else COARSE_A
    grid.setup_from(structure, spacing=spacing)
    gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(grid, structure[0])
    coarse = sphere.inverse_d2 < (2.2 * spacing) ** -2.0  # beyond, nothing is left of it
    amplitudes = np.zeros(len(sphere.hkl), complex)
    amplitudes[coarse] = _transformed(grid, Sphere(sphere.hkl[coarse], sphere.inverse_d2[coarse]), 0.0)
    return float(np.asarray(grid.array).mean()), amplitudes


def _difference(hkl: np.ndarray, F: np.ndarray) -> str:
    """How much Friedel mates differ, in words."""
    keys = packed_indices(hkl)
    order = np.argsort(keys)
    mates = order[np.searchsorted(keys[order], -keys)]
    share = float(np.abs(F - F[mates]).sum() / F.sum())
    return f"; Friedel mates differ by {share:.2%}" if share > LEAST_DIFFERENCE else ""
