"""Everything one image needs, as numbers and arrays, with nothing left to decide."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nanobragg.kernels.vectors import Vector


class Panels(NamedTuple):
    """Panels of one size, one after the other in the image (panel, slow, fast). Metres; laboratory frame."""

    n_fast: int  # pixels of a panel along its fast axis
    n_slow: int  # and along its slow one
    roi: tuple[int, int, int, int]  # of every panel: first and last fast, first and last slow pixel, inclusive
    mask: np.ndarray  # (panel * slow * fast,) uint8, 0 where nothing is rendered; or empty
    pixel_size: float  # edge of a square pixel
    pix0: np.ndarray  # (panel, 3) corner of the first pixel, from the sample
    fdet: np.ndarray  # (panel, 3) unit vector of the fast axis
    sdet: np.ndarray  # (panel, 3) of the slow axis
    odet: np.ndarray  # (panel, 3) of the normal, away from the sample
    distance: np.ndarray  # (panel,) along the beam
    close_distance: np.ndarray  # (panel,) of the panel's plane from the sample
    wide_fast: np.ndarray  # (pair,) int64, the first of two fast pixels that stand for one wide pixel
    wide_slow: np.ndarray  # (pair,) int64, the same of slow ones
    beam_spot: np.ndarray  # (panel, 2) where the beam meets the panel, along fast and slow from its corner
    beam: Vector  # unit vector of the direct beam
    curved: bool  # panels are bent about the sample
    point_pixel: bool  # solid angles without obliquity


class Sensor(NamedTuple):
    """What absorbs the photons, in layers behind the panel's plane. Metres."""

    thickness: float  # 0 for a sensor that takes every photon where it hits
    mu: float  # absorption, 1/m, where it is the same for all sources
    layers: int
    layer_step: float
    chromatic: bool  # each source has an absorption of its own


class Sources(NamedTuple):
    """Point sources, each of one wavelength."""

    direction: np.ndarray  # (source, 3) unit vector from the sample towards it
    wavelength: np.ndarray  # (source,) metres
    weight: np.ndarray  # (source,) how much its terms count; 1 where all count the same
    table_number: np.ndarray  # (source,) int64, which of the amplitude tables it sees
    absorption: np.ndarray  # (source,) of its photons in the sensor, 1/m; 0 where that is not chromatic


class Polarization(NamedTuple):
    """The state of the beam."""

    kahn: float  # 0 for unpolarized light, 1 for light polarized along ``axis``
    left_out: bool  # the factor is 1 everywhere
    axis: Vector


class Cells(NamedTuple):
    """The crystal: its cell at phi = 0, its size, and all orientations that it takes."""

    cell: tuple[float, ...]  # a, b, c one after the other, metres
    recip: tuple[float, ...]  # what Gaussian and top-hat spots measure distances with, 1/Angstrom
    n_cells: Vector  # unit cells along a, b and c
    shape: int  # its number in `nanobragg.kernels.shapes.SHAPES`
    fudge: float  # scales the squared width of spots that are not square
    spindle: Vector
    phi0: float  # radians
    phi_step: float
    phi_steps: int
    mosaic_spread: float  # radians
    mosaic_rotations: np.ndarray  # (domain, 9)
    domain_scales: np.ndarray  # (domain, 3) how much longer a, b and c of each domain are; empty where all are the same


class Factors(NamedTuple):
    """Amplitudes: tables around the origin, of one box of indices, and one value for all other indices."""

    table: np.ndarray  # (table, h, k, l), electrons, with padding planes
    n_hkl: int  # 0 where there is no table
    default_F: float
    hkl_min: tuple[int, int, int]
    hkl_max: tuple[int, int, int]
    hkl_range: tuple[int, int, int]
    interpolate: bool  # tricubic between the nodes
    dmin: float  # what is of finer spacing does not diffract, metres; 0 for no limit


class SubPixels(NamedTuple):
    """Sub-pixels, and which factors belong to each of them rather than to the pixel."""

    oversample: int  # sub-pixels along each edge
    oversample_thick: bool  # the capture fraction
    oversample_polar: bool  # the polarization factor
    oversample_omega: bool  # the solid angle


class Scale(NamedTuple):
    """From a pixel's sum to photons."""

    fluence: float  # photons per square metre
    r_e_sqr: float  # squared radius of the electron, square metres
    steps: float  # what the sum is divided by
    background: float  # what each pixel's sum starts from
    water: bool  # a droplet is there: lattice factors of 0 are evaluations too


class Habits(NamedTuple):
    """What of the original's arithmetic is kept; all of it is left out where it is not asked for."""

    phi_carryover: bool = False  # phi = 0 holds the cell of the step before (Q01)
    interpolation_ends: bool = False  # one index out of range ends interpolation for all that follows (Q02)
    running_products: bool = False  # factors of a sub-pixel multiply the running sum, not the term (Q04)
    background_cut: bool = False  # a pixel that dmin cuts loses its background (Q13)
    drifting_axis: bool = False  # polarization normalises its arguments where they stand (Q17)
    bent_about_other_axes: bool = False  # curved panels are bent about laboratory axes (Q18)
    unit_area: bool = False  # a point pixel has 1 square metre (Q19)
    whole_sines: bool = False  # sines are taken of whole indices, not of what is left at the node (Q22)
    one_side: bool = False  # photons that come from behind count as negative (Q26)


