"""All kernels, compiled before they are needed: by tiny images that ask for each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from nanobragg.engine.api import Crystal, Detector, Scan, constant, set_up
from nanobragg.engine.experiment import freeze
from nanobragg.engine.render import render
from nanobragg.engine.trace import trace
from nanobragg.kernels import figures, noise
from nanobragg.kernels.plan import SHAPES, RenderPlan
from nanobragg.kernels.random import new_table

SIDE = 8
DOMAINS_OF_FEW_PIXELS = 20_000  # so many evaluations that the pixels are shared out, which takes a kernel of its own


def tiny_plan(shape: str = "square", domains: int = 1, **how: object) -> RenderPlan:
    """A plan of 8 x 8 pixels."""
    crystal = Crystal(cell=(50, 60, 70, 90, 90, 90), N=(3, 3, 3), shape=shape)
    scan = Scan(range_deg=1.0, steps=2)
    made = set_up(crystal, Detector((SIDE, SIDE)), constant(10.0), scan=scan, oversample=1, **how)  # type: ignore[arg-type]
    plan = freeze(made)
    return plan._replace(mosaic_rotations=np.tile(np.eye(3).reshape(1, 9), (domains, 1)))


def _renders() -> Iterator[tuple[str, Callable[[], object]]]:
    for shape in SHAPES:
        for domains in (1, DOMAINS_OF_FEW_PIXELS):
            plan = tiny_plan(shape, domains)
            yield f"fast, {shape}", lambda plan=plan: render(plan, "fast", threads=1)  # type: ignore[misc]
            if shape == "square":
                more = plan._replace(oversample_omega=True, running_products=True)
                yield "fast, interpolated", lambda plan=more: render(plan, "fast", threads=1)  # type: ignore[misc]
                yield (
                    "fast, mixed precision",
                    lambda plan=plan: render(plan, "fast", threads=1, precision="mixed"),  # type: ignore[misc]
                )


def _figures() -> Iterator[tuple[str, Callable[[], object]]]:
    plan = tiny_plan()
    image = np.ones((SIDE, SIDE), np.float32)
    yield "figures", lambda: (figures.sums(plan, image), figures.deviations(plan, image, 0.0))
    yield "figures, solid angle", lambda: figures.solid_angle(plan, 1)
    yield "figures, integers", lambda: (figures.to_int(plan, image, 1.0, 0.0), figures.to_grey(plan, image, 1.0))
    yield "noise, original", lambda: noise.noise(image, plan.roi, 0.0, -1, new_table())
    yield "noise, philox", lambda: figures.philox_noise(plan, image, 0.0, 1, 1, 65535)


def _kernels() -> Iterator[tuple[str, Callable[[], object]]]:
    carried = tiny_plan(quirks="c")._replace(phi_steps=2, phi0=0.0)
    yield "strict", lambda: render(carried, "strict", threads=1)
    yield from _renders()
    yield from _figures()


def _traces() -> Iterator[tuple[str, Callable[[], object]]]:
    for backend in ("strict", "fast"):
        for shape in SHAPES:
            plan = tiny_plan(shape)
            yield f"trace, {backend}, {shape}", lambda plan=plan, backend=backend: trace(plan, 0, 0, backend)  # type: ignore[misc]


def prepare(tell: Callable[[str, float], None], *, traces: bool) -> None:
    """Compile all that is not kept yet; ``tell`` is called with each part and the seconds that it took.

    ``traces``: what traces call by itself too; Numba keeps that, which needs a folder that can be written to.
    """
    for what, run in (*_kernels(), *(_traces() if traces else ())):
        begun = time.perf_counter()
        run()
        tell(what, time.perf_counter() - begun)
