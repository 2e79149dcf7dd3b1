"""Structure factors from a text file: h k l F, four numbers at a time, whatever the lines."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from nanobragg.engine.files.reading import SCAN_INTEGER, scan_real

SPACES = np.zeros(256, bool)
SPACES[[9, 10, 11, 12, 13, 32]] = True
OF_REALS = np.zeros(256, bool)
OF_REALS[list(b".eE")] = True
SIGNS = np.zeros(256, bool)
SIGNS[list(b"+-")] = True
PLAIN = SPACES | OF_REALS | SIGNS
PLAIN[list(b"0123456789")] = True


class Reflections(NamedTuple):
    """What a file holds: ``bounds`` (3, 2), whole reals, of all quadruples of numbers, their ``count``, and the usable ones.

    ``indices`` (n, 3) and ``amplitudes`` (n,) end before the first quadruple whose indices are not written as
    integers; ``count`` and ``bounds`` do not (Q54).
    """

    count: int
    bounds: np.ndarray
    indices: np.ndarray
    amplitudes: np.ndarray
    whole_numbers: bool


def read_reflections(data: bytes) -> Reflections:
    """Read the text of an hkl file as the original does, which goes over it twice."""
    quadruples = _plain_table(data)
    if quadruples is None:
        return _scanned(data.decode("latin-1"))
    return _reflections(quadruples, len(quadruples))


def _reflections(quadruples: np.ndarray, usable: int) -> Reflections:
    hkl = quadruples[:, :3]
    whole = np.trunc(hkl)
    bounds = np.stack([whole.min(axis=0), whole.max(axis=0)], axis=1) if len(hkl) else np.zeros((3, 2))
    with np.errstate(invalid="ignore"):
        indices = hkl[:usable].astype(np.int64)
    return Reflections(
        len(quadruples), bounds, indices, quadruples[:usable, 3].copy(), bool((hkl == np.ceil(hkl - 0.4)).all())
    )


def _plain_table(data: bytes) -> np.ndarray | None:
    """The quadruples of a well-formed file, (n, 4), or None where only a reader that stops at words will do."""
    characters = np.frombuffer(data, np.uint8)
    if not PLAIN[characters].all():
        return None
    space = SPACES[characters]
    starts = ~space
    starts[1:] &= space[:-1]
    token = np.cumsum(starts, dtype=np.int32)
    of_reals = OF_REALS[characters]
    if (token[of_reals] % 4 != 0).any():
        return None
    signs = np.flatnonzero(SIGNS[characters] & ~starts)
    if not of_reals[signs - 1].all():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.fromstring(data, sep=" ") if len(data) else np.empty(0)
    except (ValueError, DeprecationWarning):
        return None
    if len(values) != (token[-1] if len(token) else 0):
        return None
    return values[: len(values) // 4 * 4].reshape(-1, 4)


def _scanned(text: str) -> Reflections:
    """Both passes, number by number."""
    rows: list[list[float]] = []
    at = 0
    while (found := _quadruple(text, at, integers=False)) is not None:
        rows.append(found[0])
        at = found[1]
    usable = at = 0
    while usable < len(rows) and (found := _quadruple(text, at, integers=True)) is not None:
        usable += 1
        at = found[1]
    return _reflections(np.array(rows, dtype=float).reshape(-1, 4), usable)


def _quadruple(text: str, at: int, *, integers: bool) -> tuple[list[float], int] | None:
    row: list[float] = []
    for column in range(4):
        if integers and column < 3:
            match = SCAN_INTEGER.match(text, at)
            if match is None:
                return None
            at = match.end()
        else:
            found = scan_real(text, at)
            if found is None:
                return None
            row.append(found[0])
            at = found[1]
    return row, at
