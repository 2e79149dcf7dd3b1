"""Kernels compiled before they are needed, for ``nb-compile`` and ``nanoBragg --compile``."""

from __future__ import annotations

from collections.abc import Callable

from nanobragg.engine.errors import BadInput
from nanobragg.kernels import kept
from nanobragg.kernels.notice import before_compiling
from nanobragg.kernels.processor import processor


def compiled_ahead(say: Callable[[str], None], *, traces: bool = True) -> int:
    """Compile all kernels for this processor, and what ``traces`` call; returns the exit status."""
    from nanobragg.engine.preparation import prepare

    if not (place := kept.writable()):
        raise BadInput(f"kernels can be kept nowhere: let {kept.VARIABLE} name a folder that may be written to")
    compiled = told = 0

    def count() -> None:
        nonlocal compiled
        compiled += 1

    def tell(what: str, seconds: float) -> None:
        nonlocal told
        if compiled > told:
            told = compiled
            say(f"{what}: {seconds:.1f} s")

    before_compiling(count, always=True)
    prepare(tell, traces=traces)
    if kept.unkept:
        raise BadInput(f"{place}: {len(kept.unkept)} kernels could not be kept there: is there room?")
    where = place if compiled else " or ".join(kept.folders())
    say(f"all kernels for {processor().name} are in {where}{'' if compiled else ' already'}")
    return 0
