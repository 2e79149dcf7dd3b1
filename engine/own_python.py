"""Our own modules as programs of this Python."""

from __future__ import annotations

import sys

RUN = (
    "import sys, runpy; sys.path = [p for p in sys.path if p]; "
    "runpy.run_module({!r}, run_name='__main__', alter_sys=True)"
)


def running(module: str) -> list[str]:
    """The words that run a module, as ``python -m`` does, but never one that lies in the working directory."""
    return [sys.executable, "-c", RUN.format(module)]
