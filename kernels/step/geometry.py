"""Where pixels are, what they see of the sample, and which scattering vectors count."""

from __future__ import annotations

import math

from nanobragg.kernels.compiling.decorators import scalar, separate
from nanobragg.kernels.plan import Placement
from nanobragg.kernels.step.vectors import dot, magnitude, rotate_axis


@scalar
def place_of_pixel(panels, index):
    """Panel, fast and slow number of a pixel, by its raster index in the image (panel, slow, fast)."""
    per_panel = panels.n_slow * panels.n_fast
    on_panel = index % per_panel
    return index // per_panel, on_panel % panels.n_fast, on_panel // panels.n_fast


@scalar
def placement(panels, number):
    """Where a panel is, as vectors and lengths of its own."""
    pix0, fdet, sdet, odet = panels.pix0, panels.fdet, panels.sdet, panels.odet
    return Placement(
        (pix0[number, 0], pix0[number, 1], pix0[number, 2]),
        (fdet[number, 0], fdet[number, 1], fdet[number, 2]),
        (sdet[number, 0], sdet[number, 1], sdet[number, 2]),
        (odet[number, 0], odet[number, 1], odet[number, 2]),
        panels.distance[number],
        panels.close_distance[number],
        (panels.beam_spot[number, 0], panels.beam_spot[number, 1]),
    )


@scalar
def middle(size, oversample, pixel, sub_pixel):
    """Middle of a sub-pixel along an edge of the panel, metres from its corner; ``size`` is that of a sub-pixel."""
    return size * (pixel * oversample + sub_pixel) + size / 2.0


@scalar
def flat_position(fast, slow, depth, fdet, sdet, odet, pix0):
    """Point of a flat panel, metres from the sample; ``fast``, ``slow``, ``depth`` in metres from its corner."""
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
    """Point of a panel bent about the sample: ``fast`` and ``slow`` are arcs from the beam's spot, metres."""
    alpha, beta, radius = fast / distance, slow / distance, distance + depth
    along, across, up = math.cos(beta) * math.cos(alpha), math.cos(beta) * math.sin(alpha), math.sin(beta)
    return (
        radius * (along * beam[0] + across * fdet[0] + up * sdet[0]),
        radius * (along * beam[1] + across * fdet[1] + up * sdet[1]),
        radius * (along * beam[2] + across * fdet[2] + up * sdet[2]),
    )


@scalar
def is_arc(plan):
    """Whether panels are bent about the sample; the original bends them about other axes (Q18)."""
    return plan.panels.curved and not plan.habits.bent_about_other_axes


@scalar
def position(plan, panel, fast, slow, depth):
    """Point of a panel, flat or bent, metres from the sample."""
    beam = plan.panels.beam
    if is_arc(plan):
        spot = panel.beam_spot
        return arc_position(fast - spot[0], slow - spot[1], depth, panel.distance, beam, panel.fdet, panel.sdet)
    flat = flat_position(fast, slow, depth, panel.fdet, panel.sdet, panel.odet, panel.pix0)
    if plan.panels.curved:
        return curved_position(flat, panel.distance, beam, panel.fdet, panel.sdet)
    return flat


@scalar
def solid_angle(pixel_size, airpath, close_distance):
    """Steradians of a square pixel on a flat panel: its area over the squared distance, times the obliquity."""
    return pixel_size * pixel_size / airpath / airpath * close_distance / airpath


@scalar
def pixel_solid_angle(plan, panel, airpath):
    """Steradians of a pixel as this plan has it; the original's point pixel has 1 square metre (Q19)."""
    panels = plan.panels
    if panels.point_pixel or is_arc(plan):
        area = panels.pixel_size * panels.pixel_size
        area = 1.0 if plan.habits.unit_area and not is_arc(plan) else area
        return area / airpath / airpath
    return solid_angle(panels.pixel_size, airpath, panel.close_distance)


@scalar
def parallax(plan, panel, d):
    """Cosine between a direction and the panel's normal where it hits; the original's may be negative (Q26)."""
    if is_arc(plan):
        return 1.0
    cosine = dot(d, panel.odet)
    return cosine if plan.habits.one_side else abs(cosine)


@scalar
def scattering_vector(diffracted, incident, wavelength):
    """(d - i)/lambda, 1/m: Ewald's construction."""
    return (
        (diffracted[0] - incident[0]) / wavelength,
        (diffracted[1] - incident[1]) / wavelength,
        (diffracted[2] - incident[2]) / wavelength,
    )


@scalar
def cut_by_resolution(dmin, q):
    """Whether a scattering vector (1/m) is of finer spacing than ``dmin`` (m), where that is above 0."""
    stol = 0.5 * magnitude(q)
    return dmin > 0.0 and stol > 0.0 and dmin > 0.5 / stol
