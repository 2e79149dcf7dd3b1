"""How fine a resolution a detector sees."""

from __future__ import annotations

import itertools

import numpy as np

from nanobragg.engine.experiment import Geometry

MARGIN = 1.02  # spots have a width, and the last pixel an edge


def finest_d(placed: Geometry, wavelength: float) -> float:
    """The resolution of the corner that sees the finest, Angstrom, with a margin; ``wavelength`` in metres.

    On a flat panel no pixel sees finer than its corners do: 1/d = 2 sin(theta)/lambda grows away from the beam.
    """
    d = placed.detector
    corners = [
        np.asarray(d.pix0) + f * np.asarray(d.fdet) + s * np.asarray(d.sdet)
        for f, s in itertools.product((0.0, d.n_fast * d.pixel_size), (0.0, d.n_slow * d.pixel_size))
    ]
    beam = np.asarray(placed.frame.beam)
    lengths = [np.linalg.norm(c / np.linalg.norm(c) - beam) / (wavelength * 1e10) for c in corners]
    finest = float(np.nan_to_num(lengths, nan=2e-10 / wavelength).max())
    return max(1.0 / finest if finest > 0.0 else 1e3, wavelength * 1e10 / 2.0) / MARGIN
