"""Everything one image needs, as numbers and arrays, with nothing left to decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nanobragg.kernels.vectors import Vector

SHAPES = ("square", "round", "gauss", "tophat")
SQUARE, ROUND, GAUSS, TOPHAT = range(4)


class RenderPlan(NamedTuple):
    """One image, frozen. Metres and radians; reciprocal vectors in 1/Angstrom; the same for every backend.

    Being a named tuple of numbers and contiguous arrays it travels to compiled kernels and other processes as it is.
    ``mask`` holds 0 for pixels that are not rendered, or is empty; ``sources`` is (n, 5): unit vector from the sample
    towards the source, the wavelength, and what its terms count; ``cell`` and ``recip`` are the three vectors at
    phi = 0, one after the other, nine numbers; ``table`` is (h, k, l) with its padding planes; ``steps`` is what the
    sum is divided by; ``background`` is what each pixel's sum starts from.

    The last ones say which of the original's habits are kept: phi = 0 holds the cell of the step before (Q01), one
    index out of range ends interpolation (Q02), factors multiply the running sum (Q04), a cut pixel loses its
    background (Q13), sines of the whole index (Q22), a curved detector bent about the wrong axes (Q18; else arcs about
    ``beam_spot``), a point pixel without its area (Q19),
    negative photons where the detector faces away (Q26), and
    a polarization that normalises its arguments in place (Q17).
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
    phi_carryover: bool = True
    sticky: bool = True
    running_products: bool = True
    keep_background: bool = False
    reduced_sines: bool = False
    arcs: bool = False
    beam_spot: tuple[float, float] = (0.0, 0.0)
    pixel_area: bool = False
    either_side: bool = False
    pure_polarization: bool = False

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

    def rendered_pixels(self) -> Pixels:
        """The pixels inside the roi that are not masked, in raster order."""
        return Pixels(self)


def has_products(plan: RenderPlan) -> bool:
    """Whether each term has factors of its own; compiled into kernels as well."""
    return plan.oversample_thick or plan.oversample_polar or plan.oversample_omega


class Pixels:
    """Raster indices of the rendered pixels, ascending: made slice by slice, so that none need be kept."""

    def __init__(self, plan: RenderPlan):
        self._n_fast, self._length = plan.n_fast, plan.n_rendered
        self._first_fast, self._first_slow = max(plan.roi[0], 0), max(plan.roi[2], 0)
        self._width = max(min(plan.roi[1] + 1, plan.n_fast) - self._first_fast, 1)
        self._listed = self._of_mask(plan) if plan.mask.size else None

    def _of_mask(self, plan: RenderPlan) -> np.ndarray:
        pixels = np.flatnonzero(plan.mask).astype(np.int32)
        slow, fast = np.divmod(pixels, np.int32(plan.n_fast))
        inside = (fast >= plan.roi[0]) & (fast <= plan.roi[1]) & (slow >= plan.roi[2]) & (slow <= plan.roi[3])
        return pixels[inside]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        """Consecutive indices, or those at some places, (n,) int32."""
        if self._listed is not None:
            return self._listed[part]
        if isinstance(part, slice):
            numbers = np.arange(*part.indices(self._length), dtype=np.int32)
        else:
            numbers = part.astype(np.int32)
        if self._width == self._n_fast:
            return numbers + np.int32(self._first_slow * self._n_fast)
        slow, fast = np.divmod(numbers, np.int32(self._width))
        return (slow + np.int32(self._first_slow)) * np.int32(self._n_fast) + fast + np.int32(self._first_fast)

    def number_up_to(self, raster: int) -> int:
        """How many of them are not beyond a raster index."""
        if self._listed is not None:
            return int(np.searchsorted(self._listed, raster, side="right"))
        slow, fast = divmod(raster, self._n_fast)
        rows, columns = slow - self._first_slow, min(max(fast - self._first_fast + 1, 0), self._width)
        return min(max(rows * self._width + columns, 0), self._length)
