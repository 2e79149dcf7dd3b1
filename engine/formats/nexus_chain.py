"""Chains of NeXus transformations: where an axis stands in the laboratory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

METRES = {
    "m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6,
    "micron": 1e-6, "microns": 1e-6, "micrometer": 1e-6, "micrometre": 1e-6, "nm": 1e-9, "angstrom": 1e-10, "A": 1e-10,
}  # fmt: skip
UNITS_OF_ANGLES = {"deg": math.pi / 180.0, "degree": math.pi / 180.0, "degrees": math.pi / 180.0, "rad": 1.0}


def text(value: Any) -> str:
    """An attribute or a data set as a text."""
    value = np.asarray(value).ravel()[0] if np.ndim(value) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def metres(units: Any) -> float:
    """What one of a unit of length is; raises `ValueError` for others."""
    if text(units) not in METRES:
        raise ValueError(f"units {text(units)!r}: is no length that is known")
    return METRES[text(units)]


def radians(units: Any) -> float:
    """What one of a unit of angles is; raises `ValueError` for others."""
    if text(units) not in UNITS_OF_ANGLES:
        raise ValueError(f"units {text(units)!r}: is no angle that is known")
    return UNITS_OF_ANGLES[text(units)]


def transformation(file: Any, axis: Any, frame: int = 0) -> np.ndarray:
    """The transformation (4, 4) of the axes that this one depends on, in an image; metres."""
    matrix = np.eye(4)
    path, passed = depends_on(axis), set()
    while path != ".":
        if path in passed:
            raise ValueError(f"{path} depends on itself")
        passed.add(path)
        if path not in file:
            raise KeyError(f"{path}: is missing")
        node = file[path]
        matrix = of_axis(node, frame) @ matrix
        path = depends_on(node)
    return matrix


def depends_on(node: Any) -> str:
    """The path of the axis that one depends on, or a point."""
    path = text(node.attrs.get("depends_on", "."))
    return path if path == "." or path.startswith("/") else f"{node.parent.name}/{path}"


def of_axis(node: Any, frame: int = 0) -> np.ndarray:
    """The transformation (4, 4) of one axis in an image; metres."""
    vector = np.asarray(node.attrs["vector"], float)
    values = np.asarray(node[()], float).ravel()
    amount = float(values[min(frame, len(values) - 1)])
    matrix = np.eye(4)
    if not (np.isfinite(vector).all() and np.linalg.norm(vector) > 0.0 and math.isfinite(amount)):
        raise ValueError(f"{node.name}: vector and value must be numbers, and the vector have a length")
    kind = text(node.attrs["transformation_type"])
    if kind not in ("rotation", "translation"):
        raise ValueError(f"{node.name}: transformation_type {kind!r}: is neither rotation nor translation")
    if kind == "rotation":
        axis = vector / np.linalg.norm(vector)
        angle = amount * radians(node.attrs["units"])
        cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        matrix[:3, :3] = np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
        own = "mm"
    else:
        matrix[:3, 3] = vector * amount * metres(node.attrs["units"])
        own = node.attrs["units"]
    if "offset" in node.attrs:
        matrix[:3, 3] += np.asarray(node.attrs["offset"], float) * metres(node.attrs.get("offset_units", own))
    return matrix
