"""The binary dump of a structure-factor table: six numbers as text, then binary64 values."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from nanobragg.engine.c_numbers import WHITE, low_32_bits
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.whole import whole_file

HEADER = re.compile(rb"[\s\x0b]*([+-]?\d+)(?!\d)" * 6)
PAGE = b"\n\f"


class Dump(NamedTuple):
    """Box and table of a dump; ``shifted`` bytes were taken for white space (Q60), ``missing`` bytes read as 0."""

    bounds: np.ndarray
    table: np.ndarray
    shifted: int
    missing: int


def table_shape(bounds: np.ndarray) -> tuple[int, int, int]:
    """Shape of the table for an inclusive box, padding planes included."""
    return tuple(int(hi - lo + 2) for lo, hi in bounds)  # type: ignore[return-value]


def read_dump(data: bytes, name: str, check_size, *, exact: bool = False) -> Dump:
    """Read a dump; ``check_size`` is called with the box before anything is allocated.

    White space after the six numbers is skipped however much there is, as the original does, or up to the form feed
    where that is ``exact``.
    """
    header = HEADER.match(data)
    if header is None:
        raise BadInput(f"{name}: not a dump of structure factors: it does not start with six numbers")
    bounds = np.array([low_32_bits(int(x[:25])) for x in header.groups()], dtype=np.int64).reshape(3, 2)
    check_size(bounds)
    start = header.end()
    page = data.find(b"\f", start, start + 100)
    if exact and page >= 0:
        start = page + 1
    while not exact and data[start : start + 1] and data[start : start + 1] in WHITE.encode():
        start += 1
    expected = header.end() + len(PAGE)
    shape = table_shape(bounds)
    needed = shape[0] * shape[1] * shape[2] * 8
    body = data[start : start + needed]
    missing = needed - len(body)
    table = np.frombuffer(body + bytes(missing), "<f8").reshape(shape).astype(float)
    return Dump(bounds, table, max(start - expected, 0), missing)


def write_dump(path: str, bounds: np.ndarray, table: np.ndarray) -> None:
    """Write box and table, padding planes included."""
    with whole_file(path, "-dump") as file:
        file.write(" ".join(str(int(x)) for x in bounds.ravel()).encode() + PAGE)
        file.write(np.ascontiguousarray(table, "<f8").data)
