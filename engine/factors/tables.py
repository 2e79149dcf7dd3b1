"""Structure factors read from hkl text files and dumps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.c_numbers import low_32_bits
from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.formats.dump import read_dump, table_shape
from nanobragg.engine.formats.hkl import Reflections, looks_like_a_structure, read_lines, read_reflections
from nanobragg.engine.formats.reading import read, reason
from nanobragg.engine.model.structure_factors import StructureFactors

MOST_TABLE_BYTES = 3 * 2**33
LARGEST_INDEX = 2.0**31
LARGE_TABLE, SPARSE = 100_000_000, 1000  # bytes, and places for each reflection, from which on a slip is likelier
FEWEST_FOR_MATES, FEW_MATES = 8, 0.5


def _check_box(name: str) -> Callable[[np.ndarray], None]:
    def check(bounds: np.ndarray) -> None:
        if any(hi - lo + 1 < 0 for lo, hi in bounds):
            raise BadFile(f"{name}: the index ranges are empty")
        h, k, length = table_shape(bounds)
        # the table itself, a copy on its way to or from the dump, and the squares of the fast kernel
        if h * k * length * 8 * 3 > MOST_TABLE_BYTES or memory.lacks(h * k * length * 8 * 3):
            ranges = ", ".join(f"{lo}..{hi}" for lo, hi in bounds)
            raise BadFile(f"{name}: indices {ranges} make a table of {h * k * length * 8 / 1e9:.3g} GB")

    return check


def _check_finite(values: np.ndarray, name: str) -> None:
    if not np.isfinite(values).all():
        raise BadInput(f"{name}: an amplitude is infinite or not a number")


def from_reflections(reflections: Reflections, default_F: float, name: str) -> StructureFactors:
    """Fill the box: ``default_F`` first, but not in the last plane each way; later duplicates win (Q57)."""
    if not reflections.count:
        raise BadFile(f"{name}: does not begin with four numbers (h k l F)")
    if not (np.abs(reflections.bounds) < LARGEST_INDEX).all():
        raise BadFile(f"{name}: an index is not a number or does not fit 32 bits")
    bounds = reflections.bounds.astype(np.int64)
    _check_box(name)(bounds)
    _check_finite(reflections.amplitudes, name)
    if ((reflections.indices < bounds[:, 0]) | (reflections.indices > bounds[:, 1])).any():
        raise BadInput(
            f"{name}: an index is not written as an integer, and what follows it reads as indices beyond all others "
            "(undefined in the original)"
        )
    table = np.zeros(table_shape(bounds))
    if default_F != 0.0:
        table[:-1, :-1, :-1] = default_F
    at = (reflections.indices - bounds[:, 0]).astype(np.intp).T
    table[at[0], at[1], at[2]] = reflections.amplitudes
    last = (0.0, 0.0, 0.0, 0.0)
    if len(reflections.amplitudes):
        h, k, x = reflections.indices[-1].tolist()
        last = (h, k, x, float(reflections.amplitudes[-1]))
    return StructureFactors(table, bounds, reflections.count, default_F, "hkl", last)


def stacked(
    hkl: np.ndarray, F: np.ndarray, energies_eV: Sequence[float], default_F: float, name: str,
    tell: Callable[[str], None] = lambda line: None, *, between: bool = False,
) -> StructureFactors:  # fmt: skip
    """Tables of amplitudes ``F`` (energy, reflection) of the same indices (n, 3), one for each photon energy (eV).

    Raises
    ------
    BadInput
        If they do not fit in memory, or an amplitude is no number.
    """
    indices = hkl.astype(float)
    bounds = np.column_stack([indices.min(axis=0), indices.max(axis=0)])
    listed = [
        Reflections(indices=indices, amplitudes=of_energy, bounds=bounds, count=len(indices), whole_numbers=True)
        for of_energy in F
    ]
    first = from_reflections(listed[0], default_F, name)
    count, size = len(energies_eV), first.table.nbytes
    tell(f"{count} tables of amplitudes of {size / 1e6:.3g} MB each: {count * size / 1e9:.3g} GB, and their squares")
    if count * first.table.size * 2 > LARGEST_INDEX:
        raise BadInput(
            f"{name}: {count} tables of {first.table.size} amplitudes have more places than 32 bits: take fewer"
        )
    if memory.lacks(2 * count * size):
        raise BadInput(
            f"{name}: {count} tables of {size / 1e6:.3g} MB and their squares do not fit in memory: take fewer"
        )
    stack = np.empty((count, *first.table.shape))
    for number, reflections in enumerate(listed):
        stack[number] = from_reflections(reflections, default_F, name).table
    return dataclasses.replace(
        first, table=stack[count // 2], stack=stack, energies_eV=tuple(float(e) for e in energies_eV), between=between
    )


def _remarks(reflections: Reflections, factors: StructureFactors) -> Iterator[str]:
    """What is odd about a list of reflections as a whole."""
    n = len(reflections.indices)
    if factors.table.nbytes > LARGE_TABLE and factors.table.size > SPARSE * n:
        low, high = (int(x) for x in (factors.bounds.min(), factors.bounds.max()))
        size = factors.table.nbytes / 1e9
        yield f"indices from {low} to {high} make a table of {size:.2g} GB for {n} reflections: is one of them a slip?"
    mates = mates_present(reflections.indices)
    if mates is not None and mates < FEW_MATES:
        yield (
            f"{'few' if mates > 0.01 else 'no'} Friedel mates: half of reciprocal space, or one asymmetric unit; the "
            f"amplitudes of all others are {factors.default_F:g} (or 0 inside the box), the image is not symmetric "
            "about the beam"
        )


def packed_indices(indices: np.ndarray) -> np.ndarray:
    """One whole number for each index (n, 3), which changes its sign with it."""
    whole = indices.astype(np.int64)
    base = 2 * int(np.abs(whole).max()) + 1
    return (whole[:, 0] * base + whole[:, 1]) * base + whole[:, 2]


def mates_present(indices: np.ndarray) -> float | None:
    """Which share of reflections (n, 3) has -h, -k, -l in the list too, judged by some of them; `None` for too few."""
    if len(indices) < FEWEST_FOR_MATES:
        return None
    keys = packed_indices(indices)
    some = keys[:: max(len(keys) // 1000, 1)]
    return float(np.isin(-some[some != 0], keys).mean()) if (some != 0).any() else None


def read_hkl(path: str, default_F: float, warn: Callable[[str], None], *, as_scanf: bool = False) -> StructureFactors:
    """Structure factors of an hkl text file, line by line, or number by number as ``scanf`` takes them (Q54)."""
    name = f"-hkl {path}"
    try:
        data = read(path, "-hkl", BadFile)
        if looks_like_a_structure(data):
            raise BadFile(f"{name}: is no hkl text: take --structure {path}")
        reflections = read_reflections(data) if as_scanf else read_lines(data, name)
    except OSError as error:
        raise BadFile(f"{name}: {reason(error)}") from None
    factors = from_reflections(reflections, default_F, name)
    for remark in (*reflections.remarks, *_remarks(reflections, factors)):
        warn(f"{name}: {remark}")
    if not reflections.whole_numbers or len(reflections.indices) != reflections.count:
        warn(
            f"Q54 files: {name}: {len(reflections.indices)} of {reflections.count} reflections were read: an index is "
            "not written as an integer"
        )
    return factors


def read_dump_table(
    path: str, default_F: float, warn: Callable[[str], None], *, skips_white: bool = False, pads: bool = False
) -> StructureFactors | None:
    """Structure factors of a dump, or ``None`` if it cannot be opened.

    ``skips_white``: bytes of amplitudes that look like white space are lost (Q60); ``pads``: bytes that are missing at
    the end are 0 (Q61).
    """
    name = f"-dump {path}"
    try:
        data = read(path, "-dump")
    except OSError:
        return None
    dump = read_dump(data, name, _check_box(name), exact=not skips_white)
    if dump.missing and not pads:
        raise BadInput(f"{name}: {dump.missing} bytes are missing at the end")
    if dump.shifted:
        warn(f"Q60 files: {name}: the first {dump.shifted} bytes of the amplitudes were taken for white space")
    if dump.missing:
        warn(f"Q61 files: {name}: {dump.missing} bytes are missing at the end and taken as 0")
    _check_finite(dump.table, name)
    ranges = [int(hi - lo + 1) for lo, hi in dump.bounds]
    n_hkl = low_32_bits(ranges[0] * ranges[1] * ranges[2])
    return StructureFactors(dump.table, dump.bounds, n_hkl, default_F, "dump")


def read_any_table(path: str, warn: Callable[[str], None], default_F: float = 0.0) -> StructureFactors:
    """Structure factors of an hkl text file or of a dump, whichever the file is."""
    with open(path, "rb") as file:
        is_dump = b"\f" in file.read(200)
    if is_dump and (found := read_dump_table(path, default_F, warn)) is not None:
        return found
    return read_hkl(path, default_F, warn)
