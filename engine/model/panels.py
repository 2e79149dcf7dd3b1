"""Panels of a detector, and groups of them that move together."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.part import Part, Vector, of_table

UNORTHOGONAL = 1e-6  # cosine between the axes of a panel, from which on they are no axes of pixels
LONGEST_AXIS = 1e150  # its square must not overflow


def check_axes(what: str, fast: Any, slow: Any) -> None:
    """Refuse directions that are no axes of pixels."""
    for name, axis in (("fast", fast), ("slow", slow)):
        numbers(f"{what}: {name}", axis, 3)
    f, s = (np.asarray(v, float) for v in (fast, slow))
    if not all(0.0 < math.hypot(*axis) < LONGEST_AXIS for axis in (f, s)):
        raise BadInput(f"{what}: fast and slow must have a length, and one that can be squared")
    if abs(f @ s) > UNORTHOGONAL * float(np.linalg.norm(f) * np.linalg.norm(s)):
        raise BadInput(f"{what}: fast and slow must be at right angles")


@dataclasses.dataclass(frozen=True, repr=False)
class Panel(Part):
    """A flat rectangle of pixels, in the frame of the group or the detector that it is part of.

    Parameters
    ----------
    shape
        Pixels, slow and fast.
    fast, slow
        Directions of its axes.
    origin_mm
        The outer corner of its first pixel, millimetres.
    name
        For those who read files.
    masked
        Rectangles that are not rendered: first fast and first slow pixel of each, and the first fast and slow behind.
    """

    shape: tuple[int, int] | None = None
    fast: Vector = (1.0, 0.0, 0.0)
    slow: Vector = (0.0, 1.0, 0.0)
    origin_mm: Vector = (0.0, 0.0, 0.0)
    name: str = ""
    masked: tuple[tuple[int, int, int, int], ...] = ()

    def check(self) -> None:
        """See `Part.check`."""
        what = f"Panel {self.name}".rstrip()
        numbers(f"{what}: shape", self.shape, 2, whole=True, lowest=1)
        check_axes(what, self.fast, self.slow)
        numbers(f"{what}: origin_mm", self.origin_mm, 3)
        of_kind(f"{what}: name", self.name, str, "a text")
        of_kind(f"{what}: masked", self.masked, tuple, "a list of rectangles")
        for rectangle in self.masked:
            numbers(f"{what}: masked: a rectangle", rectangle, 4, whole=True)

    def kept(self) -> np.ndarray:
        """1 for its pixels that are rendered, uint8 (slow, fast)."""
        assert self.shape is not None
        kept = np.ones(self.shape, np.uint8)
        for left, top, right, bottom in self.masked:
            kept[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 0
        return kept


@dataclasses.dataclass(frozen=True, repr=False)
class Group(Part):
    """Panels, or groups of them, in a frame that moves them together.

    Parameters
    ----------
    panels
        `Panel` or `Group`, or tables of one; their vectors are along ``fast``, ``slow`` and what is at right angles to
        both.
    fast, slow, origin_mm
        The frame, in that of what it is part of: directions of its axes, and where it begins, millimetres.
    name
        For those who read files.
    """

    panels: tuple[Any, ...] = ()
    fast: Vector = (1.0, 0.0, 0.0)
    slow: Vector = (0.0, 1.0, 0.0)
    origin_mm: Vector = (0.0, 0.0, 0.0)
    name: str = ""

    def __post_init__(self) -> None:
        """Make parts of tables."""
        self.let("panels", parts_of(self.panels, f"Group {self.name}".rstrip()))
        super().__post_init__()

    def check(self) -> None:
        """See `Part.check`."""
        what = f"Group {self.name}".rstrip()
        if not self.panels:
            raise BadInput(f"{what}: panels: there are none")
        check_axes(what, self.fast, self.slow)
        numbers(f"{what}: origin_mm", self.origin_mm, 3)
        of_kind(f"{what}: name", self.name, str, "a text")


def parts_of(given: Any, what: str) -> tuple[Any, ...]:
    """Panels and groups; tables of them are made into such, those with ``panels`` into groups."""
    of_kind(f"{what}: panels", given, (list, tuple), "a list of Panel or Group")
    made = []
    for number, part in enumerate(given):
        if isinstance(part, dict):
            part = of_table(Group if "panels" in part else Panel, part, f"{what}: panels: number {number}")
        of_kind(f"{what}: panels: each", part, (Panel, Group), "a Panel or a Group")
        made.append(part)
    return tuple(made)


def frame_of(fast: Any, slow: Any) -> np.ndarray:
    """The rotation whose columns are a frame's axes: fast, slow, and what is at right angles to both."""
    f, s = (np.asarray(v, float) / math.hypot(*v) for v in (fast, slow))
    return np.column_stack([f, s, np.cross(f, s)])


@dataclasses.dataclass(frozen=True)
class PanelInFrame:
    """A panel with its axes and corner (millimetres) in the outermost frame."""

    panel: Panel
    fast: np.ndarray
    slow: np.ndarray
    origin_mm: np.ndarray


def flattened(parts: tuple[Any, ...], rotation: np.ndarray, origin_mm: np.ndarray) -> list[PanelInFrame]:
    """All panels of some parts of a frame, in order."""
    found: list[PanelInFrame] = []
    for part in parts:
        own = rotation @ frame_of(part.fast, part.slow)
        corner = origin_mm + rotation @ np.asarray(part.origin_mm, float)
        if isinstance(part, Group):
            found += flattened(part.panels, own, corner)
        else:
            found.append(PanelInFrame(part, own[:, 0], own[:, 1], corner))
    return found
