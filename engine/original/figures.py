"""From photons to what the original writes of an image: its figures, and the scalings to 16 and 8 bits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nanobragg.engine.c_numbers import divide
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.quirks import Fixes
from nanobragg.kernels.image.rendered import Rendered
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

    @property
    def overflowed(self) -> bool:
        """Whether the original's own arithmetic overflowed in the image."""
        return not (math.isfinite(self.mean) and math.isfinite(self.max_I))


def statistics(rendered: Rendered, fixes: Fixes, threads: int) -> Statistics:
    """Figures of an image, sums in raster order; with some of them right."""
    plan = rendered.plan
    count, total, squares, max_I, where = rendered.sums()
    mean = divide(total, max(count, 1))
    rms = _root(squares, max(count, 2) - 1)
    in_roi, deviations = rendered.deviations(mean)
    rmsd = _root(deviations, max(in_roi, 2) - 1)
    omega = divide(rendered.solid_angle(threads), plan.scale.steps)
    as_reported = Statistics(max_I, _last_sub_pixel(plan, where), mean, rms, rmsd, omega)
    return _corrected(rendered, as_reported, fixes, threads) if fixes else as_reported


def _corrected(rendered: Rendered, found: Statistics, fixes: Fixes, threads: int) -> Statistics:
    """The figures with some right: one set of pixels (Q28), binary64 (Q29), solid angle (Q30), place (Q31)."""
    plan = rendered.plan
    flat, pixels = rendered.panels.reshape(-1), plan.rendered_pixels()[:]
    values = flat[pixels].astype(np.float64)
    if fixes & {"Q28", "Q29"} and len(values):
        count = len(values) if "Q28" in fixes else max(len(values), 2) - 1
        found = found._replace(rms=math.sqrt(float((values * values).sum()) / count))
    if "Q28" in fixes and len(values):
        spread = float(((values - values.mean()) ** 2).sum())
        found = found._replace(mean=float(values.mean()), rmsd=math.sqrt(spread / (max(len(values), 2) - 1)))
    if "Q30" in fixes:
        from nanobragg.kernels.image import figures  # loads LLVM, which figures of small images do without

        first_layer = plan.changed(layers=1, oversample_omega=True)
        found = found._replace(solid_angle=figures.solid_angle(first_layer, threads) / plan.sub_pixels)
    if "Q31" in fixes and found.max_I > 0.0:
        slow, fast = divmod(int(pixels[np.nanargmax(values)]), plan.panels.n_fast)
        size = plan.panels.pixel_size
        found = found._replace(max_at=((fast + 0.5) * size, (slow + 0.5) * size))
    return found


def _in_roi(plan: RenderPlan, panels: np.ndarray) -> np.ndarray:
    """Only the region of interest, 0 outside; (panel, slow, fast)."""
    inside, (rows, columns) = np.zeros_like(panels), plan.window
    inside[:, rows, columns] = panels[:, rows, columns]
    return inside


def integers(rendered: Rendered, scale: float, adc: float, fixes: Fixes) -> np.ndarray:
    """Scaled 16-bit counts (slow, fast); rounded in binary32 as the original does, or right (Q77)."""
    if "Q77" not in fixes:
        return rendered.to_int(scale, adc)[0]
    counts = np.clip(np.nan_to_num(rendered.panels.astype(np.float64)) * scale + adc, 0.0, 65535.0)
    return _in_roi(rendered.plan, np.floor(counts + 0.5).clip(0.0, 65535.0).astype(np.uint16))[0]


def greys(rendered: Rendered, scale: float, fixes: Fixes) -> np.ndarray:
    """Scaled 8-bit grey levels (slow, fast); truncated, negative ones by their low byte, or rounded, clipped (Q78)."""
    if "Q78" not in fixes:
        return rendered.to_grey(scale)[0]
    levels = np.clip(np.nan_to_num(rendered.panels.astype(np.float64)) * scale, 0.0, 255.0)
    return _in_roi(rendered.plan, np.floor(levels + 0.5).astype(np.uint8))[0]


def check_finite(rendered: Rendered, fixes: Fixes) -> None:
    """Refuse an image that overflows, where that is fixed (Q79)."""
    if "Q79" in fixes and not np.isfinite(rendered.panels).all():
        raise BadInput("the image overflows: a pixel is infinite or not a number")


def _root(total: float, count: int) -> float:
    mean = total / count
    return math.sqrt(mean) if mean >= 0.0 else mean


def _last_sub_pixel(plan: RenderPlan, index: int) -> tuple[float, float]:
    """Where the original says that a maximum is, metres from the corner (Q31); the corner if there is none."""
    if index < 0:
        return 0.0, 0.0
    slow, fast = divmod(index, plan.panels.n_fast)
    sub = plan.panels.pixel_size / plan.sampling.oversample
    at = (sub * (i * plan.sampling.oversample + plan.sampling.oversample - 1) + sub / 2.0 for i in (fast, slow))
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
