"""Structure factors: a box of amplitudes around the origin, and one value for all others; or where they come from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.part import Part


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class StructureFactors:
    """``table`` (h, k, l) holds the box ``bounds`` (3, 2; inclusive) and one padding plane beyond it each way.

    ``n_hkl`` is what the original counts and reports; 0 means no table, every F is ``default_F``.
    ``source`` says where they came from: ``"hkl"``, ``"dump"`` or ``"default"``. ``last`` are the
    indices and the amplitude that were read last, which the original's ``-printout`` shows until others are met.
    """

    table: np.ndarray
    bounds: np.ndarray
    n_hkl: int
    default_F: float
    source: str
    last: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __repr__(self) -> str:
        """Which indices, and how large."""
        if self.source == "default":
            return f"StructureFactors(F = {self.default_F:g} for all indices)"
        low, high = self.bounds.T.tolist()
        box = ", ".join(f"{name} {a}..{b}" for name, a, b in zip("hkl", low, high, strict=True))
        return f"StructureFactors({box}; F up to {self.table.max():.4g}, else {self.default_F:g})"

    @functools.cached_property
    def tables(self) -> np.ndarray:
        """The amplitude tables that sources may see, (table, h, k, l), read-only; all sources see the first."""
        tables = np.ascontiguousarray(self.table)[None]
        tables.setflags(write=False)
        return tables


def constant_factors(F: float) -> StructureFactors:
    """The same amplitude for all indices."""
    return StructureFactors(np.zeros((1, 1, 1)), np.zeros((3, 2), np.int64), 0, F, "default")


@dataclasses.dataclass(frozen=True, repr=False)
class FactorsFrom(Part):
    """Where structure factors come from: one file, or one amplitude for all indices.

    Parameters
    ----------
    structure
        A structure (PDB, mmCIF) or a list of reflections (MTZ, mmCIF, hkl text), expanded to P1; or
    hkl
        An hkl text file or a dump, as it is.
    default_F
        Electrons, of all indices that are not there.
    d_min_A
        Resolution of structures, Angstrom; as far as the detector sees by default.
    solvent
        Bulk solvent of structures: electrons per cubic Angstrom and B (square Angstrom), or ``False``.
    labels, symmetry
        Columns and space group of lists.
    anomalous
        f' and f'' by element, or names of tables.
    F000
        Whether the amplitude of 0 0 0 is among them.
    """

    structure: str | None = None
    hkl: str | None = None
    default_F: float = 0.0
    d_min_A: float | None = None
    solvent: tuple[float, float] | bool = True
    labels: tuple[str, ...] = ()
    symmetry: str | None = None
    anomalous: Mapping[str, tuple[float, float] | str] | None = None
    F000: bool = False

    def check(self) -> None:
        """See `Part.check`."""
        for name in ("structure", "hkl", "symmetry"):
            if getattr(self, name) is not None:
                of_kind(f"factors: {name}", getattr(self, name), str, "a text")
                if not getattr(self, name) or "\0" in getattr(self, name):
                    raise BadInput(f"factors: {name}: {getattr(self, name)!r} is no name")
        if self.structure is not None and self.hkl is not None:
            raise BadInput("factors: structure and hkl both give amplitudes: take one")
        numbers("factors: default_F", self.default_F, 1)
        if self.d_min_A is not None:
            numbers("factors: d_min_A", self.d_min_A, 1, above=0)
        if not isinstance(self.solvent, bool):
            numbers("factors: solvent", self.solvent, 2, lowest=0)
        of_kind("factors: labels", self.labels, tuple, "a list of names of columns")
        for label in self.labels:
            of_kind("factors: labels: each", label, str, "the name of a column")
        if self.anomalous is not None:
            of_kind("factors: anomalous", self.anomalous, Mapping, "a table of elements")
            for element, value in self.anomalous.items():
                if not isinstance(value, str):
                    numbers(f"factors: anomalous: {element}", value, 2)
        of_kind("factors: F000", self.F000, bool, "true or false")
        own = {"d_min_A", "solvent", "labels", "symmetry", "anomalous", "F000"} & set(self.to_json())
        if own and self.structure is None:
            raise BadInput(f"factors: {', '.join(sorted(own))}: belong to structure")
        if self.structure is None and self.hkl is None and self.default_F == 0.0:
            raise BadInput("factors: give structure, hkl or default_F: there are no amplitudes")
