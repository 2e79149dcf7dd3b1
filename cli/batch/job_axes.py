"""What varies from image to image, as a job file says it: checked, and made into axes."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nanobragg.cli.batch.job_keys import plain_numbers, text_of, whole_of
from nanobragg.cli.nanobragg.rules import COUNTS, INTENDED_TOGETHER, RULES, WORDS, Rule, rules_for
from nanobragg.cli.tools.plans import OUTPUTS
from nanobragg.engine.batch.job.axes import (
    DRAWS,
    FIELD,
    FLAG,
    MISSET_FIELD,
    MISSET_FLAG,
    Axis,
    Orientation,
    Table,
    axis_of,
    kind_of,
)
from nanobragg.engine.batch.job.tables import RIVALS, check_field
from nanobragg.engine.errors import BadInput

AXES = {  # the keys that an axis may have beside its flag or field, by the one that says its kind
    "orientation": {"orientation"},
    "table": {"table"},
    "values": {"values"},
    "start": {"start", "step", "stop", "count"},
    **{kind: {kind, "least", "most", "whole"} for kind in DRAWS if kind != "choice"},
    "choice": {"choice"},
}
NAMED = ("values", "start", *DRAWS)  # the kinds that need a flag or a field
ALONGSIDE = {"pivot", "convention", "misset_mode", "user_cell", "stol_mult", "write_pgm", "do_noise", "nopolar"}
MOST_OF_LOGARITHM = 20.0
MEANINGS = {
    "uniform": "the lowest and the highest", "normal": "mean and standard deviation",
    "lognormal": "median, and standard deviation of the logarithm",
}  # fmt: skip
MOST_IMAGES = 100_000_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,10}", re.ASCII)
MOST_DIGITS = 25  # before or after the point of a decimal number


def axes_of(given: Any, name: str, folder: str, seed: int, *, of_model: bool) -> list[Axis]:
    """The axes of a job: of fields where it describes a model, else of flags."""
    if not isinstance(given, list) or not all(isinstance(axis, dict) for axis in given):
        raise BadInput(f"{name}: axes are written [[axis]]")
    axes = []
    for number, axis in enumerate(given, 1):
        what = f"{name}: axis {number}"
        kinds = [kind for kind in AXES if kind in axis]
        wrong = FLAG if of_model else FIELD
        if wrong in axis:
            said = "tables of a model have fields" if of_model else "arguments have flags"
            raise BadInput(f"{what}: {wrong} = {axis[wrong]!r}: {said}: take {FIELD if of_model else FLAG}")
        if len(kinds) != 1:
            raise BadInput(f"{what}: must have one of {', '.join(AXES)}, and has {', '.join(kinds) or 'none'}")
        named = {FIELD if of_model else FLAG} if kinds[0] in NAMED else set()
        unknown = set(axis) - AXES[kinds[0]] - named
        if unknown:
            raise BadInput(f"{what}: {', '.join(sorted(unknown))} cannot stand beside {kinds[0]}")
        axes.append(_axis(kinds[0], axis, what, folder, seed, of_model))
    _check_contradictions(axes, name)
    return axes


def _axis(kind: str, axis: dict[str, Any], what: str, folder: str, seed: int, of_model: bool) -> Axis:
    check_value = _check_field if of_model else check_flag
    if kind == "orientation":
        if axis["orientation"] != "random":
            raise BadInput(f"{what}: orientation = {axis['orientation']!r}: only 'random' is known")
        return Orientation(seed, MISSET_FIELD if of_model else MISSET_FLAG)
    if kind == "table":
        return _table(axis, what, folder, of_model)
    key = FIELD if of_model else FLAG
    name = text_of(axis, key, what)
    if kind == "values":
        rows = [([_as_json(value, what)] if of_model else _words(value, what)) for value in _list(axis["values"], what)]
        for row in rows:
            check_value(name, row, what)
        return axis_of({key: name, "values": rows}, folder, seed)
    if kind in DRAWS:
        drawn = _draw(kind, axis, key, name, what, folder, seed, of_model=of_model)
        check_value(name, drawn.given(0)[0][1], what)
        return drawn
    in_steps = _range(axis, key, name, what, folder, seed)
    check_value(name, in_steps.given(0)[0][1], what)
    return in_steps


def _table(axis: dict[str, Any], what: str, folder: str, of_model: bool) -> Table:
    path = os.path.join(folder, text_of(axis, "table", what))
    table = Table(path, axis["table"])
    if of_model:
        for field in table.names:
            check_field(field, f"table {table.name}: column")
    else:
        files = [flag for flag in table.names if rule_of(flag, f"table {table.name}: column").values == "file"]
        table = Table(path, axis["table"], files)
    _check_table(table, _check_field if of_model else check_flag)
    return table


def _check_field(field: str, words: Sequence[str], what: str) -> None:
    """Raise `BadInput` unless this is a field of the model; its value is checked with the experiment it is part of."""
    check_field(field, what)


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadInput(f"{what}: values = must be a list with something in it")
    return value


def _as_json(value: Any, what: str) -> str:
    """The value of a field, lists and tables too."""
    try:
        return json.dumps(plain_numbers(value))
    except TypeError:
        raise BadInput(f"{what}: {value!r} is no value of a field") from None


def _words(value: Any, what: str) -> list[str]:
    """The words of a flag's value: a number, a text, or a list of them; none for ``true``, and ``false`` is no word."""
    if value is True:
        return []
    if isinstance(value, list):
        return [word for part in value for word in _words(part, what)]
    if isinstance(value, Decimal):
        return [f"{value:f}" if value.is_finite() and abs(value.adjusted()) < MOST_DIGITS else str(value)]
    if isinstance(value, int | str) and not isinstance(value, bool):
        return [str(value)]
    raise BadInput(f"{what}: {value!r} is no value of a flag")


