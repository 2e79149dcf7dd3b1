"""Loops over pixels: light of amorphous matter, shades, and both put into a rendered image."""

from __future__ import annotations

import math

import numpy as np

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.compiling.vector import prefer_wide_registers
from nanobragg.kernels.compiling.vector import rounded_once_single as fma_single
from nanobragg.kernels.step import geometry
from nanobragg.kernels.step.polarization import fast_polarization, polar_frame
from nanobragg.kernels.step.vectors import dot
from nanobragg.kernels.surroundings.plan import AMOUNT, COMPTON_WAVELENGTH, OFFSET


@scalar
def at_stol(table, place):
    """A value between the two nearest of a table, that of its end beyond it."""
    last = len(table) - 1
    below = min(int(place), last)
    above = min(below + 1, last)
    return table[below] + (table[above] - table[below]) * (place - below if below < last else 0.0)


@scalar
def middle_of(plan, panel, slow, fast):
    """The middle of a pixel's sensor, metres from the sample."""
    size = plan.panels.pixel_size
    return geometry.position(plan, panel, size * (fast + 0.5), size * (slow + 0.5), 0.0)


@scalar
def distance_from_edge(shade, x, y):
    """How far a point in its plane is outside a beamstop, metres; below 0 inside."""
    x, y = x - shade.centre[0], y - shade.centre[1]
    if shade.square:
        return max(abs(x), abs(y)) - shade.half
    return math.sqrt(x * x + y * y) - shade.half


@scalar
def let_through(plan, shade, offset, d, path):
    """Share of light from a point of the beam that gas and beamstop let through, in direction ``d``.

    The edge of a shadow is as soft as a pixel is wide.
    """
    beam = plan.panels.beam
    left = math.exp(-shade.absorption * path)
    along = dot(d, beam)
    if shade.distance == 0.0:
        return left
    if offset >= shade.distance:
        return 0.0
    if along <= 0.0:
        return left
    reach = (shade.distance - offset) / along
    if reach >= path:
        return left
    edge = distance_from_edge(shade, reach * dot(d, shade.across), reach * dot(d, shade.up))
    pixel = plan.panels.pixel_size * reach / path
    return left * min(max(edge / pixel + 0.5, 0.0), 1.0)


@scalar
def absorbed(plan, panel, d, mu):
    """Share of photons that the whole sensor absorbs."""
    if plan.sensor.thickness == 0.0 or mu <= 0.0:
        return 1.0
    cosine = geometry.parallax(plan, panel, d)
    return 1.0 - math.exp(-mu * plan.sensor.layer_step * plan.sensor.layers / cosine)


@scalar
def solid_angle_from(plan, panel, d, path):
    """Steradians of a pixel from a point ``path`` metres away."""
    panels = plan.panels
    area = panels.pixel_size * panels.pixel_size / (path * path)
    return area if panels.point_pixel or panels.curved else area * abs(dot(d, panel.odet))


@scalar
def polarized(plan, incident, d):
    """The polarization factor."""
    if plan.polarization.left_out:
        return 1.0
    return fast_polarization(plan.polarization.kahn, incident, polar_frame(plan.polarization.axis, incident), d)


@scalar
def per_electron(plan, matter, d):
    """Squared electrons of a molecule and polarization, of all directions of the beam."""
    total = 0.0
    for j in range(len(matter.shares)):
        incident = (-matter.directions[j, 0], -matter.directions[j, 1], -matter.directions[j, 2])
        q = geometry.scattering_vector(d, incident, matter.wavelength)
        stol = 0.5 * math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
        place = stol / matter.stol_step
        loss = 1.0 + COMPTON_WAVELENGTH / matter.wavelength * (1.0 - dot(d, incident))
        electrons = at_stol(matter.coherent, place) + at_stol(matter.incoherent, place) / (loss * loss)
        total += electrons * polarized(plan, incident, d) * matter.shares[j]
    return total


