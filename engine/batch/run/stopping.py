"""Being asked to stop: a process by a signal, a job by its driver."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
asked = threading.Event()  # of this process: signals belong to processes
jobs: set[str] = set()  # digests of jobs whose driver has asked this worker; others on the same cluster go on


def stop_job(digest: str) -> None:
    """Let the workers of a job stop after their current image."""
    jobs.add(digest)


def begin_job(digest: str) -> None:
    """Forget that it was to stop: workers outlive the driver that asks them."""
    jobs.discard(digest)


def _heard(number: int, frame: Any) -> None:
    if number == signal.SIGINT and asked.is_set():
        raise KeyboardInterrupt
    asked.set()


def listen(heard: Callable[[int, Any], None] = _heard) -> dict[int, Any]:
    """Take the signals; what was done about them before. Only the main thread of a process can."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    asked.clear()
    taken = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, heard) for number in taken}


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
