"""Counts from Python: an ideal counter's, and those that a scene's detector makes of photons."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.api_words import pixels_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.crystal import Crystal
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.model.sampling import Sampling
from nanobragg.engine.model.structure_factors import constant_factors
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import counts_of, default_threads, drawn
from nanobragg.engine.scene.of_model import scene_of
from nanobragg.engine.scene.scene import Noise, Scene
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan


def add_noise(
    image: Any,
    seed: int,
    *,
    offset: float = 0.0,
    dtype: npt.DTypeLike = np.uint16,
    panel: int = 0,
    threads: int | None = None,
) -> Any:
    """Counts of a photon-counting detector: Poisson deviates that depend on seed, panel and pixel alone.

    Parameters
    ----------
    image
        Photons per pixel, (slow, fast); or (panel, slow, fast), or a list of images: the panels of one detector, which
        are numbered from ``panel`` on.
    seed
        Any 64-bit number.
    offset
        Added to each count.
    dtype
        uint16 or int32; what is above its largest number is that.
    panel
        Number of the panel, so that no two of a detector have the same noise.
    threads
        On the CPU; one by default. The counts do not depend on it.

    Returns
    -------
    numpy.ndarray
        Counts in the shape of the image; a list of them for a list.

    Raises
    ------
    BadInput
        For what is no image, and numbers that cannot be meant.
    """
    numbers("seed", seed, 1, whole=True)
    numbers("offset", offset, 1)
    numbers("panel", panel, 1, whole=True, lowest=0)
    if threads is not None:
        numbers("threads", threads, 1, whole=True, lowest=1)
    kind = _counts_type(dtype)
    if isinstance(image, list | tuple) and _holds_images(image):
        several = enumerate(image, panel)
        return [add_noise(one, seed, offset=offset, dtype=kind, panel=n, threads=threads) for n, one in several]
    if isinstance(image, np.ndarray) and image.ndim == 3:
        several = enumerate(image, panel)
        return np.stack(
            [add_noise(one, seed, offset=offset, dtype=kind, panel=n, threads=threads) for n, one in several]
        )
    pixels = pixels_of(image)
    if not np.isfinite(pixels).all():
        raise BadInput("image: holds pixels that are infinite or not a number")
    plan = _any_plan((pixels.shape[0], pixels.shape[1]))
    return drawn(Rendered(plan, pixels), float(offset), _signed(seed), threads or 1, kind, panel=int(panel))[0][0]


def _counts_type(dtype: npt.DTypeLike) -> np.dtype:
    """uint16 or int32."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind not in (np.uint16, np.int32):
        raise BadInput(f"dtype: must be uint16 or int32, not {dtype!r}")
    return kind


def _signed(seed: int) -> int:
    """The bits of a 64-bit number, as kernels take it."""
    return (int(seed) + 2**63) % 2**64 - 2**63


def read_out(
    image: npt.ArrayLike, scene: Scene, seed: int, *, dtype: npt.DTypeLike = np.int32, threads: int | None = None
) -> np.ndarray:
    """Counts that a scene's detector makes of expected photons: its response, or a counter's where it has none.

    Parameters
    ----------
    image
        Photons per pixel, as `simulate` returns them.
    scene
        What `set_up` or `scene` returns.
    seed
        Any 64-bit number; counts depend on it, the panel and the pixel alone.
    dtype
        uint16 or int32; what is above its largest number is that.
    threads
        On the CPU; all processors by default. The counts do not depend on it.

    Returns
    -------
    numpy.ndarray
        Counts in the shape of the image.

    Raises
    ------
    BadInput
        For what is no image of the scene, and numbers that cannot be meant.
    """
    of_kind("scene", scene, Scene, "what set_up returns")
    numbers("seed", seed, 1, whole=True)
    if threads is not None:
        numbers("threads", threads, 1, whole=True, lowest=1)
    kind = _counts_type(dtype)
    try:
        given = np.asarray(image)
    except ValueError:  # rows of different lengths
        given = np.empty(0, object)
    if given.dtype.kind not in "iuf":
        raise BadInput("image: must be numbers, photons per pixel")
    pixels = np.ascontiguousarray(given, np.float32)
    if pixels.shape != scene.detector.shape:
        raise BadInput(f"image: has shape {pixels.shape}, the detector {scene.detector.shape}")
    if not np.isfinite(pixels).all():
        raise BadInput("image: holds pixels that are infinite or not a number")
    seeded = dataclasses.replace(scene, noise=Noise(_signed(seed), scene.noise.offset))
    rendered = Rendered(plan_of(scene), pixels)
    counts = counts_of(seeded, rendered, philox=True, threads=threads or default_threads(), dtype=kind)[0]
    return counts.reshape(pixels.shape)


def _holds_images(some: Sequence[Any]) -> bool:
    try:
        return not some or np.ndim(some[0]) > 1
    except ValueError:  # rows of different lengths
        return False


def _any_plan(shape: tuple[int, int]) -> RenderPlan:
    """Some plan whose image has this shape."""
    crystal = Crystal(cell=(50, 50, 50, 90, 90, 90))
    e = Experiment(crystal, Detector(shape), constant_factors(1.0), sampling=Sampling(oversample=1))
    return plan_of(scene_of(e))
