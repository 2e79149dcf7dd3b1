"""The plan as the C reference wants it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.kernels.plan import RenderPlan

try:
    from nanobragg import _cref
except ImportError:  # installed without a compiler
    _cref = None  # type: ignore[assignment]

POINTERS = {np.dtype(np.uint8): "uint8_t *", np.dtype(np.float64): "double *", np.dtype(np.int64): "int64_t *"}


def available() -> bool:
    """Whether the extension was built."""
    return _cref is not None


def c_plan(plan: RenderPlan) -> tuple[Any, list[Any]]:
    """The plan as the C struct, and what must stay alive as long as it is used."""
    struct = _cref.ffi.new("nb_plan *")
    alive = []
    for name, group in plan._asdict().items():
        of_group = getattr(struct, name)
        for field, value in group._asdict().items():
            if not isinstance(value, np.ndarray):
                setattr(of_group, field, value)
            elif value.size:
                array = np.ascontiguousarray(value)
                alive.append(_cref.ffi.from_buffer(POINTERS[array.dtype], array))
                setattr(of_group, field, alive[-1])
    struct.n_panels, struct.n_sources, struct.domains = plan.shape[0], plan.n_sources, plan.domains
    struct.table_shape = plan.factors.table.shape
    return struct, alive
