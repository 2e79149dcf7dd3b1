"""Which pixels a source reaches at all: of the first one depends what the original does at phi = 0 (Q01)."""

from __future__ import annotations

from nanobragg.kernels.compiling.decorators import kernel, scalar
from nanobragg.kernels.step import geometry
from nanobragg.kernels.step.vectors import unit


@scalar
def is_visited(plan, place):
    """Whether any source passes the resolution cut at any sub-pixel and layer of a pixel (panel, fast, slow)."""
    number, fast, slow = place
    panel = geometry.placement(plan.panels, number)
    oversample, towards = plan.sampling.oversample, plan.sources.direction
    size = plan.panels.pixel_size / oversample
    for layer in range(plan.sensor.layers):
        for sub_s in range(oversample):
            for sub_f in range(oversample):
                f_pos = geometry.middle(size, oversample, fast, sub_f)
                s_pos = geometry.middle(size, oversample, slow, sub_s)
                d = unit(geometry.position(plan, panel, f_pos, s_pos, layer * plan.sensor.layer_step))
                for j in range(len(plan.sources.wavelength)):
                    incident = (-towards[j, 0], -towards[j, 1], -towards[j, 2])
                    q = geometry.scattering_vector(d, incident, plan.sources.wavelength[j])
                    if not geometry.cut_by_resolution(plan.factors.dmin, q):
                        return True
    return False


@kernel
def first_visited(plan, pixels):
    """Position in ``pixels`` of the first one that is visited, or their number."""
    for i in range(len(pixels)):
        if is_visited(plan, geometry.place_of_pixel(plan.panels, pixels[i])):
            return i
    return len(pixels)
