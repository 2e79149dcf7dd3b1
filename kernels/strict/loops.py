"""The exact loops on the CPU, pixel by pixel: the original's order of operations."""

from __future__ import annotations

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.shapes import SQUARE
from nanobragg.kernels.step import amplitude, background, geometry, lattice
from nanobragg.kernels.step.capture import capture as capture_of
from nanobragg.kernels.step.polarization import polarization
from nanobragg.kernels.step.vectors import magnitude, unit

FINITE = 1e100  # indices whose lattice factor is a number; in no experiment are they larger


@scalar
def structure_factor(factors, number, hkl, node, interpolate):
    """F_cell, and whether interpolation is still on afterwards: one index out of range may end it (Q02)."""
    if interpolate and amplitude.within_tricubic_range(factors, hkl):
        return amplitude.tricubic(factors, number, hkl), True
    return amplitude.table_factor(factors, number, node), False


@scalar
def own_weight(sampling, capture, polar, omega):
    """The factors that are each term's own, multiplied."""
    weight = 1.0
    if sampling.oversample_thick:
        weight *= capture
    if sampling.oversample_polar:
        weight *= polar
    if sampling.oversample_omega:
        weight *= omega
    return weight


@scalar
def visit(plan, cells, q, factors_of_term, source, total, interpolate):
    """All phi steps and domains of one scattering vector, added to ``total``.

    ``factors_of_term`` are capture, polarization and solid angle; ``source`` is what its terms count, and its table.
    """
    capture, polar, omega = factors_of_term
    share, number = source
    sampling, crystal, factors, habits = plan.sampling, plan.cells, plan.factors, plan.habits
    products = background.has_products(plan)
    # A square lattice factor is never 0, so F_cell can be looked at first: where it is 0, nothing is added. Where
    # running products change the sum with every evaluation, that matters too.
    running = products and habits.running_products
    amplitude_first = crystal.shape == SQUARE and not running
    f_latt = 0.0
    for i in range(cells.shape[0]):
        for m in range(cells.shape[1]):
            hkl = (
                cells[i, m, 0] * q[0] + cells[i, m, 1] * q[1] + cells[i, m, 2] * q[2],
                cells[i, m, 3] * q[0] + cells[i, m, 4] * q[1] + cells[i, m, 5] * q[2],
                cells[i, m, 6] * q[0] + cells[i, m, 7] * q[1] + cells[i, m, 8] * q[2],
            )
            node = lattice.nearest_node(hkl)
            at = lattice.phases(hkl, node, habits.whole_sines) if crystal.shape == SQUARE else hkl
            if not amplitude_first:
                f_latt = lattice.lattice_factor(crystal.shape, crystal, at, node)
                if f_latt == 0.0 and not plan.scale.water:
                    continue
            f_cell, inside = structure_factor(factors, number, hkl, node, interpolate)
            interpolate = inside if habits.interpolation_ends else interpolate
            if amplitude_first:
                if f_cell == 0.0 and abs(hkl[0]) + abs(hkl[1]) + abs(hkl[2]) < FINITE:
                    continue
                f_latt = lattice.square_lattice(at, crystal.n_cells)
            term = f_cell * f_cell * f_latt * f_latt * share
            if running:
                total += term
                if sampling.oversample_thick:
                    total *= capture
                if sampling.oversample_polar:
                    total *= polar
                if sampling.oversample_omega:
                    total *= omega
            else:
                total += term * own_weight(sampling, capture, polar, omega)
    return total, interpolate


@scalar
def axis_of_call(axes, call):
    """Polarization axis that call number ``call`` of the run works with."""
    table, start, period = axes
    if call >= len(table):
        call = start + (call - start) % period
    return (table[call, 0], table[call, 1], table[call, 2])


@scalar
def pixel_sum(plan, first_cells, cells, axes, place, calls, interpolate):
    """Everything a pixel adds up; ``place`` is its panel, fast and slow number.

    Returns the sum over all evaluations; the capture fraction, polarization and solid angle that its end is scaled
    with; the number of polarization calls of the run so far; and whether interpolation is still on. The first visit
    uses ``first_cells``, all later ones ``cells``.
    """
    number, fast, slow = place
    panel = geometry.placement(plan.panels, number)
    sensor, sampling, sources = plan.sensor, plan.sampling, plan.sources
    everywhere, spread = background.background_everywhere(plan), background.is_spread(plan)
    total = background.background_at_start(plan)
    polar = 1.0 if plan.polarization.left_out else 0.0
    omega = 0.0
    capture = 0.0
    visited = False
    size = plan.panels.pixel_size / sampling.oversample
    for layer in range(sensor.layers):
        capture = 1.0 if sensor.thickness == 0.0 else 0.0
        for sub_s in range(sampling.oversample):
            for sub_f in range(sampling.oversample):
                f_pos = geometry.middle(size, sampling.oversample, fast, sub_f)
                s_pos = geometry.middle(size, sampling.oversample, slow, sub_s)
                point = geometry.position(plan, panel, f_pos, s_pos, layer * sensor.layer_step)
                airpath = magnitude(point)
                d = unit(point)
                if omega == 0.0 or sampling.oversample_omega:
                    omega = geometry.pixel_solid_angle(plan, panel, airpath)
                if capture == 0.0 or sampling.oversample_thick:
                    capture = capture_of(plan, panel, layer, d, sensor.mu)
                for j in range(len(sources.wavelength)):
                    towards = sources.direction
                    incident = (-towards[j, 0], -towards[j, 1], -towards[j, 2])
                    q = geometry.scattering_vector(d, incident, sources.wavelength[j])
                    cut = geometry.cut_by_resolution(plan.factors.dmin, q)
                    if cut and not everywhere:
                        continue
                    if sensor.chromatic:
                        capture = capture_of(plan, panel, layer, d, sources.absorption[j])
                    if polar == 0.0 or sampling.oversample_polar:
                        calls += 1
                        # the original normalises d in place, so that later sources see it changed (Q17)
                        seen = unit(d)
                        axis = axis_of_call(axes, calls)
                        polar = polarization(plan.polarization.kahn, unit(incident), seen, axis)
                        d = seen if plan.habits.drifting_axis else d
                    if spread:
                        weight = own_weight(sampling, capture, polar, omega)
                        total += background.background_of_term(plan) * weight * sources.weight[j]
                    if cut:
                        continue
                    turned = cells if visited else first_cells
                    visited = True
                    source = (sources.weight[j], sources.table_number[j])
                    total, interpolate = visit(plan, turned, q, (capture, polar, omega), source, total, interpolate)
    return total, capture, polar, omega, calls, interpolate


@scalar
def photons(plan, total, capture, polar, omega):
    """Photons of a pixel from its sum: what the loops have not multiplied yet comes last."""
    scale, sampling = plan.scale, plan.sampling
    scaled = scale.r_e_sqr * scale.fluence * total / scale.steps
    if not sampling.oversample_thick:
        scaled *= capture
    if not sampling.oversample_polar:
        scaled *= polar
    if not sampling.oversample_omega:
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
        place = geometry.place_of_pixel(plan.panels, index)
        total, capture, polar, omega, after, still_on = pixel_sum(
            plan, first_cells, cells, axes, place, before, interpolate
        )
        image[index] = 0.0 + photons(plan, total, capture, polar, omega)
        if len(calls):
            calls[i] = after - before
        if interpolate and not still_on:
            switched_at = min(switched_at, index)
    return switched_at
