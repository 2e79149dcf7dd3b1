"""Everything one image needs, as numbers and arrays, with nothing left to decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nanobragg.kernels.vectors import Vector

SHAPES = ("square", "round", "gauss", "tophat")
SQUARE, ROUND, GAUSS, TOPHAT = range(4)


class RenderPlan(NamedTuple):
    """One image, frozen. Metres and radians; reciprocal vectors in 1/Angstrom; the same for every backend.

    Being a named tuple of numbers and contiguous arrays it travels to compiled kernels and other
    processes as it is. ``mask`` holds 0 for pixels that are not rendered, or is empty; ``sources`` is
    (n, 4): unit vector from the sample towards the source, and the wavelength; ``cell`` and ``recip``
    are the three vectors at phi = 0, one after the other, nine numbers; ``table`` is (h, k, l) with its padding planes;
    ``steps`` is what the sum is divided by; ``background`` is what each pixel's sum starts from.
    """

    n_fast: int
    n_slow: int
    roi: tuple[int, int, int, int]
    mask: np.ndarray
    pixel_size: float
    distance: float
    close_distance: float
    pix0: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    beam: Vector
    oversample: int
    layers: int
    layer_step: float
    thickness: float
    mu: float
    curved: bool
    point_pixel: bool
    oversample_thick: bool
    oversample_polar: bool
    oversample_omega: bool
    sources: np.ndarray
    dmin: float
    kahn: float
    nopolar: bool
    polar_axis: Vector
    fluence: float
    r_e_sqr: float
    background: float
    water: bool
    phi0: float
    phi_step: float
    phi_steps: int
    spindle: Vector
    mosaic_spread: float
    mosaic_rotations: np.ndarray
    cell: tuple[float, ...]
    recip: tuple[float, ...]
    n_cells: Vector
    shape: int
    fudge: float
    interpolate: bool
    n_hkl: int
    default_F: float
    hkl_min: tuple[int, int, int]
    hkl_max: tuple[int, int, int]
    hkl_range: tuple[int, int, int]
    table: np.ndarray
    steps: float

    @property
    def domains(self) -> int:
        """Number of mosaic domains."""
        return len(self.mosaic_rotations)

    @property
    def evaluations(self) -> int:
        """Evaluations per rendered pixel: layers, sub-pixels, sources, phi steps and domains."""
        return self.layers * self.oversample**2 * len(self.sources) * self.phi_steps * self.domains

    @property
    def n_rendered(self) -> int:
        """Number of pixels inside the roi that are not masked."""
        fast_first, fast_last, slow_first, slow_last = self.roi
        rows, columns = (
            slice(max(slow_first, 0), max(slow_last + 1, 0)),
            slice(max(fast_first, 0), max(fast_last + 1, 0)),
        )
        if self.mask.size:
            return int(np.count_nonzero(self.mask.reshape(self.n_slow, self.n_fast)[rows, columns]))
        return len(range(self.n_slow)[rows]) * len(range(self.n_fast)[columns])

    def rendered_pixels(self) -> np.ndarray:
        """Raster indices of the pixels inside the roi that are not masked, ascending, (n,) int32."""
        fast_first, fast_last, slow_first, slow_last = self.roi
        fast = np.arange(max(fast_first, 0), min(fast_last, self.n_fast - 1) + 1, dtype=np.int32)
        slow = np.arange(max(slow_first, 0), min(slow_last, self.n_slow - 1) + 1, dtype=np.int32)
        pixels = (slow[:, None] * np.int32(self.n_fast) + fast).ravel()
        return pixels[self.mask[pixels] != 0] if self.mask.size else pixels
