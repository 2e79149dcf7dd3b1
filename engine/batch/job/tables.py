"""The model of a job, as tables, with what varies from image to image put in."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.experiment import LISTS, TABLES
from nanobragg.engine.model.part import unknown_name

# Fields that say the same in two ways: who gives one takes the other back.
RIVALS = {
    "beam.wavelength_A": ("beam.energy_eV",), "beam.energy_eV": ("beam.wavelength_A",),
    "beam.fluence": ("beam.flux",), "beam.flux": ("beam.fluence",),
    "crystal.cell": ("crystal.reciprocal",), "crystal.reciprocal": ("crystal.cell",),
    "factors.structure": ("factors.hkl",), "factors.hkl": ("factors.structure",),
    "detector.model": ("detector.shape", "detector.pixel_mm"), "detector.shape": ("detector.model",),
}  # fmt: skip


def value_of(words: Sequence[str]) -> Any:
    """The value that words of an axis stand for: JSON, a text, or a list of them."""
    found = [_one(word) for word in words]
    return found[0] if len(found) == 1 else found


def _one(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        pass
    try:
        return word if "_" in word else float(word)  # numbers that JSON has not: .5, 1., nan
    except ValueError:
        return word


def check_field(field: str, what: str) -> None:
    """Refuse a name that is no field of the model, with the nearest that is."""
    table, dot, name = field.partition(".")
    if dot and table in LISTS:
        number, dot, name = name.partition(".")
        if not dot or not (number.isascii() and number.isdigit()) or not name:
            raise BadInput(f"{what}: {field!r} is no field of the model: {table}.NUMBER.NAME, NUMBER from 0 on")
        return
    if not dot or table not in TABLES:
        raise BadInput(f"{what}: {field!r} is no field of the model: TABLE.NAME, TABLE one of {', '.join(TABLES)}")
    names = [f.name for f in dataclasses.fields(TABLES[table])]  # type: ignore[arg-type]
    if name not in names:
        raise BadInput(f"{what}: [{table}] {unknown_name(name, names)}")


def with_fields(tables: dict[str, Any], given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Tables with other values of some fields, named ``table.name``; `RIVALS` of these are taken back."""
    changed = copy.deepcopy(tables)
    for field, value in given:
        for rival in RIVALS.get(field, ()):
            of_table, _, name = rival.partition(".")
            changed.get(of_table, {}).pop(name, None)
        table, _, name = field.partition(".")
        if table in LISTS:
            number, _, name = name.partition(".")
            parts = changed.get(table, [])
            if int(number) >= len(parts):
                raise BadInput(f"{field}: there are {len(parts)} of [[{table}]], numbered from 0 on")
            parts[int(number)][name] = value
            continue
        changed.setdefault(table, {})[name] = value
    return changed
