"""What the parts of a model have in common: plain values, equality, a short text, and JSON."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any, TypeVar

import numpy as np

from nanobragg.engine.errors import BadInput

Vector = tuple[float, float, float]
P = TypeVar("P", bound="Part")
NEAR = 0.6  # of the letters, from which on a name may be meant


class Part:
    """Something that is described by numbers and texts, and equal to what is described by the same."""

    def __post_init__(self) -> None:
        """Keep arrays and lists as tuples of plain numbers, so that they can be compared; then refuse what is wrong."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        self.check()

    def check(self) -> None:
        """Raise `BadInput` for what would silently be something else."""

    def __repr__(self) -> str:
        """What is not as it is by default."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        said = [f"{f.name}={_short(getattr(self, f.name))}" for f in fields if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(said)})"

    def let(self, name: str, value: Any) -> None:
        """Set a field while the part is made."""
        object.__setattr__(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """What is not as it is by default, for `of_table`."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: _table_of(getattr(self, f.name)) for f in fields if getattr(self, f.name) != f.default}


def of_table(kind: type[P], table: Any, what: str) -> P:
    """A part as a table with its fields' names describes it; ``what`` names the table in messages.

    Raises
    ------
    BadInput
        For a name that the part does not have, with the nearest that it has, and for values that it refuses.
    """
    if not isinstance(table, dict):
        raise BadInput(f"{what}: must be a table of names and values")
    names = [field.name for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]
    for name in table:
        if name not in names:
            raise BadInput(f"{what}: {unknown_name(name, names)}")
    return kind(**table)


def unknown_name(name: str, names: list[str]) -> str:
    """What to say of a name that is none of some."""
    near = difflib.get_close_matches(str(name), names, 1, NEAR)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"{name}: no such name ({hint})"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        some = ", ".join(map(_short, value[:9])) + (f", ... {len(value)} in all" if len(value) > 9 else "")
        return f"({some})"
    return repr(value)


def _table_of(value: Any) -> Any:
    """A value with the tables of parts that are in it."""
    if isinstance(value, Part):
        return value.to_json()
    return tuple(map(_table_of, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
