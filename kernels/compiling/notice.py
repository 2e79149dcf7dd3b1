"""Who is told before a kernel is compiled, which takes some seconds."""

from __future__ import annotations

from collections.abc import Callable

COMPILING = "a kernel is compiled first: some seconds, once for its kind (nb-compile makes all of them ahead)"
_once: list[Callable[[], None]] = []
_always: list[Callable[[], None]] = []


def before_compiling(tell: Callable[[], None], *, always: bool = False) -> None:
    """Have something called when the first kernel has to be compiled, or ``always``, in place of what was before."""
    _once[:], _always[:] = ([], [tell]) if always else ([tell], [])


def compiling() -> None:
    """Tell whoever wants to hear that a kernel is compiled."""
    while _once:
        _once.pop()()
    for tell in _always:
        tell()
