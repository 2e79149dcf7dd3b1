"""Amplitudes in P1, where they come from, and what was done to get them."""

from __future__ import annotations

import dataclasses

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.tables import from_reflections
from nanobragg.engine.formats.hkl import Reflections
from nanobragg.engine.model.structure_factors import StructureFactors

Cell = tuple[float, float, float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Amplitudes:
    """Amplitudes of reflections in P1, Friedel mates included.

    ``hkl`` (n, 3; int32), ``F`` (n,; float64, electrons), the cell (Angstrom, degrees; ``None`` if the file has none),
    the space group's name, and ``story``: lines that say what was done.
    """

    hkl: np.ndarray
    F: np.ndarray
    cell: Cell | None
    spacegroup: str
    story: tuple[str, ...]

    def without_F000(self) -> Amplitudes:
        """The same without 0 0 0; raises `BadInput` if nothing is left."""
        kept = (self.hkl != 0).any(axis=1)
        if not kept.any():
            raise BadInput(f"{self.story[0]}: 0 0 0 is alone in it")
        return self if kept.all() else dataclasses.replace(self, hkl=self.hkl[kept], F=self.F[kept])

    def table(self, name: str, default_F: float = 0.0) -> StructureFactors:
        """The same as a table that kernels look up; ``name`` says where they come from, in messages."""
        hkl = self.hkl.astype(float)
        bounds = np.column_stack([hkl.min(axis=0), hkl.max(axis=0)])
        found = Reflections(indices=hkl, amplitudes=self.F, bounds=bounds, count=len(hkl), whole_numbers=True)
        return from_reflections(found, default_F, name)


def as_text(amplitudes: Amplitudes) -> bytes:
    """The lines ``h k l F`` of an hkl file; any nanoBragg reads them."""
    rows = zip(amplitudes.hkl.tolist(), amplitudes.F.tolist(), strict=True)
    return "".join(
        f"{h} {k} {x} {f:.6g}\n" if f >= 1e-3 else f"{h} {k} {x} {f:.9f}\n" for (h, k, x), f in rows
    ).encode()
