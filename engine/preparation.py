"""All kernels, compiled before they are needed: by tiny images that ask for each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nanobragg.engine.api import Crystal, Detector, Scan, set_up, structure_factors
from nanobragg.engine.check.trace import trace
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import render
from nanobragg.kernels.image import claims, figures, noise
from nanobragg.kernels.image.indices import near_indices
from nanobragg.kernels.image.random import new_table
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response import host as response
from nanobragg.kernels.response.plan import counting
from nanobragg.kernels.shapes import SHAPES
from nanobragg.kernels.surroundings import host as surroundings
from nanobragg.kernels.surroundings.plan import Around, Light, Matter, Shade, Sheet

SIDE = 8
DOMAINS_OF_FEW_PIXELS = 20_000  # so many evaluations that the pixels are shared out, which takes a kernel of its own


def tiny_plan(shape: str = "square", domains: int = 1, quirks: str = "right", **how: Any) -> RenderPlan:
    """A plan of 8 x 8 pixels behind a sensor."""
    crystal = Crystal(cell=(50, 60, 70, 90, 90, 90), N=(3, 3, 3), shape=shape)
    detector = Detector((SIDE, SIDE), thickness_um=300.0, attenuation_um=300.0)
    nodes = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    factors = structure_factors(nodes, np.full(len(nodes), 10.0))  # interpolation needs a table
    scan = Scan(range_deg=1.0, steps=2)
    scene = set_up(crystal, detector, factors, scan=scan, oversample=1, quirks=quirks, **how)
    rotations = np.tile(np.eye(3).reshape(1, 9), (domains, 1))
    rotations.setflags(write=False)  # as those of all plans, by which Numba knows them
    return plan_of(scene).changed(mosaic_rotations=rotations)


def _renders() -> Iterator[tuple[str, Callable[[], object]]]:
    """Each kernel for images of many pixels, and for those of few that are shared out."""

    def of(plan: RenderPlan, precision: str = "double") -> Callable[[], object]:
        return lambda: render(plan, "fast", threads=1, precision=precision)

    for domains, which in ((1, "fast"), (DOMAINS_OF_FEW_PIXELS, "fast, few pixels")):
        for shape in ("square", "round", "gauss"):
            yield f"{which}, {shape}", of(tiny_plan(shape, domains))
        yield f"{which}, mixed precision", of(tiny_plan(domains=domains), "mixed")
        yield f"{which}, interpolated", of(tiny_plan(domains=domains, interpolate=True))


def _figures() -> Iterator[tuple[str, Callable[[], object]]]:
    plan = tiny_plan()
    image = np.ones((1, SIDE, SIDE), np.float32)
    yield "figures", lambda: (figures.sums(plan, image), figures.deviations(plan, image, 0.0))
    yield "figures, solid angle", lambda: figures.solid_angle(plan, 1)
    yield "figures, integers", lambda: (figures.to_int(plan, image, 1.0, 0.0), figures.to_grey(plan, image, 1.0))
    yield "noise, original", lambda: noise.noise(image, plan.panels.roi, 0.0, -1, new_table())
    yield "noise, philox", lambda: response.counts_of(plan, counting(1, 0.0, 65535), image, 1)
    spread = counting(1, 0.0, 65535)._replace(kernel=np.ones((3, 3), np.float32), far=np.ones((3, 3)))
    yield "response", lambda: (
        response.counts_of(plan, spread, image, 1), response.pattern_of(1, 0, image.shape, 1, 0.1, 1),
    )  # fmt: skip
    yield "background", lambda: _surroundings(plan, image)
    yield "truth", lambda: _truth(image)


def _truth(image: np.ndarray) -> None:
    near_indices(np.eye(3) / 50.0, np.eye(3) / 50.0, np.array([0.0, 0.0, 1.0]), 1.0, 0.05, (1e-6, 1e-6, 0.0))
    places, boxes, panels = np.ones((1, 2)), np.array([[0, 2, 0, 2]]), np.zeros(1, np.int64)
    owner = claims.owners(image.shape, places, boxes, panels)
    claims.sums_of_spots(image, image.ravel(), 1.0, owner, boxes, panels)
    claims.classify(image, image.ravel(), 1.0, owner, np.zeros(image.shape, np.uint8), 1.0, np.zeros((1, 3)), 1)


def _surroundings(plan: RenderPlan, image: np.ndarray) -> None:
    shade = Shade(0.0, 0.0, 0.0, False, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0))
    some = np.ones(2)
    matter = Matter(np.ones((1, 2)), some, some, 1.0, np.ones((1, 3)), np.ones(1), 1.0, 0.0)
    light, shares = surroundings.scattered(plan, matter, shade, 1), surroundings.transmission(plan, shade, 1)
    sheet = Sheet(*surroundings.seen_in(plan, shade, (0.0, 0.0, 1.0), 0.0, 1), np.ones(2, np.float32), 1.0)
    surroundings.surround(plan, Around(shares, Light((light,), (0.5,), (sheet,)), 1.0), image.copy(), 1)


def _kernels() -> Iterator[tuple[str, Callable[[], object]]]:
    carried = tiny_plan(quirks="c").changed(phi_steps=2, phi0=0.0)
    yield "strict", lambda: render(carried, "strict", threads=1)
    yield from _renders()
    yield from _figures()


def _traces() -> Iterator[tuple[str, Callable[[], object]]]:
    def of(plan: RenderPlan, backend: str) -> Callable[[], object]:
        return lambda: trace(plan, 0, 0, backend)

    for backend in ("strict", "fast"):
        for quirks in ("c", "right"):
            for shape in SHAPES:
                yield f"trace, {backend}, {shape}", of(tiny_plan(shape, quirks=quirks), backend)


def prepare(tell: Callable[[str, float], None], *, traces: bool) -> None:
    """Compile all that is not kept yet; ``tell`` is called with each part and the seconds that it took.

    ``traces``: what traces call by itself too; Numba keeps that, which needs a folder that can be written to.
    """
    for what, run in (*_kernels(), *(_traces() if traces else ())):
        begun = time.perf_counter()
        run()
        tell(what, time.perf_counter() - begun)
