"""What happens to a tile of pixels, one loop each: geometry, sources, lattice factors, amplitudes, sums.

All arrays are a tile long and lie on the stack of the kernel, which these loops are put into.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels import geometry, physics
from nanobragg.kernels.compile import fast_scalar, tile_loop
from nanobragg.kernels.interpolation import tricubic_by_rows
from nanobragg.kernels.plan import SQUARE
from nanobragg.kernels.polynomials import cospi, grating, nearest_whole, sinpi_over, sphere_near
from nanobragg.kernels.vector import TILE


@tile_loop
def raster_places(pixels, start, count, n_fast, fast, slow):
    """Fast and slow pixel numbers of a tile; one that is not full repeats its last pixel."""
    for i in range(TILE):
        index = pixels[start + min(i, count - 1)]
        row = index // n_fast
        slow[i] = row
        fast[i] = index - row * n_fast


@tile_loop
def flat_directions(plan, fast, slow, sub_f, sub_s, depth, dx, dy, dz, air):
    """Unit vectors from the sample to this sub-pixel of each pixel, and the distances."""
    sub = plan.pixel_size / plan.oversample
    half = sub / 2.0
    fdet, sdet, odet, pix0 = plan.fdet, plan.sdet, plan.odet, plan.pix0
    for i in range(TILE):
        f_pos = sub * (fast[i] * plan.oversample + sub_f) + half
        s_pos = sub * (slow[i] * plan.oversample + sub_s) + half
        x, y, z = physics.flat_position(f_pos, s_pos, depth, fdet, sdet, odet, pix0)
        m = math.sqrt(x * x + y * y + z * z)
        dx[i], dy[i], dz[i], air[i] = x / m, y / m, z / m, m


@tile_loop
def curved_directions(plan, fast, slow, sub_f, sub_s, depth, dx, dy, dz, air):
    """The same on a curved detector."""
    sub = plan.pixel_size / plan.oversample
    half = sub / 2.0
    for i in range(TILE):
        f_pos = sub * (fast[i] * plan.oversample + sub_f) + half
        s_pos = sub * (slow[i] * plan.oversample + sub_s) + half
        x, y, z = geometry.position(plan, f_pos, s_pos, depth)
        m = math.sqrt(x * x + y * y + z * z)
        dx[i], dy[i], dz[i], air[i] = x / m, y / m, z / m, m


@tile_loop
def solid_angles(plan, air, omega, omega_sum):
    """The solid angle of each pixel, kept from its first sub-pixel unless each has its own."""
    size, close, point, again = plan.pixel_size, plan.close_distance, plan.point_pixel, plan.oversample_omega
    for i in range(TILE):
        inverse = 1.0 / air[i]
        now = inverse * inverse if point else size * size * inverse * inverse * close * inverse
        omega[i] = now if again or omega[i] == 0.0 else omega[i]
        omega_sum[i] += omega[i]


@tile_loop
def captures(plan, layer, dx, dy, dz, capture):
    """The capture fraction of this layer, kept from its first sub-pixel unless each has its own."""
    ox, oy, oz = plan.odet
    for i in range(TILE):
        if plan.oversample_thick or capture[i] == 0.0:
            parallax = dx[i] * ox + dy[i] * oy + dz[i] * oz
            capture[i] = physics.capture_fraction(float(layer), plan.layer_step, plan.mu, parallax)


@fast_scalar
def polarization(kahn, incident, d, axis):
    """Kahn's factor; the double angle comes from the components of ``d``, without trigonometric functions."""
    c = physics.dot(incident, d)
    c2 = c * c
    twice = 1.0
    if kahn != 0.0:
        b = physics.unit(physics.cross(axis, incident))
        e = physics.cross(incident, b)
        x, y = physics.dot(d, e), physics.dot(d, b)
        r2 = x * x + y * y
        twice = (x * x - y * y) / r2 if r2 > 0.0 else 1.0
    return 0.5 * (1.0 + c2 - kahn * twice * (1.0 - c2))


@tile_loop
def polarizations(plan, incident, dx, dy, dz, alive, polar):
    """The polarization factor, kept from the first source that reaches the pixel unless each has its own."""
    kahn, axis, again = plan.kahn, plan.polar_axis, plan.oversample_polar
    for i in range(TILE):
        now = polarization(kahn, incident, (dx[i], dy[i], dz[i]), axis)
        polar[i] = now if alive[i] != 0.0 and (again or polar[i] == 0.0) else polar[i]


@tile_loop
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


@tile_loop
def differences(incident, dx, dy, dz, qx, qy, qz):
    """Diffracted minus incident direction: the scattering vector times the wavelength."""
    for i in range(TILE):
        qx[i], qy[i], qz[i] = dx[i] - incident[0], dy[i] - incident[1], dz[i] - incident[2]


