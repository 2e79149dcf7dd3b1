"""Indices near the Ewald sphere, by a compiled loop."""

from __future__ import annotations

import numpy as np

from nanobragg.kernels.compiling.machine_code import Kernel

list_near = Kernel("image.near", "list_near")


def near_indices(
    first: np.ndarray, last: np.ndarray, beam: np.ndarray, per_length: float, longest: float,
    width: tuple[float, float, float],
) -> np.ndarray:  # fmt: skip
    """Indices (n, 3) of nodes near the sphere or passing it; see `nanobragg.kernels.image.near.list_near`."""
    lengths = np.linalg.norm(np.linalg.inv(first), axis=0)
    reach = tuple(int(length * longest) for length in lengths)
    room = 4096
    while True:
        found = np.empty((room, 3), np.int64)
        direction: tuple[float, ...] = tuple(float(x) for x in beam)
        count = list_near(
            np.ascontiguousarray(first), np.ascontiguousarray(last), direction, float(per_length), float(longest),
            reach, tuple(map(float, width)), found,
        )  # fmt: skip
        if count <= room:
            return found[:count]
        room = count
