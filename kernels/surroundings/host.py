"""Light and shade of the surroundings on the CPU: rows of pixels shared out to threads."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel
from nanobragg.kernels.order.threads import in_rows
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.surroundings.plan import Around, Light, Matter, Shade, Surroundings

add_rows, add_sheet_rows = (Kernel("surroundings.loops", name) for name in ("add_rows", "add_sheet_rows"))
scatter_rows = Kernel("surroundings.loops", "scatter_rows")
see_rows = Kernel("surroundings.loops", "see_rows")
shade_rows = Kernel("surroundings.loops", "shade_rows")
surround_rows = Kernel("surroundings.loops", "surround_rows")
STEPS_OF_PLACE = 5  # what a place along the beam takes for a pixel and a direction, in evaluations
_last: list[tuple[Light, np.ndarray]] = []  # what was last added up, and its sum


def scattered(plan: RenderPlan, matter: Matter, shade: Shade, threads: int) -> np.ndarray:
    """Photons of an amorphous part in each pixel, for 1 photon and square metre and 1 square metre of an electron.

    Returns
    -------
    numpy.ndarray
        float32 (panel * slow * fast,); pixels that are not rendered have theirs too.
    """
    light = np.empty(math.prod(plan.shape), np.float32)
    steps = STEPS_OF_PLACE * len(matter.places) * len(matter.shares)
    whole = (0, plan.shape[1])
    in_rows(plan.shape, whole, lambda some: scatter_rows(plan, matter, shade, some, light), threads, steps=steps)
    return light


def seen_in(
    plan: RenderPlan, shade: Shade, direction: tuple[float, float, float], absorption: float, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """``sines`` and ``seen`` of a `Sheet`, for matter at the sample that is lit from a direction.

    ``absorption`` is that of the photons in the sensor, 1/m.
    """
    sines, seen = (np.empty(math.prod(plan.shape), np.float32) for _ in range(2))
    whole = (0, plan.shape[1])
    in_rows(
        plan.shape, whole, lambda some: see_rows(plan, shade, direction, absorption, some, sines, seen), threads,
        steps=STEPS_OF_PLACE,
    )  # fmt: skip
    return sines, seen


def transmission(plan: RenderPlan, shade: Shade, threads: int) -> np.ndarray:
    """Share of the sample's light that gas and beamstop let through to each pixel, float32 (panel * slow * fast,)."""
    shares, whole = np.empty(math.prod(plan.shape), np.float32), (0, plan.shape[1])
    in_rows(plan.shape, whole, lambda some: shade_rows(plan, shade, some, shares), threads, steps=STEPS_OF_PLACE)
    return shares


def surround(plan: RenderPlan, around: Around, panels: np.ndarray, threads: int) -> None:
    """Put what surrounds the sample into an image (panel, slow, fast), in place."""
    image = panels.reshape(-1, panels.shape[2])
    rows, columns = (part.indices(n)[:2] for part, n in zip(plan.window, plan.shape[1:], strict=True))
    mask = plan.panels.mask
    given = Surroundings(around.transmission, sum_of(plan.shape, around.light, threads), around.scale)
    in_rows(plan.shape, rows, lambda some: surround_rows(given, mask, some, columns, image), threads, steps=1)


def sum_of(shape: tuple[int, ...], light: Light, threads: int) -> np.ndarray:
    """All of the light, float32 (panel * slow * fast,); that of the last image is kept for the next."""
    if light.weights == (1.0,) and not light.sheets:
        return light.parts[0]
    last = _last[:]
    if last and last[0][0] is light:
        return last[0][1]
    _last.clear()
    total = np.zeros(math.prod(shape) if light.images else 0, np.float32)

    def add(some: tuple[int, int]) -> None:
        for sheet in light.sheets:
            add_sheet_rows(some, shape[2], sheet, total)
        for part, weight in zip(light.parts, light.weights, strict=True):
            add_rows(some, shape[2], weight, part, total)

    if light.images:
        in_rows(shape, (0, shape[1]), add, threads, steps=light.images)
    _last[:] = [(light, total)]
    return total
