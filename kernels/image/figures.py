"""Figures of a rendered image and its integers, by compiled loops."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import Grain, in_chunks
from nanobragg.kernels.plan import RenderPlan

add_up, add_deviations = Kernel("image.loops", "add_up"), Kernel("image.loops", "add_deviations")
of_pixels, add_in_order = Kernel("image.loops", "solid_angles"), Kernel("image.loops", "add_in_order")
scaled_int, scaled_grey = Kernel("image.loops", "to_int"), Kernel("image.loops", "to_grey")
PIXELS_AT_A_TIME = 1_000_000
SOLID_ANGLES = Grain(worth_a_thread=100_000)


def sums(plan: RenderPlan, image: np.ndarray) -> tuple[int, float, float, float, int]:
    """Number of rendered pixels, their sum, the sum of their squares, the maximum and its raster index or -1."""
    found = np.zeros(4)
    where = add_up(image, plan.panels.mask, plan.panels.roi, found)
    return int(found[0]), float(found[1]), float(found[2]), float(found[3]), where


def deviations(plan: RenderPlan, image: np.ndarray, mean: float) -> tuple[int, float]:
    """Number of pixels of the roi, and the sum of their squared deviations from ``mean``."""
    found = np.zeros(2)
    add_deviations(image, plan.panels.roi, mean, found)
    return int(found[0]), float(found[1])


def solid_angle(plan: RenderPlan, threads: int) -> float:
    """Solid angles of all layers and sub-pixels of the rendered pixels, added in raster order, steradians."""
    pixels, total, per_pixel = plan.rendered_pixels(), np.zeros(1), plan.sensor.layers * plan.sub_pixels
    of_part = of_pixels.beginning_with(plan)
    for start in range(0, len(pixels), PIXELS_AT_A_TIME):
        some = pixels[start : start + PIXELS_AT_A_TIME]
        omegas = np.empty(len(some))

        def work(part: slice, some: np.ndarray = some, omegas: np.ndarray = omegas) -> None:
            of_part(some[part], omegas[part])

        in_chunks(len(some), work, threads, lambda count: None, per_pixel=per_pixel, grain=SOLID_ANGLES)
        add_in_order(omegas, total)
    return float(total[0])


def to_int(plan: RenderPlan, image: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """Scaled 16-bit counts of the roi with the ADC offset."""
    counts = np.zeros(image.shape, np.uint16)
    scaled_int(image, plan.panels.roi, scale, adc, counts)
    return counts


def to_grey(plan: RenderPlan, image: np.ndarray, scale: float) -> np.ndarray:
    """Scaled 8-bit grey levels of the roi."""
    grey = np.zeros(image.shape, np.uint8)
    scaled_grey(image, plan.panels.roi, scale, grey)
    return grey
