"""Lines for whoever runs the command: figures on stdout, remarks through ``logging`` to stderr."""

from __future__ import annotations

import logging
import sys
from typing import Any

LOG = logging.getLogger("nanobragg.command")


def _write(stream: Any, line: str) -> None:
    """A line; a reader that has gone away does not end the run."""
    if stream is None:  # closed when we were started
        return
    try:
        stream.write(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n")
        stream.flush()
    except (OSError, ValueError):
        pass


class _ToStderr(logging.Handler):
    """Prints remarks as they come, to what stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        _write(sys.stderr, f"nanoBragg: {record.getMessage()}")


def say(line: str) -> None:
    """A line on stdout."""
    _write(sys.stdout, line)


def remark(line: str) -> None:
    """A remark: on stderr, unless whoever uses us as a library has given the logger another handler."""
    if not LOG.handlers:
        LOG.addHandler(_ToStderr())
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
    LOG.info("%s", line)
