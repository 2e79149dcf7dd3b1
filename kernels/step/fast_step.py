"""The physics of one step in fast arithmetic, for the tiles of the CPU and the threads of a GPU alike."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.step import geometry, physics
from nanobragg.kernels.step.interpolation import cubic_weights
from nanobragg.kernels.step.polynomials import (
    MAGIC,
    cospi,
    grating,
    grating_single,
    nearest_whole,
    phases_single,
    sinpi_over,
    sphere_near,
    whole_below,
)


@scalar
def nearest_node(hkl):
    """The node nearest to fractional indices, whole numbers in binary64."""
    return nearest_whole(hkl[0]), nearest_whole(hkl[1]), nearest_whole(hkl[2])


@scalar
def nearest_node_down(hkl):
    """`nearest_node`, with ties downwards, as the original has it."""
    return -whole_below(0.5 - hkl[0]), -whole_below(0.5 - hkl[1]), -whole_below(0.5 - hkl[2])


@scalar
def within(x, low, high):
    """``x`` moved between two bounds; ``low`` for what is no number, so that no address comes from it."""
    x = x if x > low else low
    return x if x < high else high


@scalar
def table_place(low, high, stride, origin, node):
    """Where a node stands in the flat table; on its border for nodes outside."""
    place = within(node[0], low[0], high[0]) * stride[0] + within(node[1], low[1], high[1]) * stride[1]
    return np.uint32(np.int32(place + (within(node[2], low[2], high[2]) + origin)))


@scalar
def table_place_inside(low, high, stride, origin, node):
    """`table_place` of a node that is known to be in the table."""
    return np.uint32(np.int32(node[0] * stride[0] + node[1] * stride[1] + (node[2] + origin)))


@scalar
def whole_number(h):
    """The nearest whole number as an integer, from the last bits of a sum; any number if ``h`` is far too large."""
    return np.int32(np.float64(h + MAGIC).view(np.int64))


@scalar
def table_place_by_integers(low, high, stride, origin, hkl):
    """`table_place` of the node nearest to ``hkl``, where binary64 is dear and integers are not."""
    h = min(max(whole_number(hkl[0]), np.int32(low[0])), np.int32(high[0]))
    k = min(max(whole_number(hkl[1]), np.int32(low[1])), np.int32(high[1]))
    x = min(max(whole_number(hkl[2]), np.int32(low[2])), np.int32(high[2]))
    return np.uint32(h * np.int32(stride[0]) + k * np.int32(stride[1]) + x + np.int32(origin))


@scalar
def crystal_of(plan):
    """What a lattice factor depends on beside the indices: cells along each axis, and the fudge of round crystals."""
    return plan.n_cells, plan.fudge


@scalar
def square_quotient(crystal, node, hkl):
    """Numerator and denominator of F_latt of a block-shaped crystal, up to its sign: one division for three axes."""
    n = crystal[0]
    nh, dh = grating(n[0], node[0], hkl[0])
    nk, dk = grating(n[1], node[1], hkl[1])
    nl, dl = grating(n[2], node[2], hkl[2])
    return nh * nk * nl, dh * dk * dl


@scalar
def square_lattice(crystal, node, hkl):
    """F_latt of a block-shaped crystal, up to its sign."""
    above, below = square_quotient(crystal, node, hkl)
    return above / below


@scalar
def square_phases_single(crystal, node, hkl):
    """What `square_quotient_single` is made of: phases of numerator and denominator for each axis, binary32."""
    n = crystal[0]
    return (
        phases_single(n[0], node[0], hkl[0]),
        phases_single(n[1], node[1], hkl[1]),
        phases_single(n[2], node[2], hkl[2]),
    )


@scalar
def square_quotient_single(crystal, at):
    """`square_quotient` in binary32, from its phases."""
    n = crystal[0]
    nh, dh = grating_single(n[0], at[0][0], at[0][1])
    nk, dk = grating_single(n[1], at[1][0], at[1][1])
    nl, dl = grating_single(n[2], at[2][0], at[2][1])
    return nh * nk * nl, dh * dk * dl


@scalar
def square_lattice_single(crystal, node, hkl):
    """`square_lattice` with polynomials and the division in binary32; phases stay in binary64."""
    above, below = square_quotient_single(crystal, square_phases_single(crystal, node, hkl))
    return above / below


@scalar
def round_quotient(crystal, node, hkl):
    """Numerator and denominator of F_latt of an ellipsoidal crystal, up to its sign."""
    n = crystal[0]
    u, v, w = (hkl[0] - node[0]) * n[0], (hkl[1] - node[1]) * n[1], (hkl[2] - node[2]) * n[2]
    rho2 = (u * u + v * v + w * w) * crystal[1]
    rho = math.sqrt(rho2)
    t = rho - nearest_whole(rho)
    argument = math.pi * rho
    wave = 3.0 * (t * sinpi_over(t * t) - argument * cospi(t * t))
    near = rho2 < 0.5625
    above = sphere_near(min(rho2, 0.5625)) if near else wave
    below = 1.0 if near else argument * (math.pi * math.pi * rho2)
    return n[0] * n[1] * n[2] * 0.723601254558268 * above, below


@scalar
def round_lattice(crystal, node, hkl):
    """F_latt of an ellipsoidal crystal, up to its sign."""
    above, below = round_quotient(crystal, node, hkl)
    return above / below


@scalar
def is_near(hkl, node, narrow):
    """Whether a node is within the reach of all three axes (`nanobragg.kernels.fast.reach.Reach`)."""
    h, k, x = hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2]
    return h * h * narrow[0] < 1.0 and k * k * narrow[1] < 1.0 and x * x * narrow[2] < 1.0


@scalar
def weighted_tricubic(table, hkl, hkl_min):
    """F_cell between the 4 x 4 x 4 nodes around ``hkl``: twelve weights and 64 multiply-adds."""
    h, k, x = whole_below(hkl[0]), whole_below(hkl[1]), whole_below(hkl[2])
    of_h, of_k, of_l = cubic_weights(hkl[0] - h), cubic_weights(hkl[1] - k), cubic_weights(hkl[2] - x)
    i, j, m = int(h) - 1 - hkl_min[0], int(k) - 1 - hkl_min[1], int(x) - 1 - hkl_min[2]
    total = 0.0
    for a in range(4):
        plane = 0.0
        for b in range(4):
            row = table[i + a, j + b, m] * of_l[0] + table[i + a, j + b, m + 1] * of_l[1]
            row += table[i + a, j + b, m + 2] * of_l[2] + table[i + a, j + b, m + 3] * of_l[3]
            plane += row * of_k[b]
        total += plane * of_h[a]
    return total


@scalar
def capture(plan, layer, d):
    """The capture fraction of a layer of the sensor."""
    return physics.capture_fraction(float(layer), plan.layer_step, plan.mu, geometry.parallax(plan, d))


@scalar
def polar_frame(axis, incident):
    """The directions across the incident beam that polarization is measured along."""
    b = physics.unit(physics.cross(axis, incident))
    return b, physics.unit(physics.cross(incident, b))


@scalar
def polarization(kahn, incident, frame, d):
    """The polarization factor; cos 2 psi comes from the components of ``d`` instead of trigonometric functions."""
    c = physics.dot(incident, d)
    if kahn == 0.0:
        return 0.5 * (1.0 + c * c)
    x, y = physics.dot(d, frame[1]), physics.dot(d, frame[0])
    r2 = x * x + y * y
    twice = (x * x - y * y) / r2 if r2 > 0.0 else 1.0
    return 0.5 * (1.0 + c * c - kahn * twice * (1.0 - c * c))
