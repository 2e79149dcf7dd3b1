"""What each argument did, and which of them did nothing or too much: for ``--explain`` and the remarks on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nanobragg.cli.nanobragg.options import nearest
from nanobragg.cli.nanobragg.parse import Parsed, Reading
from nanobragg.cli.nanobragg.rules import Rule


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{x:.12g}" for x in value) + ")"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _changes(rule: Rule, changes: dict[str, Any]) -> str:
    listed = ", ".join(f"{name} = {_value(value)}" for name, value in changes.items())
    return f"rule {rule.number} {rule.name}: {listed or 'no change'}"


def _wanted(reading: Reading) -> str:
    rule = reading.starved[0]
    return f"{rule.needs} argument{'s' if rule.needs > 1 else ''} must follow"


def remarks(parsed: Parsed) -> Iterator[str]:
    """One line for each ignored argument, each accidental match, and each value that is not what it should be."""
    for reading in parsed.readings:
        for said in dict.fromkeys(reading.misread):
            yield f"{reading.text}: {said}"
        if reading.accidental:
            fired = "; ".join(_changes(rule, changes) for rule, changes in reading.fired if changes)
            yield f"Q92 flags: {reading.text} fires more than one rule: {fired}"
        elif reading.ignored:
            why = _wanted(reading) if reading.starved else f"no rule of the original matches it{nearest(reading.text)}"
            if not reading.is_flag:
                why = "no flag takes it as a value"
            yield f"argument {reading.index + 1}, {reading.text!r}, is ignored: {why}"


def mistakes(parsed: Parsed) -> Iterator[str]:
    """What cannot be meant: words that do nothing, and values that are not the numbers that they should be."""
    for reading in parsed.readings:
        for said in dict.fromkeys(reading.misread):
            yield f"{reading.text}: {said}"
        if reading.ignored:
            near = nearest(reading.text) if reading.is_flag else ""
            what = (
                _wanted(reading) if reading.starved else f"no flag is called that, and none takes it as a value{near}"
            )
            yield f"{reading.text}: {what}"


def explanation(parsed: Parsed) -> Iterator[str]:
    """One line or more for every argument, in order."""
    for reading in parsed.readings:
        parts = [_changes(rule, changes) for rule, changes in reading.fired]
        if reading.header:
            parts.append("first pass: the next argument names an image whose header is read")
        parts += [f"rule {rule.number} {rule.name}: matches, but {rule.needs} must follow" for rule in reading.starved]
        if reading.value_of:
            parts.append(f"value of {', '.join(dict.fromkeys(reading.value_of))}")
        yield f"{reading.index + 1:3d} {reading.text}: {'; '.join(parts) or 'ignored'}"
