"""``-printout``: what the original shows of each pixel, the figures of its last evaluation among them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nanobragg.cli.nanobragg.report import REAL_SPACE, vectors_in_columns
from nanobragg.engine.c_numbers import divide, fixed, g
from nanobragg.engine.check import trace as tracing
from nanobragg.engine.original.set_up import SetUp
from nanobragg.kernels.cref.binding import available
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.vectors import magnitude

Figures = dict[str, tuple[float, ...]]  # by the labels of traces


def _before_all(set_up: SetUp, plan: RenderPlan) -> Figures:
    """What is shown where no pixel has had an evaluation yet: what reading the amplitudes has left in the variables."""
    factors = set_up.factors
    node = (6.0, 6.0) if plan.factors.interpolate else tuple(float(n + 1) for n in plan.factors.hkl_range[:2])
    node = (*node, factors.last[2]) if factors.source != "default" else (0.0,) * 3
    cell = {f"rot_{axis}_angstroms": v for axis, v in zip("abc", set_up.crystal.real_A, strict=True)}
    return {"hkl_frac": factors.last[:3], "hkl_rounded": node, "F_cell": factors.last[3:], "F_latt": (0.0,)} | cell


def blocks(set_up: SetUp, plan: RenderPlan, image: np.ndarray) -> Iterator[str]:
    """The lines of all pixels that are asked for: every one, if the fast number is negative, else that one.

    Figures are those of the serial program: a pixel without an evaluation of its own still shows those of the pixel
    before it.
    """
    settings = set_up.settings
    if not settings.printout:
        return
    backend = "cref" if available() else "strict"
    every = settings.print_f < 0
    if not every and not (0 <= settings.print_f < plan.panels.n_fast and 0 <= settings.print_s < plan.panels.n_slow):
        return
    asked = settings.print_s * plan.panels.n_fast + settings.print_f
    pixels = plan.rendered_pixels()
    unset = _before_all(set_up, plan)
    if every:
        shown = dict(unset)
        for index, figures in tracing.last_figures(plan, pixels[:].tolist(), backend):
            shown |= figures
            yield from _block(plan, settings.lambda0, index, shown, float(image.flat[index]))
        return
    place = pixels.number_up_to(asked) - 1
    if place >= 0 and int(pixels[place : place + 1][0]) == asked:
        shown = _before_and_at(plan, place, backend, unset)
        yield from _block(plan, settings.lambda0, asked, shown, float(image.flat[asked]))


def _before_and_at(plan: RenderPlan, place: int, backend: str, unset: Figures) -> Figures:
    """What is shown of the pixel at this place in the list, looking back as far as figures are missing."""
    shown: Figures = {}
    pixels = plan.rendered_pixels()
    while place >= 0 and not set(unset) <= set(shown):
        shown = tracing.last_of(plan, int(pixels[place : place + 1][0]), backend) | shown
        place -= 1
    return unset | shown


def _block(plan: RenderPlan, lambda0: float, index: int, shown: Figures, photons: float) -> Iterator[str]:
    slow, fast = divmod(index, plan.panels.n_fast)
    x, y, z = shown["pixel_pos_meters"]
    stol = 0.5 * magnitude(shown["scattering_vec_A_inv"])  # type: ignore[arg-type]
    of_direction = divide(math.sin(math.atan2(math.sqrt(y * y + z * z), x) / 2.0), lambda0 * 1e10)
    total = shown["I_before_scaling"][0]
    yield f"{fast:4d} {slow:4d} : stol = {g(stol)} or {g(of_direction)}"
    yield f"at {g(x)} {g(y)} {g(z)}"
    node = " ".join(f"{int(n)}" for n in shown["hkl_rounded"])
    yield f"hkl= {' '.join(fixed(h) for h in shown['hkl_frac'])}  hkl0= {node}"
    yield f" F_cell={g(shown['F_cell'][0])}  F_latt={g(shown['F_latt'][0])}   I = {g(total)}"
    for name, value in (
        ("I/steps", divide(total, plan.scale.steps)), ("polar", shown["polar"][0]), ("omega", shown["omega_pixel"][0]),
        ("capfrac", shown["capture_fraction"][0]), ("pixel", photons),
    ):  # fmt: skip
        yield f"{name:<7} {g(value, 10):>15}"
    yield from vectors_in_columns(*REAL_SPACE, [shown[f"rot_{axis}_angstroms"] for axis in "abc"])
