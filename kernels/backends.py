"""The backends by name. A new one is a module that is a `nanobragg.kernels.backend.Backend`, and a line here."""

from __future__ import annotations

import importlib
from typing import cast

from nanobragg.kernels.backend import Backend

MODULES = {
    "fast": "nanobragg.kernels.fast.host",
    "strict": "nanobragg.kernels.strict.host",
    "cref": "nanobragg.kernels.cref.host",
    "cuda": "nanobragg.kernels.cuda.host",
}


def backend(name: str) -> Backend:
    """The backend of this name, loaded when it is first asked for."""
    return cast(Backend, importlib.import_module(MODULES[name]))
