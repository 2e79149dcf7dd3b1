"""Structure factors from a text file: h k l F, four numbers at a time, whatever the lines."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np

from nanobragg.engine.c_numbers import low_32_bits, to_long
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import SCAN_INTEGER, scan_real

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
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INDEX = re.compile(r"[+-]?\d+", re.ASCII)
NUMBERS_OF_A_ROW, NUMBERS_OF_A_MATRIX = 4, 9
LONGEST_INTEGER = 18  # characters that 64 bits always hold
EXACT = 2**53
POWERS_OF_TEN = 10.0 ** np.arange(LONGEST_INTEGER + 1)


@dataclasses.dataclass(frozen=True)
class Reflections:
    """What a file holds: ``bounds`` (3, 2; whole reals) of all quadruples, their ``count``, and the usable ones.

    ``count`` and ``bounds`` come from a first pass that reads reals; ``indices`` (n, 3; whole reals) and
    ``amplitudes`` (n,) from a second one that reads integers, and so may end earlier or go astray (Q54). ``remarks``
    say what of the file's lines was not read as it stands there.
    """

    count: int
    bounds: np.ndarray
    indices: np.ndarray
    amplitudes: np.ndarray
    whole_numbers: bool
    remarks: tuple[str, ...] = ()


def read_reflections(data: bytes) -> Reflections:
    """Read the text of an hkl file as the original does, which goes over it twice."""
    quadruples = _plain_table(data)
    if quadruples is None:
        return _scanned(data.decode("latin-1"))
    remarks = _odd_lines(data, 4 * len(quadruples))
    indices = np.ascontiguousarray(quadruples[:, :3].T)
    bounds = np.stack([indices.min(axis=1), indices.max(axis=1)], axis=1) if len(quadruples) else np.zeros((3, 2))
    return Reflections(len(quadruples), bounds, indices.T, quadruples[:, 3], True, remarks)


def _odd_lines(data: bytes, used: int) -> tuple[str, ...]:
    """What is odd about the lines of a file that holds nothing but numbers, of which ``used`` were taken."""
    kinds = np.frombuffer(data.translate(KINDS), np.uint8)
    begins = kinds != SPACE
    begins[1:] &= kinds[:-1] == SPACE
    ends = np.append(np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")), len(data))
    counts = np.diff(np.searchsorted(np.flatnonzero(begins), ends), prepend=0)
    odd = np.flatnonzero((counts != 4) & (counts != 0))
    found = []
    if len(odd):
        found.append(f"line {odd[0] + 1} has {counts[odd[0]]} numbers, not 4 (line ends mean nothing: all are read on)")
    total = int(counts.sum())
    if total > used:
        found.append(f"the last {total - used} numbers are not read: there are not four of them")
    return (*found, *_of_a_matrix(total))


def _of_a_matrix(numbers: int) -> tuple[str, ...]:
    return ("holds nine numbers: is it a matrix, for -mat?",) if numbers == NUMBERS_OF_A_MATRIX else ()


def _cut_short(text: str, at: int, rows: int) -> tuple[str, ...]:
    """What is left of a file that was read up to a place, if anything is."""
    rest = text[at:].lstrip()
    if not rest:
        return ()
    line = text.count("\n", 0, len(text) - len(rest)) + 1
    lines = text.count("\n", 0, len(text.rstrip())) + 1
    words = rest.split()[:4]
    wrong = next((word for word in words if not NUMBER.fullmatch(word)), "")
    why = (
        f"{wrong[:20]!r} is no number" if wrong else "an index is not written as a whole number, or numbers are missing"
    )
    return (f"read to line {line} of {lines} ({rows} reflections): {why}; what follows is left out",)


def read_lines(data: bytes, name: str) -> Reflections:
    """The first four columns of each line; what follows ``#`` or ``!`` and empty lines do not count (Q54 to Q56).

    Raises
    ------
    BadInput
        With the number of the line that does not begin with three whole numbers and an amplitude.
    """
    rows = []
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        words = re.split("[#!]", line, maxsplit=1)[0].split()
        if not words:
            continue
        try:
            row = [float(word) for word in words[:4]] if "_" not in line else []
        except ValueError:
            row = []
        if len(row) < 4 or not np.isfinite(row).all() or any(x != round(x) for x in row[:3]):
            raise BadInput(f"{name}: line {number} does not begin with h k l (whole numbers) and F")
        if _is_row(words[4:8]):
            raise BadInput(f"{name}: line {number} holds more than one reflection: write one a line")
        rows.append(row)
    table = np.array(rows, dtype=float).reshape(-1, 4)
    bounds = np.stack([table[:, :3].min(axis=0), table[:, :3].max(axis=0)], axis=1) if rows else np.zeros((3, 2))
    return Reflections(len(table), bounds, table[:, :3], table[:, 3], True)


def looks_like_a_structure(data: bytes) -> bool:
    """Whether a file begins like PDB, mmCIF or MTZ."""
    words = (b"HEADER", b"CRYST1", b"ATOM  ", b"HETATM", b"REMARK", b"TITLE ", b"COMPND", b"data_", b"MTZ ")
    start = data[:4096]
    return start.lstrip().startswith(words) or b"\nCRYST1" in start or b"\ndata_" in start


def _is_row(words: list[str]) -> bool:
    """Whether these words could be another h k l F."""
    return len(words) == NUMBERS_OF_A_ROW and all(INDEX.fullmatch(word) for word in words[:3])


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
    with_exponents = bool((kinds == EXPONENT).any())
    points = np.flatnonzero(kinds == POINT)
    of_reals = np.flatnonzero((kinds == POINT) | (kinds == EXPONENT)) if with_exponents else points
    tokens = np.searchsorted(starts, of_reals, "right") - 1
    if (tokens % 4 != 3).any():
        return None
    signs = np.flatnonzero(kinds == SIGN)
    inner = signs[~begins[signs]]
    ends = np.flatnonzero(space[1:] & ~space[:-1]) + 1
    ends = np.append(ends, len(data)) if len(ends) < len(starts) else ends
    if (kinds[inner - 1] != EXPONENT).any() or _has_no_digit(kinds, starts, ends):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plain = not with_exponents
            values = _decimals(data, starts, ends, points, tokens) if plain else np.fromstring(data, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    return values[: len(values) // 4 * 4].reshape(-1, 4) if len(values) == len(starts) else None


def _has_no_digit(kinds: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether some token is a lonely sign or point, or both."""
    lengths, first = ends - starts, kinds[starts]
    short = np.flatnonzero((lengths <= 2) & (first != DIGIT))
    return bool((lengths[short] == 1).any() or (kinds[starts[short] + 1] != DIGIT).any())