@tile_loop
def times_cell(cells, i_phi, i_domain, qx, qy, qz, mh, mk, ml):
    """Cell vectors times the differences of directions: indices times the wavelength."""
    a1, a2, a3 = cells[i_phi, i_domain, 0], cells[i_phi, i_domain, 1], cells[i_phi, i_domain, 2]
    b1, b2, b3 = cells[i_phi, i_domain, 3], cells[i_phi, i_domain, 4], cells[i_phi, i_domain, 5]
    c1, c2, c3 = cells[i_phi, i_domain, 6], cells[i_phi, i_domain, 7], cells[i_phi, i_domain, 8]
    for i in range(TILE):
        mh[i] = a1 * qx[i] + a2 * qy[i] + a3 * qz[i]
        mk[i] = b1 * qx[i] + b2 * qy[i] + b3 * qz[i]
        ml[i] = c1 * qx[i] + c2 * qy[i] + c3 * qz[i]


@fast_scalar
def within(x, low, high):
    """``x`` moved between two bounds; ``low`` for what is no number, so that no address comes from it."""
    x = x if x > low else low
    return x if x < high else high


@fast_scalar
def table_place(low, high, stride, origin, h0, k0, l0):
    """Where a node stands in the flat table; on its border for nodes outside."""
    place = within(h0, low[0], high[0]) * stride[0] + within(k0, low[1], high[1]) * stride[1]
    return np.uint32(np.int32(place + (within(l0, low[2], high[2]) + origin)))


@fast_scalar
def square_lattice(n, h0, k0, l0, h, k, x):
    """F_latt of a block-shaped crystal, up to its sign: one division for all three axes."""
    nh, dh = grating(n[0], h0, h)
    nk, dk = grating(n[1], k0, k)
    nl, dl = grating(n[2], l0, x)
    return (nh * nk * nl) / (dh * dk * dl)


@tile_loop
def add_square(plan, amplitudes, per_length, shift, mh, mk, ml, total):
    """One of several sources and one cell of a block-shaped crystal, nearest amplitudes."""
    squares, low, high, stride, origin = amplitudes
    n_cells = plan.n_cells
    for i in range(TILE):
        h = mh[i] * per_length + shift[0]
        k = mk[i] * per_length + shift[1]
        x = ml[i] * per_length + shift[2]
        h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(x)
        f_latt = square_lattice(n_cells, h0, k0, l0, h, k, x)
        total[i] += squares[table_place(low, high, stride, origin, h0, k0, l0)] * (f_latt * f_latt)


@tile_loop
def add_square_alone(plan, amplitudes, per_length, cells, i_phi, i_domain, qx, qy, qz, total):
    """The only source and one cell of a block-shaped crystal, nearest amplitudes: the hot loop."""
    squares, low, high, stride, origin = amplitudes
    n_cells = plan.n_cells
    a1, a2, a3 = (
        cells[i_phi, i_domain, 0] * per_length, cells[i_phi, i_domain, 1] * per_length, cells[i_phi, i_domain, 2] * per_length
    )  # fmt: skip
    b1, b2, b3 = (
        cells[i_phi, i_domain, 3] * per_length, cells[i_phi, i_domain, 4] * per_length, cells[i_phi, i_domain, 5] * per_length
    )  # fmt: skip
    c1, c2, c3 = (
        cells[i_phi, i_domain, 6] * per_length, cells[i_phi, i_domain, 7] * per_length, cells[i_phi, i_domain, 8] * per_length
    )  # fmt: skip
    for i in range(TILE):
        h = a1 * qx[i] + a2 * qy[i] + a3 * qz[i]
        k = b1 * qx[i] + b2 * qy[i] + b3 * qz[i]
        x = c1 * qx[i] + c2 * qy[i] + c3 * qz[i]
        h0, k0, l0 = nearest_whole(h), nearest_whole(k), nearest_whole(x)
        f_latt = square_lattice(n_cells, h0, k0, l0, h, k, x)
        total[i] += squares[table_place(low, high, stride, origin, h0, k0, l0)] * (f_latt * f_latt)


@tile_loop
def indices(per_length, shift, mh, mk, ml, h, k, x):
    """Fractional indices of one source and one cell."""
    for i in range(TILE):
        h[i] = mh[i] * per_length + shift[0]
        k[i] = mk[i] * per_length + shift[1]
        x[i] = ml[i] * per_length + shift[2]


@tile_loop
def square_lattices(n_cells, h, k, x, f_latt):
    """Lattice factors of a block-shaped crystal, up to their sign."""
    for i in range(TILE):
        h0, k0, l0 = nearest_whole(h[i]), nearest_whole(k[i]), nearest_whole(x[i])
        f_latt[i] = square_lattice(n_cells, h0, k0, l0, h[i], k[i], x[i])


