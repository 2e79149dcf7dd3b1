"""The C99 reference as a backend: one thread, one pixel after the other, every state carried along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.kernels.backend import Capabilities, Unavailable
from nanobragg.kernels.cref.binding import _cref, available, c_plan
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.image.wide import rendered_of
from nanobragg.kernels.order.threads import in_chunks
from nanobragg.kernels.plan import RenderPlan

CAPABILITIES = Capabilities(exact=True, threads=False)


def check(**options: Any) -> None:
    """Raise `Unavailable` where the extension was not built."""
    if not available():
        raise Unavailable("the C reference is not installed (no C compiler when nanobragg was installed)")


def render(plan: RenderPlan, *, threads: int = 1, progress: Callable[[int], None] | None = None) -> Rendered:
    """Render on one thread, whatever ``threads`` says; parameters are those of `nanobragg.kernels.backend.Backend`."""
    image = np.zeros(plan.shape, np.float32)
    struct, _alive = c_plan(plan)
    state = _cref.ffi.new("nb_state *")
    _cref.lib.nb_start(struct, state)
    pixels = _cref.ffi.from_buffer("float *", image, require_writable=True)

    def sweep(part: slice) -> None:
        _cref.lib.nb_render(struct, state, part.start, part.stop - part.start, pixels)

    def done(count: int) -> None:
        if progress is not None:
            progress(state.rendered)

    in_chunks(image.size, sweep, 1, done, per_pixel=plan.evaluations)
    ends = plan.factors.interpolate and plan.habits.interpolation_ends
    return rendered_of(plan, image, bool(ends and not state.interpolate))
