"""A tiny kernel with one of each kind of argument: does Numba still take arguments apart as we do?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel


class Inner(NamedTuple):
    """Some of a plan's kinds, one tuple in another."""

    flag: bool
    array: np.ndarray
    numbers: tuple[float, float]


class Outer(NamedTuple):
    """The same, and what stands around it."""

    number: float
    inner: Inner
    whole: int


@kernel
def probe(outer, few, flag, whole, number, table, out):
    """Write what the arguments are into ``out``, and return what only the right ones add up to."""
    inner = outer.inner
    out[0] = outer.number + inner.numbers[0] + 10.0 * inner.numbers[1]
    out[1] = inner.array[2] + few[1] + table[1, 2]
    out[2] = number
    total = whole + 100 * outer.whole + 10000 * len(inner.array) + 100000 * table.shape[1]
    if flag and not inner.flag:
        total += 1
    return total


ARGUMENTS: tuple[Any, ...] = (
    Outer(1.5, Inner(False, np.array([1, 2, 3], np.int32), (0.25, 0.5)), 7), np.array([0.5, 4.0]), True, 3, -2.25,
    np.arange(8, dtype=np.float32).reshape(2, 4),
)  # fmt: skip
EXPECTED, WRITTEN = 3 + 700 + 30000 + 400000 + 1, [1.5 + 0.25 + 5.0, 3.0 + 4.0 + 6.0, -2.25]
