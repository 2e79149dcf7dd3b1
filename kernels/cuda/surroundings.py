"""What surrounds the sample on a GPU: light of its parts added up, and put into an image."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, float64

from nanobragg.kernels.cuda.compiled import gpu_kernel
from nanobragg.kernels.cuda.device import Device, PlanOnDevice, staying
from nanobragg.kernels.cuda.figures import THREADS, is_rendered
from nanobragg.kernels.cuda.memory import DeviceArray
from nanobragg.kernels.cuda.parameters import surroundings_type
from nanobragg.kernels.surroundings.loops import surrounded, with_part, with_sheet
from nanobragg.kernels.surroundings.plan import Around, Light, Surroundings


@gpu_kernel(float64, float32[::1], float32[::1])
def add_light(plan, weight, of_part, light):
    """Add light of a part."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(light):
        light[i] = with_part(light[i], weight, of_part[i])


@gpu_kernel(float32[::1], float32[::1], float32[::1], float64, float32[::1])
def add_sheet(plan, sines, seen, table, per_step, light):
    """Add light of all matter in one place."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(light):
        light[i] = with_sheet(light[i], sines[i], seen[i], table, per_step)


@gpu_kernel(surroundings_type(), float32[::1])
def surround(plan, around, image):
    """Put what surrounds the sample into the pixels that are rendered."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < len(image) and is_rendered(plan, i):
        image[i] = surrounded(around, image[i], i)


def around_on(device: Device, plan: PlanOnDevice, around: Around, size: int) -> Surroundings:
    """What surrounds the sample, its arrays of ``size`` on the device, where they stay for other images."""
    light = device.kept("light", (around.light,), lambda: _sum_of(device, plan, around.light, size))
    return Surroundings(staying(device, "transmission", around.transmission), light, around.scale)


def _sum_of(device: Device, plan: PlanOnDevice, light: Light, size: int) -> DeviceArray:
    if not light.parts and light.sheet is None:
        return device.empty((0,), np.float32)
    total, blocks = device.empty((size,), np.float32), (-(-size // THREADS), 1)
    total.clear()
    if light.sheet is not None:
        sines, seen = (_staying(device, name, getattr(light.sheet, name)) for name in ("sines", "seen"))
        table = device.put(light.sheet.table)
        device.launch(add_sheet, blocks, THREADS, plan, sines, seen, table, light.sheet.per_step, total)
    for number, (part, weight) in enumerate(zip(light.parts, light.weights, strict=True)):
        device.launch(add_light, blocks, THREADS, plan, weight, _staying(device, f"part {number}", part), total)
    return total


def _staying(device: Device, name: str, pixels: np.ndarray) -> DeviceArray:
    """What many images have of one kind."""
    return device.kept(name, (pixels,), lambda: device.put(pixels))  # type: ignore[no-any-return]
