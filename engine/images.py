"""From photons to integers: figures of an image, and the scalings to 16 and 8 bits."""

from __future__ import annotations

import importlib
import math
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nanobragg.engine.original.c_numbers import divide
from nanobragg.engine.original.fixes import Fixes
from nanobragg.kernels.cref import host as cref
from nanobragg.kernels.plan import RenderPlan


class Statistics(NamedTuple):
    """Figures of a rendered image.

    ``max_I`` in photons and its place on the detector (fast, slow) in metres; mean and rms over rendered pixels,
    rmsd over the whole roi (Q28); ``solid_angle`` in steradians as the original adds it up (Q30).
    """

    max_I: float
    max_at: tuple[float, float]
    mean: float
    rms: float
    rmsd: float
    solid_angle: float


# So many pixels, layers and sub-pixels take the C reference 0.06 s, and no kernel needs to be loaded or made.
FIGURES_WORTH_KERNELS = 4_000_000


def loops(backend: str, plan: RenderPlan) -> ModuleType:
    """Who makes figures and integers of what this backend rendered; they are the same to the bit, whoever does.

    An image on a GPU is still there. Those of a small image are made by the C reference, where it was built.
    """
    small = plan.n_rendered * plan.layers * plan.oversample**2 < FIGURES_WORTH_KERNELS and cref.available()
    name = "cuda.host" if backend == "cuda" else "cref.host" if backend == "cref" or small else "image.figures"
    return importlib.import_module(f"nanobragg.kernels.{name}")


def statistics(plan: RenderPlan, image: np.ndarray, backend: str, threads: int) -> Statistics:
    """Figures of ``image``, float32 (slow, fast), which ``backend`` rendered; sums in raster order."""
    by = loops(backend, plan)
    count, total, squares, max_I, where = by.sums(plan, image)
    mean = divide(total, max(count, 1))
    rms = _root(squares, max(count, 2) - 1)
    in_roi, deviations = by.deviations(plan, image, mean)
    rmsd = _root(deviations, max(in_roi, 2) - 1)
    omega = divide(by.solid_angle(plan, threads), plan.steps)
    return Statistics(max_I, _last_sub_pixel(plan, where), mean, rms, rmsd, omega)


def corrected(plan: RenderPlan, image: np.ndarray, as_reported: Statistics, fixes: Fixes, threads: int) -> Statistics:
    """The figures with some computed right: one set of pixels (Q28), binary64 (Q29), solid angle (Q30), place (Q31)."""
    flat, pixels = image.reshape(-1), plan.rendered_pixels()[:]
    values = flat[pixels].astype(np.float64)
    made = as_reported
    if fixes & {"Q28", "Q29"} and len(values):
        count = len(values) if "Q28" in fixes else max(len(values), 2) - 1
        made = made._replace(rms=math.sqrt(float((values * values).sum()) / count))
    if "Q28" in fixes and len(values):
        spread = float(((values - values.mean()) ** 2).sum())
        made = made._replace(mean=float(values.mean()), rmsd=math.sqrt(spread / (max(len(values), 2) - 1)))
    if "Q30" in fixes:
        from nanobragg.kernels.image import figures  # loads LLVM, which figures of small images do without

        first_layer = plan._replace(layers=1, oversample_omega=True)
        made = made._replace(solid_angle=figures.solid_angle(first_layer, threads) / plan.oversample**2)
    if "Q31" in fixes and made.max_I > 0.0:
        slow, fast = divmod(int(pixels[np.nanargmax(values)]), plan.n_fast)
        made = made._replace(max_at=((fast + 0.5) * plan.pixel_size, (slow + 0.5) * plan.pixel_size))
    return made


def _in_roi(plan: RenderPlan, made: np.ndarray) -> np.ndarray:
    """Only the region of interest, 0 outside."""
    out = np.zeros_like(made)
    rows = slice(max(plan.roi[2], 0), max(plan.roi[3] + 1, 0))
    columns = slice(max(plan.roi[0], 0), max(plan.roi[1] + 1, 0))
    out[rows, columns] = made[rows, columns]
    return out


def integers(plan: RenderPlan, image: np.ndarray, scale: float, adc: float, backend: str, fixes: Fixes) -> np.ndarray:
    """Scaled 16-bit counts; rounded in binary32 as the original does, or right (Q77)."""
    if "Q77" not in fixes:
        return loops(backend, plan).to_int(plan, image, scale, adc)
    counts = np.clip(np.nan_to_num(image.astype(np.float64)) * scale + adc, 0.0, 65535.0)
    return _in_roi(plan, np.floor(counts + 0.5).clip(0.0, 65535.0).astype(np.uint16))


def greys(plan: RenderPlan, image: np.ndarray, scale: float, backend: str, fixes: Fixes) -> np.ndarray:
    """Scaled 8-bit grey levels; truncated, negative values by their low byte, or rounded and clipped (Q78)."""
    if "Q78" not in fixes:
        return loops(backend, plan).to_grey(plan, image, scale)
    levels = np.clip(np.nan_to_num(image.astype(np.float64)) * scale, 0.0, 255.0)
    return _in_roi(plan, np.floor(levels + 0.5).astype(np.uint8))


def _root(total: float, count: int) -> float:
    mean = total / count
    return math.sqrt(mean) if mean >= 0.0 else mean


def _last_sub_pixel(plan: RenderPlan, index: int) -> tuple[float, float]:
    """Where the original says that a maximum is, metres from the corner (Q31); the corner if there is none."""
    if index < 0:
        return 0.0, 0.0
    slow, fast = divmod(index, plan.n_fast)
    sub = plan.pixel_size / plan.oversample
    at = (sub * (i * plan.oversample + plan.oversample - 1) + sub / 2.0 for i in (fast, slow))
    return tuple(at)  # type: ignore[return-value]


def int_scale(given: float, max_I: float) -> float:
    """Counts per photon of the integer image."""
    if given > 0.0:
        return given
    return 55000.0 / max_I if max_I > 0.0 else 1.0


def pgm_scale(given: float, rmsd: float, scale_of_int: float) -> float:
    """Grey levels per photon of the PGM."""
    if given > 0.0:
        return given
    return 250.0 / (5.0 * rmsd) if rmsd > 0.0 else scale_of_int


def philox_noise(
    plan: RenderPlan,
    image: np.ndarray,
    adc: float,
    seed: int,
    backend: str,
    threads: int,
    dtype: npt.DTypeLike = np.uint16,
    panel: int = 0,
    saturation: float = 0.0,
) -> tuple[np.ndarray, float, int]:
    """Counts, photons and overloads of `nanobragg.kernels.image.figures.philox_noise`, made where the image is.

    Counts are clipped at what ``dtype``, uint16 or int32, can hold, or at ``saturation`` if that is less and not 0.
    """
    by = importlib.import_module("nanobragg.kernels." + ("cuda.host" if backend == "cuda" else "image.figures"))
    highest = min(np.iinfo(dtype).max, int(saturation) or np.iinfo(dtype).max)
    counts, photons, overloads = by.philox_noise(plan, image, adc, seed, threads, highest, panel)
    return counts.astype(dtype, copy=False), photons, overloads
