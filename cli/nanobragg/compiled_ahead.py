"""Kernels compiled before they are needed, for ``nb-compile`` and ``nanoBragg --compile``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.notice import before_compiling
from nanobragg.kernels.compiling.processor import WrongProcessor, processor


def compiled_ahead(say: Callable[[str], None], folder: str | None = None, cards: Sequence[tuple[int, int]] = ()) -> int:
    """Compile all kernels for this processor, and for cards of these compute capabilities; returns the exit status.

    They are kept in ``folder``, else in the one that is named, else with what traces call in the user's cache.
    """
    from nanobragg.engine.preparation import prepare

    try:
        processor()
    except WrongProcessor as error:
        raise BadInput(str(error)) from None
    named, what = (kept.NAMED, kept.VARIABLE) if folder is None else (folder, "FOLDER")
    if named or folder is not None:
        _take(named, what)
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
        if kept.unkept:
            raise BadInput(f"{place}: what was compiled could not be kept there: is there room?")

    before_compiling(count, always=True)
    prepare(tell, traces=not named)
    for card in cards:
        _for_card(card, tell)
    where = place if compiled else " or ".join(kept.folders())
    names = [processor().name, *(f"GPUs of capability {card[0]}.{card[1]}" for card in cards)]
    say(f"all kernels for {' and '.join(names)} are in {where}{'' if compiled else ' already'}")
    return 0


def _for_card(card: tuple[int, int], tell: Callable[[str, float], None]) -> None:
    """Compile the kernels of a GPU, which needs none."""
    from nanobragg.kernels.cuda.all_kernels import all_kernels
    from nanobragg.kernels.cuda.compiled import code_of

    for kernel in all_kernels():
        begun = time.perf_counter()
        try:
            code_of(kernel, card)
        except Unavailable as error:
            raise BadInput(f"--gpu {card[0]}.{card[1]}: {error}") from None
        tell(f"{kernel.name} for a GPU of capability {card[0]}.{card[1]}", time.perf_counter() - begun)


def _take(folder: str, what: str) -> None:
    """Keep all kernels in a folder, which is made if it is not there."""
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise BadInput(f"{what} {folder}: is a file, not a folder") from None
    except OSError as error:
        raise BadInput(f"{what} {folder}: {reason(error)}") from None
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{what} {folder}: may not be written to")
    kept.keep_only_in(folder)
