"""An original that the user has: a program (``NB_C_BIN``) or a shared library of it (``NB_C_LIB``), run for comparison.

A library is one that exports the program's ``main`` (or ``nanoBragg_main``), for instance the original compiled with
``-shared -fPIC``. It runs in a process of its own: it keeps static state and may end its process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from cffi import FFI

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.own_python import running

PROGRAM, LIBRARY = "NB_C_BIN", "NB_C_LIB"
ENTRIES = ("nanoBragg_main", "main")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """The command that runs the user's original, or ``None`` if neither variable is set."""
    if program := environment.get(PROGRAM):
        found = shutil.which(program)
        return [os.path.abspath(found) if found else program]
    if library := environment.get(LIBRARY):
        return [*running("nanobragg.engine.check.original_program"), os.path.abspath(library)]
    return None


def run(
    original: Sequence[str], arguments: Sequence[str], folder: str | os.PathLike, timeout: float | None = None
) -> subprocess.CompletedProcess:
    """Run an original in ``folder`` with the given arguments.

    Raises
    ------
    BadInput
        If it cannot be started at all; its exit status is for the caller to look at.
    """
    line = [*original, *arguments]
    try:
        child, heard = _started(line, folder)
    except OSError as error:
        raise BadInput(f"{original[0]}: {reason(error)}") from None
    with child:
        try:
            for number in heard[:1]:
                signal.raise_signal(number)
            out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(line, child.returncode, out, err)


def _started(line: Sequence[str], folder: str | os.PathLike) -> tuple[subprocess.Popen, list[int]]:
    """A program, and the signals that came while it was started: had they raised then, nobody would have ended it."""
    heard: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        taken = [number for number in ENDING if callable(signal.getsignal(number))]
        before = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in taken}
    try:
        child = subprocess.Popen(
            line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return child, heard


def call_library(path: str, arguments: Sequence[str]) -> int:
    """Load a shared library and call its ``main``; returns what that returns."""
    ffi = FFI()
    ffi.cdef("\n".join(f"int {name}(int argc, char **argv);" for name in ENTRIES))
    try:
        library = ffi.dlopen(os.path.abspath(path))
    except OSError as error:
        raise BadInput(f"{LIBRARY} {path}: {error}") from None
    words = [ffi.new("char[]", os.fsencode(word)) for word in ("nanoBragg", *arguments)]
    argv = ffi.new("char *[]", [*words, ffi.NULL])
    for name in ENTRIES:
        try:
            entry = getattr(library, name)
        except AttributeError:
            continue
        return int(entry(len(words), argv))
    raise BadInput(f"{LIBRARY} {path}: exports none of {', '.join(ENTRIES)}")


def main() -> int:
    """Called in the process of its own."""
    try:
        return call_library(sys.argv[1], sys.argv[2:])
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
