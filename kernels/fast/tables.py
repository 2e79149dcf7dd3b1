"""What the fast kernels read beside the plan: squared amplitudes, blocks to interpolate in, sources, and bounds."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels.fast.reach import Reach, longest_edges, reach
from nanobragg.kernels.plan import RenderPlan

PER_LENGTH, SHIFT, SHARE, OFFSET = 0, 1, 4, 5  # columns of `of_sources`
BLOCK, STEP = 8, 4  # amplitudes in a line of the cache; those by which a block goes on from the one before
NO_BLOCKS = np.empty((0, 0, 0, 0))


class AmplitudeBox(NamedTuple):
    """Squared amplitudes in flat tables, one after the other, each with a border of ``default_F`` squared all around.

    ``low`` and ``high`` are the indices of the border, ``stride`` belongs to h and k, ``origin`` is the place of the
    node 0 0 0 of the first table.
    """

    squares: np.ndarray
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    stride: tuple[float, float]
    origin: float


class _OfTable:
    """What was last made of a table, kept as long as that is there: many images have the same."""

    def __init__(self, make: Callable[[RenderPlan], Any]):
        functools.update_wrapper(self, make)
        self._make = make
        self._last: tuple[Any, Any, Any] | None = None  # the table, what else it depends on, and what was made

    def __call__(self, plan: RenderPlan) -> Any:
        """The same again for the same table, if nobody can write to that; else made anew."""
        about = (plan.factors.default_F, plan.factors.n_hkl != 0, plan.factors.hkl_min, plan.factors.hkl_max)
        last = self._last
        if last is not None and last[0]() is plan.factors.table and last[1] == about:
            return last[2]
        table = self._make(plan)
        if not plan.factors.table.flags.writeable:
            self._last = (weakref.ref(plan.factors.table, self._forget), about, table)
        return table

    def _forget(self, table: Any) -> None:
        last = self._last
        if last is not None and last[0] is table:
            self._last = None


@_OfTable
def bordered_squares(plan: RenderPlan) -> AmplitudeBox:
    """The table as the gather wants it: an index out of the box is moved onto the border; too large a square is inf."""
    with np.errstate(over="ignore"):
        default = float(np.square(plan.factors.default_F))
        if not plan.factors.n_hkl:
            return AmplitudeBox(np.full(1, default), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0), 0.0)
        h, k, length = plan.factors.hkl_range
        box = np.full((len(plan.factors.table), h + 2, k + 2, length + 2), default)
        np.square(plan.factors.table[:, :h, :k, :length], out=box[:, 1:-1, 1:-1, 1:-1])
    low = tuple(float(x - 1) for x in plan.factors.hkl_min)
    high = tuple(float(x + 1) for x in plan.factors.hkl_max)
    stride = (float(box.shape[2] * box.shape[3]), float(box.shape[3]))
    origin = -(low[0] * stride[0] + low[1] * stride[1] + low[2])
    return AmplitudeBox(box.ravel(), low, high, stride, origin)  # type: ignore[arg-type]


def of_sources(plan: RenderPlan, size_of_table: int) -> np.ndarray:
    """What terms of each source need, (n, 6).

    1/wavelength; the difference of the first source's direction from its own over the wavelength; what its terms count;
    and how far its amplitudes are from those of the first table.
    """
    sources = plan.sources
    per_length = 1.0 / sources.wavelength[:, None]
    shifts = (sources.direction - sources.direction[:1]) * per_length
    return np.column_stack([per_length, shifts, sources.weight, sources.table_number * float(size_of_table)])


def longest_squared(plan: RenderPlan, room: tuple[float, ...], of_source: np.ndarray) -> float:
    """Square of the longest difference of directions whose indices all are within ``room``, whatever the orientation.

    An index is a cell vector times a scattering vector, so it is no larger than the product of their lengths; another
    source of the group adds the length of its shift.
    """
    lengths = [length * (1.0 + 1e-9) for length in longest_edges(plan)]
    longest = min(indices / length for indices, length in zip(room, lengths, strict=True))
    shifts = of_source[:, SHIFT : SHIFT + 3]
    left = longest - float(np.sqrt((shifts**2).sum(axis=1)).max())
    return (left / float(np.abs(of_source[:, PER_LENGTH]).max())) ** 2 if left > 0.0 else -1.0


def room_of_nodes(plan: RenderPlan) -> tuple[float, ...]:
    """Indices, of either sign, whose nearest node is in the bordered table; below 0 where there is no table."""
    if not plan.factors.n_hkl:
        return (-1.0, -1.0, -1.0)
    return tuple(min(-low, high) + 0.5 for low, high in zip(plan.factors.hkl_min, plan.factors.hkl_max, strict=True))


def room_of_tricubic(plan: RenderPlan) -> tuple[float, ...]:
    """Indices, of either sign, that `nanobragg.kernels.step.amplitude.within_tricubic_range` lets through."""
    return tuple(min(-low, high) - 2.0 for low, high in zip(plan.factors.hkl_min, plan.factors.hkl_max, strict=True))


@_OfTable
def row_blocks(plan: RenderPlan) -> np.ndarray:
    """The amplitudes (table, h, k, l), each row in blocks of eight that overlap by four.

    So any four in a row are in one line of the cache: the one at l is at l + 4 floor(l/4).
    """
    *rows, length = plan.factors.table.shape
    count = -(-length // STEP)
    padded = np.zeros((*rows, (count + 1) * STEP))
    padded[..., :length] = plan.factors.table
    size = math.prod(rows) * count * BLOCK
    memory = np.empty(size + BLOCK)
    first = -memory.ctypes.data // memory.itemsize % BLOCK  # where a line begins
    blocks = memory[first : first + size].reshape(*rows, count, 2, STEP)
    blocks[..., 0, :] = padded[..., : count * STEP].reshape(*rows, count, STEP)
    blocks[..., 1, :] = padded[..., STEP:].reshape(*rows, count, STEP)
    return blocks.reshape(*rows, count * BLOCK)


class Interpolation(NamedTuple):
    """Amplitudes in `row_blocks`, and `longest_squared` of `room_of_tricubic`."""

    blocks: np.ndarray
    longest_squared: float


class Tables(NamedTuple):
    """All of it; ``longest_squared`` is that of `room_of_nodes`."""

    amplitudes: AmplitudeBox
    reach: Reach
    of_source: np.ndarray
    longest_squared: float
    interpolation: Interpolation


def tables_of(plan: RenderPlan) -> Tables:
    """The tables of a plan."""
    amplitudes = bordered_squares(plan)
    of_source = of_sources(plan, amplitudes.squares.size // len(plan.factors.table))
    nodes, tricubic = (longest_squared(plan, room(plan), of_source) for room in (room_of_nodes, room_of_tricubic))
    blocks = row_blocks(plan) if plan.factors.interpolate else NO_BLOCKS
    return Tables(amplitudes, reach(plan), of_source, nodes, Interpolation(blocks, tricubic))
