"""The model of a job, as tables, with what varies from image to image put in."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.experiment import TABLES
from nanobragg.engine.model.part import unknown_name

TRUE, FALSE = "true", "false"


def value_of(words: Sequence[str]) -> Any:
    """The value that words of an axis stand for: one number, truth or text, or a list of them."""
    found = [_one(word) for word in words]
    return found[0] if len(found) == 1 else found


def _one(word: str) -> Any:
    if word in (TRUE, FALSE):
        return word == TRUE
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def check_field(field: str, what: str) -> None:
    """Refuse a name that is no field of the model, with the nearest that is."""
    table, dot, name = field.partition(".")
    if not dot or table not in TABLES:
        raise BadInput(f"{what}: {field!r} is no field of the model: TABLE.NAME, TABLE one of {', '.join(TABLES)}")
    names = [f.name for f in dataclasses.fields(TABLES[table])]  # type: ignore[arg-type]
    if name not in names:
        raise BadInput(f"{what}: [{table}] {unknown_name(name, names)}")


def with_fields(tables: dict[str, Any], given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Tables with other values of some fields, named ``table.name``."""
    changed = copy.deepcopy(tables)
    for field, value in given:
        table, _, name = field.partition(".")
        changed.setdefault(table, {})[name] = value
    return changed
