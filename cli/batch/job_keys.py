"""Values of a job file's keys: texts, choices, whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nanobragg.engine.errors import BadInput


def text_of(found: dict[str, Any], key: str, name: str) -> str:
    """A text that must be there; ``name`` is the job file's, for messages."""
    value = found.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadInput(f"{name}: {key} = must be given, a text")
    return value


def choice_of(found: dict[str, Any], key: str, name: str, choices: Sequence[str]) -> str:
    """One of some words; the first is the default."""
    value = found.get(key, choices[0])
    if value not in choices:
        raise BadInput(f"{name}: {key} = {value!r}: not one of {', '.join(dict.fromkeys(choices))}")
    return str(value)


def whole_of(found: dict[str, Any], key: str, name: str, lowest: int, highest: int, default: int | None = None) -> int:
    """A whole number of a range; without a default it must be there."""
    value = found.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise BadInput(f"{name}: {key} = {value}: not a whole number from {lowest} to {highest}")
    return value


def plain_numbers(value: Any) -> Any:
    """Decimal numbers as binary64, in tables and lists too."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain_numbers(part) for key, part in value.items()}
    return [plain_numbers(part) for part in value] if isinstance(value, list) else value