class Placement(NamedTuple):
    """One panel of `Panels`, as kernels take it out."""

    pix0: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    distance: float
    close_distance: float
    beam_spot: tuple[float, float]


class RenderPlan(NamedTuple):
    """One image, frozen; the same for every backend.

    Being named tuples of numbers and contiguous arrays it travels to compiled kernels and other processes as it is.
    """

    panels: Panels
    sensor: Sensor
    sources: Sources
    polarization: Polarization
    cells: Cells
    factors: Factors
    sampling: SubPixels
    scale: Scale
    habits: Habits

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the image: panels, slow, fast."""
        return len(self.panels.pix0), self.panels.n_slow, self.panels.n_fast

    @property
    def n_sources(self) -> int:
        """Number of sources."""
        return len(self.sources.wavelength)

    @property
    def domains(self) -> int:
        """Number of mosaic domains."""
        return len(self.cells.mosaic_rotations)

    @property
    def sub_pixels(self) -> int:
        """Number of sub-pixels of a pixel."""
        return self.sampling.oversample**2

    @property
    def evaluations(self) -> int:
        """Evaluations per rendered pixel: layers, sub-pixels, sources, phi steps and domains."""
        return self.sensor.layers * self.sub_pixels * self.n_sources * self.cells.phi_steps * self.domains

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of a panel that are inside the roi."""
        fast_first, fast_last, slow_first, slow_last = self.panels.roi
        rows = slice(max(slow_first, 0), max(slow_last + 1, 0))
        return rows, slice(max(fast_first, 0), max(fast_last + 1, 0))

    @property
    def n_rendered(self) -> int:
        """Number of pixels inside the roi that are not masked."""
        rows, columns = self.window
        panels, n_slow, n_fast = self.shape
        if self.panels.mask.size:
            return int(np.count_nonzero(self.panels.mask.reshape(self.shape)[:, rows, columns]))
        return panels * len(range(n_slow)[rows]) * len(range(n_fast)[columns])

    def rendered_pixels(self) -> Pixels:
        """The pixels inside the roi that are not masked, panel by panel in raster order."""
        return Pixels(self)

    def changed(self, **fields: Any) -> RenderPlan:
        """The same with other values of some fields, whichever group they belong to."""
        groups: dict[str, Any] = {}
        for name, group in self._asdict().items():
            of_group = {field: fields.pop(field) for field in group._fields if field in fields}
            groups[name] = group._replace(**of_group) if of_group else group
        if fields:
            raise TypeError(f"a plan has no {', '.join(fields)}")
        return RenderPlan(**groups)


def has_products(plan: RenderPlan) -> bool:
    """Whether each term has factors of its own; compiled into kernels as well."""
    sampling = plan.sampling
    return sampling.oversample_thick or sampling.oversample_polar or sampling.oversample_omega


class Pixels:
    """Raster indices of the rendered pixels, ascending: made slice by slice, so that none need be kept."""

    def __init__(self, plan: RenderPlan):
        self._of_panel = plan.panels.n_slow * plan.panels.n_fast
        self._n_fast, self._length = plan.panels.n_fast, plan.n_rendered
        rows, columns = (part.indices(n) for part, n in zip(plan.window, plan.shape[1:], strict=True))
        self._first_fast, self._first_slow = columns[0], rows[0]
        self._width, self._height = max(columns[1] - columns[0], 1), max(rows[1] - rows[0], 1)
        self._listed = self._of_mask(plan, rows, columns) if plan.panels.mask.size else None

    def _of_mask(self, plan: RenderPlan, rows: tuple[int, ...], columns: tuple[int, ...]) -> np.ndarray:
        pixels = np.flatnonzero(plan.panels.mask).astype(np.int32)
        slow, fast = np.divmod(pixels % self._of_panel, np.int32(self._n_fast))
        inside = (fast >= columns[0]) & (fast < columns[1]) & (slow >= rows[0]) & (slow < rows[1])
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
        whole = self._width == self._n_fast and (
            self._length <= self._of_panel or self._width * self._height == self._of_panel
        )
        if whole:  # rows of one panel, or all panels
            return numbers + np.int32(self._first_slow * self._n_fast)
        panel, rest = np.divmod(numbers, np.int32(self._width * self._height))
        slow, fast = np.divmod(rest, np.int32(self._width))
        row = (slow + np.int32(self._first_slow)) * np.int32(self._n_fast)
        return panel * np.int32(self._of_panel) + row + fast + np.int32(self._first_fast)

    def number_up_to(self, raster: int) -> int:
        """How many of them are not beyond a raster index."""
        if self._listed is not None:
            return int(np.searchsorted(self._listed, raster, side="right"))
        panel, rest = divmod(raster, self._of_panel)
        slow, fast = divmod(rest, self._n_fast)
        row, columns = slow - self._first_slow, min(max(fast - self._first_fast + 1, 0), self._width)
        on_panel = min(max(row * self._width + columns, 0), self._width * self._height)
        return min(panel * self._width * self._height + on_panel, self._length)
