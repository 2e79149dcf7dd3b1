"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.kernels.whole import appearing


def _is_special(path: str) -> bool:
    """A pipe or a device is written as it is: there is nothing to rename onto."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def same_file(a: str, b: str) -> bool:
    """Whether two names are of one file, there or not yet, by links too; pipes and devices are not files of anybody."""
    if "\0" in a + b or _is_special(a) or _is_special(b):
        return False
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.realpath(a) == os.path.realpath(b)


def _in_place(target: str) -> bool:
    """Whether to write the file where it is: no regular file, or one in a folder that takes no new names."""
    if _is_special(target):
        return True
    folder = os.path.dirname(target)
    return os.path.isfile(target) and os.access(target, os.W_OK) and not os.access(folder, os.W_OK | os.X_OK)


def check_writable(path: str, what: str) -> None:
    """Raise `BadFile` when ``path`` cannot be created, before any work is done."""
    if not path or "\0" in path:
        raise BadFile(f"{what}: {path!r} is no file name")
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise BadFile(f"{what} {path}: is a folder")
    if os.path.islink(target):
        raise BadFile(f"{what} {path}: is a link to itself")
    if _in_place(target):
        return
    if not os.path.isdir(folder):
        raise BadFile(f"{what} {path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadFile(f"{what} {path}: the folder {folder} cannot be written to")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise BadFile(f"{what} {path}: the file exists and cannot be written to")


@contextlib.contextmanager
def whole_file(path: str, what: str) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path``, and rename it onto ``path`` once all is written.

    Raises
    ------
    BadFile
        If it cannot be created.
    BadInput
        If it cannot be written to the end: on a full disk, for instance.
    """
    check_writable(path, what)
    target = os.path.realpath(path)
    in_place = _in_place(target)
    begun = False
    try:
        with open(target, "wb") if in_place else appearing(target) as file:
            begun = True
            yield file
    except OSError as error:
        if not begun:
            raise BadFile(f"{what} {path}: {reason(error)}") from None
        raise BadInput(f"{what} {path}: {reason(error)}; nothing was left of it") from None
