"""From a scene to the plan of its image: numbers and read-only arrays, nothing left to decide."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.spots import ROUND_SPOTS
from nanobragg.engine.scene.scene import PlacedDetector, Scene
from nanobragg.kernels import plan as plans
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import SHAPES

R_E_SQR = 7.94079248018965e-30  # square metres
GEOMETRY = {  # what overflows first with numbers that cannot be meant
    "panels": ("pix0", "fdet", "sdet", "odet", "distance", "close_distance"), "sensor": ("mu",),
    "sources": ("direction", "wavelength", "weight", "absorption"), "cells": ("phi0", "phi_step", "n_cells"),
}  # fmt: skip


def plan_of(scene: Scene) -> RenderPlan:
    """The plan of one image.

    Raises
    ------
    BadInput
        Where numbers of the geometry overflow, and where no index is a number to interpolate at.
    """
    s, c, f = scene, scene.crystal, scene.seen_factors
    chromatic, absorption = _absorption(s)
    low, high = ((int(h), int(k), int(l)) for h, k, l in f.bounds.T)
    plan = RenderPlan(
        panels=_panels(s),
        sensor=plans.Sensor(s.detector.thickness, s.detector.mu, s.detector.layers, s.detector.layer_step, chromatic),
        sources=plans.Sources(
            direction=_frozen(s.beam.directions), wavelength=_frozen(s.beam.wavelengths),
            weight=_frozen(s.beam.weights), table_number=_frozen(s.beam.table_numbers), absorption=_frozen(absorption),
        ),
        polarization=plans.Polarization(s.beam.kahn, s.beam.polarization_left_out, s.beam.polar),
        cells=plans.Cells(
            cell=tuple(x for v in c.real for x in v), recip=c.spot_vectors, n_cells=c.n_cells,
            shape=SHAPES.index(c.shape.removesuffix(ROUND_SPOTS)), fudge=c.fudge, spindle=s.scan.spindle,
            phi0=s.scan.first, phi_step=s.scan.step, phi_steps=s.scan.steps,
            mosaic_spread=c.mosaic_spread, mosaic_rotations=_frozen(c.rotations),
            domain_scales=_frozen(c.domain_scales),
        ),
        factors=plans.Factors(
            table=f.tables, n_hkl=f.n_hkl, default_F=f.default_F, hkl_min=low, hkl_max=high,
            hkl_range=tuple(hi - lo + 1 for lo, hi in zip(low, high, strict=True)),  # type: ignore[arg-type]
            interpolate=s.sampled.interpolate, dmin=s.dmin,
        ),
        sampling=plans.SubPixels(
            oversample=s.sampled.oversample, oversample_thick=s.sampled.own_capture,
            oversample_polar=s.sampled.own_polarization, oversample_omega=s.sampled.own_solid_angle,
        ),
        scale=plans.Scale(s.beam.fluence * c.share, R_E_SQR, s.sampled.steps, s.background / c.share, s.water),
        habits=s.habits,
    )  # fmt: skip
    for group, names in GEOMETRY.items():
        for name in names:
            if not np.isfinite(getattr(getattr(plan, group), name)).all():
                raise BadInput(f"{name} overflows with these settings: check sizes, distances, thickness, tilts, axes")
    at_sample = plan.panels.curved and not plan.panels.distance.all()
    if at_sample and plan.factors.interpolate and plan.n_rendered:
        raise BadInput("-distance 0 with -curved_det: no index is a number to interpolate at (the original dies here)")
    return plan


def _panels(scene: Scene) -> plans.Panels:
    d: PlacedDetector = scene.detector
    depth = d.depth_in_layer
    close = [panel.close_distance + depth for panel in d.panels]
    return plans.Panels(
        n_fast=d.n_fast, n_slow=d.n_slow, roi=d.roi, mask=_frozen(d.mask), pixel_size=d.pixel_size,
        pix0=_rows(tuple(x + depth * o for x, o in zip(p.pix0, p.odet, strict=True)) for p in d.panels),
        fdet=_rows(p.fdet for p in d.panels), sdet=_rows(p.sdet for p in d.panels),
        odet=_rows(p.odet for p in d.panels), distance=_rows(p.distance for p in d.panels),
        close_distance=_rows(close if scene.habits.one_side else map(abs, close)),
        wide_fast=_frozen(d.wide_pixels[0]), wide_slow=_frozen(d.wide_pixels[1]),
        beam_spot=_rows((p.Fbeam, p.Sbeam) for p in d.panels),
        beam=scene.beam.direction, curved=d.curved, point_pixel=d.point_pixel,
    )  # fmt: skip


def _absorption(scene: Scene) -> tuple[bool, np.ndarray]:
    """Whether sources differ in what the sensor absorbs of them, and their absorption, 1/m, 0 where not."""
    own = scene.detector.absorption
    if len(own) and scene.sampled.own_capture and (own != own[0]).any():
        return True, own
    return False, np.zeros(len(scene.beam.wavelengths))


def _rows(values: Iterable[npt.ArrayLike]) -> np.ndarray:
    return _frozen(np.array(list(values), float))


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
