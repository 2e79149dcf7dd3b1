"""Anomalous scattering: f' and f'' of the elements at a photon energy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.gemmi_package import package
from nanobragg.engine.formats.reading import read, reason

Dispersion = dict[str, tuple[float, float]]  # f' and f'' (electrons) by element
FIRST_Z, LAST_Z = 3, 92  # those that Cromer and Liberman's formula is for
LOWEST_EV, HIGHEST_EV = 3000.0, 200_000.0  # of Cromer and Liberman's calculation
MOST_BYTES = 10_000_000
WEAK = 0.3  # electrons of f'' below which an element is not worth a word


def of_elements(elements: Iterable[str], energy_eV: float | None, given: Mapping[str, str]) -> Dispersion:
    """f' and f'' of the elements, by Cromer and Liberman's calculation unless they are given.

    Parameters
    ----------
    elements
        Symbols.
    energy_eV
        Photon energy; `None` leaves out all that are not given.
    given
        By element ``f',f''``, or a file of three columns (eV, f', f'') that is interpolated.

    Raises
    ------
    BadInput
        For anything that is neither.
    """
    gemmi = package()
    if energy_eV is not None and not LOWEST_EV <= energy_eV <= HIGHEST_EV:
        raise BadInput(
            f"anomalous scattering at {energy_eV:g} eV: is known from {LOWEST_EV:g} to {HIGHEST_EV:g} eV "
            "(0.06 to 4.1 A)"
        )
    wanted = set(elements)
    values: dict[str, str] = {}
    for name, value in given.items():
        element = _symbol(name)
        if element in values:
            raise BadInput(f"anomalous scattering of {element}: is given twice")
        values[element] = value
    missing = set(values) - wanted
    if missing:
        raise BadInput(f"anomalous scattering of {', '.join(sorted(missing))}: there is none of it in the structure")
    dispersion: Dispersion = {}
    for element in wanted:
        z = gemmi.Element(element).atomic_number
        if element in values:
            dispersion[element] = _given(element, values[element], energy_eV)
        elif energy_eV is not None and FIRST_Z <= z <= LAST_Z:
            found = gemmi.cromer_liberman(z=z, energy=energy_eV)
            dispersion[element] = (float(found[0]), float(found[1]))
    return dispersion


def _symbol(name: str) -> str:
    element = package().Element(name)
    if element.atomic_number == 0:
        raise BadInput(f"anomalous scattering of {name!r}: is no element")
    return str(element.name)


def _given(element: str, value: str, energy_eV: float | None) -> tuple[float, float]:
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        return _of_table(element, value, energy_eV)
    if len(numbers) != 2 or not all(map(math.isfinite, numbers)):
        raise BadInput(f"anomalous scattering of {element}: {value}: give f',f'' or a file with eV, f' and f''")
    return numbers[0], numbers[1]


def _of_table(element: str, path: str, energy_eV: float | None) -> tuple[float, float]:
    """From a file of three columns, linearly between its rows."""
    if energy_eV is None:
        raise BadInput(f"anomalous scattering of {element}: a table needs an energy")
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise BadInput(f"anomalous scattering of {element}: {path}: is too large for a table of eV, f' and f''")
        text = read(path, element).decode("latin-1")
    except OSError as error:
        raise BadInput(f"anomalous scattering of {element}: {path}: {reason(error)}") from None
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        table = np.array([[float(word) for word in row[:3]] for row in rows])
    except ValueError:
        table = np.empty(0)
    if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise BadInput(f"anomalous scattering of {element}: {path}: each line must have eV, f' and f''")
    table = table[np.argsort(table[:, 0])]
    if not table[0, 0] <= energy_eV <= table[-1, 0]:
        raise BadInput(
            f"anomalous scattering of {element}: {path}: goes from {table[0, 0]:g} to {table[-1, 0]:g} eV, and "
            f"{energy_eV:g} eV are wanted"
        )
    at = [float(np.interp(energy_eV, table[:, 0], table[:, column])) for column in (1, 2)]
    return at[0], at[1]


def story(dispersion: Dispersion) -> str:
    """The strong scatterers in words."""
    strong = {name: f for name, f in dispersion.items() if f[1] >= WEAK}
    named = [f"{name} (f' {f[0]:.2f}, f'' {f[1]:.2f})" for name, f in sorted(strong.items(), key=lambda p: -p[1][1])]
    return ", ".join(named) or f"none with f'' of {WEAK} or more"
