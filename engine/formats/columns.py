"""Columns of numbers in text: source lists and stol tables, with the original's idea of a column."""

from __future__ import annotations

import io
import math
import re

import numpy as np

from nanobragg.engine.c_numbers import real

SEPARATORS = " \t,;:!"
NUMBER = "0123456789-+.EGeg"
LONGEST = 10239
TO_SEPARATOR = re.compile(rf"\A[^{re.escape(SEPARATORS)}]*")


def read_columns(data: bytes, columns: int) -> np.ndarray:
    """Rows of ``columns`` numbers, (n, columns); NaN where a row ends early with a plain line end (Q64, Q65)."""
    rows = [_row(piece, columns) for piece in _pieces(data) if piece.lstrip(SEPARATORS) != "\n"]
    return np.array(rows, dtype=float).reshape(-1, columns)


def _pieces(data: bytes):
    """Lines with their ends, long ones cut; a zero byte ends the piece it is in."""
    for text in io.StringIO(data.decode("latin-1"), newline="\n"):
        for start in range(0, len(text), LONGEST):
            yield text[start : start + LONGEST].split("\0")[0]


def _row(text: str, columns: int) -> list[float]:
    values = [math.nan] * columns
    rest = text.lstrip(SEPARATORS)
    for column in range(columns):
        values[column] = real(rest)
        rest = rest.lstrip(NUMBER)
        if rest == "\n":
            break
        rest = TO_SEPARATOR.sub("", rest, count=1).lstrip(SEPARATORS)
        if rest == "\n":
            break
    return values
