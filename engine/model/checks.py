"""What a model refuses: one line that says what must be given instead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput


def of_kind(what: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    """Refuse what is not of a kind."""
    if not isinstance(value, kind):
        raise BadInput(f"{what}: must be {expected}, not {type(value).__name__}")


def numbers(
    what: str, values: Any, count: int | None, *, whole: bool = False, lowest: float = -math.inf,
    above: float = -math.inf,
) -> None:  # fmt: skip
    """Refuse what is not numbers as they are wanted.

    Parameters
    ----------
    what
        Names them in the message.
    values
        What was given.
    count
        1 for one number, more for a list of so many, `None` for a list of any length but 0.
    whole
        Whether they must be whole.
    lowest, above
        The lowest number that will do, or a bound that all must be above.

    Raises
    ------
    BadInput
        With what must be given.
    """
    try:
        array = np.asarray(values)
        array = array.astype(float) if array.dtype.kind in "iuf" else np.full((), math.nan)
    except (TypeError, ValueError, OverflowError):
        array = np.full((), math.nan)
    shape = () if count == 1 else (array.size if count is None else count,)
    fits = array.shape == shape and array.size > 0 and bool(np.isfinite(array).all())
    if fits and not ((array < lowest).any() or (array <= above).any() or (whole and (array % 1).any())):
        return
    kind = "whole number" if whole else "finite number"
    some = f"a {kind}" if count == 1 else f"a list of {kind}s" if count is None else f"{count} {kind}s"
    bound = f", {lowest:g} or more" if lowest > -math.inf else f" above {above:g}" if above > -math.inf else ""
    raise BadInput(f"{what}: must be {some}{bound}, not {shown(values)}")


def shown(value: Any) -> str:
    """A value as it is quoted in a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_of(what: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse what is none of some words."""
    if not isinstance(value, str) or value not in choices:
        raise BadInput(f"{what}: must be one of {', '.join(choices)}, not {shown(value)}")


def spread(what: str, width: float, count: int, name: str) -> None:
    """Refuse a spread of one point."""
    if width > 0.0 and count < 2:
        raise BadInput(f"{what}: a spread of {width:g} needs {name} of 2 or more")
