"""Being asked to stop: by a signal, or by the driver of the workers."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
asked = threading.Event()  # of this process: signals belong to processes


def ask() -> None:
    """Let this process stop after its current image."""
    asked.set()


def begin_again() -> None:
    """Forget that it was asked: workers outlive the driver that asks them."""
    asked.clear()


def _heard(number: int, frame: Any) -> None:
    if number == signal.SIGINT and asked.is_set():
        raise KeyboardInterrupt
    ask()


def listen() -> dict[int, Any]:
    """Take the signals; what was done about them before. Only the main thread of a process can."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    begin_again()
    taken = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, _heard) for number in taken}


def give_back(before: dict[int, Any]) -> None:
    """Leave the signals to whoever had them before."""
    for number, handler in before.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def on_signals() -> Iterator[None]:
    """Stop after the current image at the first signal; at a second interrupt, at once."""
    before = listen()
    try:
        yield
    finally:
        give_back(before)
