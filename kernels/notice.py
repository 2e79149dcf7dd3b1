"""Who is told before the first kernel is compiled, which takes some seconds."""

from __future__ import annotations

from collections.abc import Callable

COMPILING = "kernels are compiled first: 2 to 10 s, this once (nb-compile makes all of them ahead)"
_heard: list[Callable[[], None]] = []


def before_compiling(tell: Callable[[], None]) -> None:
    """Have something called once, when the first kernel has to be compiled, and nothing else any more."""
    _heard[:] = [tell]


def compiling() -> None:
    """Tell whoever wants to hear that a kernel is compiled."""
    while _heard:
        _heard.pop()()
