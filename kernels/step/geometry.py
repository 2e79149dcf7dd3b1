"""Where a plan's pixels are, what they see, and which scattering vectors count: the same for every CPU kernel."""

from __future__ import annotations

from nanobragg.kernels import plan as plans
from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.step import physics

has_products = scalar(plans.has_products)


@scalar
def position(plan, fast, slow, depth):
    """Point of the detector as this plan has it, metres from the sample."""
    if plan.arcs:
        spot = plan.beam_spot
        return physics.arc_position(
            fast - spot[0], slow - spot[1], depth, plan.distance, plan.beam, plan.fdet, plan.sdet
        )
    flat = physics.flat_position(fast, slow, depth, plan.fdet, plan.sdet, plan.odet, plan.pix0)
    if plan.curved:
        return physics.curved_position(flat, plan.distance, plan.beam, plan.fdet, plan.sdet)
    return flat


@scalar
def pixel_solid_angle(plan, airpath):
    """Steradians of a pixel as this plan has it; a point pixel's may be per square metre (Q19)."""
    if plan.point_pixel or plan.arcs:
        area = plan.pixel_size * plan.pixel_size if plan.pixel_area or plan.arcs else 1.0
        return area / airpath / airpath
    return physics.solid_angle(plan.pixel_size, airpath, plan.close_distance)


@scalar
def parallax(plan, d):
    """Cosine between a direction and the detector's normal where it hits."""
    if plan.arcs:
        return 1.0
    cosine = physics.dot(d, plan.odet)
    return abs(cosine) if plan.either_side else cosine


@scalar
def background_of_term(plan):
    """What one source and sub-pixel have of the background, where each term is weighted by itself."""
    layers = 1 if plan.oversample_thick else plan.layers
    return plan.background / (plan.oversample * plan.oversample * len(plan.sources) * layers)


@scalar
def cut_by_resolution(plan, q):
    """Whether ``-dmin`` drops this scattering vector."""
    stol = 0.5 * physics.magnitude(q)
    return plan.dmin > 0.0 and stol > 0.0 and plan.dmin > 0.5 / stol


@scalar
def is_visited(plan, fast, slow):
    """Whether any source passes the resolution cut at any sub-pixel and layer."""
    sub = plan.pixel_size / plan.oversample
    for layer in range(plan.layers):
        for sub_s in range(plan.oversample):
            for sub_f in range(plan.oversample):
                f_pos = sub * (fast * plan.oversample + sub_f) + sub / 2.0
                s_pos = sub * (slow * plan.oversample + sub_s) + sub / 2.0
                d = physics.unit(position(plan, f_pos, s_pos, layer * plan.layer_step))
                for j in range(len(plan.sources)):
                    incident = (-plan.sources[j, 0], -plan.sources[j, 1], -plan.sources[j, 2])
                    if not cut_by_resolution(plan, physics.scattering_vector(d, incident, plan.sources[j, 3])):
                        return True
    return False


@kernel
def first_visited(plan, pixels):
    """Position in ``pixels`` of the first one that is visited, or their number."""
    for i in range(len(pixels)):
        if is_visited(plan, pixels[i] % plan.n_fast, pixels[i] // plan.n_fast):
            return i
    return len(pixels)
