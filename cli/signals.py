"""What becomes of a command that is interrupted or told to end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_signals() -> None:
    """Let signals raise, so that what is half written is removed, and programs that were started are ended."""
    for number in ENDING:
        _handle(number, _terminated)
    _handle(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let an interrupt or a termination end the process at once, also from within a long call of compiled code.

    Only while no file is being written: elsewhere they raise.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in before:
        _handle(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            _handle(number, handler)


def _handle(number: int, handler: Any) -> None:
    """Set a handler, but leave alone what whoever started us has told to be ignored (a job in the background)."""
    if signal.getsignal(number) != signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


def _terminated(signum: int, frame: Any) -> NoReturn:
    raise SystemExit(128 + signum)
