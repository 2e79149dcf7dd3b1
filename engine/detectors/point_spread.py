"""How the light of a photon spreads over pixels: shares near its pixel, and over blocks of pixels far from it."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from nanobragg.kernels.response.plan import BLOCK, NO_FAR

FIBER_G = 0.652383  # of the full width at half maximum
LEFT_NEAR = 0.05  # of the light, that may be far from its pixel
LEAST_REACH, MOST_REACH = 2, 24  # pixels
FAR_REACH = 8  # blocks
NOTHING_LEFT = 1e-7


def fiber(fwhm: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Integral from 0 0 to x y of g / (2 pi) (g^2 + r^2)^(-3/2), light in fibre optics; lengths in any unit."""
    g = FIBER_G * fwhm
    return np.asarray(np.arctan(x * y / (g * np.sqrt(g * g + x * x + y * y))) / (2.0 * math.pi))


def gaussian(fwhm: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same of a Gaussian."""
    scale = math.sqrt(math.log(16.0)) / fwhm
    along_x, along_y = (np.array([math.erf(value * scale) for value in of.ravel()]).reshape(of.shape) for of in (x, y))
    return np.asarray(along_x * along_y / 4.0)


SHAPES = {"fiber": fiber, "gaussian": gaussian}


def beyond(shape: str, fwhm: float, r: float) -> float:
    """The light that is farther than ``r`` from its photon."""
    g = FIBER_G * fwhm
    return g / math.hypot(g, r) if shape == "fiber" else math.exp(-math.log(16.0) * (r / fwhm) ** 2)


def of_pixels(shape: str, fwhm: float, reach: int) -> np.ndarray:
    """Light in each pixel (2 reach + 1, 2 reach + 1) around that of a photon in its middle; ``fwhm`` in pixels."""
    edges = np.arange(2 * reach + 2) - reach - 0.5
    corners = SHAPES[shape](fwhm, edges[:, None], edges[None, :])
    return np.asarray(corners[1:, 1:] - corners[:-1, 1:] - corners[1:, :-1] + corners[:-1, :-1])


@functools.lru_cache(maxsize=8)
def spread_of(shape: str, fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """The kernel of pixels (float32), and what a photon brings to each pixel of the blocks around its own.

    Both together hold all of its light; ``fwhm`` in pixels.
    """
    wanted = LEFT_NEAR if shape == "fiber" else NOTHING_LEFT
    reach = LEAST_REACH
    while beyond(shape, fwhm, reach + 0.5) > wanted and reach < MOST_REACH:
        reach += 1
    near = of_pixels(shape, fwhm, reach)
    left = 1.0 - float(near.sum())
    if left <= NOTHING_LEFT:
        return _frozen((near / near.sum()).astype(np.float32)), NO_FAR
    return _frozen(near.astype(np.float32)), _frozen(_far(shape, fwhm, reach, left))


def _far(shape: str, fwhm: float, reach: int, left: float) -> np.ndarray:
    """Of all pixels of a block to all of another one, on average; what is beyond the last is dealt to them all."""
    widest = (FAR_REACH + 1) * BLOCK
    light = of_pixels(shape, fwhm, widest)
    middle = slice(widest - reach, widest + reach + 1)
    light[middle, middle] = 0.0
    offsets = np.arange(-widest, widest + 1)
    blocks = np.arange(-FAR_REACH, FAR_REACH + 1) * BLOCK
    pairs = np.maximum(BLOCK - np.abs(offsets[None, :] - blocks[:, None]), 0)
    far = pairs @ light @ pairs.T / BLOCK**4
    return np.asarray(far + (left - far.sum() * BLOCK**2) / (far.size * BLOCK**2))


def given_kernel(values: npt.ArrayLike) -> np.ndarray:
    """Shares of pixels that a user gives, scaled to 1 in all, float32."""
    kernel = np.array(values, float)
    return _frozen((kernel / kernel.sum()).astype(np.float32))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