@tile_loop
def round_lattices(n_cells, fudge, h, k, x, f_latt):
    """Lattice factors of an ellipsoidal crystal, up to their sign."""
    cells = n_cells[0] * n_cells[1] * n_cells[2] * 0.723601254558268
    for i in range(TILE):
        u = (h[i] - nearest_whole(h[i])) * n_cells[0]
        v = (k[i] - nearest_whole(k[i])) * n_cells[1]
        w = (x[i] - nearest_whole(x[i])) * n_cells[2]
        rho2 = (u * u + v * v + w * w) * fudge
        rho = math.sqrt(rho2)
        t = rho - nearest_whole(rho)
        far = max(rho2, 0.5)
        argument = math.pi * rho
        wave = 3.0 * (t * sinpi_over(t * t) - argument * cospi(t * t)) / (argument * (math.pi * math.pi * far))
        f_latt[i] = cells * (sphere_near(min(rho2, 0.5625)) if rho2 < 0.5625 else wave)


@tile_loop
def nearest_amplitudes(amplitudes, h, k, x, squares_at):
    """Squared amplitudes of the nearest nodes."""
    squares, low, high, stride, origin = amplitudes
    for i in range(TILE):
        h0, k0, l0 = nearest_whole(h[i]), nearest_whole(k[i]), nearest_whole(x[i])
        squares_at[i] = squares[table_place(low, high, stride, origin, h0, k0, l0)]


@fast_scalar
def amplitude(plan, hkl, interpolate):
    """F_cell at one place, and whether interpolation is still on (Q02)."""
    if interpolate and physics.within_tricubic_range(hkl, plan.hkl_min, plan.hkl_range):
        return tricubic_by_rows(plan.table, hkl, plan.hkl_min), True
    node = (physics.nearest(hkl[0]), physics.nearest(hkl[1]), physics.nearest(hkl[2]))
    return physics.table_factor(node, plan.hkl_min, plan.hkl_max, plan.n_hkl, plan.table, plan.default_F), False


@tile_loop
def interpolated_amplitudes(plan, count, alive, h, k, x, on, squares_at):
    """Squared amplitudes between the nodes, pixel by pixel; ``on`` goes to 0 where an index is out of range."""
    for i in range(count):
        if alive[i] != 0.0:
            f_cell, still_on = amplitude(plan, (h[i], k[i], x[i]), on[i] != 0.0)
            on[i] = 1.0 if still_on else 0.0
            squares_at[i] = f_cell * f_cell


@tile_loop
def accumulate(products, alive, weight, f_latt, squares_at, total):
    """Add one evaluation to each sum, and apply the running products (Q04)."""
    if products:
        for i in range(TILE):
            term = total[i] + squares_at[i] * (f_latt[i] * f_latt[i])
            total[i] = term * weight[i] if alive[i] != 0.0 else total[i]
    else:
        for i in range(TILE):
            total[i] += alive[i] * (squares_at[i] * (f_latt[i] * f_latt[i]))


@tile_loop
def any_near_node(per_length, shift, reach, mh, mk, ml):
    """Whether any pixel of the tile is near enough to a node for its lattice factor not to be exactly 0."""
    near = 0
    for i in range(TILE):
        h = mh[i] * per_length + shift[0]
        k = mk[i] * per_length + shift[1]
        x = ml[i] * per_length + shift[2]
        inside = (
            (abs(h - nearest_whole(h)) < reach[0])
            & (abs(k - nearest_whole(k)) < reach[1])
            & (abs(x - nearest_whole(x)) < reach[2])
        )
        near |= np.int64(inside)
    return near != 0


@tile_loop
def add_sharp(plan, count, alive, products, interpolating, weight, per_length, shift, mh, mk, ml, on, total):
    """One source and one cell of a crystal with Gaussian or sharp-edged spots, pixel by pixel.

    A lattice factor of exactly 0 is no evaluation at all, unless there is water.
    """
    for i in range(count):
        if alive[i] == 0.0:
            continue
        hkl = (mh[i] * per_length + shift[0], mk[i] * per_length + shift[1], ml[i] * per_length + shift[2])
        node = (np.ceil(hkl[0] - 0.5), np.ceil(hkl[1] - 0.5), np.ceil(hkl[2] - 0.5))
        f_latt = physics.lattice_factor(plan.shape, hkl, node, plan.n_cells, plan.recip, plan.fudge)
        if f_latt == 0.0 and not plan.water:
            continue
        f_cell, still_on = amplitude(plan, hkl, interpolating and on[i] != 0.0)
        on[i] = 1.0 if still_on else 0.0
        total[i] += f_cell * f_cell * (f_latt * f_latt)
        if products:
            total[i] *= weight[i]


@tile_loop
def lattices(plan, h, k, x, f_latt):
    """Lattice factors of a block-shaped or ellipsoidal crystal."""
    if plan.shape == SQUARE:
        square_lattices(plan.n_cells, h, k, x, f_latt)
    else:
        round_lattices(plan.n_cells, plan.fudge, h, k, x, f_latt)


@tile_loop
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


@tile_loop
def store(plan, pixels, start, count, total, capture, polar, omega, omega_sum, image, omega_image):
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
        image[pixels[start + i]] = np.float32(0.0 + photons)
        omega_image[pixels[start + i]] = omega_sum[i]
