"""Light that spreads from its photons by Fourier transforms, shared out to threads: for wide kernels."""

from __future__ import annotations

import itertools
import math

import numpy as np

from nanobragg.kernels.order.threads import in_chunks


def convolved(image: np.ndarray, kernel: np.ndarray, threads: int) -> np.ndarray:
    """A convolution, as large as image and kernel together, less 1; what is beyond the image is 0.

    Parameters
    ----------
    image, kernel
        float32 (slow, fast).
    threads
        How many share the rows, and then the columns.

    Returns
    -------
    numpy.ndarray
        float32 (slow, fast).
    """
    whole = [n + m - 1 for n, m in zip(image.shape, kernel.shape, strict=True)]
    n_slow, n_fast = map(fast_length, whole)
    of_kernel = np.fft.rfft2(kernel, (n_slow, n_fast)).astype(np.complex64)
    waves = np.zeros((n_slow, of_kernel.shape[1]), np.complex64)
    found = np.empty(whole, np.float32)

    def to_waves(rows: slice) -> None:
        waves[rows] = np.fft.rfft(image[rows], n_fast)

    def multiply(columns: slice) -> None:
        turned = np.fft.fft(np.ascontiguousarray(waves[:, columns].T)) * of_kernel[:, columns].T
        waves[:, columns] = np.fft.ifft(turned).T

    def from_waves(rows: slice) -> None:
        found[rows] = np.fft.irfft(waves[rows], n_fast)[:, : whole[1]]

    for count, work, length in (
        (len(image), to_waves, n_fast), (waves.shape[1], multiply, n_slow), (whole[0], from_waves, n_fast),
    ):  # fmt: skip
        in_chunks(count, work, threads, lambda done: None, per_pixel=length)
    return found


def fast_length(n: int) -> int:
    """The least number from ``n`` on that has no factors but 2, 3 and 5, which transforms are quick for."""
    powers = range(n.bit_length() + 1)
    odd = (3**b * 5**c for b, c in itertools.product(powers, powers) if 3**b * 5**c < 2 * n)
    return min(k << max(math.ceil(math.log2(n / k)), 0) for k in odd)
