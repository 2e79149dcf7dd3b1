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


@contextlib.contextmanager
def on_signals() -> Iterator[None]:
    """Stop after the current image at the first signal; at a second interrupt, at once."""

    def heard(number: int, frame: Any) -> None:
        if number == signal.SIGINT and asked.is_set():
            raise KeyboardInterrupt
        ask()

    begin_again()
    before = {number: signal.signal(number, heard) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
