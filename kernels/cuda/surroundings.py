"""What surrounds the sample on a GPU: light of its parts added up, and put into an image."""

from __future__ import annotations

from typing import Any

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
    """What surrounds the sample, with its arrays of ``size`` on the device, where they stay for other images."""
    transmission = staying(device, "transmission", around.transmission)
    return Surroundings(transmission, light_on(device, plan, around.light, size), around.scale)


def light_on(device: Device, plan: PlanOnDevice, light: Light, size: int) -> Any:
    """The sum of all light, float32 (size,), or empty; that of the last image stays for the next."""

    def add_up() -> DeviceArray:
        if not light.images:
            return device.empty((0,), np.float32)
        total, blocks = device.empty((size,), np.float32), (-(-size // THREADS), 1)
        total.clear()
        for number, sheet in enumerate(light.sheets):
            sines, seen = (_kept_at(device, f"{name} {number}", getattr(sheet, name)) for name in ("sines", "seen"))
            table = device.put(sheet.table)
            device.launch(add_sheet, blocks, THREADS, plan, sines, seen, table, sheet.per_step, total)
        for number, (part, weight) in enumerate(zip(light.parts, light.weights, strict=True)):
            device.launch(add_light, blocks, THREADS, plan, weight, _kept_at(device, f"part {number}", part), total)
        return total

    return device.kept("light", (light,), add_up)


def _kept_at(device: Device, name: str, pixels: np.ndarray) -> DeviceArray:
    """An image that many sums are made of; the last one of its name stays on the device."""
    return device.kept(name, (pixels,), lambda: device.put(pixels))  # type: ignore[no-any-return]
