"""How fine a resolution a detector sees."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.experiment import Geometry

MARGIN = 1.02  # spots have a width, and the last pixel an edge
GRID = 65  # points along each edge: beyond 90 degrees the finest is not always at a corner


def finest_d(placed: Geometry, wavelength: float) -> float:
    """The finest resolution on the panel, Angstrom, with a margin; ``wavelength`` in metres. Never below half of it."""
    d = placed.detector
    f, s = (np.linspace(0.0, n * d.pixel_size, GRID)[:, None] for n in (d.n_fast, d.n_slow))
    points = np.asarray(d.pix0) + (f * d.fdet)[:, None, :] + (s * d.sdet)[None, :, :]
    points /= np.abs(points).max(axis=2, keepdims=True) + 1e-300  # else the squares of large distances overflow
    directions = points / np.linalg.norm(points, axis=2, keepdims=True)
    finest = float(np.nanmax(np.linalg.norm(directions - placed.frame.beam, axis=2)))
    return wavelength * 1e10 / max(min(finest, 2.0), 1e-3) / MARGIN
