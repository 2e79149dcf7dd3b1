"""A rendered image: it owns its pixels wherever they lie, and makes its own sums, integers and noise."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from nanobragg.kernels.cref import binding
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response.plan import ResponsePlan
from nanobragg.kernels.surroundings.plan import Around, Light

# So many pixels, layers and sub-pixels take the C reference 0.06 s, and no kernel needs to be loaded or made.
WORTH_KERNELS = 4_000_000


class Rendered:
    """An image in the host's memory.

    Parameters
    ----------
    plan
        What was rendered.
    panels
        Photons per pixel, float32 (panel, slow, fast).
    interpolation_ended
        Whether interpolation went off on the way (Q02).
    """

    def __init__(self, plan: RenderPlan, panels: np.ndarray, interpolation_ended: bool = False):
        self.plan, self.interpolation_ended = plan, interpolation_ended
        self._panels = panels.reshape(plan.shape)

    @property
    def panels(self) -> np.ndarray:
        """Photons per pixel, float32 (panel, slow, fast)."""
        return self._panels

    @property
    def image(self) -> np.ndarray:
        """The same; (slow, fast) where there is one panel."""
        return self.panels[0] if len(self.panels) == 1 else self.panels

    def add(self, other: Rendered) -> None:
        """Add the photons of another image of the same detector, in place."""
        self._panels += other.panels

    def surround(self, around: Around, threads: int) -> None:
        """Put what surrounds the sample into the image, in place."""
        from nanobragg.kernels.surroundings import host

        host.surround(self.plan, around, self._panels, threads)

    def sum_of_light(self, light: Light, threads: int) -> float:
        """The sum of light of the surroundings over the rendered pixels."""
        from nanobragg.kernels.surroundings import host

        if not light.images:
            return 0.0
        total = host.sum_of(self.plan.shape, light, threads).reshape(self.plan.shape)
        window, mask = (slice(None), *self.plan.window), self.plan.panels.mask
        kept = mask.reshape(self.plan.shape)[window] != 0 if mask.size else True
        return float(total[window].sum(dtype=np.float64, where=kept))

    def _loops(self) -> ModuleType:
        """Who makes sums and integers; they are the same to the bit, whoever does.

        Those of a small image are made by the C reference, where it was built.
        """
        small = self.plan.n_rendered * self.plan.sensor.layers * self.plan.sub_pixels < WORTH_KERNELS
        if small and binding.available():
            from nanobragg.kernels.cref import image as by_reference

            return by_reference
        from nanobragg.kernels.image import figures

        return figures

    def sums(self) -> tuple[int, float, float, float, int]:
        """Number of rendered pixels, their sum, the sum of their squares, the maximum and its raster index or -1."""
        return self._loops().sums(self.plan, self.panels)  # type: ignore[no-any-return]

    def deviations(self, mean: float) -> tuple[int, float]:
        """Number of pixels of the roi, and the sum of their squared deviations from ``mean``."""
        return self._loops().deviations(self.plan, self.panels, mean)  # type: ignore[no-any-return]

    def solid_angle(self, threads: int) -> float:
        """Solid angles of all layers and sub-pixels of the rendered pixels, added in raster order, steradians."""
        return self._loops().solid_angle(self.plan, threads)  # type: ignore[no-any-return]

    def to_int(self, scale: float, adc: float) -> np.ndarray:
        """Scaled 16-bit counts of the roi with the ADC offset, (panel, slow, fast)."""
        return self._loops().to_int(self.plan, self.panels, scale, adc)  # type: ignore[no-any-return]

    def to_grey(self, scale: float) -> np.ndarray:
        """Scaled 8-bit grey levels of the roi, (panel, slow, fast)."""
        return self._loops().to_grey(self.plan, self.panels, scale)  # type: ignore[no-any-return]

    def counts(self, response: ResponsePlan, threads: int) -> tuple[np.ndarray, float, int]:
        """Counts (int32) that a detector makes of the photons; see `nanobragg.kernels.response.host.counts_of`."""
        from nanobragg.kernels.response import host

        return host.counts_of(self.plan, response, self.panels, threads)

    def serial_counts(self, adc: float, seed: int, table: np.ndarray) -> tuple[np.ndarray, float, int]:
        """Counts (uint16) with the original's noise; see `nanobragg.kernels.image.noise.noise`."""
        by = self._loops()
        if not hasattr(by, "noise"):
            from nanobragg.kernels.image import noise as by
        return by.noise(self.panels, self.plan.panels.roi, adc, seed, table)  # type: ignore[no-any-return]
