"""One step of the model, as scalar functions that know no target, and no array but the structure-factor table.

Formulae are those of the nanoBragg model: kinematic scattering by a block of unit cells,
``I = r_e^2 J0 F^2 L^2 P omega``; operations stand in the original's order, since strict numerics promises its bits.
"""

import math

import numpy as np

from nanobragg.kernels import vectors
from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.plan import GAUSS, ROUND, SQUARE

dot = scalar(vectors.dot)
cross = scalar(vectors.cross)
magnitude = scalar(vectors.magnitude)
unit = scalar(vectors.unit)
rotate_axis = separate(vectors.rotate_axis)
rotate_matrix = scalar(vectors.rotate_matrix)


@scalar
def flat_position(fast, slow, depth, fdet, sdet, odet, pix0):
    """Point of a flat detector, metres from the sample; ``fast``, ``slow``, ``depth`` in metres from its origin."""
    return (
        fast * fdet[0] + slow * sdet[0] + depth * odet[0] + pix0[0],
        fast * fdet[1] + slow * sdet[1] + depth * odet[1] + pix0[1],
        fast * fdet[2] + slow * sdet[2] + depth * odet[2] + pix0[2],
    )


@separate
def curved_position(flat, distance, beam, fdet, sdet):
    """The flat point's lab y and z, bent onto a sphere of radius ``distance`` about the sample (Q18)."""
    centre = (distance * beam[0], distance * beam[1], distance * beam[2])
    return rotate_axis(rotate_axis(centre, sdet, flat[1] / distance), fdet, flat[2] / distance)


@separate
def arc_position(fast, slow, depth, distance, beam, fdet, sdet):
    """Point of a detector bent about the sample: ``fast`` and ``slow`` are arcs from the beam's spot, metres."""
    alpha, beta, radius = fast / distance, slow / distance, distance + depth
    along, across, up = math.cos(beta) * math.cos(alpha), math.cos(beta) * math.sin(alpha), math.sin(beta)
    return (
        radius * (along * beam[0] + across * fdet[0] + up * sdet[0]),
        radius * (along * beam[1] + across * fdet[1] + up * sdet[1]),
        radius * (along * beam[2] + across * fdet[2] + up * sdet[2]),
    )


@scalar
def phases(hkl, node, reduced):
    """What the sines of a block-shaped crystal are taken of: the indices, or what is left of them at the node."""
    if reduced:
        return (hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2])
    return hkl


@scalar
def solid_angle(pixel_size, airpath, close_distance):
    """Steradians seen by a square pixel, obliquity included."""
    return pixel_size * pixel_size / airpath / airpath * close_distance / airpath


@separate
def capture_fraction(layer, layer_step, mu, parallax):
    """Share of the photons absorbed in one sensor layer; ``parallax`` is the cosine to the detector normal."""
    return math.exp(-layer * layer_step * mu / parallax) - math.exp(-(layer + 1.0) * layer_step * mu / parallax)


@scalar
def scattering_vector(diffracted, incident, wavelength):
    """(d - i)/lambda, 1/m."""
    return (
        (diffracted[0] - incident[0]) / wavelength,
        (diffracted[1] - incident[1]) / wavelength,
        (diffracted[2] - incident[2]) / wavelength,
    )


@separate
def polarization_factor(kahn, incident, diffracted, axis):
    """Kahn's factor (J. Appl. Cryst. 15, 330, 1982); ``incident``, ``diffracted`` and ``axis`` are unit vectors."""
    c = dot(incident, diffracted)
    c2 = c * c
    s2 = 1.0 - c2
    psi = 0.0
    if kahn != 0.0:
        b = unit(cross(axis, incident))
        e = unit(cross(incident, b))
        psi = -math.atan2(dot(diffracted, b), dot(diffracted, e))
    return 0.5 * (1.0 + c2 - kahn * math.cos(2.0 * psi) * s2)


@scalar
def nearest(x):
    """Nearest whole number as a float, ties downwards; beyond 32 bits the lowest integer, as on x86-64."""
    y = np.ceil(x - 0.5)
    if y > -2147483649.0 and y < 2147483648.0:
        return y
    return -2147483648.0


