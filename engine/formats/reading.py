"""Input files as bytes and as text, and the original's ways of taking numbers from text."""

from __future__ import annotations

import os
import re
import stat

from nanobragg.engine.c_numbers import WHITE, to_float
from nanobragg.engine.errors import BadInput

MOST_BYTES = 2**32
MOST_BYTES_OF_A_STREAM = 2**29
SCAN_REAL = re.compile(
    rf"[{WHITE}]*([+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?"
    rf"|(?:\d+\.?\d*|\.\d+)(?![xX])(?:[eE][+-]?\d*)?"
    r"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?(?![iI])|[nN][aA][nN]))",
    re.ASCII,
)
SCAN_INTEGER = re.compile(rf"[{WHITE}]*([+-]?\d+)", re.ASCII)


def read(path: str, flag: str, kind: type[BadInput] = BadInput) -> bytes:
    """The whole file; raises `OSError` like ``open``, and an error of a ``kind`` for what cannot be meant."""
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        limit = MOST_BYTES if stat.S_ISREG(found.st_mode) else MOST_BYTES_OF_A_STREAM
        if stat.S_ISREG(found.st_mode) and found.st_size > limit:
            raise kind(f"{flag} {path}: {found.st_size / 1e9:.3g} GB is too large for an input file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise kind(f"{flag} {path}: gives more than {limit / 1e9:.3g} GB, too much for an input file")
    return data


def reason(error: OSError) -> str:
    """What the operating system said, without the path."""
    return error.strerror or type(error).__name__


def scan_real(text: str, at: int) -> tuple[float, int] | None:
    """The real number that ``scanf`` would convert at this place, and where it ends; ``None`` where it fails.

    An exponent without digits is taken and does not count.
    """
    match = SCAN_REAL.match(text, at)
    if match is None:
        return None
    number = match.group(1)
    return to_float(number if "x" in number.lower() else number.rstrip("+-").rstrip("eE")), match.end()


def scan_reals(text: str, most: int) -> list[float]:
    """Up to ``most`` numbers, until the first thing that is none."""
    values: list[float] = []
    at = 0
    while len(values) < most and (found := scan_real(text, at)):
        values.append(found[0])
        at = found[1]
    return values
