"""The wavelengths of a scene's photons, and the few of them that stand for all."""

from __future__ import annotations

import functools

import numpy as np

from nanobragg.engine.scene.scene import ScatteringTable, Scene

FEWEST_NODES, MOST_NODES = 2, 9
TOLERATED = 5e-4  # of a table's highest value, between wavelengths that light is made for
WAVELENGTHS_TRIED = 9  # between the first and the last node


def shares_of(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The different wavelengths of the photons, metres, and their shares, which add up to 1."""
    different, weights = summed(scene.beam.wavelengths, scene.beam.weights)
    return different, weights / weights.sum()


def summed(wavelengths: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different wavelengths in ascending order, and the sum of the weights of each."""
    different, number = np.unique(wavelengths, return_inverse=True)
    return different, np.bincount(number.ravel(), weights)


def nodes_of(scene: Scene, table: ScatteringTable) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths that light is made for, metres, and what each counts: Lagrange's polynomials through them."""
    waves, shares = shares_of(scene)
    if len(waves) <= MOST_NODES:
        return waves, shares
    low, high = waves[0], waves[-1]
    nodes = 0.5 * (low + high) + 0.5 * (high - low) * _between(_count_of_nodes(table, high / low))
    return nodes, _polynomials(nodes, waves) @ shares


def absorption_at(scene: Scene, wavelengths: np.ndarray) -> np.ndarray:
    """Of photons of some wavelengths in the sensor, 1/m."""
    d = scene.detector
    if not len(d.absorption):
        return np.full(len(wavelengths), d.mu)
    order = np.argsort(scene.beam.wavelengths)
    return np.asarray(np.interp(wavelengths, scene.beam.wavelengths[order], d.absorption[order]))


def _between(count: int) -> np.ndarray:
    """Chebyshev's places between -1 and 1, between which polynomials stay calm."""
    return -np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _polynomials(nodes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What each node counts at some places, (node, place)."""
    others = (np.delete(nodes, k) for k in range(len(nodes)))
    return np.array(
        [
            np.prod((at[:, None] - without) / (node - without), axis=1)
            for node, without in zip(nodes, others, strict=True)
        ]
    )


@functools.lru_cache(maxsize=32)
def _count_of_nodes(table: ScatteringTable, ratio: float) -> int:
    """As few nodes as give a table at all wavelengths between two of this ratio, or the most there are."""
    stol = table.step * np.arange(len(table.coherent))
    values = table.coherent + table.incoherent
    tried = np.linspace(-1.0, 1.0, WAVELENGTHS_TRIED)
    half, middle = 0.5 * (ratio - 1.0), 0.5 * (ratio + 1.0)

    def seen(at: np.ndarray) -> np.ndarray:
        """The table at fixed angles for wavelengths between the two, (wavelength, angle)."""
        return np.array([np.interp(stol / (middle + half * x), stol, values) for x in at])

    for count in range(FEWEST_NODES, MOST_NODES):
        nodes = _between(count)
        found = _polynomials(nodes, tried).T @ seen(nodes)
        if np.abs(found - seen(tried)).max() <= TOLERATED * values.max():
            return count
    return MOST_NODES
