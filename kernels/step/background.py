"""What a pixel has of the background, of which its sum starts."""

from __future__ import annotations

from nanobragg.kernels import plan as plans
from nanobragg.kernels.compiling.decorators import scalar

has_products = scalar(plans.has_products)


@scalar
def is_spread(plan):
    """Whether the background is added with each term, as that is weighted by itself."""
    return has_products(plan) and not plan.habits.running_products


@scalar
def background_at_start(plan):
    """What the sum of a pixel starts from."""
    return 0.0 if is_spread(plan) else plan.scale.background


@scalar
def background_of_term(plan):
    """What one source and sub-pixel have of the background, where each term is weighted by itself."""
    sampling = plan.sampling
    layers = 1 if sampling.oversample_thick else plan.sensor.layers
    return plan.scale.background / (sampling.oversample * sampling.oversample * len(plan.sources.wavelength) * layers)


@scalar
def background_everywhere(plan):
    """Whether a scattering vector that dmin cuts still brings its part of the background (Q13)."""
    return not plan.habits.background_cut or is_spread(plan)
