"""Files that appear whole or not at all: written under a name of their own, then renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
from collections.abc import Iterator
from typing import BinaryIO

HOST = socket.gethostname()
LEFT_OVER = re.compile(r"\.[^@]+@(.+)@(\d+)-\d+\.part")  # the machine and the process that it is of
LONGEST = 40  # characters of the target's name that are kept, so that the system takes the longer one
_numbers = itertools.count()


def temporary(name: str) -> str:
    """A name for a file of this name while it is written: no other process or thread has the same."""
    return f".{name.replace('@', '_')[:LONGEST]}@{HOST}@{os.getpid()}-{next(_numbers)}.part"


def temporary_beside(target: str) -> str:
    """The same in the folder of ``target``."""
    folder, name = os.path.split(target)
    return os.path.join(folder, temporary(name))


def opened_beside(target: str) -> tuple[str, BinaryIO]:
    """The name of a new file in the folder of ``target``, and the file; others may have been left under our number."""
    while True:
        name = temporary_beside(target)
        with contextlib.suppress(FileExistsError):
            return name, open(name, "xb")


@contextlib.contextmanager
def appearing(target: str) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``target`` once all is written; nothing is left of it where that fails.

    Raises
    ------
    OSError
        As the system says it.
    """
    name, file = opened_beside(target)
    try:
        with file:
            yield file
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
