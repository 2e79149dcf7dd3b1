"""The exact loops on the CPU, pixel by pixel: the original's order of operations."""

from __future__ import annotations

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.plan import SQUARE
from nanobragg.kernels.step import geometry, physics
from nanobragg.kernels.step.interpolation import tricubic

FINITE = 1e100  # indices whose lattice factor is a number; in no experiment are they larger


@scalar
def structure_factor(plan, hkl, node, interpolate):
    """F_cell, and whether interpolation is still on afterwards: one index out of range ends it (Q02)."""
    if interpolate and physics.within_tricubic_range(hkl, plan.hkl_min, plan.hkl_range):
        return tricubic(plan.table, hkl, plan.hkl_min), True
    return physics.table_factor(node, plan.hkl_min, plan.hkl_max, plan.n_hkl, plan.table, plan.default_F), False


@scalar
def own_weight(plan, capture, polar, omega):
    """The factors that are each term's own, multiplied."""
    weight = 1.0
    if plan.oversample_thick:
        weight *= capture
    if plan.oversample_polar:
        weight *= polar
    if plan.oversample_omega:
        weight *= omega
    return weight


@scalar
def visit(plan, cells, q, capture, polar, omega, share, total, interpolate):
    """All phi steps and domains of one scattering vector, each counting ``share``, added to ``total``."""
    products = geometry.has_products(plan)
    # A square lattice factor is never 0, so F_cell can be looked at first: where it is 0, nothing is added. Where
    # running products change the sum with every evaluation, that matters too.
    running = products and plan.running_products
    amplitude_first = plan.shape == SQUARE and not running
    f_latt = 0.0
    for i in range(cells.shape[0]):
        for m in range(cells.shape[1]):
            hkl = (
                cells[i, m, 0] * q[0] + cells[i, m, 1] * q[1] + cells[i, m, 2] * q[2],
                cells[i, m, 3] * q[0] + cells[i, m, 4] * q[1] + cells[i, m, 5] * q[2],
                cells[i, m, 6] * q[0] + cells[i, m, 7] * q[1] + cells[i, m, 8] * q[2],
            )
            node = (physics.nearest(hkl[0]), physics.nearest(hkl[1]), physics.nearest(hkl[2]))
            at = physics.phases(hkl, node, plan.reduced_sines) if plan.shape == SQUARE else hkl
            if not amplitude_first:
                f_latt = physics.lattice_factor(plan.shape, at, node, plan.n_cells, plan.recip, plan.fudge)
                if f_latt == 0.0 and not plan.water:
                    continue
            f_cell, inside = structure_factor(plan, hkl, node, interpolate)
            interpolate = inside if plan.sticky else interpolate
            if amplitude_first:
                if f_cell == 0.0 and abs(hkl[0]) + abs(hkl[1]) + abs(hkl[2]) < FINITE:
                    continue
                f_latt = physics.square_lattice(at, plan.n_cells)
            term = f_cell * f_cell * f_latt * f_latt * share
            if running:
                total += term
                if plan.oversample_thick:
                    total *= capture
                if plan.oversample_polar:
                    total *= polar
                if plan.oversample_omega:
                    total *= omega
            else:
                total += term * own_weight(plan, capture, polar, omega)
    return total, interpolate


@scalar
def axis_of_call(axes, call):
    """Polarization axis that call number ``call`` of the run works with."""
    table, start, period = axes
    if call >= len(table):
        call = start + (call - start) % period
    return (table[call, 0], table[call, 1], table[call, 2])


@scalar
def pixel_sum(plan, first_cells, cells, axes, fast, slow, calls, interpolate):
    """Everything a pixel adds up.

    Returns the sum over all evaluations; the capture fraction, polarization and solid angle that its end is scaled
    with; the solid angles added up; the number of polarization calls of the run so far; and whether interpolation is
    still on. The first visit uses ``first_cells``, all later ones ``cells``.
    """
    products = geometry.has_products(plan)
    spread = products and not plan.running_products
    total = 0.0 if spread else plan.background
    polar = 1.0 if plan.nopolar else 0.0
    omega = 0.0
    capture = 0.0
    visited = False
    sub = plan.pixel_size / plan.oversample
    for layer in range(plan.layers):
        capture = 1.0 if plan.thickness == 0.0 else 0.0
        for sub_s in range(plan.oversample):
            for sub_f in range(plan.oversample):
                f_pos = sub * (fast * plan.oversample + sub_f) + sub / 2.0
                s_pos = sub * (slow * plan.oversample + sub_s) + sub / 2.0
                point = geometry.position(plan, f_pos, s_pos, layer * plan.layer_step)
                airpath = physics.magnitude(point)
                d = physics.unit(point)
                if omega == 0.0 or plan.oversample_omega:
                    omega = geometry.pixel_solid_angle(plan, airpath)
                if capture == 0.0 or plan.oversample_thick:
                    capture = physics.capture_fraction(
                        float(layer), plan.layer_step, plan.mu, geometry.parallax(plan, d)
                    )
                for j in range(len(plan.sources)):
                    incident = (-plan.sources[j, 0], -plan.sources[j, 1], -plan.sources[j, 2])
                    q = physics.scattering_vector(d, incident, plan.sources[j, 3])
                    cut = geometry.cut_by_resolution(plan, q)
                    if cut and not (plan.keep_background or spread):
                        continue
                    if polar == 0.0 or plan.oversample_polar:
                        calls += 1
                        # the original normalises d in place, so that later sources see it changed (Q17)
                        seen = physics.unit(d)
                        axis = axis_of_call(axes, calls)
                        polar = physics.polarization_factor(plan.kahn, physics.unit(incident), seen, axis)
                        d = d if plan.pure_polarization else seen
                    if spread:
                        total += geometry.background_of_term(plan) * own_weight(plan, capture, polar, omega)
                    if cut:
                        continue
                    turned = cells if visited else first_cells
                    visited = True
                    share = plan.sources[j, 4]
                    total, interpolate = visit(plan, turned, q, capture, polar, omega, share, total, interpolate)
    return total, capture, polar, omega, calls, interpolate


@scalar
def photons(plan, total, capture, polar, omega):
    """Photons of a pixel from its sum: what the loops have not multiplied yet comes last."""
    scaled = plan.r_e_sqr * plan.fluence * total / plan.steps
    if not plan.oversample_thick:
        scaled *= capture
    if not plan.oversample_polar:
        scaled *= polar
    if not plan.oversample_omega:
        scaled *= omega
    return scaled


@kernel
def render_pixels(plan, first_cells, cells, axes, pixels, calls_before, interpolate, image, calls):
    """Render the listed pixels; returns the lowest raster index at which interpolation went off, or `NEVER`.

    ``calls_before`` holds the polarization calls made before each pixel, or is empty; ``calls``, if not empty,
    takes the calls of each.
    """
    switched_at = NEVER
    for i in range(len(pixels)):
        index = pixels[i]
        before = calls_before[i] if len(calls_before) else 0
        total, capture, polar, omega, after, still_on = pixel_sum(
            plan, first_cells, cells, axes, index % plan.n_fast, index // plan.n_fast, before, interpolate
        )
        image[index] = 0.0 + photons(plan, total, capture, polar, omega)
        if len(calls):
            calls[i] = after - before
        if interpolate and not still_on:
            switched_at = min(switched_at, index)
    return switched_at