@kernel
def scatter_rows(plan, matter, shade, rows, light):
    """Photons that pixels of some rows of all panels have of an amorphous part, for 1 photon on each square metre of
    classical electrons' cross section."""
    n_slow, n_fast = plan.panels.n_slow, plan.panels.n_fast
    beam = plan.panels.beam
    for row in range(rows[0], rows[1]):
        panel = geometry.placement(plan.panels, row // n_slow)
        for fast in range(n_fast):
            point = middle_of(plan, panel, row % n_slow, fast)
            total = 0.0
            for k in range(len(matter.places)):
                offset = matter.places[k, OFFSET]
                x, y, z = point[0] - offset * beam[0], point[1] - offset * beam[1], point[2] - offset * beam[2]
                path = math.sqrt(x * x + y * y + z * z)
                d = (x / path, y / path, z / path)
                if not plan.panels.curved and dot(d, panel.odet) * panel.close_distance <= 0.0:
                    continue  # behind the panel
                through = let_through(plan, shade, offset, d, path)
                if through == 0.0:
                    continue
                seen = solid_angle_from(plan, panel, d, path) * absorbed(plan, panel, d, matter.absorption)
                total += matter.places[k, AMOUNT] * through * seen * per_electron(plan, matter, d)
            light[row * n_fast + fast] = np.float32(total)
    return 0


@kernel
def see_rows(plan, shade, direction, absorption, rows, sines, seen):
    """What pixels of some rows of all panels see of matter at the sample that is lit from ``direction``; see `Sheet`.

    ``absorption`` is that of the sensor, 1/m.
    """
    n_slow, n_fast = plan.panels.n_slow, plan.panels.n_fast
    incident = (-direction[0], -direction[1], -direction[2])
    for row in range(rows[0], rows[1]):
        panel = geometry.placement(plan.panels, row // n_slow)
        for fast in range(n_fast):
            x, y, z = middle_of(plan, panel, row % n_slow, fast)
            path = math.sqrt(x * x + y * y + z * z)
            if path == 0.0:
                sines[row * n_fast + fast], seen[row * n_fast + fast] = 0.0, np.nan
                continue
            d = (x / path, y / path, z / path)
            between = (d[0] - incident[0], d[1] - incident[1], d[2] - incident[2])
            sines[row * n_fast + fast] = np.float32(0.5 * math.sqrt(dot(between, between)))
            share = 0.0
            if plan.panels.curved or dot(d, panel.odet) * panel.close_distance > 0.0:
                share = let_through(plan, shade, 0.0, d, path) * polarized(plan, incident, d)
                share *= solid_angle_from(plan, panel, d, path) * absorbed(plan, panel, d, absorption)
            seen[row * n_fast + fast] = np.float32(share)
    return 0


@kernel
def shade_rows(plan, shade, rows, transmission):
    """Share of the sample's light that reaches pixels of some rows of all panels."""
    n_slow, n_fast = plan.panels.n_slow, plan.panels.n_fast
    for row in range(rows[0], rows[1]):
        panel = geometry.placement(plan.panels, row // n_slow)
        for fast in range(n_fast):
            x, y, z = middle_of(plan, panel, row % n_slow, fast)
            path = math.sqrt(x * x + y * y + z * z)
            through = let_through(plan, shade, 0.0, (x / path, y / path, z / path), path)
            transmission[row * n_fast + fast] = np.float32(through)
    return 0


@scalar
def with_part(light, weight, of_part):
    """Light of a pixel with that of one more part."""
    return fma_single(np.float32(weight), of_part, light)


@scalar
def with_sheet(light, sine, seen, table, per_step):
    """Light of a pixel with that of all matter in one place."""
    place = min(sine * np.float32(per_step), np.float32(len(table) - 1))
    below = min(np.int32(place), np.int32(len(table) - 2))
    electrons = fma_single(table[below + 1] - table[below], place - np.float32(below), table[below])
    return fma_single(seen, electrons, light)


@kernel
def add_sheet_rows(rows, n_fast, sheet, light):
    """Add light of all matter in one place to that of pixels of some rows."""
    prefer_wide_registers()
    first, last = rows[0] * n_fast, rows[1] * n_fast
    total, sines, seen = light[first:last], sheet.sines[first:last], sheet.seen[first:last]
    for i in range(len(total)):
        total[i] = with_sheet(total[i], sines[i], seen[i], sheet.table, sheet.per_step)
    return 0


@kernel
def add_rows(rows, n_fast, weight, of_part, light):
    """Add light of a part to that of pixels of some rows."""
    prefer_wide_registers()
    first, last = rows[0] * n_fast, rows[1] * n_fast
    total, more = light[first:last], of_part[first:last]
    for i in range(len(total)):
        total[i] = with_part(total[i], weight, more[i])
    return 0


@scalar
def surrounded(around, value, index):
    """Photons of a pixel with what surrounds the sample."""
    if len(around.transmission) != 0:
        value = value * around.transmission[index]
    if len(around.scattered) != 0:
        value = fma_single(np.float32(around.scale), around.scattered[index], value)
    return value


@scalar
def is_left_out(mask, index):
    """Whether a pixel is masked."""
    return len(mask) != 0 and mask[index] == 0


@kernel
def surround_rows(around, mask, rows, columns, image):
    """Put it into rendered pixels of some rows of all panels: by vector code where none is masked."""
    prefer_wide_registers()
    shades, lit, scale = len(around.transmission) != 0, len(around.scattered) != 0, np.float32(around.scale)
    count = columns[1] - columns[0]
    for row in range(rows[0], rows[1]):
        first = np.uint64(row * image.shape[1] + columns[0])
        of_row = image[row, columns[0] : columns[1]]
        if len(mask) != 0:
            for i in range(count):
                index = first + np.uint64(i)
                if not is_left_out(mask, index):
                    of_row[i] = surrounded(around, of_row[i], index)
        elif shades and lit:
            for i in range(count):
                index = first + np.uint64(i)
                of_row[i] = fma_single(scale, around.scattered[index], of_row[i] * around.transmission[index])
        elif lit:
            for i in range(count):
                of_row[i] = fma_single(scale, around.scattered[first + np.uint64(i)], of_row[i])
        else:
            for i in range(count):
                of_row[i] = of_row[i] * around.transmission[first + np.uint64(i)]
    return 0
