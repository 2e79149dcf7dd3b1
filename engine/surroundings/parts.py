"""Light of matter along the beam, or of many directions: made for a few wavelengths, an image has a sum of these.

How much it has of each are the amounts of matter and the shares of a spectrum's photons, which may differ from shot to
shot.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.engine.scene.scene import Scatterer, Scene
from nanobragg.engine.surroundings.kept import Kept, bare_plan, for_good, place_of
from nanobragg.engine.surroundings.wavelengths import absorption_at, nodes_of
from nanobragg.kernels.surroundings import host
from nanobragg.kernels.surroundings.plan import Matter

MOST_KEPT = 24
_images = Kept[np.ndarray](MOST_KEPT)


def parts_of(scene: Scene, scatterers: Sequence[Scatterer], threads: int) -> tuple[list[np.ndarray], list[float]]:
    """Images of one molecule each, float32 (panel * slow * fast,), and how many molecules an image of the scene has."""
    kinds = [
        (scatterer, float(node), float(share), float(mu))
        for scatterer in scatterers
        for nodes, shares in [nodes_of(scene, scatterer.table)]
        for node, share, mu in zip(nodes, shares, absorption_at(scene, nodes), strict=True)
    ]
    place = place_of(scene)
    images = [
        _images.get(
            (place, _known(scatterer), node, mu, _directions_key(scene, node)),
            functools.partial(_made, scene, scatterer, node, mu, threads),
            at_least=2 * len(kinds),
        )
        for scatterer, node, _, mu in kinds
    ]
    return images, [float(scatterer.molecules.sum()) * share for scatterer, _, share, _ in kinds]


def _known(scatterer: Scatterer) -> Any:
    """What a part scatters, whatever its amount."""
    share = scatterer.molecules / scatterer.molecules.sum()
    return scatterer.table, scatterer.offsets.tobytes(), np.round(share, 12).tobytes()


def _directions(scene: Scene, node: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions of the beam's photons of a wavelength, and their shares; those of all where none has just this one."""
    b = scene.beam
    own = (b.wavelengths == node) & (b.weights > 0.0)
    own = own if own.any() else np.ones(len(own), bool)
    directions, number = np.unique(b.directions[own], axis=0, return_inverse=True)
    shares = np.bincount(number.ravel(), b.weights[own])
    return directions, shares / shares.sum()


def _directions_key(scene: Scene, node: float) -> Any:
    directions, shares = _directions(scene, node)
    return directions.tobytes(), np.round(shares, 12).tobytes()


def _made(scene: Scene, scatterer: Scatterer, node: float, mu: float, threads: int) -> np.ndarray:
    """Light of one molecule of a part, where it is along the beam on average."""
    directions, shares = _directions(scene, node)
    s = scatterer
    matter = Matter(
        places=np.column_stack([s.offsets, s.molecules / s.molecules.sum()]), coherent=s.table.coherent,
        incoherent=s.table.incoherent, stol_step=s.table.step, directions=directions, shares=shares,
        wavelength=node, absorption=mu,
    )  # fmt: skip
    return for_good(host.scattered(bare_plan(scene), matter, scene.shade, threads))
