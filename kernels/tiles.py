"""What happens to a tile of pixels, one loop each: geometry, sources, lattice factors, amplitudes, sums.

All arrays are a tile long and lie on the stack of the kernel, which these loops are put into.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels import geometry, physics
from nanobragg.kernels.compile import scalar
from nanobragg.kernels.fast_step import capture as capture_of
from nanobragg.kernels.fast_step import (
    is_near,
    nearest_node,
    nearest_node_down,
    polar_frame,
    polarization,
    round_lattice,
    square_lattice,
    table_place,
)
from nanobragg.kernels.interpolation import cubic_weights, tricubic
from nanobragg.kernels.plan import SQUARE
from nanobragg.kernels.polynomials import nearest_whole
from nanobragg.kernels.sharp import FRACTION_BITS
from nanobragg.kernels.vector import TILE, sum_rows


@scalar
def raster_places(pixels, start, count, n_fast, fast, slow):
    """Fast and slow pixel numbers of a tile; one that is not full repeats its last pixel."""
    for i in range(TILE):
        index = float(pixels[start + min(i, count - 1)])
        row = np.floor((index + 0.5) / n_fast)
        slow[i] = row
        fast[i] = index - row * n_fast


@scalar
def flat_positions(plan, fast, slow, sub_f, sub_s, depth, x, y, z):
    """Where this sub-pixel of each pixel is on a flat detector, metres from the sample."""
    sub = plan.pixel_size / plan.oversample
    half = sub / 2.0
    fdet, sdet, odet, pix0 = plan.fdet, plan.sdet, plan.odet, plan.pix0
    for i in range(TILE):
        f_pos = sub * (fast[i] * plan.oversample + sub_f) + half
        s_pos = sub * (slow[i] * plan.oversample + sub_s) + half
        x[i], y[i], z[i] = physics.flat_position(f_pos, s_pos, depth, fdet, sdet, odet, pix0)


@scalar
def bend(plan, x, y, z):
    """Move flat positions onto the curved detector: in a loop of its own, since its calls are no vector code."""
    for i in range(TILE):
        flat = (x[i], y[i], z[i])
        x[i], y[i], z[i] = physics.curved_position(flat, plan.distance, plan.beam, plan.fdet, plan.sdet)


@scalar
def arcs(plan, fast, slow, sub_f, sub_s, depth, x, y, z):
    """Where this sub-pixel of each pixel is on a detector bent about the sample."""
    sub = plan.pixel_size / plan.oversample
    for i in range(TILE):
        f_pos = sub * (fast[i] * plan.oversample + sub_f) + sub / 2.0
        s_pos = sub * (slow[i] * plan.oversample + sub_s) + sub / 2.0
        x[i], y[i], z[i] = geometry.position(plan, f_pos, s_pos, depth)


@scalar
def places(plan, fast, slow, sub, depth, x, y, z):
    """Where a sub-pixel of each pixel is, metres from the sample."""
    sub_s, sub_f = sub // plan.oversample, sub % plan.oversample
    if plan.arcs:
        arcs(plan, fast, slow, sub_f, sub_s, depth, x, y, z)
        return
    flat_positions(plan, fast, slow, sub_f, sub_s, depth, x, y, z)
    if plan.curved:
        bend(plan, x, y, z)


@scalar
def airpaths(x, y, z, air):
    """Distances from the sample."""
    for i in range(TILE):
        air[i] = math.sqrt(x[i] * x[i] + y[i] * y[i] + z[i] * z[i])


@scalar
def normalise(x, y, z, air):
    """Make positions unit vectors."""
    for i in range(TILE):
        x[i], y[i], z[i] = x[i] / air[i], y[i] / air[i], z[i] / air[i]


@scalar
def solid_angles(plan, air, omega):
    """The solid angle of each pixel, kept from its first sub-pixel unless each has its own."""
    for i in range(TILE):
        now = geometry.pixel_solid_angle(plan, air[i])
        omega[i] = now if plan.oversample_omega or omega[i] == 0.0 else omega[i]


@scalar
def captures(plan, layer, dx, dy, dz, capture):
    """The capture fraction of this layer, kept from its first sub-pixel unless each has its own."""
    for i in range(TILE):
        if plan.oversample_thick or capture[i] == 0.0:
            capture[i] = capture_of(plan, layer, (dx[i], dy[i], dz[i]))


@scalar
def any_zero(values):
    """Whether a value of the tile is still 0."""
    zeros = np.int64(0)
    for i in range(TILE):
        zeros |= np.int64(values[i] == 0.0)
    return zeros != 0


@scalar
def polarizations(plan, incident, dx, dy, dz, alive, polar):
    """The polarization factor, kept from the first source that reaches the pixel unless each has its own."""
    kahn, again = plan.kahn, plan.oversample_polar
    frame = polar_frame(plan.polar_axis, incident)
    for i in range(TILE):
        now = polarization(kahn, incident, frame, (dx[i], dy[i], dz[i]))
        polar[i] = now if alive[i] != 0.0 and (again or polar[i] == 0.0) else polar[i]


@scalar
def cut_by_resolution(plan, incident, wavelength, dx, dy, dz, alive):
    """1 where the source counts, 0 where -dmin drops it; returns how many count."""
    count = 0
    for i in range(TILE):
        alive[i] = 1.0
    if plan.dmin > 0.0:
        for i in range(TILE):
            q = physics.scattering_vector((dx[i], dy[i], dz[i]), incident, wavelength)
            if geometry.cut_by_resolution(plan, q):
                alive[i] = 0.0
            else:
                count += 1
        return count
    return TILE


@scalar
def differences(incident, dx, dy, dz, qx, qy, qz):
    """Diffracted minus incident direction: the scattering vector times the wavelength."""
    for i in range(TILE):
        qx[i], qy[i], qz[i] = dx[i] - incident[0], dy[i] - incident[1], dz[i] - incident[2]


@scalar
def times_cell(cells, c, qx, qy, qz, mh, mk, ml):
    """Cell vectors times the differences of directions: indices times the wavelength."""
    a1, a2, a3 = cells[c, 0], cells[c, 1], cells[c, 2]
    b1, b2, b3 = cells[c, 3], cells[c, 4], cells[c, 5]
    c1, c2, c3 = cells[c, 6], cells[c, 7], cells[c, 8]
    for i in range(TILE):
        mh[i] = a1 * qx[i] + a2 * qy[i] + a3 * qz[i]
        mk[i] = b1 * qx[i] + b2 * qy[i] + b3 * qz[i]
        ml[i] = c1 * qx[i] + c2 * qy[i] + c3 * qz[i]


@scalar
def shifted(cells, c, ex, ey, ez):
    """Indices by which a source differs from the first of its group."""
    return (
        cells[c, 0] * ex + cells[c, 1] * ey + cells[c, 2] * ez,
        cells[c, 3] * ex + cells[c, 4] * ey + cells[c, 5] * ez,
        cells[c, 6] * ex + cells[c, 7] * ey + cells[c, 8] * ez,
    )


@scalar
def add_squares(squares, share, place, weight, total):
    """Add squared amplitudes times ``weight``.

    Gathering stands in a loop of its own: within another one, LLVM takes the places apart into single numbers wherever
    registers have fewer than 512 bits.
    """
    for i in range(TILE):
        total[i] += share * squares[place[i]] * weight[i]


@scalar
def add_square(plan, amplitudes, per_length, share, shift, mh, mk, ml, place, squared, total):
    """One of several sources and one cell of a block-shaped crystal, nearest amplitudes."""
    squares, low, high, stride, origin = amplitudes
    n_cells = plan.n_cells
    for i in range(TILE):
        h = mh[i] * per_length + shift[0]
        k = mk[i] * per_length + shift[1]
        x = ml[i] * per_length + shift[2]
        h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(x)
        f_latt = square_lattice(n_cells, h0, k0, l0, h, k, x)
        place[i] = table_place(low, high, stride, origin, h0, k0, l0)
        squared[i] = f_latt * f_latt
    add_squares(squares, share, place, squared, total)


@scalar
def scaled_row(cells, c, first, scale):
    """One cell vector times ``scale``."""
    return (
        cells[c, first] * scale,
        cells[c, first + 1] * scale,
        cells[c, first + 2] * scale,
    )


@scalar
def add_square_alone(plan, amplitudes, per_length, share, cells, c, qx, qy, qz, place, squared, total):
    """The only source and one cell of a block-shaped crystal, nearest amplitudes: the hot loop."""
    squares, low, high, stride, origin = amplitudes
    n_cells = plan.n_cells
    a1, a2, a3 = scaled_row(cells, c, 0, per_length)
    b1, b2, b3 = scaled_row(cells, c, 3, per_length)
    c1, c2, c3 = scaled_row(cells, c, 6, per_length)
    for i in range(TILE):
        h = a1 * qx[i] + a2 * qy[i] + a3 * qz[i]
        k = b1 * qx[i] + b2 * qy[i] + b3 * qz[i]
        x = c1 * qx[i] + c2 * qy[i] + c3 * qz[i]
        h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(x)
        f_latt = square_lattice(n_cells, h0, k0, l0, h, k, x)
        place[i] = table_place(low, high, stride, origin, h0, k0, l0)
        squared[i] = f_latt * f_latt
    add_squares(squares, share, place, squared, total)


@scalar
def indices(per_length, shift, mh, mk, ml, h, k, x):
    """Fractional indices of one source and one cell."""
    for i in range(TILE):
        h[i] = mh[i] * per_length + shift[0]
        k[i] = mk[i] * per_length + shift[1]
        x[i] = ml[i] * per_length + shift[2]


@scalar
def square_lattices(n_cells, h, k, x, f_latt):
    """Lattice factors of a block-shaped crystal, up to their sign."""
    for i in range(TILE):
        h0, k0, l0 = nearest_whole(h[i]), nearest_whole(k[i]), nearest_whole(x[i])
        f_latt[i] = square_lattice(n_cells, h0, k0, l0, h[i], k[i], x[i])


@scalar
def round_lattices(n_cells, fudge, h, k, x, f_latt):
    """Lattice factors of an ellipsoidal crystal, up to their sign."""
    for i in range(TILE):
        hkl = (h[i], k[i], x[i])
        f_latt[i] = round_lattice(n_cells, fudge, nearest_node(hkl), hkl)


@scalar
def nearest_amplitudes(amplitudes, h, k, x, place, squares_at):
    """Squared amplitudes of the nearest nodes, gathered in a loop of their own as in `add_squares`."""
    squares, low, high, stride, origin = amplitudes
    for i in range(TILE):
        h0, k0, l0 = nearest_whole(h[i]), nearest_whole(k[i]), nearest_whole(x[i])
        place[i] = table_place(low, high, stride, origin, h0, k0, l0)
    for i in range(TILE):
        squares_at[i] = squares[place[i]]


@scalar
def in_tricubic_range(plan, alive, h, k, x, on):
    """Set ``on`` to 0 where an index of a pixel that counts is out of range: for good if that is ``sticky`` (Q02)."""
    hkl_min, hkl_range, sticky = plan.hkl_min, plan.hkl_range, plan.sticky
    for i in range(TILE):
        inside = physics.within_tricubic_range((h[i], k[i], x[i]), hkl_min, hkl_range)
        before = on[i] if sticky else 1.0
        on[i] = before if inside or alive[i] == 0.0 else 0.0


@scalar
def axis_weights(weights, axis, h, low):
    """The four weights of one axis for each pixel, and the first of its four nodes counted from ``low``."""
    for i in range(TILE):
        floor = np.floor(h[i])
        w0, w1, w2, w3 = cubic_weights(h[i] - floor)
        weights[axis * 4 * TILE + i] = w0
        weights[(axis * 4 + 1) * TILE + i] = w1
        weights[(axis * 4 + 2) * TILE + i] = w2
        weights[(axis * 4 + 3) * TILE + i] = w3
        low[i] = floor - 1.0


@scalar
def interpolated_amplitudes(plan, count, alive, h, k, x, on, weights, h0, k0, l0, squares_at):
    """Squared amplitudes between the nodes, for pixels whose ``on`` is not 0."""
    axis_weights(weights, 0, h, h0)
    axis_weights(weights, 1, k, k0)
    axis_weights(weights, 2, x, l0)
    table = plan.table
    stride_h, stride_k = table.shape[1] * table.shape[2], table.shape[2]
    origin = -float(plan.hkl_min[0] * stride_h + plan.hkl_min[1] * stride_k + plan.hkl_min[2])
    for i in range(TILE):
        h0[i] = h0[i] * stride_h + k0[i] * stride_k + (l0[i] + origin)
        k0[i] = alive[i] * on[i]
    for i in range(count):
        if k0[i] != 0.0:
            f_cell = sum_rows(table, int(h0[i]), stride_h, stride_k, weights, i)
            squares_at[i] = f_cell * f_cell


@scalar
def accumulate(products, running, share, alive, weight, f_latt, squares_at, total):
    """Add one evaluation to each sum; factors multiply the term, or the running sum (Q04)."""
    if products and running:
        for i in range(TILE):
            term = total[i] + share * squares_at[i] * (f_latt[i] * f_latt[i])
            total[i] = term * weight[i] if alive[i] != 0.0 else total[i]
    elif products:
        for i in range(TILE):
            total[i] += alive[i] * weight[i] * (share * squares_at[i] * (f_latt[i] * f_latt[i]))
    else:
        for i in range(TILE):
            total[i] += alive[i] * (share * squares_at[i] * (f_latt[i] * f_latt[i]))


@scalar
def add_background(plan, weight, total):
    """What one source and sub-pixel have of the background, where each term is weighted by itself."""
    part = geometry.background_of_term(plan)
    for i in range(TILE):
        total[i] += part * weight[i]


@scalar
def to_single(per_length, qx, qy, qz, sx, sy, sz):
    """Scattering vectors in binary32, for the test that most sharp spots fail."""
    for i in range(TILE):
        sx[i], sy[i], sz[i] = (
            np.float32(qx[i] * per_length),
            np.float32(qy[i] * per_length),
            np.float32(qz[i] * per_length),
        )


@scalar
def fraction(value):
    """What a number between 2^(22 - b) and 2^(23 - b) has behind its point, b = `FRACTION_BITS`, in units of 2^-32."""
    return np.uint32(np.float32(value).view(np.uint32) << np.uint32(32 - FRACTION_BITS))


@scalar
def any_near_planes(cells, c, first, offset, limit, sx, sy, sz):
    """Whether any pixel of the tile may be near enough to the lattice planes of two axes, from ``first`` on.

    ``cells`` are the binary32 ones. Further away than the reach of an axis the lattice factor of a sharp spot is
    exactly 0. The reach is in ``offset``, so that what is within it has a fraction below ``limit``.
    """
    offset, limit = np.float32(offset), np.uint32(limit)
    a1, a2, a3 = cells[c, 3 * first], cells[c, 3 * first + 1], cells[c, 3 * first + 2]
    b1, b2, b3 = cells[c, 3 * first + 3], cells[c, 3 * first + 4], cells[c, 3 * first + 5]
    nearest = np.uint32(0xFFFFFFFF)
    for i in range(TILE):
        h = fraction(offset + a1 * sx[i] + a2 * sy[i] + a3 * sz[i])
        k = fraction(offset + b1 * sx[i] + b2 * sy[i] + b3 * sz[i])
        nearest = min(nearest, max(h, k))
    return nearest <= limit


@scalar
def next_near(cells, first, offsets, limits, sx, sy, sz, every):
    """The next cell, from ``first`` on, of which a node may be near a pixel of the tile, or ``every`` one."""
    for c in range(first, len(cells)):
        if every or (
            any_near_planes(cells, c, 0, offsets[0], limits[0], sx, sy, sz)
            and any_near_planes(cells, c, 1, offsets[1], limits[1], sx, sy, sz)
        ):
            return c
    return len(cells)


@scalar
def sharp_amplitude(plan, hkl, node, on):
    """F_cell at one place."""
    if on:
        return tricubic(plan.table, hkl, plan.hkl_min)
    return physics.table_factor(node, plan.hkl_min, plan.hkl_max, plan.n_hkl, plan.table, plan.default_F)


@scalar
def add_sharp(
    plan, count, alive, products, interpolating, zeros_count, narrow, weight, per_length, share, mh, mk, ml, on, total
):
    """One source and one cell of a crystal with Gaussian or sharp-edged spots, pixel by pixel.

    A lattice factor of exactly 0 is no evaluation at all, unless ``zeros_count``, which water and running products or
    interpolation bring about.
    """
    for i in range(count):
        if alive[i] == 0.0:
            continue
        hkl = (mh[i] * per_length, mk[i] * per_length, ml[i] * per_length)
        node = nearest_node_down(hkl)
        if not zeros_count and not is_near(hkl, node, narrow):
            continue
        f_latt = physics.lattice_factor(plan.shape, hkl, node, plan.n_cells, plan.recip, plan.fudge)
        if f_latt == 0.0 and not zeros_count:
            continue
        if interpolating:
            inside = physics.within_tricubic_range(hkl, plan.hkl_min, plan.hkl_range)
            on[i] = 0.0 if not inside else on[i] if plan.sticky else 1.0
        f_cell = sharp_amplitude(plan, hkl, node, interpolating and on[i] != 0.0)
        term = share * f_cell * f_cell * (f_latt * f_latt)
        if not products:
            total[i] += term
        elif plan.running_products:
            total[i] = (total[i] + term) * weight[i]
        else:
            total[i] += term * weight[i]


@scalar
def lattices(plan, h, k, x, f_latt):
    """Lattice factors of a block-shaped or ellipsoidal crystal."""
    if plan.shape == SQUARE:
        square_lattices(plan.n_cells, h, k, x, f_latt)
    else:
        round_lattices(plan.n_cells, plan.fudge, h, k, x, f_latt)


@scalar
def weights(plan, capture, polar, omega, weight):
    """What the running products multiply with."""
    for i in range(TILE):
        w = 1.0
        if plan.oversample_thick:
            w *= capture[i]
        if plan.oversample_polar:
            w *= polar[i]
        if plan.oversample_omega:
            w *= omega[i]
        weight[i] = w


@scalar
def store(plan, targets, start, count, total, capture, polar, omega, image):
    """Photons of each pixel: what the loops have not multiplied yet comes last."""
    scale = plan.r_e_sqr * plan.fluence / plan.steps
    for i in range(count):
        photons = scale * total[i]
        if not plan.oversample_thick:
            photons *= capture[i]
        if not plan.oversample_polar:
            photons *= polar[i]
        if not plan.oversample_omega:
            photons *= omega[i]
        image[targets[start + i]] = 0.0 + photons
