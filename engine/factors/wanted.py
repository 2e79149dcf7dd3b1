"""How amplitudes are to be made of a structure or a list of reflections."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


class Solvent(NamedTuple):
    """Bulk solvent: electrons per cubic Angstrom, and the B factor (square Angstrom) that smears its border."""

    k: float = 0.35
    B: float = 46.0


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How amplitudes are to be made of a file.

    Parameters
    ----------
    d_min_A
        Resolution, of models.
    wavelength_A
        For anomalous scattering; `None` leaves it out.
    solvent
        Bulk solvent of models, `None` for none.
    labels
        Columns of lists.
    symmetry
        Space group of lists, instead of the file's.
    anomalous
        By element ``f',f''`` or the name of a table.
    F000
        Whether the amplitude of 0 0 0 is among them, which lights up in the direct beam.
    """

    d_min_A: float | None = None
    wavelength_A: float | None = None
    solvent: Solvent | None = Solvent()  # noqa: RUF009 (immutable)
    labels: tuple[str, ...] = ()
    symmetry: str | None = None
    anomalous: tuple[tuple[str, str], ...] = ()
    F000: bool = False
