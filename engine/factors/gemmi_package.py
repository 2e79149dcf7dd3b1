"""gemmi, which reads structures and reflections; and what it says in one line."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from typing import Any

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason

MOST_BYTES = 2**31


def package() -> Any:
    """The package; raises `BadInput` where it is missing."""
    try:
        import gemmi
    except ImportError:
        raise BadInput("structures and reflection files need gemmi: pip install 'gemmi>=0.7'") from None
    return gemmi


@contextlib.contextmanager
def errors_of(path: str) -> Iterator[None]:
    """What gemmi and the system say of a file, in one line that names it."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None
    except BadInput:
        raise
    except MemoryError:
        raise BadInput(f"{path}: not enough memory for what it holds") from None
    except Exception as error:  # whatever is made of damaged bytes
        said = " ".join(str(error).replace(path, "").split()).strip(" :")[:150]
        raise BadInput(f"{path}: cannot be read: {said or type(error).__name__}") from None


def _check_whole(path: str) -> None:
    """Raise `BadInput` for a compressed file that ends early: gemmi takes what there is."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 22):
                pass
    except (OSError, EOFError, zlib.error):
        raise BadInput(f"{path}: is cut short or damaged") from None


def check_file(path: str) -> None:
    """Raise `BadInput` for what is no file, or one that is too large to be meant."""
    if "\0" in path or not path:
        raise BadInput(f"{path!r}: is no file name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadInput(f"{path}: is no file")
    with errors_of(path):
        size = os.stat(path).st_size
    if not size:
        raise BadInput(f"{path}: is empty")
    if path.lower().endswith(".gz"):
        _check_whole(path)
    if size > MOST_BYTES:
        raise BadInput(f"{path}: {size / 1e9:.3g} GB is too large for a structure or a list of reflections")
