"""Whatever can render a nanoBragg command line: our backends, a user's binary, a shared library of it."""

from __future__ import annotations

import math
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nanobragg.engine.check import original_program as original
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.own_python import running
from nanobragg.engine.render import BACKENDS

OUTPUTS = ("-floatfile", "float.bin", "-intfile", "int.img", "-pgmfile", "image.pgm", "-noisefile", "noise.img")
DUMP = "Fdump.bin"


class Ran(NamedTuple):
    """What an engine made of a command line: its command, seconds, float image, integer image and what it remarked.

    ``quirks`` are the remarks on oddities of the original.
    """

    command: list[str]
    seconds: float
    image: np.ndarray
    integers: np.ndarray
    quirks: list[str]
    remarks: list[str]


def command_of(engine: str) -> list[str]:
    """The words that start an engine: a backend, ``bin:PATH``, ``lib:PATH``, or ``original`` (NB_C_BIN, NB_C_LIB).

    Raises
    ------
    BadInput
        Status 2, if there is no such engine.
    """
    kind, _, path = engine.partition(":")
    if engine in BACKENDS:
        return [*running("nanobragg"), "--backend", engine]
    if kind in ("bin", "lib") and path:
        found = shutil.which(path) if kind == "bin" else os.path.exists(path) and path
        if not found:
            raise BadInput(f"{engine}: no such {'program' if kind == 'bin' else 'library'}")
        absolute = os.path.abspath(str(found))
        return [absolute] if kind == "bin" else [*running("nanobragg.engine.check.original_program"), absolute]
    if engine == "original":
        if (words := original.command()) is None:
            raise BadInput("original: set NB_C_BIN to a program, or NB_C_LIB to a shared library of it")
        return words
    raise BadInput(f"{engine}: an engine is {', '.join(BACKENDS)}, bin:PATH, lib:PATH or original")


def with_absolute_inputs(arguments: Sequence[str], folder: pathlib.Path) -> list[str]:
    """The arguments with the files that they name made absolute: an engine runs in ``folder``, one of its own.

    A dump is copied there, since an engine may write it.
    """
    words = []
    for before, word in zip(("", *arguments), arguments, strict=False):
        is_file = before.startswith("-") and not word.startswith("-") and os.path.isfile(word) and not _is_number(word)
        if is_file and "-dump" in before:
            shutil.copy(word, folder / "given.dump")
            words.append("given.dump")
        else:
            words.append(os.path.abspath(word) if is_file else word)
    return words


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _pinned(arguments: Sequence[str]) -> list[str]:
    """A seed for a random orientation that would follow the clock, so that all engines have the same."""
    follows = any("rand" in word for word in arguments) and not any("misset_seed" in word for word in arguments)
    return ["-misset_seed", "1"] if follows else []


def run(engine: str, arguments: Sequence[str], folder: pathlib.Path, timeout: float | None = None) -> Ran:
    """Let an engine render a command line, which names no outputs, in an empty folder.

    Raises
    ------
    BadInput
        Status 2, if it cannot be started, fails, takes longer than ``timeout`` seconds, or leaves no image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = command_of(engine)
    if "-hkl" not in arguments and os.path.isfile(DUMP):
        shutil.copy(DUMP, folder / DUMP)  # amplitudes of an earlier run in the user's folder (Q59)
    if ours := {"--backend", "--device", "--precision", "--trace", "--help", "--version", "--compile"} & set(arguments):
        raise BadInput(f"{' '.join(sorted(ours))}: an engine is named by --a and --b")
    line = [*OUTPUTS, *_pinned(arguments), *with_absolute_inputs(arguments, folder)]  # a last flag lacks what it lacks
    start = time.perf_counter()
    try:
        done = original.run(words, line, folder, timeout)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{engine}: has not finished after {timeout:g} s") from None
    except BadInput as error:
        raise BadInput(str(error)) from None
    seconds = time.perf_counter() - start
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or [""]
        raise BadInput(f"{engine}: exit status {done.returncode}: {said[0][:300]}")
    for name in ("float.bin", "int.img"):
        if not (folder / name).exists():
            raise BadInput(f"{engine}: left no {name}")
    integers = read_image(str(folder / "int.img"))
    image = read_image(str(folder / "float.bin"), (integers.shape[0], integers.shape[1]))
    remarks = [text.partition(": ")[2] for text in done.stderr.splitlines() if text.startswith("nanoBragg: ")]
    quirks = [
        text for text in remarks if text.startswith("computed right") or (text[:1] == "Q" and text[1:2].isdigit())
    ]
    return Ran([*words, *line], seconds, image, integers, quirks, [text for text in remarks if text not in quirks])
