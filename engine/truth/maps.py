"""What each pixel of a detector sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nanobragg.engine.placed import Placed, panels_of_scene

if TYPE_CHECKING:
    from nanobragg.engine.model.beam import Beam
    from nanobragg.engine.model.crystal import Crystal
    from nanobragg.engine.model.detector import Detector


def placed(detector: Detector, beam: Beam | None, crystal: Crystal | None = None) -> list[Placed]:
    """The panels of a detector in the laboratory; a beam or a crystal that is `None` is some one."""
    from nanobragg.engine.model.beam import Beam
    from nanobragg.engine.model.crystal import Crystal
    from nanobragg.engine.model.experiment import Experiment
    from nanobragg.engine.model.sampling import Sampling
    from nanobragg.engine.model.structure_factors import constant_factors
    from nanobragg.engine.scene.of_model import scene_of

    block = Crystal(cell=(50, 50, 50, 90, 90, 90)) if crystal is None else crystal
    experiment = Experiment(block, detector, constant_factors(1.0), beam or Beam(), sampling=Sampling(oversample=1))
    return panels_of_scene(scene_of(experiment))


def _of_all(panels: list[Placed], of_panel: Callable[..., np.ndarray]) -> np.ndarray:
    """What each pixel's centre sees, (slow, fast, ...), or (panel, slow, fast, ...) where there are several."""
    maps = [of_panel(panel, *_centres(panel)) for panel in panels]
    return maps[0] if len(maps) == 1 else np.stack(maps)


def _centres(placed: Placed) -> tuple[np.ndarray, np.ndarray]:
    slow, fast = (np.arange(n) + 0.5 for n in placed.shape)
    return tuple(np.meshgrid(slow, fast, indexing="ij"))  # type: ignore[return-value]


def resolution(detector: Detector, beam: Beam | None) -> np.ndarray:
    """See `Detector.resolution_map`."""
    return _of_all(placed(detector, beam), Placed.resolution)


def two_theta_deg(detector: Detector) -> np.ndarray:
    """See `Detector.two_theta_map`."""
    return _of_all(placed(detector, None), Placed.two_theta_deg)


def scattering(detector: Detector, beam: Beam | None) -> np.ndarray:
    """See `Detector.q_map`."""
    return _of_all(placed(detector, beam), Placed.scattering)


def hkl(detector: Detector, crystal: Crystal, beam: Beam | None) -> np.ndarray:
    """See `Detector.hkl_map`."""
    return _of_all(placed(detector, beam, crystal), Placed.hkl)
