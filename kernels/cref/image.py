"""Sums, integers and noise of an image by the C reference, in one sweep on one thread."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.cref.binding import _cref, c_plan
from nanobragg.kernels.plan import RenderPlan


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
        list(image.shape),
        list(roi),
        adc,
        _cref.ffi.from_buffer("uint16_t *", counts, require_writable=True),
        photons,
        overloads,
    )
    return counts, photons[0], overloads[0]
