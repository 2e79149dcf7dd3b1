"""The lattice factor: interference of the unit cells of a crystal, by its shape.

The exact forms keep the original's operations in their order, since strict numerics promises its bits. The fast ones
are made of polynomials of what is left of an index at its node, and give the factor up to its sign. Blocks: von Laue
(1912). Ellipsoids: Rayleigh's transform of a sphere (1911), in indices. Gaussian and top-hat spots are the original's
own, for crystals whose fringes are not to be seen.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.shapes import GAUSS, GAUSS_WIDTH, ROUND, SPHERE_OF_BLOCK, SQUARE, TOPHAT_EDGE
from nanobragg.kernels.step.polynomials import (
    cospi,
    fast_grating,
    grating_single,
    nearest_whole,
    phases_single,
    sinpi_over,
    sphere_near,
    whole_below,
)


@scalar
def nearest(x):
    """Nearest whole number as a float, ties downwards; beyond 32 bits the lowest integer, as on x86-64."""
    y = np.ceil(x - 0.5)
    if y > -2147483649.0 and y < 2147483648.0:
        return y
    return -2147483648.0


@scalar
def nearest_node(hkl):
    """The node nearest to fractional indices, whole numbers in binary64; fast: `fast_node`."""
    return nearest(hkl[0]), nearest(hkl[1]), nearest(hkl[2])


@scalar
def fast_node(hkl):
    """`nearest_node` for indices below 2^51; ties go to the even one."""
    return nearest_whole(hkl[0]), nearest_whole(hkl[1]), nearest_whole(hkl[2])


@scalar
def fast_node_down(hkl):
    """`fast_node`, with ties downwards, as the original has it."""
    return -whole_below(0.5 - hkl[0]), -whole_below(0.5 - hkl[1]), -whole_below(0.5 - hkl[2])


@scalar
def phases(hkl, node, whole_sines):
    """What the sines of a block-shaped crystal are taken of: what is left of the indices at the node, or all of them.

    sin(pi n h)/sin(pi h) has period 1 up to its sign, and is squared; the original takes whole indices (Q22).
    """
    if whole_sines:
        return hkl
    return (hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2])


@scalar
def grating(x, n):
    """sin(n x)/sin(x): interference of ``n`` cells in a row (von Laue); fast: `polynomials.fast_grating`."""
    if x == 0.0:
        return n
    return math.sin(x * n) / math.sin(x)


@scalar
def square_lattice(hkl, n):
    """F_latt of a block of ``n`` cells along each axis; fast: `square_quotient`."""
    f = 1.0
    if n[0] > 1.0:
        f *= grating(math.pi * hkl[0], n[0])
    if n[1] > 1.0:
        f *= grating(math.pi * hkl[1], n[1])
    if n[2] > 1.0:
        f *= grating(math.pi * hkl[2], n[2])
    return f


@scalar
def size_of(cells):
    """What a lattice factor depends on beside the indices: cells along each axis, and the fudge of round crystals."""
    return cells.n_cells, cells.fudge


@scalar
def square_quotient(size, node, hkl):
    """`square_lattice` as numerator and denominator: one division for three axes."""
    n = size[0]
    nh, dh = fast_grating(n[0], node[0], hkl[0])
    nk, dk = fast_grating(n[1], node[1], hkl[1])
    nl, dl = fast_grating(n[2], node[2], hkl[2])
    return nh * nk * nl, dh * dk * dl


@scalar
def fast_square_lattice(size, node, hkl):
    """`square_lattice`, up to its sign."""
    above, below = square_quotient(size, node, hkl)
    return above / below


@scalar
def square_phases_single(size, node, hkl):
    """What `square_quotient_single` is made of: phases of numerator and denominator for each axis, binary32."""
    n = size[0]
    return (
        phases_single(n[0], node[0], hkl[0]),
        phases_single(n[1], node[1], hkl[1]),
        phases_single(n[2], node[2], hkl[2]),
    )


@scalar
def square_quotient_single(size, at):
    """`square_quotient` in binary32, from its phases."""
    n = size[0]
    nh, dh = grating_single(n[0], at[0][0], at[0][1])
    nk, dk = grating_single(n[1], at[1][0], at[1][1])
    nl, dl = grating_single(n[2], at[2][0], at[2][1])
    return nh * nk * nl, dh * dk * dl


@scalar
def square_lattice_single(size, node, hkl):
    """`square_lattice`, up to its sign, with polynomials and the division in binary32; phases stay in binary64."""
    above, below = square_quotient_single(size, square_phases_single(size, node, hkl))
    return above / below


@scalar
def sphere_transform(x):
    """3 (sin x/x - cos x)/x^2: transform of a uniform sphere."""
    if x == 0.0:
        return 1.0
    return 3.0 * (math.sin(x) / x - math.cos(x)) / (x * x)


@scalar
def round_lattice(d, n, fudge):
    """F_latt of an ellipsoidal crystal; ``d`` is the distance to the node in indices; fast: `round_quotient`."""
    r2 = d[0] * d[0] * n[0] * n[0] + d[1] * d[1] * n[1] * n[1] + d[2] * d[2] * n[2] * n[2]
    return n[0] * n[1] * n[2] * SPHERE_OF_BLOCK * sphere_transform(math.pi * math.sqrt(r2 * fudge))


@scalar
def round_quotient(size, node, hkl):
    """`round_lattice` as numerator and denominator, up to its sign."""
    n = size[0]
    u, v, w = (hkl[0] - node[0]) * n[0], (hkl[1] - node[1]) * n[1], (hkl[2] - node[2]) * n[2]
    rho2 = (u * u + v * v + w * w) * size[1]
    rho = math.sqrt(rho2)
    t = rho - nearest_whole(rho)
    argument = math.pi * rho
    wave = 3.0 * (t * sinpi_over(t * t) - argument * cospi(t * t))
    near = rho2 < 0.5625
    above = sphere_near(min(rho2, 0.5625)) if near else wave
    below = 1.0 if near else argument * (math.pi * math.pi * rho2)
    return n[0] * n[1] * n[2] * SPHERE_OF_BLOCK * above, below


@scalar
def fast_round_lattice(size, node, hkl):
    """`round_lattice`, up to its sign."""
    above, below = round_quotient(size, node, hkl)
    return above / below


@scalar
def node_distance_squared(d, n, recip):
    """Squared distance to the node in 1/Angstrom, times the squared number of cells (Q20)."""
    x = d[0] * recip[0] + d[1] * recip[3] + d[2] * recip[6]
    y = d[0] * recip[1] + d[1] * recip[4] + d[2] * recip[7]
    z = d[0] * recip[2] + d[1] * recip[5] + d[2] * recip[8]
    return (x * x + y * y + z * z) * n[0] * n[0] * n[1] * n[1] * n[2] * n[2]


@scalar
def gauss_lattice(rho2, n, fudge):
    """F_latt of Gaussian spots."""
    return n[0] * n[1] * n[2] * math.exp(-(rho2 / GAUSS_WIDTH * fudge))


@scalar
def tophat_lattice(rho2, n, fudge):
    """F_latt of spots with a sharp edge."""
    if rho2 * fudge < TOPHAT_EDGE:
        return n[0] * n[1] * n[2]
    return 0.0


@separate
def lattice_factor(shape, cells, hkl, node):
    """F_latt of any shape at fractional indices ``hkl``, whose nearest node is ``node``; exact."""
    n, fudge = cells.n_cells, cells.fudge
    if shape == SQUARE:
        return square_lattice(hkl, n)
    d = (hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2])
    if shape == ROUND:
        return round_lattice(d, n, fudge)
    rho2 = node_distance_squared(d, n, cells.recip)
    if shape == GAUSS:
        return gauss_lattice(rho2, n, fudge)
    return tophat_lattice(rho2, n, fudge)


@scalar
def is_near(hkl, node, narrow):
    """Whether a node is within the reach of all three axes (`nanobragg.kernels.fast.reach.Reach`)."""
    h, k, x = hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2]
    return h * h * narrow[0] < 1.0 and k * k * narrow[1] < 1.0 and x * x * narrow[2] < 1.0