def _decimals(data: bytes, starts: np.ndarray, ends: np.ndarray, points: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Numbers without exponents, as whole numbers divided by powers of ten: exact both, so correctly rounded.

    Four times as fast as converting reals. ``points`` are the places of decimal points, in these ``tokens``.
    """
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
    (rows, _), (usable, end) = (_quadruples(text, integers) for integers in (False, True))
    first, second = (np.array(some, dtype=float).reshape(-1, 4) for some in (rows, usable))
    hkl = first[:, :3]
    whole = np.trunc(hkl)
    bounds = np.stack([whole.min(axis=0), whole.max(axis=0)], axis=1) if len(first) else np.zeros((3, 2))
    as_whole = bool((hkl == np.ceil(hkl - 0.4)).all())
    words = text.split(None, NUMBERS_OF_A_MATRIX + 1)
    numbers = len(words) if all(NUMBER.fullmatch(word) for word in words) else 0
    remarks = (*_cut_short(text, end, len(second)), *_of_a_matrix(numbers))
    return Reflections(len(first), bounds, second[:, :3], second[:, 3], as_whole, remarks)


def _quadruples(text: str, integers: bool) -> tuple[list[list[float]], int]:
    """The quadruples that can be read, and the place after the last of them."""
    rows: list[list[float]] = []
    at = 0
    while (found := _quadruple(text, at, integers=integers)) is not None:
        rows.append(found[0])
        at = found[1]
    return rows, at


def _quadruple(text: str, at: int, *, integers: bool) -> tuple[list[float], int] | None:
    row: list[float] = []
    for column in range(4):
        if integers and column < 3:
            match = SCAN_INTEGER.match(text, at)
            if match is None:
                return None
            row.append(low_32_bits(to_long(match.group(1))))
            at = match.end()
        else:
            found = scan_real(text, at)
            if found is None:
                return None
            row.append(found[0])
            at = found[1]
    return row, at
