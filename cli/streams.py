"""Standard streams whose reader may go away, or whose disk may be full: what is written then is lost."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np


class Forgiving:
    """A stream that takes everything; once it fails, nothing more is tried."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            self._stream.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        except (OSError, ValueError):
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, if that is possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Let what is left in the buffer go nowhere, so that the end of the program does not stumble over it."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class _Nowhere:
    """Stands for a stream that was closed when we were started."""

    def write(self, text: str) -> int:
        """Take no notice."""
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""


@contextlib.contextmanager
def forgiving() -> Iterator[None]:
    """Make standard output and error forgiving while a tool runs; warnings of numpy are not for its users."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (Forgiving(stream) if stream is not None else _Nowhere() for stream in before)  # type: ignore[assignment]
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
