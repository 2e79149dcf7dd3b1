"""Structure factors: a box of amplitudes around the origin, and one value for all others."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.dump import read_dump, table_shape, write_dump
from nanobragg.engine.formats.hkl import Reflections, looks_like_a_structure, read_lines, read_reflections
from nanobragg.engine.formats.reading import read, reason
from nanobragg.engine.original.c_numbers import low_32_bits
from nanobragg.engine.original.fixes import NONE, Fixes
from nanobragg.engine.original.settings import Settings

NO_TABLE = 9
MOST_TABLE_BYTES = 3 * 2**33
LARGEST_INDEX = 2.0**31
LARGE_TABLE, SPARSE = 100_000_000, 1000  # bytes, and places for each reflection, from which on a slip is likelier
FEWEST_FOR_MATES, FEW_MATES = 8, 0.5


@dataclasses.dataclass(frozen=True, repr=False)
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


def _check_box(name: str) -> Callable[[np.ndarray], None]:
    def check(bounds: np.ndarray) -> None:
        if any(hi - lo + 1 < 0 for lo, hi in bounds):
            raise BadInput(f"{name}: the index ranges are empty", NO_TABLE)
        h, k, length = table_shape(bounds)
        # the table itself, a copy on its way to or from the dump, and the squares of the fast kernel
        if h * k * length * 8 * 3 > min(MOST_TABLE_BYTES, memory.available()):
            ranges = ", ".join(f"{lo}..{hi}" for lo, hi in bounds)
            raise BadInput(f"{name}: indices {ranges} make a table of {h * k * length * 8 / 1e9:.3g} GB", NO_TABLE)

    return check


def _check_finite(values: np.ndarray, name: str) -> None:
    if not np.isfinite(values).all():
        raise BadInput(f"{name}: an amplitude is infinite or not a number")


def from_reflections(reflections: Reflections, default_F: float, name: str) -> StructureFactors:
    """Fill the box: ``default_F`` first, but not in the last plane each way; later duplicates win (Q57)."""
    if not reflections.count:
        raise BadInput(f"{name}: does not begin with four numbers (h k l F)", NO_TABLE)
    if not (np.abs(reflections.bounds) < LARGEST_INDEX).all():
        raise BadInput(f"{name}: an index is not a number or does not fit 32 bits", NO_TABLE)
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


def read_hkl(path: str, default_F: float, warn: Callable[[str], None], fixes: Fixes = NONE) -> StructureFactors:
    """Structure factors of an hkl text file."""
    name = f"-hkl {path}"
    try:
        data = read(path, "-hkl", NO_TABLE)
        if looks_like_a_structure(data):
            raise BadInput(f"{name}: is no hkl text: take --structure {path}", NO_TABLE)
        by_lines = bool(fixes & {"Q54", "Q55", "Q56"})
        reflections = read_lines(data, name) if by_lines else read_reflections(data)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}", NO_TABLE) from None
    factors = from_reflections(reflections, default_F, name)
    for remark in (*reflections.remarks, *_remarks(reflections, factors)):
        warn(f"{name}: {remark}")
    if not reflections.whole_numbers or len(reflections.indices) != reflections.count:
        warn(
            f"Q54 files: {name}: {len(reflections.indices)} of {reflections.count} reflections were read: an index is "
            "not written as an integer"
        )
    return factors


def read_table(
    path: str, default_F: float, warn: Callable[[str], None], fixes: Fixes = NONE
) -> StructureFactors | None:
    """Structure factors of a dump, or ``None`` if it cannot be opened."""
    name = f"-dump {path}"
    try:
        data = read(path, "-dump")
    except OSError:
        return None
    dump = read_dump(data, name, _check_box(name), exact="Q60" in fixes)
    if dump.missing and "Q61" in fixes:
        raise BadInput(f"{name}: {dump.missing} bytes are missing at the end")
    if dump.shifted:
        warn(f"Q60 files: {name}: the first {dump.shifted} bytes of the amplitudes were taken for white space")
    if dump.missing:
        warn(f"Q61 files: {name}: {dump.missing} bytes are missing at the end and taken as 0")
    _check_finite(dump.table, name)
    ranges = [int(hi - lo + 1) for lo, hi in dump.bounds]
    n_hkl = low_32_bits(ranges[0] * ranges[1] * ranges[2])
    return StructureFactors(dump.table, dump.bounds, n_hkl, default_F, "dump")


def read_any_table(path: str, warn: Callable[[str], None], fixes: Fixes = NONE) -> StructureFactors:
    """Structure factors of an hkl text file or of a dump, whichever the file is."""
    with open(path, "rb") as file:
        is_dump = b"\f" in file.read(200)
    if is_dump and (found := read_table(path, 0.0, warn, fixes)) is not None:
        return found
    return read_hkl(path, 0.0, warn, fixes)


def dump_is_there(settings: Settings) -> bool:
    """Whether the dump could be opened, which is all that the test for sufficient input asks."""
    return os.access(settings.dump_file, os.R_OK) and not os.path.isdir(settings.dump_file)


def structure_factors(settings: Settings, warn: Callable[[str], None]) -> StructureFactors:
    """Read the hkl file and leave a dump of it (Q58), or read the dump (Q59), or have ``default_F`` alone."""
    if settings.hkl_file is not None:
        factors = read_hkl(settings.hkl_file, settings.default_F, warn, settings.fixes)
        if not settings.dump_file:
            return factors
        try:
            write_dump(settings.dump_file, factors.bounds, factors.table)
        except BadInput as error:
            warn(f"no dump of the structure factors: {error}")
        return factors
    dumped = None
    if settings.dump_file:
        dumped = read_table(settings.dump_file, settings.default_F, warn, settings.fixes)
    if dumped is not None:
        return dumped
    return StructureFactors(np.zeros((1, 1, 1)), np.zeros((3, 2), np.int64), 0, settings.default_F, "default")
