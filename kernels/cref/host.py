"""The C99 reference as a backend: one thread, one pixel after the other, every state carried along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.order.threads import in_chunks
from nanobragg.kernels.plan import RenderPlan

try:
    from nanobragg import _cref
except ImportError:  # installed without a compiler
    _cref = None  # type: ignore[assignment]

ARRAYS = {
    "mask": "uint8_t *",
    "sources": "double *",
    "mosaic_rotations": "double *",
    "table": "double *",
}
LABELS = 64  # more than there are different figures
Figure = tuple[str, tuple[float, ...]]


def available() -> bool:
    """Whether the extension was built."""
    return _cref is not None


def c_plan(plan: RenderPlan) -> tuple[Any, list[Any]]:
    """The plan as the C struct, and what must stay alive as long as it is used."""
    struct = _cref.ffi.new("nb_plan *")
    alive = []
    for name, value in plan._asdict().items():
        if name in ARRAYS:
            if value.size:
                alive.append(_cref.ffi.from_buffer(ARRAYS[name], np.ascontiguousarray(value)))
                setattr(struct, name, alive[-1])
        else:
            setattr(struct, name, value)
    struct.n_sources = len(plan.sources)
    struct.domains = plan.domains
    struct.table_shape = plan.table.shape
    return struct, alive


def render(
    plan: RenderPlan,
    image: np.ndarray,
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> bool:
    """Fill ``image``, float32 (slow, fast), on one thread.

    Returns whether interpolation went off on the way.
    """
    struct, _alive = c_plan(plan)
    state = _cref.ffi.new("nb_state *")
    _cref.lib.nb_start(struct, state)
    pixels = _cref.ffi.from_buffer("float *", image, require_writable=True)

    def sweep(part: slice) -> None:
        _cref.lib.nb_render(struct, state, part.start, part.stop - part.start, pixels)

    def done(count: int) -> None:
        if progress is not None:
            progress(state.rendered)

    in_chunks(plan.n_fast * plan.n_slow, sweep, 1, done, per_pixel=plan.evaluations)
    return bool(plan.interpolate and plan.sticky and not state.interpolate)


def sums(plan: RenderPlan, image: np.ndarray) -> tuple[int, float, float, float, int]:
    """See `nanobragg.kernels.image.figures.sums`."""
    struct, _alive = c_plan(plan)
    found = _cref.ffi.new("double[4]")
    where = _cref.lib.nb_sums(struct, _cref.ffi.from_buffer("float *", image), found)
    return int(found[0]), found[1], found[2], found[3], where


def deviations(plan: RenderPlan, image: np.ndarray, mean: float) -> tuple[int, float]:
    """See `nanobragg.kernels.image.figures.deviations`."""
    struct, _alive = c_plan(plan)
    found = _cref.ffi.new("double[2]")
    _cref.lib.nb_deviations(struct, _cref.ffi.from_buffer("float *", image), mean, found)
    return int(found[0]), found[1]


def solid_angle(plan: RenderPlan, threads: int) -> float:
    """See `nanobragg.kernels.image.figures.solid_angle`; on one thread."""
    struct, _alive = c_plan(plan)
    return _cref.lib.nb_solid_angle(struct)


def to_int(plan: RenderPlan, image: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """See `nanobragg.kernels.image.figures.to_int`."""
    struct, _alive = c_plan(plan)
    counts = np.zeros(image.shape, np.uint16)
    target = _cref.ffi.from_buffer("uint16_t *", counts, require_writable=True)
    _cref.lib.nb_to_int(struct, _cref.ffi.from_buffer("float *", image), scale, adc, target)
    return counts


def to_grey(plan: RenderPlan, image: np.ndarray, scale: float) -> np.ndarray:
    """See `nanobragg.kernels.image.figures.to_grey`."""
    struct, _alive = c_plan(plan)
    grey = np.zeros(image.shape, np.uint8)
    target = _cref.ffi.from_buffer("uint8_t *", grey, require_writable=True)
    _cref.lib.nb_to_grey(struct, _cref.ffi.from_buffer("float *", image), scale, target)
    return grey


class Walk:
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
        self._image = np.zeros(plan.n_fast * plan.n_slow, np.float32)
        evaluations = len(plan.sources) * (8 + 14 * plan.phi_steps * plan.domains)
        self._most = LABELS + plan.layers * plan.oversample**2 * (8 + evaluations)

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


def noise(
    image: np.ndarray, roi: tuple[int, int, int, int], adc: float, seed: int, table: np.ndarray
) -> tuple[np.ndarray, float, int]:
    """Photon counts with the original's generator; see `nanobragg.kernels.image.noise.sweep`."""
    random = _cref.ffi.new("nb_random *")
    _cref.lib.nb_random_start(random, seed, int(table[32]), table[:32].tolist())
    counts = np.zeros(image.shape, np.uint16)
    photons = _cref.ffi.new("double *")
    overloads = _cref.ffi.new("int64_t *")
    _cref.lib.nb_noise(
        random,
        _cref.ffi.from_buffer("float *", image),
        image.shape[1],
        image.shape[0],
        list(roi),
        adc,
        _cref.ffi.from_buffer("uint16_t *", counts, require_writable=True),
        photons,
        overloads,
    )
    return counts, photons[0], overloads[0]
