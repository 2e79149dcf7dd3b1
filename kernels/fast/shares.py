"""The evaluations of a pixel shared out, where few pixels have very many of them."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from nanobragg.kernels.order.threads import CPU_GRAIN, TILE, Grain
from nanobragg.kernels.plan import RenderPlan, has_products
from nanobragg.kernels.shapes import FAST_FORMS

GRAIN = Grain(steps=8_000_000, pixels=262_144, tile=TILE, worth_a_thread=200_000)
MOST_SHARES = 256  # tiles, or shares of them: enough for the threads of most machines


class ShareOfSteps(NamedTuple):
    """Sub-pixels of each layer, and sources, from the first to before the last."""

    first_sub: int
    last_sub: int
    first_source: int
    last_source: int


class Share(NamedTuple):
    """A part of all evaluations of a pixel: which sub-pixels and sources, which cells, and whether the background."""

    part: ShareOfSteps
    cells: slice
    background: bool

    @property
    def begins(self) -> bool:
        """Whether the first visit of a pixel is in it."""
        return self.part.first_sub == 0 and self.part.first_source == 0


def shares_of(plan: RenderPlan, cells: int) -> list[Share]:
    """All evaluations of a pixel in one, or where few pixels have very many of them, in some that threads can share.

    It depends on the plan alone, so that the sums of the shares are the same for any number of threads.
    """
    subs, sources = plan.sub_pixels, plan.n_sources
    whole = ShareOfSteps(0, subs, 0, sources)
    tiles = -(-plan.n_rendered // TILE)
    # What is carried from one evaluation to the next cannot be shared out: running products, the end of interpolation,
    # and a polarization that waits for the first source that -dmin leaves.
    factors, habits, products = plan.factors, plan.habits, has_products(plan)
    may_end = factors.interpolate and habits.interpolation_ends
    carried = (products and habits.running_products) or may_end or factors.dmin > 0.0
    if tiles >= MOST_SHARES or plan.evaluations * TILE < CPU_GRAIN.steps or carried:
        return [Share(whole, slice(None), True)]
    together = plan.cells.shape in FAST_FORMS and not products and not factors.interpolate  # one group of sources
    ways = {"subs": subs, "cells": cells, "sources": sources if together else 1}
    way = max(ways, key=lambda name: ways[name])
    enough = plan.evaluations * TILE // GRAIN.worth_a_thread
    number = min(ways[way], -(-MOST_SHARES // max(tiles, 1)), enough)
    ends = [ways[way] * k // number for k in range(number + 1)]
    if way == "cells":
        return [Share(whole, slice(a, b), a == 0) for a, b in itertools.pairwise(ends)]
    per_term = products  # then each term has its own part of the background
    return [
        Share(
            whole._replace(first_sub=a, last_sub=b) if way == "subs" else
            whole._replace(first_source=a, last_source=b),
            slice(None), per_term or a == 0,
        )
        for a, b in itertools.pairwise(ends)
    ]  # fmt: skip
