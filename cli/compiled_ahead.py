"""Kernels compiled before they are needed, for ``nb-compile`` and ``nanoBragg --compile``."""

from __future__ import annotations

from collections.abc import Callable

from nanobragg.engine.errors import BadInput
from nanobragg.kernels import kept
from nanobragg.kernels.processor import processor

WORTH_A_LINE_S = 0.05


def compiled_ahead(say: Callable[[str], None], *, traces: bool = True) -> int:
    """Compile all kernels for this processor, and what ``traces`` call; returns the exit status."""
    from nanobragg.engine.preparation import prepare

    if not (place := kept.writable()):
        raise BadInput(f"kernels can be kept nowhere: let {kept.VARIABLE} name a folder that may be written to")
    made = False

    def tell(what: str, seconds: float) -> None:
        nonlocal made
        if seconds > WORTH_A_LINE_S:
            made = True
            say(f"{what}: {seconds:.1f} s")

    prepare(tell, traces=traces)
    say(f"{'all kernels are in' if made else 'all kernels were already in'} {place}, for {processor().name}")
    return 0
