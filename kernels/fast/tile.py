"""What happens to a tile of pixels before and after its terms are added: positions, directions, factors, photons.

All arrays are a tile long and lie on the stack of the kernel, which these loops are put into. A tile is on one panel.
"""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import scalar
from nanobragg.kernels.compiling.vector import TILE
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.step import geometry
from nanobragg.kernels.step.background import background_at_start, background_of_term
from nanobragg.kernels.step.capture import capture as capture_of
from nanobragg.kernels.step.capture import fast_capture_fraction
from nanobragg.kernels.step.polarization import fast_polarization, polar_frame


@scalar
def panel_and_count(panels, pixels, start):
    """The panel of a tile, and how many of ``pixels`` from ``start`` on are in it: a tile ends where its panel does."""
    per_panel = panels.n_slow * panels.n_fast
    count = min(TILE, len(pixels) - start)
    number = np.int64(pixels[start]) // per_panel
    while np.int64(pixels[start + count - 1]) // per_panel != number:
        count -= 1
    return number, count


@scalar
def raster_places(pixels, start, count, number, panels, fast, slow):
    """Fast and slow pixel numbers of a tile on a panel; one that is not full repeats its last pixel."""
    n_fast, before = panels.n_fast, float(number * panels.n_slow * panels.n_fast)
    if count == TILE:
        for i in range(TILE):
            fast[i] = float(pixels[np.uint64(start) + np.uint64(i)]) - before  # unsigned: no negative indices
    else:  # next to never, and no vector code
        for i in range(TILE):
            fast[i] = float(pixels[start + min(i, count - 1)]) - before
    for i in range(TILE):
        slow[i] = np.floor((fast[i] + 0.5) / n_fast)
        fast[i] -= slow[i] * n_fast


@scalar
def flat_positions(plan, panel, fast, slow, sub_f, sub_s, depth, x, y, z):
    """Where this sub-pixel of each pixel is on a flat panel, metres from the sample."""
    oversample = plan.sampling.oversample
    sub = plan.panels.pixel_size / oversample
    half = sub / 2.0
    fdet, sdet, odet, pix0 = panel.fdet, panel.sdet, panel.odet, panel.pix0
    for i in range(TILE):
        f_pos = sub * (fast[i] * oversample + sub_f) + half
        s_pos = sub * (slow[i] * oversample + sub_s) + half
        x[i], y[i], z[i] = geometry.flat_position(f_pos, s_pos, depth, fdet, sdet, odet, pix0)


@scalar
def bend(plan, panel, x, y, z):
    """Move flat positions onto the curved panel: in a loop of its own, since its calls are no vector code."""
    for i in range(TILE):
        flat = (x[i], y[i], z[i])
        x[i], y[i], z[i] = geometry.curved_position(flat, panel.distance, plan.panels.beam, panel.fdet, panel.sdet)


@scalar
def arcs(plan, panel, fast, slow, sub_f, sub_s, depth, x, y, z):
    """Where this sub-pixel of each pixel is on a panel bent about the sample."""
    oversample = plan.sampling.oversample
    size = plan.panels.pixel_size / oversample
    for i in range(TILE):
        f_pos = geometry.middle(size, oversample, fast[i], sub_f)
        s_pos = geometry.middle(size, oversample, slow[i], sub_s)
        x[i], y[i], z[i] = geometry.position(plan, panel, f_pos, s_pos, depth)


@scalar
def places(plan, panel, fast, slow, sub, depth, x, y, z):
    """Where a sub-pixel of each pixel is, metres from the sample."""
    sub_s, sub_f = sub // plan.sampling.oversample, sub % plan.sampling.oversample
    if geometry.is_arc(plan):
        arcs(plan, panel, fast, slow, sub_f, sub_s, depth, x, y, z)
        return
    flat_positions(plan, panel, fast, slow, sub_f, sub_s, depth, x, y, z)
    if plan.panels.curved:
        bend(plan, panel, x, y, z)


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
def solid_angles(plan, panel, air, omega):
    """The solid angle of each pixel, kept from its first sub-pixel unless each has its own."""
    for i in range(TILE):
        now = geometry.pixel_solid_angle(plan, panel, air[i])
        omega[i] = now if plan.sampling.oversample_omega or omega[i] == 0.0 else omega[i]


@scalar
def captures(plan, panel, layer, dx, dy, dz, capture):
    """The capture fraction of this layer, kept from its first sub-pixel unless each has its own."""
    for i in range(TILE):
        if plan.sampling.oversample_thick or capture[i] == 0.0:
            capture[i] = capture_of(plan, panel, layer, (dx[i], dy[i], dz[i]), plan.sensor.mu)


@scalar
def captures_of_source(plan, panel, layer, number, dx, dy, dz, capture):
    """The capture fraction of this layer for the photons of one source, where each has its own."""
    if not plan.sensor.chromatic:
        return
    mu = plan.sources.absorption[number]
    for i in range(TILE):
        cosine = geometry.parallax(plan, panel, (dx[i], dy[i], dz[i]))
        capture[i] = fast_capture_fraction(float(layer), plan.sensor.layer_step, mu, cosine)


