"""Light of amorphous matter and shades of a scene's pixels, made once for a geometry and kept for other images.

Light is made for a few wavelengths and each part by itself; what an image has of it is a sum of these with its own
weights: the amounts, and the shares of a spectrum's photons, which may differ from shot to shot.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.engine.formats.nexus import unrendered
from nanobragg.engine.plan import R_E_SQR, plan_of
from nanobragg.engine.scene.scene import NO_SHADE, Scatterer, ScatteringTable, Scene
from nanobragg.kernels.surroundings.plan import Matter, Surroundings

NOTHING = np.empty(0, np.float32)
SPAN_OF_NODE = 0.0025  # of the wavelengths, relative, that a node stands for
FEWEST_NODES, MOST_NODES = 3, 9
EVERYWHERE = ScatteringTable(1e10, np.ones(2), np.zeros(2))  # what scatters the same in every direction
MOST_KEPT, MOST_SUMS = 24, 3  # images of parts, and of what was made of them
_lock = threading.Lock()
_kept: collections.OrderedDict[Any, np.ndarray] = collections.OrderedDict()
_sums: collections.OrderedDict[Any, np.ndarray] = collections.OrderedDict()
_total: list[Any] = []  # of the light that was last added up: it, roi and mask, and its sum


def surroundings_of(scene: Scene, threads: int) -> Surroundings | None:
    """What surrounds the sample, for `nanobragg.kernels.image.rendered.Rendered.surround`; nothing where it is bare."""
    if not scene.scatterers and scene.shade == NO_SHADE:
        return None
    place = _place(scene)
    with _lock:
        shares = NOTHING
        if scene.shade != NO_SHADE:
            shares = _remembered(_kept, MOST_KEPT, ("shade", place, scene.shade), lambda: _transmission(scene, threads))
        light, scale = _light(scene, place, threads)
        return Surroundings(shares, light, scale)


def all_around(scene: Scene, threads: int) -> Surroundings | None:
    """What surrounds the sample, with what scatters the same in every direction among it."""
    if not scene.background > 0.0:
        return surroundings_of(scene, threads)
    constant = Scatterer(np.zeros(1), np.array([scene.background / scene.sampled.steps]), EVERYWHERE)
    return surroundings_of(dataclasses.replace(scene, scatterers=(*scene.scatterers, constant)), threads)


def background_of(scene: Scene, around: Surroundings | None) -> float:
    """Photons that all rendered pixels have of amorphous matter together."""
    if around is None or not len(around.scattered):
        return 0.0
    d = scene.detector
    with _lock:
        known = _total and _total[0][0] is around.scattered and _total[0][1] == d.roi
        if not (known and np.array_equal(_total[0][2], d.mask)):
            kept = unrendered(scene).ravel() == 0
            _total[:] = [(around.scattered, d.roi, d.mask, float(around.scattered[kept].sum(dtype=np.float64)))]
        return _total[0][3] * around.scale


def _remembered(
    among: collections.OrderedDict[Any, np.ndarray], most: int, key: Any, make: Callable[[], np.ndarray]
) -> np.ndarray:
    """What was made for a key; what was asked for longest ago is forgotten."""
    if key not in among:
        among[key] = make()
        among[key].setflags(write=False)
        while len(among) > most:
            among.popitem(last=False)
    among.move_to_end(key)
    return among[key]


def _place(scene: Scene) -> Any:
    """All of a scene that light of a wavelength depends on, but its matter."""
    d, b = scene.detector, scene.beam
    return (
        d.panels, d.n_fast, d.n_slow, d.pixel_size, d.thickness, d.layers, d.layer_step, d.curved, d.point_pixel,
        b.direction, b.polar, b.kahn, b.polarization_left_out,
    )  # fmt: skip


def _bare(scene: Scene) -> Any:
    """A plan of the scene for its geometry alone."""
    return plan_of(dataclasses.replace(scene, scatterers=(), other_crystals=()))


def _transmission(scene: Scene, threads: int) -> np.ndarray:
    from nanobragg.kernels.surroundings import host

    return host.transmission(_bare(scene), scene.shade, threads)


def _light(scene: Scene, place: Any, threads: int) -> tuple[np.ndarray, float]:
    """The sum of all parts, up to a factor, and that; the last sum is kept: many images differ by the factor alone."""
    if not scene.scatterers:
        return NOTHING, 0.0
    nodes, of_nodes = _nodes(scene)
    parts = [
        (scatterer, float(node), float(share), float(mu))
        for scatterer in scene.scatterers
        for node, share, mu in zip(nodes, of_nodes, _absorption(scene, nodes), strict=True)
    ]
    keys = tuple(
        (place, scene.shade, _known(part), node, mu, _directions_key(scene, node)) for part, node, _, mu in parts
    )  # fmt: skip
    weights = [float(part.molecules.sum()) * share for part, _, share, _ in parts]
    factor = sum(weights)
    relative = tuple(round(weight / factor, 12) for weight in weights)

    def total() -> np.ndarray:
        images = (
            _remembered(
                _kept, max(MOST_KEPT, 2 * len(keys)), key, functools.partial(_made, scene, part, node, mu, threads)
            )
            for key, (part, node, _, mu) in zip(keys, parts, strict=True)
        )
        found = NOTHING
        for image, weight in zip(images, relative, strict=True):
            found = found + image * np.float32(weight) if len(found) else image * np.float32(weight)
        return found

    return _remembered(_sums, MOST_SUMS, (keys, relative), total), factor * scene.beam.fluence * R_E_SQR


def _known(scatterer: Scatterer) -> Any:
    """What a part scatters, whatever its amount."""
    share = scatterer.molecules / scatterer.molecules.sum()
    return scatterer.table, scatterer.offsets.tobytes(), np.round(share, 12).tobytes()


def _nodes(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths that light is made for, metres, and what each counts: Lagrange's polynomials through them."""
    waves, weights = scene.beam.wavelengths, scene.beam.weights / scene.beam.weights.sum()
    different, number = np.unique(waves, return_inverse=True)
    if len(different) <= MOST_NODES:
        return different, np.bincount(number.ravel(), weights)
    low, high = different[0], different[-1]
    count = int(np.clip(np.ceil((high / low - 1.0) / SPAN_OF_NODE) + 2, FEWEST_NODES, MOST_NODES))
    at = -np.cos(np.pi * (np.arange(count) + 0.5) / count)  # Chebyshev's, between which polynomials stay calm
    nodes = 0.5 * (low + high) + 0.5 * (high - low) * at
    shares = np.empty(count)
    for k in range(count):
        others = np.delete(nodes, k)
        shares[k] = (weights * np.prod((waves[:, None] - others) / (nodes[k] - others), axis=1)).sum()
    return nodes, shares


