"""An image that is on a GPU: its sums, integers and noise are made there, without another copy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.cuda.compiled import GpuKernel
from nanobragg.kernels.cuda.device import Device, PlanOnDevice, pixel_list
from nanobragg.kernels.cuda.memory import DeviceArray
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response.plan import ResponsePlan
from nanobragg.kernels.surroundings.plan import Around, Light

THREADS = 128


def _else_on_the_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the host do what does not fit on the device."""

    @functools.wraps(function)
    def either(self: RenderedOnDevice, *arguments: Any) -> Any:
        try:
            with self._device.active():
                return function(self, *arguments)
        except Unavailable:
            return getattr(super(RenderedOnDevice, self), function.__name__)(*arguments)

    return either


class RenderedOnDevice(Rendered):
    """An image on a GPU, and the same in the host's memory.

    Parameters
    ----------
    plan, panels, interpolation_ended
        Those of `Rendered`; ``panels`` are room for the image, which stays on the device until it is asked for.
    device, on_device, there
        The GPU, the plan and the flat image on it.
    """

    def __init__(
        self, plan: RenderPlan, panels: np.ndarray, interpolation_ended: bool, device: Device,
        on_device: PlanOnDevice, there: DeviceArray,
    ):  # fmt: skip
        super().__init__(plan, panels, interpolation_ended)
        self._device, self._on_device, self._there = device, on_device, there
        self._is_here = False  # whether the host has the image

    @property
    def panels(self) -> np.ndarray:
        """See `Rendered.panels`; copied from the device when it is first asked for."""
        if not self._is_here:
            with self._device.active():
                self._there.copy_to_host(self._panels.reshape(-1))
            self._panels.setflags(write=False)  # it would no longer be what is on the device
            self._is_here = True
        return self._panels

    def _change(self, kernel: GpuKernel, *arguments: Any) -> None:
        """Launch what changes each pixel of the image; what the host has is then no longer it."""
        blocks = (-(-self._there.size // THREADS), 1)
        self._device.launch(kernel, blocks, THREADS, self._on_device, *arguments, self._there)
        if self._is_here:
            self._panels, self._is_here = np.empty(self.plan.shape, np.float32), False

    def add(self, other: Rendered) -> None:
        """See `Rendered.add`."""
        from nanobragg.kernels.cuda import figures

        with self._device.active():
            there = other._there if isinstance(other, RenderedOnDevice) else self._device.put(other.panels.reshape(-1))
            self._change(figures.add_image, there)

    def surround(self, around: Around, threads: int) -> None:
        """See `Rendered.surround`; what is the same for all images stays on the device."""
        from nanobragg.kernels.cuda import surroundings

        with self._device.active():
            there = surroundings.around_on(self._device, self._on_device, around, self._there.size)
            self._change(surroundings.surround, there)

    def sum_of_light(self, light: Light, threads: int) -> float:
        """See `Rendered.sum_of_light`; added up in a fixed order of the device's own."""
        from nanobragg.kernels.cuda import surroundings

        if not light.images:
            return 0.0
        with self._device.active():
            there = surroundings.light_on(self._device, self._on_device, light, self._there.size)
            return float(sum(self._figures(0.0, there)[:, 1]))

    def _figures(self, mean: float, image: DeviceArray) -> np.ndarray:
        from nanobragg.kernels.cuda import figures

        segments = -(-image.size // figures.SEGMENT)
        sums = self._device.empty((segments, figures.FIGURES))
        self._device.launch(figures.add_up, (segments, 1), figures.THREADS, self._on_device, mean, image, sums)
        return sums.copy_to_host()

    @_else_on_the_host
    def sums(self) -> tuple[int, float, float, float, int]:
        """See `Rendered.sums`; added up in a fixed order of the device's own."""
        figures = self._figures(0.0, self._there)
        values = self.panels.reshape(-1)
        where = max((int(i) for i in figures[:, 5] if i >= 0), key=lambda i: (values[i], -i), default=-1)
        count, total, squares = (float(sum(column)) for column in figures.T[:3])
        return int(count), total, squares, float(values[where]) if where >= 0 else 0.0, where

    @_else_on_the_host
    def deviations(self, mean: float) -> tuple[int, float]:
        """See `Rendered.deviations`."""
        figures = self._figures(mean, self._there)
        return int(sum(figures[:, 3])), float(sum(figures[:, 4]))

    @_else_on_the_host
    def solid_angle(self, threads: int) -> float:
        """See `Rendered.solid_angle`."""
        from nanobragg.kernels.cuda import figures

        if 4 * self.plan.n_rendered > self._device.free_memory() // 4:
            raise Unavailable("the GPU has not enough free memory for the list of pixels")
        pixels = pixel_list(self._device, self.plan)
        segments = max(-(-len(pixels) // figures.SEGMENT), 1)
        sums = self._device.empty((segments, 1))
        self._device.launch(figures.solid_angles, (segments, 1), figures.THREADS, self._on_device, pixels, sums)
        return float(sum(sums.copy_to_host()[:, 0]))

    def _per_pixel(self, kernel: str, dtype: Any, *numbers: float) -> np.ndarray:
        from nanobragg.kernels.cuda import figures

        pixels = self._device.empty((self.panels.size,), dtype)
        blocks = (-(-self.panels.size // THREADS), 1)
        self._device.launch(getattr(figures, kernel), blocks, THREADS, self._on_device, self._there, *numbers, pixels)
        return pixels.copy_to_host().reshape(self.panels.shape)

    @_else_on_the_host
    def to_int(self, scale: float, adc: float) -> np.ndarray:
        """See `Rendered.to_int`."""
        return self._per_pixel("to_int", np.uint16, scale, adc)

    @_else_on_the_host
    def to_grey(self, scale: float) -> np.ndarray:
        """See `Rendered.to_grey`."""
        return self._per_pixel("to_grey", np.uint8, scale)

    @_else_on_the_host
    def counts(self, response: ResponsePlan, threads: int) -> tuple[np.ndarray, float, int]:
        """See `Rendered.counts`."""
        from nanobragg.kernels.cuda.counts import counts_on

        return counts_on(self._device, self._on_device, self._there, response, self.panels.shape)
