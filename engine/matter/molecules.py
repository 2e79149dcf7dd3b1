"""Squared electrons that a molecule scatters, over sin(theta)/lambda."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nanobragg.engine.factors.gemmi_package import package

N2_BOND_A = 1.098
# F of water, measured: stol in 1/Angstrom, electrons of a molecule. Figures as they are in use in the field.
WATER = (
    (0.0, 0.0365, 0.07, 0.12, 0.162, 0.18, 0.2, 0.216, 0.236, 0.28, 0.3, 0.345, 0.436, 0.5),
    (2.57, 2.58, 2.8, 5.0, 8.0, 7.32, 6.75, 6.75, 6.5, 4.5, 4.3, 4.36, 3.77, 3.17),
)
# Chains of oil lie side by side like hard spheres, whose ring is at 4.6 Angstrom.
OIL_DIAMETER_A, OIL_FILLING = 5.15, 0.45
# Powder rings of ice: spacings, Angstrom, and relative strengths.
ICE_RINGS = (
    (3.915, 1.0), (3.671, 10.0), (3.453, 2.0), (2.675, 1.5), (2.260, 1.0), (2.065, 5.0), (1.925, 1.0), (1.528, 1.5),
    (1.372, 2.0), (1.305, 0.25),
)  # fmt: skip
ICE_CELL_A3, MOLECULES_OF_ICE_CELL = 130.0, 4
ICE_STRONGEST_A, ICE_STRONGEST_F2, ICE_STRONGEST_COUNT = 3.671, 450.0, 2  # (002): |F|^2 of the cell, and equivalents


class Molecule(NamedTuple):
    """Atoms, weight in g/mol, and density in g/cm^3."""

    atoms: dict[str, int]
    weight: float
    density: float


MATERIALS = {
    "water": Molecule({"O": 1, "H": 2}, 18.0, 1.0), "paratone": Molecule({"C": 1, "H": 2}, 14.03, 0.8),
    "air": Molecule({"N": 2}, 28.0, 1.2e-3), "nitrogen": Molecule({"N": 2}, 28.0, 1.165e-3),
    "helium": Molecule({"He": 1}, 4.0, 1.66e-4),
}  # fmt: skip
GASES = ("air", "nitrogen", "helium")


def form_factor(element: str, stol_A: np.ndarray) -> np.ndarray:
    """f of an atom, electrons (gemmi's International Tables 1992), for stol in 1/Angstrom."""
    of_atom = package().Element(element).it92
    return np.array([of_atom.calculate_sf(float(s * s)) for s in stol_A])


def coherent(material: str, stol_A: np.ndarray) -> np.ndarray:
    """Squared electrons that a molecule of a material scatters, without Compton scattering.

    Water as measured; a molecule of nitrogen by Debye's formula; helium its atom; oil as chains side by side, by the
    structure factor of hard spheres (Percus and Yevick 1958).
    """
    if material == "water":
        return between(np.array(WATER[0]), np.array(WATER[1]), stol_A) ** 2
    if material in ("air", "nitrogen"):
        f = form_factor("N", stol_A)
        return 2.0 * f * f * (1.0 + np.sinc(4.0 * stol_A * N2_BOND_A))
    squares = sum(n * form_factor(element, stol_A) ** 2 for element, n in MATERIALS[material].atoms.items())
    if material == "paratone":
        squares = squares * hard_spheres(4.0 * math.pi * stol_A * OIL_DIAMETER_A, OIL_FILLING)
    return np.asarray(squares)


def incoherent(material: str, stol_A: np.ndarray) -> np.ndarray:
    """Compton scattering of a molecule, electrons: Z - f^2/Z of each atom, before the photon's loss of energy."""
    total = np.zeros(len(stol_A))
    for element, n in MATERIALS[material].atoms.items():
        z = package().Element(element).atomic_number
        total += n * (z - np.minimum(form_factor(element, stol_A) ** 2 / z, z))
    return total


def hard_spheres(x: np.ndarray, filling: float) -> np.ndarray:
    """The structure factor of hard spheres, x = q times their diameter (Ashcroft and Lekner 1966)."""
    x = np.maximum(x, 1e-2)
    a = (1.0 + 2.0 * filling) ** 2 / (1.0 - filling) ** 4
    b = -6.0 * filling * (1.0 + filling / 2.0) ** 2 / (1.0 - filling) ** 4
    c = filling * a / 2.0
    s, k = np.sin(x), np.cos(x)
    first = a * (s - x * k) / x**2
    second = b * (2.0 * x * s + (2.0 - x**2) * k - 2.0) / x**3
    third = c * (-(x**4) * k + 4.0 * ((3.0 * x**2 - 6.0) * k + (x**3 - 6.0 * x) * s + 6.0)) / x**5
    return np.asarray(1.0 / (1.0 + 24.0 * filling * (first + second + third) / x))


def ice(stol_A: np.ndarray, width: float) -> np.ndarray:
    """Squared electrons that a molecule of ice powder scatters; ``width`` of rings, full at half maximum, 1/Angstrom.

    The ring of (002) holds what a powder of such cells scatters, m |F|^2 / (4 pi s^2 V) over s = 1/d; the others are to
    it as they are in use in the field.
    """
    s, sigma = 2.0 * stol_A, width / 2.3548200450309493
    at = 1.0 / ICE_STRONGEST_A
    held = ICE_STRONGEST_COUNT * ICE_STRONGEST_F2 / (4.0 * math.pi * at * at * ICE_CELL_A3) / MOLECULES_OF_ICE_CELL
    strongest = dict(ICE_RINGS)[ICE_STRONGEST_A]
    peaks = [
        strength / strongest * np.exp(-0.5 * ((s - 1.0 / d) / sigma) ** 2) for d, strength in ICE_RINGS
    ]  # fmt: skip
    return np.asarray(held / (sigma * math.sqrt(2.0 * math.pi)) * sum(peaks))


def between(stol: np.ndarray, F: np.ndarray, at: np.ndarray) -> np.ndarray:
    """F by the polynomial through the four nearest points of a table; the values of its ends are held."""
    inside = np.clip(at, stol[0], stol[-1])
    if len(stol) < 4:
        return np.interp(inside, stol, F)
    first = np.clip(np.searchsorted(stol, inside, side="right") - 2, 0, len(stol) - 4)
    total = np.zeros(len(inside))
    for i in range(4):
        weight = np.ones(len(inside))
        for j in range(4):
            if i != j:
                weight *= (inside - stol[first + j]) / (stol[first + i] - stol[first + j])
        total += weight * F[first + i]
    return total