def _absorption(scene: Scene, nodes: np.ndarray) -> np.ndarray:
    """Of photons of each node in the sensor, 1/m."""
    d = scene.detector
    if not len(d.absorption):
        return np.full(len(nodes), d.mu)
    order = np.argsort(scene.beam.wavelengths)
    return np.asarray(np.interp(nodes, scene.beam.wavelengths[order], d.absorption[order]))


def _directions(scene: Scene, node: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions of the beam's photons of a wavelength, and their shares; those of all where none has just this one."""
    b = scene.beam
    own = b.wavelengths == node
    own = own if own.any() else np.ones(len(own), bool)
    directions, number = np.unique(b.directions[own], axis=0, return_inverse=True)
    shares = np.bincount(number.ravel(), b.weights[own])
    return directions, shares / shares.sum()


def _directions_key(scene: Scene, node: float) -> Any:
    directions, shares = _directions(scene, node)
    return directions.tobytes(), np.round(shares, 12).tobytes()


def _made(scene: Scene, scatterer: Scatterer, node: float, mu: float, threads: int) -> np.ndarray:
    """Light of one molecule of a part, where it is along the beam on average."""
    from nanobragg.kernels.surroundings import host

    directions, shares = _directions(scene, node)
    s = scatterer
    matter = Matter(
        places=np.column_stack([s.offsets, s.molecules / s.molecules.sum()]), coherent=s.table.coherent,
        incoherent=s.table.incoherent, stol_step=s.table.step, directions=directions, shares=shares,
        wavelength=node, absorption=mu,
    )  # fmt: skip
    return host.scattered(_bare(scene), matter, scene.shade, threads)
