"""The response of an image that is on a GPU, launch by launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.kernels.cuda import response as kernels
from nanobragg.kernels.cuda.device import Device, PlanOnDevice, staying
from nanobragg.kernels.cuda.figures import THREADS
from nanobragg.kernels.cuda.memory import DeviceArray
from nanobragg.kernels.response.plan import BLOCK, ResponsePlan


def counts_on(
    device: Device, plan: PlanOnDevice, image: DeviceArray, response: ResponsePlan, shape: tuple[int, ...]
) -> tuple[np.ndarray, float, int]:
    """Counts (int32) of expected photons, the photons that were drawn, and how many counts were above the highest.

    The light near its photon is always a sum over the kernel here, and no Fourier transform.
    """
    there = _there(device, response)
    counts, blocks = device.empty((image.size,), np.int32), (-(-image.size // THREADS), 1)
    sums = device.empty((blocks[0], 2))
    if not len(response.kernel):
        device.launch(kernels.count_pixels, blocks, THREADS, plan, there, image, counts, sums)
        photons, overloads = sums.copy_to_host().sum(axis=0)
        return counts.copy_to_host().reshape(shape), float(photons), int(overloads)
    margin = len(response.kernel) // 2
    drawn = device.empty((shape[0], shape[1] + 2 * margin, shape[2] + 2 * margin), np.float32)
    drawn.clear()
    device.launch(kernels.draw_photons, blocks, THREADS, plan, there, image, margin, drawn, sums)
    total = float(sums.copy_to_host()[:, 0].sum())
    far = _far_light(device, plan, there, drawn, margin, shape)
    device.launch(kernels.read_pixels, blocks, THREADS, plan, there, drawn, far, counts, sums)
    return counts.copy_to_host().reshape(shape), total, int(sums.copy_to_host()[:, 0].sum())


def _there(device: Device, response: ResponsePlan) -> Any:
    """The same with its arrays on the device; what is the same for all frames stays there."""
    arrays = ("kernel", "far", "pattern", "stages")
    return response._replace(**{name: staying(device, name, getattr(response, name)) for name in arrays})


def _far_light(
    device: Device, plan: PlanOnDevice, there: Any, drawn: DeviceArray, margin: int, shape: tuple[int, ...]
) -> DeviceArray:
    if not len(there.far):
        return DeviceArray(None, (0, 0, 0), np.float64)
    of_blocks = (shape[0], -(-shape[1] // BLOCK), -(-shape[2] // BLOCK))
    sums, light = device.empty(of_blocks), device.empty(of_blocks)
    launches = (-(-sums.size // THREADS), 1)
    device.launch(kernels.add_blocks, launches, THREADS, plan, drawn, margin, sums)
    device.launch(kernels.spread_blocks, launches, THREADS, plan, sums, there.far, light)
    return light
