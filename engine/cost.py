"""What an image will cost: its steps, times what one takes here, which a few of its pixels tell."""

from __future__ import annotations

import math
import time

import numpy as np

from nanobragg.engine.render import render
from nanobragg.kernels.backends import backend as backend_of
from nanobragg.kernels.plan import RenderPlan

NOMINAL_NS = {"fast": 2.0, "strict": 60.0, "cref": 100.0, "cuda": 0.01}  # of a step on one core, or on a GPU
OF_OTHERS_NS = 60.0
UNCERTAIN = 4.0  # what machines and shapes differ by
WORTH_A_WORD_S = 20.0
SAMPLE_S = 0.5


def steps_of(plan: RenderPlan) -> float:
    """Number of steps: one evaluation for a pixel, layer, sub-pixel, source, phi step and domain."""
    return float(plan.evaluations) * plan.n_rendered


def seconds(plan: RenderPlan, backend: str, threads: int) -> float:
    """Seconds that rendering will take; where that may be long, measured on a few pixels."""
    shared = threads if backend_of(backend).CAPABILITIES.threads else 1
    per_step = NOMINAL_NS.get(backend, OF_OTHERS_NS) * 1e-9 / shared
    nominal = steps_of(plan) * per_step
    if backend == "cuda" or nominal * UNCERTAIN < WORTH_A_WORD_S or not plan.n_rendered:
        return nominal
    wanted = int(SAMPLE_S / (per_step * plan.evaluations)) + 1
    some = sample(plan, min(max(wanted, 1), plan.n_rendered))
    render(sample(plan, 1).changed(phi_steps=1), backend, threads=threads)  # loads, or compiles, the kernel
    begun = time.perf_counter()
    render(some, backend, threads=threads)
    return (time.perf_counter() - begun) * plan.n_rendered / some.n_rendered


def sample(plan: RenderPlan, number: int) -> RenderPlan:
    """The plan of about so many of its pixels, in the middle."""
    first_fast, last_fast, first_slow, last_slow = plan.panels.roi
    slow = (max(first_slow, 0) + min(last_slow, plan.panels.n_slow - 1)) // 2
    width = min(last_fast, plan.panels.n_fast - 1) - max(first_fast, 0) + 1
    rows, columns = max(number // width, 1), min(number, width)
    middle = (max(first_fast, 0) + min(last_fast, plan.panels.n_fast - 1) + 1) // 2
    left = max(middle - columns // 2, 0)
    bottom = min(slow + rows - 1, plan.panels.n_slow - 1)
    some = plan.changed(roi=(left, min(left + columns - 1, plan.panels.n_fast - 1), slow, bottom))
    return some if some.n_rendered else plan.changed(mask=_first(plan, number))


def _first(plan: RenderPlan, number: int) -> np.ndarray:
    """A mask of the first rendered pixels: where those in the middle are masked."""
    sampled = np.zeros(math.prod(plan.shape), np.uint8)
    sampled[plan.rendered_pixels()[:number]] = 1
    return sampled


def in_words(plan: RenderPlan, total_s: float) -> str:
    """``1.1e13 steps: about 9 h on this machine``, and what fewer sub-pixels would take."""
    text = f"{steps_of(plan):.2g} steps: about {duration(total_s)} on this machine"
    fewer = total_s / plan.sub_pixels
    return text + (f" (-oversample 1: {duration(fewer)})" if plan.sampling.oversample > 1 else "")


def duration(s: float) -> str:
    """Seconds, minutes, hours or days, in two digits."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if s >= 1.5 * length:
            return f"{s / length:.2g} {unit}"
    return f"{s:.2g} s" if s < 99.5 else f"{s:.0f} s"
