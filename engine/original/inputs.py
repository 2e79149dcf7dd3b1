"""Files that the original's flags name: matrices, sources, amplitudes and their dumps."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import numpy as np

from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.factors.tables import read_dump_table, read_hkl
from nanobragg.engine.formats.columns import read_columns
from nanobragg.engine.formats.dump import write_dump
from nanobragg.engine.formats.reading import read, reason, scan_reals
from nanobragg.engine.model.background import check_stol
from nanobragg.engine.model.structure_factors import StructureFactors, constant_factors
from nanobragg.engine.original.quirks import NONE, Fixes
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.sources import SOURCE_DISTANCE
from nanobragg.kernels.vectors import Vector


def read_matrix(path: str, has_cell: bool, warn: Callable[[str], None], fixes: Fixes = NONE) -> list[float] | None:
    """Up to nine numbers of a matrix file; ``None`` if it cannot be opened and a cell is there instead (Q62)."""
    try:
        values = scan_reals(read(path, "-mat").decode("latin-1"), 10)
    except OSError as error:
        if not has_cell or "Q62" in fixes:
            raise BadInput(f"-mat {path}: {reason(error)}") from None
        warn(f"Q62 files: -mat {path}: {reason(error)}: ignored, the default orientation of -cell is used")
        return None
    if not all(math.isfinite(v) for v in values):
        raise BadInput(f"-mat {path}: a number is infinite or not a number")
    if len(values) > 9:
        warn(f"-mat {path}: more than the nine numbers of a matrix; the first nine are used")
        values = values[:9]
    if len(values) < 9 and has_cell:
        warn(f"-mat {path}: {len(values)} of nine numbers; the others are those of -cell")
    return values


def rows_of(path: str, flag: str, columns: int) -> np.ndarray:
    """Rows of numbers of a file that a flag names, (rows, columns): what the original's reader finds in each line."""
    try:
        rows = read_columns(read(path, flag, BadFile), columns)
    except OSError as error:
        raise BadFile(f"{flag} {path}: {reason(error)}") from None
    if not len(rows):
        raise BadFile(f"{flag} {path}: no line in it")
    return rows


def read_stol(settings: Settings) -> np.ndarray | None:
    """The table of amorphous scattering, stol (1/metre) and F, (n, 2), where it is used (Q73)."""
    if settings.stol_file is None or "Q73" not in settings.fixes:
        return None
    what = f"-stol {settings.stol_file}"
    rows = rows_of(settings.stol_file, "-stol, -4stol or -Q", 2)
    check_stol(rows[:, 0], rows[:, 1], what)
    return np.column_stack([rows[:, 0] * settings.stol_mult, rows[:, 1]])


def plain_rows(path: str, columns: int) -> np.ndarray:
    """Rows of numbers whatever ends their lines; ``#`` begins a comment, absent columns are NaN (Q64)."""
    try:
        text = read(path, "-sourcefile", BadFile).decode("latin-1")
    except OSError as error:
        raise BadFile(f"-sourcefile {path}: {reason(error)}") from None
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].replace(",", " ").split()
        try:
            row = [float(word) for word in words[:columns]]
        except ValueError:
            raise BadInput(f"-sourcefile {path}: line {number} holds a word that is no number") from None
        if row:
            rows.append(row + [math.nan] * (columns - len(row)))
    if not rows:
        raise BadFile(f"-sourcefile {path}: no line in it")
    return np.array(rows)


def read_sources(path: str, direction: Vector, lambda0: float, fixes: Fixes = NONE) -> np.ndarray:
    """Sources of a file, (n, 5): X Y Z (metres), weight, wavelength (metres); absent columns take defaults."""
    rows = plain_rows(path, 5) if "Q64" in fixes else rows_of(path, "-sourcefile", 5)
    defaults = [-SOURCE_DISTANCE * b for b in direction] + [1.0, lambda0]
    rows = np.where(np.isnan(rows), defaults, rows)
    for number, row in enumerate(rows, 1):
        if not np.isfinite(row).all():
            raise BadInput(f"-sourcefile {path}: row {number} holds an infinite number")
        if "Q64" in fixes and (row[4] <= 0.0 or not row[:3].any()):
            raise BadInput(f"-sourcefile {path}: row {number} has no direction, or a wavelength that is not above 0")
        if row[4] == 0.0:
            raise BadInput(
                f"-sourcefile {path}: row {number} has wavelength 0 "
                "(a word, a comment, a carriage return or a missing line end reads as 0)"
            )
    return rows


def dump_is_there(settings: Settings) -> bool:
    """Whether the dump could be opened, which is all that the test for sufficient input asks."""
    return os.access(settings.dump_file, os.R_OK) and not os.path.isdir(settings.dump_file)


def structure_factors(settings: Settings, warn: Callable[[str], None]) -> StructureFactors:
    """Read the hkl file and leave a dump of it (Q58), or read the dump (Q59), or have ``default_F`` alone."""
    fixes, default_F = settings.fixes, settings.default_F
    if settings.hkl_file is not None:
        by_lines = bool(fixes & {"Q54", "Q55", "Q56"})
        factors = read_hkl(settings.hkl_file, default_F, warn, as_scanf=not by_lines)
        if not settings.dump_file:
            return factors
        try:
            write_dump(settings.dump_file, factors.bounds, factors.table)
        except BadInput as error:
            warn(f"no dump of the structure factors: {error}")
        return factors
    dumped = None
    if settings.dump_file:
        dumped = read_dump_table(
            settings.dump_file, default_F, warn, skips_white="Q60" not in fixes, pads="Q61" not in fixes
        )
    return constant_factors(default_F) if dumped is None else dumped
