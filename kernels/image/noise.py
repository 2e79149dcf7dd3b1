"""Photon noise with the original's deviates: one generator, one sweep in raster order."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel

sweep_pixels = Kernel("image.deviates", "sweep_pixels")


def noise(
    image: np.ndarray, roi: tuple[int, int, int, int], adc: float, seed: int, table: np.ndarray
) -> tuple[np.ndarray, float, int]:
    """Photon counts of a float32 image (panel, slow, fast) with the original's serial generator.

    Parameters
    ----------
    image
        Expected photons per pixel.
    roi
        Fast first and last, slow first and last, inclusive; pixels outside stay 0.
    adc
        Offset added to each count.
    seed, table
        State of the noise stream, and the table all streams share (`nanobragg.kernels.image.random.new_table`).

    Returns
    -------
    tuple
        Counts (uint16), photons before offset and clipping, and the number of clipped pixels.
    """
    counts = np.zeros(image.shape, np.uint16)
    cache = np.array([0, -1, 0, 0, 0], np.float32)
    photons = np.zeros(1)
    stream = np.array([seed, 0], np.int64)
    overloads = sweep_pixels(image, roi, adc, stream, table.copy(), cache, counts, photons)
    return counts, float(photons[0]), overloads
