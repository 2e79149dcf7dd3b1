"""From arguments to settings, and what each argument did on the way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nanobragg.cli.nanobragg.rules import HEADER_FLAGS, INTENDED_TOGETHER, Rule, misread, rules_for
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import choices
from nanobragg.engine.original.quirks import NONE, Fixes
from nanobragg.engine.original.settings import Settings


@dataclasses.dataclass
class Reading:
    """One argument: the rules that fired on it, those that wanted more arguments, and whether a flag used it.

    ``misread`` says of its values what they were read as, where they are not the numbers that they should be.
    """

    index: int
    text: str
    fired: list[tuple[Rule, dict[str, Any]]] = dataclasses.field(default_factory=list)
    starved: list[Rule] = dataclasses.field(default_factory=list)
    header: bool = False
    value_of: list[str] = dataclasses.field(default_factory=list)
    misread: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_flag(self) -> bool:
        """Whether the original looks at it at all."""
        return self.text.startswith("-")

    @property
    def ignored(self) -> bool:
        """Whether it did nothing, neither as a flag nor as a value."""
        return not (self.fired or self.header or self.value_of) or self.lacks_values

    @property
    def lacks_values(self) -> bool:
        """Whether it is a flag that does nothing because the line ends too early."""
        return bool(self.starved) and not self.header and not any(changes for _, changes in self.fired)

    @property
    def accidental(self) -> bool:
        """Whether more rules fired than its name is meant for."""
        numbers = {rule.number for rule, changes in self.fired if changes}
        return len(numbers) > 1 and not any(numbers <= together for together in INTENDED_TOGETHER)


@dataclasses.dataclass
class Parsed:
    """Settings, and one `Reading` per argument."""

    settings: Settings
    readings: list[Reading]


def named_headers(arguments: Sequence[str]) -> dict[str, str]:
    """The first pass: names of the mask and the header image; the last of each on the line."""
    names = {}
    for i, argument in enumerate(arguments[:-1]):
        for flag, setting in HEADER_FLAGS.items():
            if argument.startswith("-") and flag in argument:
                names[setting] = arguments[i + 1]
    return names


def parse(arguments: Sequence[str], start: Mapping[str, Any], origin: Mapping[str, str] | None = None) -> Parsed:
    """The second pass: every argument that begins with a dash, against every rule in order.

    Parameters
    ----------
    arguments
        The command line without the program's name and without our own options.
    start
        Settings that headers and the clock have left.
    origin
        Where those come from, for error messages.

    Raises
    ------
    BadInput
        Where the original reads past the end of the line, and for values that are infinite or not a number.
    """
    settings = dict(start)
    readings = [Reading(i, text) for i, text in enumerate(arguments)]
    origin = dict(origin or {})
    exact = choices.exact_flags(start.get("fixes", NONE))
    for reading in readings:
        if not reading.is_flag or (exact and reading.value_of):
            continue
        _mark_header(reading, readings)
        fitting = rules_for(reading.text, exact=exact)
        if exact and not reading.header and not fitting:
            raise BadInput(f"{reading.text}: no flag is called that (nanoBragg --help lists them)")
        for rule in fitting:
            values = arguments[reading.index + 1 :]
            if len(values) < (len(rule.values.split()) and rule.needs if exact else rule.needs):
                if exact and not any(fired for fired in reading.fired):
                    raise BadInput(f"{reading.text}: needs {rule.values}")
                if rule.crashes:
                    raise BadInput(f"{reading.text}: a value must follow (the original crashes here)")
                reading.starved.append(rule)
                continue
            changes = _in_metres(reading.text, rule.effect(values), start.get("fixes", NONE))
            reading.fired.append((rule, changes))
            settings.update(changes)
            origin.update(dict.fromkeys(changes, _quote(reading, rule, arguments)))
            _mark_values(reading, rule, changes, readings)
            if exact and reading.misread:
                raise BadInput(f"{reading.text}: {reading.misread[0].split(', and was')[0]}")
            if rule.ends(changes):
                break
    fired = [pair for reading in readings for pair in reading.fired]
    given = frozenset([name for _, changes in fired for name in changes] + [rule.name for rule, _ in fired])
    return Parsed(Settings(**_checked(settings, origin), given=given), readings)


def _quote(reading: Reading, rule: Rule, arguments: Sequence[str]) -> str:
    return " ".join(arguments[reading.index : reading.index + 1 + len(rule.values.split())])


def _mark_header(reading: Reading, readings: list[Reading]) -> None:
    if any(flag in reading.text for flag in HEADER_FLAGS) and reading.index + 1 < len(readings):
        reading.header = True
        readings[reading.index + 1].value_of.append(reading.text)


def _mark_values(reading: Reading, rule: Rule, changes: dict[str, Any], readings: list[Reading]) -> None:
    used = len(changes) - 1 if rule.name == "-cell" else len(rule.values.split()) if changes else 0
    values = readings[reading.index + 1 : reading.index + 1 + used]
    own = reading.text in rule.names or not rules_for(reading.text, exact=True)  # else it fires by accident (Q92)
    for kind, value in zip(rule.kinds(used), values, strict=False):
        value.value_of.append(reading.text)
        if own and (said := misread(rule, kind, value.text)):
            reading.misread.append(said)
    follows = readings[reading.index + 1 : reading.index + 2]
    if rule.name == "-curved_det" and follows and not follows[0].is_flag:  # it asks for a word and looks at none
        readings[reading.index + 1].value_of.append(reading.text)


def _in_metres(flag: str, changes: dict[str, Any], fixes: Fixes) -> dict[str, Any]:
    """``-pix0_vector_mm`` means millimetres where its value is used at all (Q83)."""
    if flag.endswith("-pix0_vector_mm") and choices.pix0_is_used(fixes) and "pix0" in changes:
        return changes | {"pix0": tuple(x / 1000.0 for x in changes["pix0"])}
    return changes


def _checked(settings: dict[str, Any], origin: Mapping[str, str]) -> dict[str, Any]:
    """NaN means unset where a setting can be unset; elsewhere it is refused, as are infinities."""
    unset = {field.name for field in dataclasses.fields(Settings) if field.default is None}
    checked = {}
    for name, value in settings.items():
        numbers = value if isinstance(value, tuple) else (value,)
        if name in unset and value != value:
            value = None
        elif any(isinstance(x, float) and not math.isfinite(x) for x in numbers):
            raise BadInput(f"{origin.get(name, name)}: gives a number that is infinite or not a number")
        checked[name] = value
    return checked
