"""How fine a resolution a detector sees."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.scene.scene import Illumination, Lattice, PlacedDetector

MARGIN = 1.02  # the last pixel has an edge
NODES = 2.0  # reciprocal cells beyond: spots have a width, and interpolation reads further
MOST_SOURCES = 200  # that are looked at
GRID_OF_MANY = 9  # of each of several panels
GRID = 65  # points along each edge: beyond 90 degrees the finest is not always at a corner


def finest_d(detector: PlacedDetector, crystal: Lattice, beam: Illumination) -> float:
    """The finest resolution that amplitudes are needed to, Angstrom: that of the panel, and some reciprocal cells more.

    A bent panel sees up to half of the wavelength, and that is taken.
    """
    shortest = float(beam.wavelengths.min()) * 1e10
    sources = np.unique(beam.directions, axis=0)
    some = sources[:: max(len(sources) // MOST_SOURCES, 1)]
    finest = 2.0 if detector.curved else max(_span(detector, source) for source in some)
    beyond = NODES * float(np.linalg.norm(crystal.recip, axis=1).max())
    return 1.0 / (max(min(finest, 2.0), 1e-3) / shortest * MARGIN + beyond)


def _span(d: PlacedDetector, source: np.ndarray) -> float:
    """The largest difference of a direction on the panels and that of a source's beam, 2 sin(theta)."""
    grid = GRID if len(d.panels) == 1 else GRID_OF_MANY
    f, s = (np.linspace(0.0, n * d.pixel_size, grid)[:, None] for n in (d.n_fast, d.n_slow))
    farthest = []
    for panel in d.panels:
        points = np.asarray(panel.pix0) + (f * panel.fdet)[:, None, :] + (s * panel.sdet)[None, :, :]
        points /= np.abs(points).max(axis=2, keepdims=True) + 1e-300  # else the squares of large distances overflow
        directions = points / np.linalg.norm(points, axis=2, keepdims=True)
        farthest.append(float(np.nanmax(np.linalg.norm(directions + source, axis=2))))
    return max(farthest)