def _range(axis: dict[str, Any], key: str, name: str, what: str, folder: str, seed: int) -> Axis:
    numbers = {}
    for part in ("start", "step", "stop"):
        if part in axis:
            numbers[part] = _decimal(axis[part], f"{what}: {part}")
    count = whole_of(axis, "count", what, 1, MOST_IMAGES) if "count" in axis else None
    if ("step" in numbers) == ("stop" in numbers):
        raise BadInput(f"{what}: a range is start and step, or start, stop and count")
    if "stop" in numbers:
        if count is None or count < 2:
            raise BadInput(f"{what}: start and stop need a count of 2 or more")
        numbers["step"] = (numbers["stop"] - numbers["start"]) / (count - 1)
    canonical = {key: name, "start": str(numbers["start"]), "step": str(numbers["step"])}
    return axis_of(canonical if count is None else canonical | {"count": count}, folder, seed)


def _draw(
    kind: str, axis: dict[str, Any], key: str, name: str, what: str, folder: str, seed: int, *, of_model: bool
) -> Axis:
    """Random values of one name."""
    said: dict[str, Any] = {key: name, "draw": kind, "whole": axis.get("whole", False)}
    if not isinstance(said["whole"], bool):
        raise BadInput(f"{what}: whole = {said['whole']!r}: true or false")
    if kind == "choice":
        values = axis["choice"]
        if not isinstance(values, list) or not values:
            raise BadInput(f"{what}: choice = must be a list with something in it")
        said["choices"] = [[_as_json(value, what)] if of_model else _words(value, what) for value in values]
        return axis_of(said, folder, seed)
    given = axis[kind]
    if not isinstance(given, list) or len(given) != 2:
        raise BadInput(f"{what}: {kind} = {given!r}: must be two numbers, or two lists of as many: {MEANINGS[kind]}")
    for part, value in zip(("first", "second"), given, strict=True):
        some = value if isinstance(value, list) else [value]
        said[part] = [float(_decimal(x, f"{what}: {kind}")) for x in some]
    if not said["first"] or len(said["first"]) != len(said["second"]):
        raise BadInput(f"{what}: {kind}: the two lists are empty, or differ in length")
    if (kind != "uniform" and min(said["second"]) < 0.0) or (kind == "lognormal" and min(said["first"]) <= 0.0):
        raise BadInput(f"{what}: {kind}: {MEANINGS[kind]}: a negative one cannot be meant")
    if kind == "lognormal" and max(said["second"]) > MOST_OF_LOGARITHM:
        raise BadInput(f"{what}: lognormal: a deviation of the logarithm above {MOST_OF_LOGARITHM:g} cannot be meant")
    said |= {bound: float(_decimal(axis[bound], f"{what}: {bound}")) for bound in ("least", "most") if bound in axis}
    if said.get("least", -math.inf) > said.get("most", math.inf):
        raise BadInput(f"{what}: least = {said['least']:g} is above most = {said['most']:g}")
    return axis_of(said, folder, seed)


