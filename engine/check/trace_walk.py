"""The loops of a kernel over one pixel, with the functions that it calls, and every figure noted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanobragg.engine.check.figures import Figure, Vector
from nanobragg.engine.check.left import Before
from nanobragg.engine.check.trace_reference import derived
from nanobragg.kernels.backends import backend as backend_of
from nanobragg.kernels.fast import host as fast
from nanobragg.kernels.order.cells import axes_of, cells_per_phi, with_domains
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import FAST_FORMS, SQUARE
from nanobragg.kernels.vectors import unit


class Walk:
    """One pixel of a plan, in exact or fast arithmetic."""

    def __init__(self, plan: RenderPlan, index: int, left: Before, backend: str):
        from nanobragg.kernels.step import amplitude, background, capture, geometry, lattice, polarization, vectors
        from nanobragg.kernels.strict import loops

        self.amplitude, self.background, self.capture_of = amplitude, background, capture.capture
        self.geometry, self.lattice, self.polarization = geometry, lattice, polarization
        self.vectors, self.loops = vectors, loops
        self.plan, self.index, self.left, self.backend = plan, index, left, backend
        self.exact = backend_of(backend).CAPABILITIES.exact
        self.place = geometry.place_of_pixel(plan.panels, index)
        self.panel = geometry.placement(plan.panels, self.place[0])
        first, later = cells_per_phi(plan)
        self.cells = with_domains(plan, later)
        self.first_cells = with_domains(plan, first) if left.first_visit else self.cells
        self.axes = axes_of(plan, left.calls + 2 + plan.evaluations)
        self.calls, self.visited, self.interpolate = left.calls, False, left.interpolate
        self.polar, self.omega, self.capture = (1.0 if plan.polarization.left_out else 0.0), 0.0, 0.0
        self.contributions = 0.0
        self.found: list[Figure] = []

    def figures(self) -> list[Figure]:
        """All of them."""
        plan = self.plan
        for layer in range(plan.sensor.layers):
            self.capture = 1.0 if plan.sensor.thickness == 0.0 else 0.0
            for sub in range(plan.sub_pixels):
                self._sub_pixel(layer, sub)
        total, photons = self._sum()
        self.note((), I_before_scaling=total, capture_fraction=self.capture, polar=self.polar)
        self.note((), omega_pixel=self.omega, I_pixel_final=photons)
        return self.found

    def note(self, at: tuple[int, ...], **figures: Any) -> None:
        """Keep figures, in this order."""
        for label, values in figures.items():
            values = tuple(float(v) for v in (values if isinstance(values, tuple) else (values,)))
            self.found.extend(derived(self.plan, Figure(label, values, at)))

    def _sub_pixel(self, layer: int, sub: int) -> None:
        plan, geometry, sampling = self.plan, self.geometry, self.plan.sampling
        _, fast_pixel, slow = self.place
        size, (sub_s, sub_f) = plan.panels.pixel_size / sampling.oversample, divmod(sub, sampling.oversample)
        f_pos = geometry.middle(size, sampling.oversample, fast_pixel, sub_f)
        s_pos = geometry.middle(size, sampling.oversample, slow, sub_s)
        point = geometry.position(plan, self.panel, f_pos, s_pos, layer * plan.sensor.layer_step)
        airpath, d = self.vectors.magnitude(point), self.vectors.unit(point)
        if self.omega == 0.0 or sampling.oversample_omega:
            self.omega = geometry.pixel_solid_angle(plan, self.panel, airpath)
        if self.capture == 0.0 or sampling.oversample_thick:
            self.capture = self.capture_of(plan, self.panel, layer, d, plan.sensor.mu)
        at = (layer, sub)
        self.note(at, pixel_pos_meters=point, R_distance_meters=airpath, omega_pixel_sr=self.omega, diffracted_vec=d)
        self.note(at, capture_of_layer=self.capture)
        for source in range(plan.n_sources):
            d = self._source(at, source, d)

    def _source(self, at: tuple[int, int], j: int, d: Vector) -> Vector:
        plan, geometry, sources = self.plan, self.geometry, self.plan.sources
        incident = tuple(-x for x in sources.direction[j].tolist())
        wavelength = float(sources.wavelength[j])
        q = geometry.scattering_vector(d, incident, wavelength)
        here = (*at, j)
        cosine = self.vectors.dot(incident, d)
        self.note(here, incident_vec=incident, lambda_meters=wavelength, cos_2theta_of_source=cosine)
        self.note(here, scattering_vec_A_inv=q)
        cut = geometry.cut_by_resolution(plan.factors.dmin, q)
        if cut and not self.background.background_everywhere(plan):
            return d
        if plan.sensor.chromatic:
            mu = float(sources.absorption[j])
            self.capture = self.capture_of(plan, self.panel, at[0], d, mu)
            self.note(here, capture_of_source=self.capture)
        if self.polar == 0.0 or plan.sampling.oversample_polar:
            d = self._polarize(incident, d)
        self.note(here, polar_of_source=self.polar)
        if cut:
            return d
        cells = self.cells if self.visited else self.first_cells
        self.visited = True
        for i in range(cells.shape[0]):
            for m in range(cells.shape[1]):
                phi = plan.cells.phi0 + plan.cells.phi_step * float(i)
                self._evaluate((*here, i, m), phi, cells[i, m].tolist(), q)
        return d

    def _polarize(self, incident: Vector, d: Vector) -> Vector:
        plan, kahn = self.plan, self.plan.polarization.kahn
        if not self.exact:
            frame = self.polarization.polar_frame(unit(plan.polarization.axis), incident)
            self.polar = self.polarization.fast_polarization(kahn, incident, frame, d)
            return d
        self.calls += 1
        seen = self.vectors.unit(d)
        axis = self.loops.axis_of_call(self.axes, self.calls)
        self.polar = self.polarization.polarization(kahn, self.vectors.unit(incident), seen, axis)
        return seen if plan.habits.drifting_axis else d

    def _evaluate(self, at: tuple[int, ...], phi: float, cell: list[float], q: Vector) -> None:
        plan, lattice = self.plan, self.lattice
        vectors = tuple(tuple(cell[k : k + 3]) for k in (0, 3, 6))
        hkl = tuple(self.vectors.dot(v, q) for v in vectors)
        exact_node = self.exact or plan.cells.shape not in FAST_FORMS
        node = lattice.nearest_node(hkl) if exact_node else lattice.fast_node(hkl)
        self.note(at, phi_rad=phi)
        in_angstrom = {f"rot_{n}_angstroms": tuple(x * 1e10 for x in v) for n, v in zip("abc", vectors, strict=True)}
        self.note(at, **in_angstrom)
        self.note(at, hkl_frac=hkl, hkl_rounded=node)
        f_latt = self._lattice(at, hkl, node)
        self.note(at, F_latt=f_latt)
        if f_latt == 0.0 and not plan.scale.water:
            return
        number = int(plan.sources.table_number[at[2]])
        f_cell, inside = self.loops.structure_factor(plan.factors, number, hkl, node, self.interpolate)
        self.interpolate = inside if plan.habits.interpolation_ends else self.interpolate
        self.contributions += f_cell * f_cell * f_latt * f_latt
        self.note(at, F_cell=f_cell, I_contribution=f_cell * f_cell * f_latt * f_latt)

    def _lattice(self, at: tuple[int, ...], hkl: Vector, node: Vector) -> float:
        plan, lattice, crystal = self.plan, self.lattice, self.plan.cells
        if crystal.shape == SQUARE:
            at_node = lattice.phases(hkl, node, plan.habits.whole_sines) if self.exact else hkl
            for axis, h, h0, n in zip("abc", at_node, node, crystal.n_cells, strict=True):
                self.note(at, **{f"F_latt_{axis}": self._grating(h, h0, n)})
        if self.exact and crystal.shape == SQUARE:
            return float(lattice.square_lattice(at_node, crystal.n_cells))
        if self.exact or crystal.shape not in FAST_FORMS:
            return float(lattice.lattice_factor(crystal.shape, crystal, hkl, node))
        size = lattice.size_of(crystal)
        fast_form = lattice.fast_square_lattice if crystal.shape == SQUARE else lattice.fast_round_lattice
        return float(fast_form(size, node, hkl))

    def _grating(self, h: float, h0: float, n: float) -> float:
        from nanobragg.kernels.step.polynomials import fast_grating

        if self.exact:
            return float(self.lattice.grating(math.pi * h, n)) if n > 1.0 else 1.0
        above, below = fast_grating(n, h0, h)
        return float(above / below)

    def _sum(self) -> tuple[float, float]:
        """The sum before scaling, and photons: those of the kernel itself."""
        plan, left, sampling = self.plan, self.left, self.plan.sampling
        if self.exact:
            total, capture, polar, omega, *_ = self.loops.pixel_sum(
                plan, self.first_cells, self.cells, self.axes, self.place, left.calls, left.interpolate
            )
            return total, self.loops.photons(plan, total, capture, polar, omega)
        photons = self._kernel_photons()
        factor = plan.scale.r_e_sqr * plan.scale.fluence / plan.scale.steps
        for applies, value in (
            (not sampling.oversample_thick, self.capture), (not sampling.oversample_polar, self.polar),
            (not sampling.oversample_omega, self.omega),
        ):  # fmt: skip
            factor *= value if applies else 1.0
        return (photons / factor if factor else plan.scale.background + self.contributions), photons

    def _kernel_photons(self) -> float:
        plan, size = self.plan, math.prod(self.plan.shape)
        pixels, nothing = np.array([self.index], np.int32), np.empty(0, np.int64)
        if self.backend == "cuda":
            from nanobragg.engine.render import render

            alone = np.zeros(size, np.uint8)
            alone[self.index] = 1
            return float(render(plan.changed(mask=alone), "cuda").panels.flat[self.index])
        image = np.zeros(size)
        fast.FastRun(plan, image).draw(pixels, nothing, self.left.interpolate, self.left.first_visit)
        return float(image[self.index])
