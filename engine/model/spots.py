"""Shapes of spots that a crystal can be given."""

from __future__ import annotations

from nanobragg.kernels.shapes import SHAPES

ROUND_SPOTS = "_round"  # what the names of shapes end in whose spots are round in reciprocal space
SPOT_SHAPES = (*SHAPES, "gauss" + ROUND_SPOTS, "tophat" + ROUND_SPOTS)
