"""Every figure that the C reference meets on its way through a pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nanobragg.kernels.cref.binding import _cref, c_plan
from nanobragg.kernels.plan import RenderPlan

LABELS = 64  # more than there are different figures
Figure = tuple[str, tuple[float, ...]]


class SerialWalk:
    """The reference on its way from pixel to pixel, with every figure that it meets.

    It begins where the run begins, or with what the pixels before have left: a cell, the polarization axis, and whether
    to interpolate.
    """

    def __init__(
        self,
        plan: RenderPlan,
        cell: tuple[float, ...] | None = None,
        polar_axis: tuple[float, ...] | None = None,
        interpolate: bool | None = None,
    ):
        self._struct, self._alive = c_plan(plan)
        self._state = _cref.ffi.new("nb_state *")
        _cref.lib.nb_start(self._struct, self._state)
        for name, value in (("cell", cell), ("polar_axis", polar_axis), ("interpolate", interpolate)):
            if value is not None:
                setattr(self._state, name, value)
        self._image = np.zeros(plan.shape, np.float32)
        evaluations = plan.n_sources * (8 + 14 * plan.cells.phi_steps * plan.domains)
        self._most = LABELS + plan.sensor.layers * plan.sub_pixels * (8 + evaluations)

    def figures(self, index: int) -> list[Figure]:
        """Label and values of all figures of the pixel with this raster index, in the order of the calculation."""
        return self._found(_cref.lib.nb_trace, index, self._most)

    def last_figures(self, index: int) -> list[Figure]:
        """The last of each label only, however many evaluations the pixel has."""
        return self._found(_cref.lib.nb_last_figures, index, LABELS)

    def _found(self, walk: Callable[..., int], index: int, most: int) -> list[Figure]:
        pixels = _cref.ffi.from_buffer("float *", self._image, require_writable=True)
        room = _cref.ffi.new("nb_figure[]", most)
        found = (room[i] for i in range(min(walk(self._struct, self._state, index, pixels, room, most), most)))
        return [(_cref.ffi.string(f.label).decode(), tuple(f.values[k] for k in range(f.count))) for f in found]
