"""How many photons all pixels of an image have of its surroundings."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.surroundings.around import all_around
from nanobragg.kernels.image.rendered import Rendered

_last: list[tuple[Any, ...]] = []  # light, roi and mask of what was last added up, and the sum


def background_of(scene: Scene, rendered: Rendered, threads: int) -> float:
    """Photons that the rendered pixels of an image have of amorphous matter together."""
    around, d = all_around(scene, threads), scene.detector
    for light, roi, mask, total in _last[:]:
        if light is around.light and roi == d.roi and (mask is d.mask or np.array_equal(mask, d.mask)):
            return float(total) * around.scale
    total = rendered.sum_of_light(around.light, threads)
    _last[:] = [(around.light, d.roi, d.mask, total)]
    return total * around.scale
