"""Files that appear whole or not at all: written under a name of their own, then renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO

HOST = os.uname().nodename
LEFT_OVER = re.compile(r"\.[^@]+@(.+)@(\d+)-\d+\.part")  # the machine and the process that it is of
LONGEST = 40  # characters of the target's name that are kept, so that the system takes the longer one
PUBLIC, PRIVATE = 0o666, 0o600
_numbers = itertools.count()


def temporary(name: str) -> str:
    """A name for a file of this name while it is written: no other process or thread has the same."""
    return f".{name.replace('@', '_')[:LONGEST]}@{HOST}@{os.getpid()}-{next(_numbers)}.part"


def _opened_beside(target: str, mode: int) -> tuple[str, BinaryIO]:
    """The name of a new file in the folder of ``target``, and the file; others may have been left under our number."""
    folder, name = os.path.split(target)
    while True:
        beside = os.path.join(folder, temporary(name))
        with contextlib.suppress(FileExistsError):
            return beside, os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


@contextlib.contextmanager
def appearing_path(target: str) -> Iterator[str]:
    """The name of an empty file that takes the place of ``target``, for libraries that open their files themselves."""
    beside, file = _opened_beside(target, PUBLIC)
    file.close()
    try:
        yield beside
        appear(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def appear(beside: str, target: str, *, lasting: bool = False) -> None:
    """Give a whole file its name and the permissions of the file whose place it takes.

    ``lasting``: the file first, then the folder, go to the disk. Where the folder forbids the renaming, the file that
    is there is written over with what is already whole.
    """
    if lasting:
        sync(beside)
    if os.path.exists(target):
        os.chmod(beside, stat.S_IMODE(os.stat(target).st_mode))
    try:
        os.replace(beside, target)
    except OSError:
        if not os.path.isfile(target):
            raise
        shutil.copyfile(beside, target)
        os.unlink(beside)
    if lasting:
        sync(os.path.dirname(target) or os.curdir)


def sync(target: str) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def appearing(target: str, *, lasting: bool = False, mode: int = PUBLIC) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``target`` once all is written; nothing is left of it where that fails.

    ``mode`` are the permissions of a new file, less what the user masks.

    Raises
    ------
    OSError
        As the system says it.
    """
    beside, file = _opened_beside(target, mode)
    try:
        with file:
            yield file
        appear(beside, target, lasting=lasting)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