def _decimal(value: Any, what: str) -> Decimal:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()
    if not is_number or (value and abs(Decimal(value).adjusted()) > MOST_DIGITS):
        raise BadInput(f"{what} = {value}: is no number that can be meant")
    return Decimal(value)


def _check_table(table: Table, check_value: Callable[[str, Sequence[str], str], None]) -> None:
    if not table.length:
        raise BadInput(f"table {table.name}: has no row under its first line")
    twice = {flag for flag in table.names if table.names.count(flag) > 1}
    if twice:
        raise BadInput(f"table {table.name}: column {', '.join(sorted(twice))} is there twice")
    checked: set[tuple[str, ...]] = set()
    for place in range(table.length):
        for flag, values in table.given(place):
            known = (flag, *values)
            if known not in checked:
                check_value(flag, values, f"table {table.name}: line {place + 2}")
                checked = checked | {known} if len(checked) < 1000 else {known}


def rule_of(flag: str, what: str) -> Rule:
    """The rule that a flag names in full; raises `BadInput` if there is none, or others read it too."""
    named = rules_for(flag, exact=True)
    if not named:
        near = [rule.name for rule in RULES if flag and f"-{flag.lstrip('-')}" in rule.names]
        hint = f" (is {near[0]} meant?)" if near else ""
        raise BadInput(f"{what} {flag!r}: no flag of nanoBragg is called that{hint}")
    reads = {rule.number for rule in rules_for(flag)}
    if len(reads) > 1 and not any(reads <= together for together in INTENDED_TOGETHER):
        raise BadInput(f"{what} {flag}: cannot vary: nanoBragg reads it as {len(reads)} flags at once")
    return named[-1]


def check_flag(flag: str, values: Sequence[str], what: str) -> None:
    """Raise `BadInput` unless these are values of this flag, which a batch can vary."""
    rule = rule_of(flag, f"{what}:")
    wanted = rule.values.split()
    fits = 1 <= len(values) <= len(wanted) if flag == "-cell" else len(values) == len(wanted)
    if not fits and not (flag == "-curved_det" and len(values) == 0):
        raise BadInput(f"{what}: {flag} takes {rule.values or 'no value'}, not {' '.join(values) or 'nothing'}")
    if set(rule.effect(values)) & OUTPUTS:
        raise BadInput(f"{what}: {flag} names an output; the images of a batch go to its folder")
    if rule.values in WORDS:
        return
    for kind, value in zip(wanted, values, strict=False):
        if (WHOLE if kind in COUNTS else NUMBER).fullmatch(value):
            continue
        if not (flag == "-detector_abs" and value == "inf"):
            raise BadInput(f"{what}: {flag} {' '.join(values)}: {value!r} is no {'whole ' * (kind in COUNTS)}number")


def _check_contradictions(axes: Sequence[Axis], name: str) -> None:
    """No two axes may set the same thing."""
    owner: dict[str, str] = {}
    for axis in axes:
        for flag in axis.names:
            for setting in settings_of(flag) - ALONGSIDE:
                if setting in owner:
                    raise BadInput(f"{name}: {owner[setting]} and {flag} both set the same thing: take one of them")
            owner |= dict.fromkeys(settings_of(flag) - ALONGSIDE, flag)


def settings_of(name: str) -> set[str]:
    """What a flag sets, whatever its spelling; a field sets itself, and takes back what says the same."""
    if kind_of(name) == FIELD:
        return {name, *RIVALS.get(name, ())}
    return set(rule_of(name, "axis").effect(["1"] * 6))


def varying(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Names of the settings or fields that axes set."""
    return tuple(sorted({setting for axis in axes for name in axis.names for setting in settings_of(name)}))
