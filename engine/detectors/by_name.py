"""Detectors by name as functions: ``nanobragg.detectors.eiger2_16m(distance_mm=150)``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from nanobragg.engine.detectors.catalogue import MODELS
from nanobragg.engine.model.detector import Detector


def function_name(name: str) -> str:
    """``Eiger2 16M`` as Python writes it."""
    return re.sub(r"\W+", "_", name.lower())


_BY_FUNCTION = {function_name(name): name for name in MODELS}


def _made(name: str, **fields: Any) -> Detector:
    return Detector(model=name, **fields).of_model()


def __getattr__(name: str) -> Callable[..., Detector]:
    """A function of the fields of `Detector` that makes the detector of this name."""
    if name not in _BY_FUNCTION:
        raise AttributeError(f"no detector is called {name!r}: there are {', '.join(_BY_FUNCTION)}")
    return functools.partial(_made, _BY_FUNCTION[name])


def __dir__() -> list[str]:
    """The detectors."""
    return list(_BY_FUNCTION)
