"""What ``nanoBragg`` says of itself: ``--help`` and ``--version``, without loading what simulates."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from nanobragg import __version__

WORDS = {"--version", "-version", "--help", "-help", "-h"}


def introduced(words: Sequence[str]) -> int:
    """Say the version if it is asked for, else the help; returns the exit status."""
    if {"--version", "-version"}.intersection(words):
        text = f"nanoBragg {__version__}"
    else:
        from nanobragg.cli.nanobragg.usage import help_text

        text = help_text()
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a reader that has gone away, a closed stream
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 0