@scalar
def grating(x, n):
    """sin(n x)/sin(x): interference of ``n`` cells in a row."""
    if x == 0.0:
        return n
    return math.sin(x * n) / math.sin(x)


@scalar
def sphere_transform(x):
    """3 (sin x/x - cos x)/x^2: transform of a uniform sphere."""
    if x == 0.0:
        return 1.0
    return 3.0 * (math.sin(x) / x - math.cos(x)) / (x * x)


@scalar
def square_lattice(hkl, n):
    """Lattice factor of a block of ``n`` cells along each axis."""
    f = 1.0
    if n[0] > 1.0:
        f *= grating(math.pi * hkl[0], n[0])
    if n[1] > 1.0:
        f *= grating(math.pi * hkl[1], n[1])
    if n[2] > 1.0:
        f *= grating(math.pi * hkl[2], n[2])
    return f


@scalar
def round_lattice(d, n, fudge):
    """Lattice factor of an ellipsoidal crystal; ``d`` is the distance to the node in indices."""
    r2 = d[0] * d[0] * n[0] * n[0] + d[1] * d[1] * n[1] * n[1] + d[2] * d[2] * n[2] * n[2]
    return n[0] * n[1] * n[2] * 0.723601254558268 * sphere_transform(math.pi * math.sqrt(r2 * fudge))


@scalar
def node_distance_squared(d, n, recip):
    """Squared distance to the node in 1/Angstrom, times the squared number of cells (Q20)."""
    x = d[0] * recip[0] + d[1] * recip[3] + d[2] * recip[6]
    y = d[0] * recip[1] + d[1] * recip[4] + d[2] * recip[7]
    z = d[0] * recip[2] + d[1] * recip[5] + d[2] * recip[8]
    return (x * x + y * y + z * z) * n[0] * n[0] * n[1] * n[1] * n[2] * n[2]


@scalar
def gauss_lattice(rho2, n, fudge):
    """Lattice factor of Gaussian spots."""
    return n[0] * n[1] * n[2] * math.exp(-(rho2 / 0.63 * fudge))


@scalar
def tophat_lattice(rho2, n, fudge):
    """Lattice factor of spots with a sharp edge."""
    if rho2 * fudge < 0.3969:
        return n[0] * n[1] * n[2]
    return 0.0


@separate
def lattice_factor(shape, hkl, node, n, recip, fudge):
    """F_latt of any shape at fractional indices ``hkl``, whose nearest node is ``node``."""
    if shape == SQUARE:
        return square_lattice(hkl, n)
    d = (hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2])
    if shape == ROUND:
        return round_lattice(d, n, fudge)
    rho2 = node_distance_squared(d, n, recip)
    if shape == GAUSS:
        return gauss_lattice(rho2, n, fudge)
    return tophat_lattice(rho2, n, fudge)


@scalar
def table_factor(node, hkl_min, hkl_max, n_hkl, table, default_F):
    """F_cell of the nearest node, ``default_F`` outside the box."""
    if (
        n_hkl != 0
        and hkl_min[0] <= node[0] <= hkl_max[0]
        and hkl_min[1] <= node[1] <= hkl_max[1]
        and hkl_min[2] <= node[2] <= hkl_max[2]
    ):
        return table[
            np.uint64(int(node[0]) - hkl_min[0]),
            np.uint64(int(node[1]) - hkl_min[1]),
            np.uint64(int(node[2]) - hkl_min[2]),
        ]  # unsigned: no test for negative indices
    return default_F


@scalar
def within_tricubic_range(hkl, hkl_min, hkl_range):
    """Whether the 64 neighbours that the tricubic rule asks for lie in the box; not those of what is no number."""
    return (
        hkl[0] - hkl_min[0] + 3.0 <= hkl_range[0]
        and hkl[0] - 2.0 >= hkl_min[0]
        and hkl[1] - hkl_min[1] + 3.0 <= hkl_range[1]
        and hkl[1] - 2.0 >= hkl_min[1]
        and hkl[2] - hkl_min[2] + 3.0 <= hkl_range[2]
        and hkl[2] - 2.0 >= hkl_min[2]
    )
