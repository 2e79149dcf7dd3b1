"""Kernels compiled before they are needed, for ``nb-compile`` and ``nanoBragg --compile``."""

from __future__ import annotations

import os
from collections.abc import Callable

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.notice import before_compiling
from nanobragg.kernels.compiling.processor import WrongProcessor, processor


def compiled_ahead(say: Callable[[str], None], folder: str | None = None) -> int:
    """Compile all kernels for this processor; returns the exit status.

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

    before_compiling(count, always=True)
    prepare(tell, traces=not named)
    if kept.unkept:
        raise BadInput(f"{place}: {len(kept.unkept)} kernels could not be kept there: is there room?")
    where = place if compiled else " or ".join(kept.folders())
    say(f"all kernels for {processor().name} are in {where}{'' if compiled else ' already'}")
    return 0


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
