"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from nanobragg.engine.errors import BadInput
from nanobragg.engine.files.reading import reason

CANNOT_CREATE = 9


def _is_special(path: str) -> bool:
    """A pipe or a device is written as it is: there is nothing to rename onto."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def check_writable(path: str, what: str) -> None:
    """Raise `BadInput` (status 9, as the original) when ``path`` cannot be created, before any work is done."""
    if not path or "\0" in path:
        raise BadInput(f"{what}: {path!r} is no file name", CANNOT_CREATE)
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise BadInput(f"{what} {path}: is a folder", CANNOT_CREATE)
    if _is_special(target):
        return
    if not os.path.isdir(folder):
        raise BadInput(f"{what} {path}: the folder {folder} does not exist", CANNOT_CREATE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{what} {path}: the folder {folder} cannot be written to", CANNOT_CREATE)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise BadInput(f"{what} {path}: the file exists and cannot be written to", CANNOT_CREATE)


@contextlib.contextmanager
def whole_file(path: str, what: str) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path``, and rename it onto ``path`` once all is written.

    Raises
    ------
    BadInput
        If it cannot be created (status 9) or written to the end (status 1, a full disk for instance).
    """
    check_writable(path, what)
    target = os.path.realpath(path)
    special = _is_special(target)
    name = target if special else f"{target}.{os.getpid()}.part"
    try:
        file = open(name, "wb")
    except OSError as error:
        raise BadInput(f"{what} {path}: {reason(error)}", CANNOT_CREATE) from None
    try:
        with file:
            yield file
        if not special:
            if os.path.exists(target):
                os.chmod(name, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(name, target)
    except BaseException as error:
        if not special:
            with contextlib.suppress(OSError):
                os.unlink(name)
        if isinstance(error, OSError):
            raise BadInput(f"{what} {path}: {reason(error)}; nothing was left of it") from None
        raise
