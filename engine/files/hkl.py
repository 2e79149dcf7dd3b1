"""Structure factors from a text file: h k l F, four numbers at a time, whatever the lines."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from nanobragg.engine.files.reading import SCAN_INTEGER, scan_real

SPACE, DIGIT, SIGN, POINT, EXPONENT, OTHER = range(6)
KINDS = bytearray([OTHER]) * 256
for characters, kind in (
    (b" \t\n\v\f\r", SPACE),
    (b"0123456789", DIGIT),
    (b"+-", SIGN),
    (b".", POINT),
    (b"eE", EXPONENT),
):
    for character in characters:
        KINDS[character] = kind
LONGEST_INTEGER = 18  # characters that 64 bits always hold
EXACT = 2**53
POWERS_OF_TEN = 10.0 ** np.arange(LONGEST_INTEGER + 1)


@dataclasses.dataclass(frozen=True)
class Reflections:
    """What a file holds: ``bounds`` (3, 2; whole reals) of all quadruples, their ``count``, and the usable ones.

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
    hkl = np.ascontiguousarray(quadruples[:, :3].T)
    whole = np.trunc(hkl)
    bounds = np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1) if len(quadruples) else np.zeros((3, 2))
    with np.errstate(invalid="ignore"):
        indices = whole[:, :usable].astype(np.int64).T
    amplitudes = quadruples[:usable, 3].copy()
    return Reflections(len(quadruples), bounds, indices, amplitudes, bool((hkl == np.ceil(hkl - 0.4)).all()))


def _plain_table(data: bytes) -> np.ndarray | None:
    """The quadruples of a well-formed file, (n, 4), or None where only a reader that stops at words will do."""
    if not data.strip():
        return None
    kinds = np.frombuffer(data.translate(KINDS), np.uint8)
    if kinds.max() == OTHER:
        return None
    space = kinds == SPACE
    begins = ~space
    begins[1:] &= space[:-1]
    starts = np.flatnonzero(begins)
    of_reals = np.flatnonzero((kinds == POINT) | (kinds == EXPONENT))
    tokens = np.searchsorted(starts, of_reals, "right") - 1
    if (tokens % 4 != 3).any():
        return None
    inner_signs = np.flatnonzero((kinds == SIGN) & ~begins)
    if (kinds[inner_signs - 1] != EXPONENT).any():
        return None
    with_exponents = bool((kinds == EXPONENT).any())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if with_exponents:
                values = np.fromstring(data, sep=" ")
            else:
                values = _decimals(data, starts, np.flatnonzero(space[1:] & ~space[:-1]) + 1, of_reals, tokens)
    except (ValueError, DeprecationWarning):
        return None
    return values[: len(values) // 4 * 4].reshape(-1, 4) if len(values) == len(starts) else None


def _decimals(data: bytes, starts: np.ndarray, ends: np.ndarray, points: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Numbers without exponents, as whole numbers divided by powers of ten: exact both, so correctly rounded.

    Four times as fast as converting reals. ``points`` are the places of decimal points, in these ``tokens``.
    """
    ends = np.append(ends, len(data)) if len(ends) < len(starts) else ends
    longest = int((ends - starts).max())
    whole = np.fromstring(data.replace(b".", b""), dtype=np.int64, sep=" ") if longest <= LONGEST_INTEGER else None
    if whole is None or len(whole) != len(starts) or np.abs(whole).max() >= EXACT or (np.diff(tokens) == 0).any():
        return np.fromstring(data, sep=" ")
    values = whole.astype(np.float64)
    values[tokens] /= POWERS_OF_TEN[ends[tokens] - points - 1]
    negative = np.frombuffer(data, np.uint8)[starts] == ord("-")
    return np.copysign(values, np.where(negative, -1.0, 1.0))  # a minus before zero


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
