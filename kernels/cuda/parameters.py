"""How a kernel's arguments stand in one block of bytes: as numba flattens them, each at a multiple of its size.

The plan's numbers are parameters of every kernel, so that they lie in the card's constant memory and take no registers.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nanobragg.kernels.fast.tables import AmplitudeBox
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response.plan import ResponsePlan
from nanobragg.kernels.surroundings.plan import Surroundings

V3 = (1.0, 1.0, 1.0)
KINDS: dict[str, Any] = {
    "int": 1, "float": 1.0, "bool": True, "Vector": V3, "tuple[int, int, int]": (1, 1, 1),
    "tuple[int, int, int, int]": (1, 1, 1, 1), "tuple[float, ...]": (1.0,) * 9, "tuple[float, float]": (1.0, 1.0),
    "tuple[float, float, float]": V3, "np.ndarray": np.ones((1, 3)),
}  # fmt: skip
# Arrays that are not (n, 3) binary64.
ARRAYS: dict[str, np.ndarray] = {
    "mask": np.ones(1, np.uint8), "mosaic_rotations": np.ones((1, 9)), "table": np.ones((1, 1, 1, 1)),
    "distance": np.ones(1), "close_distance": np.ones(1), "beam_spot": np.ones((1, 2)), "wavelength": np.ones(1),
    "weight": np.ones(1), "absorption": np.ones(1),
    "wide_fast": np.ones(1, np.int64), "wide_slow": np.ones(1, np.int64),
    "table_number": np.ones(1, np.int64), "squares": np.ones(1),
    "transmission": np.ones(1, np.float32), "scattered": np.ones(1, np.float32),
    "kernel": np.ones((1, 1), np.float32), "pattern": np.ones((1, 1), np.float32),
}  # fmt: skip
LETTERS = {"int64": "q", "float64": "d", "bool": "?"}


def _example_of(group: type) -> Any:
    """A named tuple of the types that its fields are declared with."""
    declared = {field: getattr(kind, "__forward_arg__", kind) for field, kind in group.__annotations__.items()}
    return group(**{field: ARRAYS.get(field, KINDS.get(str(kind))) for field, kind in declared.items()})


@functools.cache
def plan_type() -> Any:
    """Numba's type of a plan."""
    import numba  # where a GPU is only asked for, it is not loaded

    groups = typing.get_type_hints(RenderPlan)
    return numba.typeof(RenderPlan(**{name: _example_of(group) for name, group in groups.items()}))


@functools.cache
def tables_type() -> Any:
    """Numba's type of squared amplitudes."""
    import numba

    return numba.typeof(_example_of(AmplitudeBox))


@functools.cache
def response_type() -> Any:
    """Numba's type of a detector's response."""
    import numba

    return numba.typeof(_example_of(ResponsePlan))


@functools.cache
def surroundings_type() -> Any:
    """Numba's type of what surrounds the sample."""
    import numba

    return numba.typeof(_example_of(Surroundings))


def dtype_of(field: str) -> np.dtype:
    """What the elements of an array of the plan are declared as."""
    return np.dtype(ARRAYS.get(field, KINDS["np.ndarray"]).dtype)


def format_of(kind: Any) -> str:
    """Letters of `struct` for an argument of a numba type."""
    from numba import types

    if isinstance(kind, types.Array):
        return "QQqqQ" + "qq" * kind.ndim
    if isinstance(kind, types.BaseTuple):
        parts: Any = kind
        return "".join(format_of(each) for each in parts)
    return LETTERS[str(kind)]


def numbers_of(values: Iterable[Any]) -> Iterator[Any]:
    """All numbers of arguments, in order; what is on a device brings its own."""
    for value in values:
        if hasattr(value, "numbers"):
            yield from value.numbers
        elif isinstance(value, tuple):
            yield from numbers_of(value)
        else:
            yield value
