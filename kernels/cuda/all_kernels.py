"""All kernels of a GPU that can be launched, for who compiles or measures them ahead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from nanobragg.kernels.cuda import figures, loops, response, surroundings
from nanobragg.kernels.cuda.compiled import GpuKernel
from nanobragg.kernels.shapes import SHAPES, SQUARE


def all_kernels() -> Iterator[GpuKernel]:
    """Every variant of every kernel."""
    yes_or_no = (False, True)
    for shape, *flags in itertools.product(range(len(SHAPES)), *[yes_or_no] * 4):
        interpolate, products, single, weighted = flags
        if not single or shape == SQUARE:  # mixed precision is that of block-shaped crystals
            yield loops.render_kernel(shape, interpolate, products, single, weighted)
    yield loops.finish
    for name in ("share", "add_image", "add_up", "solid_angles", "to_int", "to_grey"):
        yield getattr(figures, name)
    for name in ("count_pixels", "draw_photons", "add_blocks", "spread_blocks", "read_pixels"):
        yield getattr(response, name)
    for name in ("add_light", "add_sheet", "surround"):
        yield getattr(surroundings, name)
