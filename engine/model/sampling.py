"""How an image is sampled, and what of it is left out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.part import Part


@dataclasses.dataclass(frozen=True, repr=False)
class Sampling(Part):
    """Sub-pixels, interpolation, and limits.

    Parameters
    ----------
    oversample
        Sub-pixels along each edge of a pixel; as many as the spots need by default.
    interpolate
        Amplitudes between the nodes, tricubic; by default where a crystal has two cells or fewer along an axis.
    dmin_A
        Resolution below which nothing diffracts, Angstrom.
    roi
        First and last fast, first and last slow pixel, of every panel; or a list of them, one for each panel. The other
        pixels stay 0.
    """

    oversample: int | None = None
    interpolate: bool | None = None
    dmin_A: float = 0.0
    roi: tuple[int, int, int, int] | tuple[tuple[int, int, int, int], ...] | None = None

    def check(self) -> None:
        """See `Part.check`."""
        if self.oversample is not None:
            numbers("oversample", self.oversample, 1, whole=True, lowest=1)
        if self.interpolate is not None:
            of_kind("interpolate", self.interpolate, (bool, np.bool_), "True, False or None")
        numbers("dmin_A", self.dmin_A, 1, lowest=0)
        if self.roi is not None:
            given: Any = self.rois or (self.roi,)
            for number, roi in enumerate(given):
                what = f"roi of panel {number}" if self.rois else "roi"
                numbers(what, roi, 4, whole=True, lowest=0)
                if roi[0] > roi[1] or roi[2] > roi[3]:
                    raise BadInput(f"{what} {roi}: first and last fast, first and last slow pixel")

    @property
    def rois(self) -> tuple[tuple[int, int, int, int], ...]:
        """Those of each panel, where they differ."""
        given: Any = self.roi
        nested = isinstance(given, tuple) and any(isinstance(part, tuple) for part in given)
        return given if nested else ()
