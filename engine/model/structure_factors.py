"""Structure factors: a box of amplitudes around the origin, and one value for all others; or where they come from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind, one_of
from nanobragg.engine.model.part import Part

MOST_FADED = 4
CHANNELS = "channels"  # a table for each wavelength


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class StructureFactors:
    """``table`` (h, k, l) holds the box ``bounds`` (3, 2; inclusive) and one padding plane beyond it each way.

    ``n_hkl`` is what the original counts and reports; 0 means no table, every F is ``default_F``.
    ``source`` says where they came from: ``"hkl"``, ``"dump"`` or ``"default"``. ``last`` are the
    indices and the amplitude that were read last, which the original's ``-printout`` shows until others are met.
    Where amplitudes depend on the photon energy, ``stack`` (energy, h, k, l) holds a table like that for each of
    ``energies_eV``; ``between`` says whether those of other energies lie between two of them, or are the nearest.
    """

    table: np.ndarray
    bounds: np.ndarray
    n_hkl: int
    default_F: float
    source: str
    last: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    stack: np.ndarray | None = None
    energies_eV: tuple[float, ...] = ()
    between: bool = False

    def __repr__(self) -> str:
        """Which indices, and how large."""
        if self.source == "default":
            return f"StructureFactors(F = {self.default_F:g} for all indices)"
        low, high = self.bounds.T.tolist()
        box = ", ".join(f"{name} {a}..{b}" for name, a, b in zip("hkl", low, high, strict=True))
        n = len(self.energies_eV)
        many = f"; {n} tables from {min(self.energies_eV):g} to {max(self.energies_eV):g} eV" if n else ""
        return f"StructureFactors({box}; F up to {self.table.max():.4g}, else {self.default_F:g}{many})"

    @functools.cached_property
    def tables(self) -> np.ndarray:
        """The amplitude tables that sources may see, (table, h, k, l), read-only."""
        tables = np.ascontiguousarray(self.table[None] if self.stack is None else self.stack)
        tables.setflags(write=False)
        return tables

    def seen_at(self, energies_eV: np.ndarray) -> tuple[StructureFactors, np.ndarray]:
        """Which of the tables photons of some energies see, (n,); the tables are made where they lie between two."""
        if len(self.energies_eV) < 2:
            return self, np.zeros(len(energies_eV), np.int64)
        nodes = np.array(self.energies_eV)
        if not self.between:
            return self, np.abs(energies_eV[:, None] - nodes).argmin(axis=1)
        wanted, numbers_of = np.unique(energies_eV, return_inverse=True)
        return self._made_between(tuple(wanted.tolist())), numbers_of.ravel().astype(np.int64)

    def _made_between(self, wanted: tuple[float, ...]) -> StructureFactors:
        """Tables of other energies, linearly between those of the two nearest; the last ones are kept."""
        if (kept := self._last_between.get(wanted)) is not None:
            return kept
        order = np.argsort(self.energies_eV)
        nodes = np.array(self.energies_eV)[order]
        places = np.interp(wanted, nodes, np.arange(len(nodes)))
        stack = np.empty((len(wanted), *self.tables.shape[1:]))
        for number, place in enumerate(places):
            low = min(int(place), len(nodes) - 2)
            share = place - low
            stack[number] = (1.0 - share) * self.tables[order[low]] + share * self.tables[order[low + 1]]
        made = dataclasses.replace(self, table=stack[0], stack=stack, energies_eV=wanted, between=False)
        self._last_between.clear()
        self._last_between[wanted] = made
        return made

    def faded(self, recip: np.ndarray, B_A2: float, decay_A: float) -> StructureFactors:
        """The same times exp(-``B_A2`` s^2 - ``decay_A`` s), s = sin(theta)/lambda, 1/Angstrom; the last ones are kept.

        ``recip`` are a*, b*, c* as rows, 1/Angstrom. One amplitude for all indices does not fade.
        """
        if (B_A2 == 0.0 and decay_A == 0.0) or not self.n_hkl:
            return self
        metric = recip @ recip.T
        key = (B_A2, decay_A, tuple(float(f"{x:.9g}") for x in metric.ravel()))  # of all orientations
        if (kept := self._last_faded.get(key)) is None:
            axes = [np.arange(n) + low for n, low in zip(self.table.shape, self.bounds[:, 0], strict=True)]
            h, k, length = np.meshgrid(*axes, indexing="ij", sparse=True)
            squared = metric[0, 0] * h * h + metric[1, 1] * k * k + metric[2, 2] * length * length
            squared = squared + 2.0 * (metric[0, 1] * h * k + metric[0, 2] * h * length + metric[1, 2] * k * length)
            stol = 0.5 * np.sqrt(np.maximum(squared, 0.0))
            left = np.exp(-B_A2 * stol * stol - decay_A * stol)
            stack = None if self.stack is None else self.stack * left
            kept = dataclasses.replace(self, table=self.table * left, stack=stack)
            while len(self._last_faded) >= MOST_FADED:
                self._last_faded.pop(next(iter(self._last_faded)))
            self._last_faded[key] = kept
        return kept

    @functools.cached_property
    def _last_faded(self) -> dict[tuple[Any, ...], StructureFactors]:
        return {}

    @functools.cached_property
    def _last_between(self) -> dict[tuple[float, ...], StructureFactors]:
        return {}


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
    tables
        Amplitudes of a structure that depend on the photon energy: ``"channels"`` for a table of each wavelength of the
        beam, or a number of energies, evenly spaced over the spectrum, each with its table; one of the beam's middle by
        default.
    between_energies
        Whether wavelengths between those energies get amplitudes between theirs, linearly; else those of the nearest.
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
    tables: int | str | None = None
    between_energies: bool = False

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
        self._check_tables()
        own = {"d_min_A", "solvent", "labels", "symmetry", "anomalous", "F000", "tables"} & set(self.to_json())
        if own and self.structure is None:
            raise BadInput(f"factors: {', '.join(sorted(own))}: belong to structure")
        if self.structure is None and self.hkl is None and self.default_F == 0.0:
            raise BadInput("factors: give structure, hkl or default_F: there are no amplitudes")

    def _check_tables(self) -> None:
        of_kind("factors: between_energies", self.between_energies, bool, "true or false")
        if isinstance(self.tables, str):
            one_of("factors: tables (or a number)", self.tables, (CHANNELS,))
        elif self.tables is not None:
            numbers("factors: tables", self.tables, 1, whole=True, lowest=1)
        if self.between_energies and (self.tables is None or self.tables == CHANNELS or int(self.tables) < 2):
            raise BadInput("factors: between_energies: needs tables, 2 or more")
