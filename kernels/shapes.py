"""Shapes of crystals and of their spots: names, numbers, and what host code has to know of each.

The formulas are in `nanobragg.kernels.step.lattice`. A shape that is in neither table below is evaluated everywhere
with its exact formula, pixel by pixel.
"""

from __future__ import annotations

SHAPES = ("square", "round", "gauss", "tophat")
SQUARE, ROUND, GAUSS, TOPHAT = range(4)  # as in c_src/step.h; the order says nothing
BY_DISTANCE = ("gauss", "tophat")  # measure by `node_distance_squared`, with vectors of their own

SPHERE_OF_BLOCK = 0.723601254558268  # by which the original scales an ellipsoid's factor
GAUSS_WIDTH, TOPHAT_EDGE = 0.63, 0.3969  # of spots, in units of the squared distance times the squared cell counts
ZERO_EXPONENT = 745.2  # exp(-x) is exactly 0 from here on

FAST_FORMS = (SQUARE, ROUND)  # fast numerics have a formula of their own
# From where on the factor is exactly 0: the squared distance of `nanobragg.kernels.step.lattice.node_distance_squared`.
ENDS = {GAUSS: ZERO_EXPONENT * GAUSS_WIDTH, TOPHAT: TOPHAT_EDGE}