@scalar
def begin(plan, total, polar, omega, on):
    """What the sums and factors of each pixel start from: those that are 0 are found at the first sub-pixel."""
    for i in range(TILE):
        total[i] = background_at_start(plan)
        polar[i] = 1.0 if plan.polarization.left_out else 0.0
        omega[i] = 0.0
        on[i] = 1.0


@scalar
def begin_layer(sensor, capture):
    """The capture fraction before a layer: all where there is no sensor, else to be found."""
    for i in range(TILE):
        capture[i] = 1.0 if sensor.thickness == 0.0 else 0.0


@scalar
def aim(plan, panel, layer, sub, fast, slow, dx, dy, dz, air, omega, capture):
    """Directions to a sub-pixel of each pixel in a layer, with its solid angle and capture fraction."""
    places(plan, panel, fast, slow, sub, layer * plan.sensor.layer_step, dx, dy, dz)
    airpaths(dx, dy, dz, air)
    normalise(dx, dy, dz, air)
    solid_angles(plan, panel, air, omega)
    if (plan.sensor.thickness != 0.0 or plan.sampling.oversample_thick) and not plan.sensor.chromatic:
        captures(plan, panel, layer, dx, dy, dz, capture)


@scalar
def any_zero(values):
    """Whether a value of the tile is still 0."""
    zeros = np.int64(0)
    for i in range(TILE):
        zeros |= np.int64(values[i] == 0.0)
    return zeros != 0


@scalar
def polarizations(plan, incident, dx, dy, dz, alive, everywhere, polar):
    """The polarization factor, kept from the first source that reaches the pixel unless each has its own."""
    kahn, again = plan.polarization.kahn, plan.sampling.oversample_polar
    if not again and not any_zero(polar):
        return
    frame = polar_frame(plan.polarization.axis, incident)
    for i in range(TILE):
        now = fast_polarization(kahn, incident, frame, (dx[i], dy[i], dz[i]))
        reached = everywhere or alive[i] != 0.0
        polar[i] = now if reached and (again or polar[i] == 0.0) else polar[i]


@scalar
def cut_by_resolution(dmin, incident, wavelength, dx, dy, dz, alive):
    """1 where the source counts, 0 where ``dmin`` drops it; returns how many count."""
    count = 0
    for i in range(TILE):
        alive[i] = 1.0
    if dmin > 0.0:
        for i in range(TILE):
            q = geometry.scattering_vector((dx[i], dy[i], dz[i]), incident, wavelength)
            if geometry.cut_by_resolution(dmin, q):
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
def weights(sampling, capture, polar, omega, weight):
    """What each term is multiplied with, or running products the sum (Q04): factors that the pixel does not share."""
    for i in range(TILE):
        w = 1.0
        if sampling.oversample_thick:
            w *= capture[i]
        if sampling.oversample_polar:
            w *= polar[i]
        if sampling.oversample_omega:
            w *= omega[i]
        weight[i] = w


@scalar
def add_background(plan, share, weight, total):
    """What one source and sub-pixel have of the background, where each term is weighted by itself."""
    part = background_of_term(plan) * share
    for i in range(TILE):
        total[i] += part * weight[i]


@scalar
def begin_subtotal(running, total, subtotal):
    """What the terms of a group of sources are added to: running products multiply the sum itself (Q04)."""
    for i in range(TILE):
        subtotal[i] = total[i] if running else 0.0


@scalar
def add_subtotal(running, alive, weight, subtotal, total):
    """Add what a group of sources has brought; running products have multiplied the sum itself already (Q04)."""
    for i in range(TILE):
        more = total[i] + weight[i] * subtotal[i]
        total[i] = subtotal[i] if running else more if alive[i] != 0.0 else total[i]


@scalar
def first_off(pixels, start, count, on):
    """The lowest raster index of a tile at which interpolation is off, or `NEVER`."""
    lowest = np.int64(NEVER)
    for i in range(count):
        if on[i] == 0.0:
            lowest = min(lowest, np.int64(pixels[start + i]))
    return lowest


@scalar
def store(plan, targets, start, count, total, capture, polar, omega, image):
    """Photons of each pixel: what the loops have not multiplied yet comes last."""
    sampling = plan.sampling
    scale = plan.scale.r_e_sqr * plan.scale.fluence / plan.scale.steps
    for i in range(TILE):
        photons = scale * total[i]
        if not sampling.oversample_thick:
            photons *= capture[i]
        if not sampling.oversample_polar:
            photons *= polar[i]
        if not sampling.oversample_omega:
            photons *= omega[i]
        total[i] = 0.0 + photons
    first = np.int64(targets[start])
    if count == TILE and np.int64(targets[start + TILE - 1]) - first == TILE - 1:  # one after the other
        for i in range(TILE):
            image[np.uint64(first) + np.uint64(i)] = total[i]
    else:
        for i in range(count):
            image[np.uint64(targets[start + i])] = total[i]
