"""Every figure on the way from the detector frame to the photons of one pixel, from the functions that kernels call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.kernels.cref import host as cref
from nanobragg.kernels.fast import host as fast
from nanobragg.kernels.order import serial
from nanobragg.kernels.order.cells import axes_of, cells_per_phi, with_domains
from nanobragg.kernels.order.serial import NEVER
from nanobragg.kernels.plan import GAUSS, SQUARE, RenderPlan, has_products
from nanobragg.kernels.strict import host as strict
from nanobragg.kernels.vectors import unit

Vector = tuple[float, ...]
DUAL = 1e-6  # how far products of real and reciprocal vectors are from whole numbers at most
UNITS = {
    "pix0_vector_meters": "m", "pixel_pos_meters": "m", "R_distance_meters": "m", "close_distance_meters": "m",
    "omega_pixel_sr": "sr", "omega_pixel": "sr", "lambda_meters": "m", "lambda_angstroms": "Angstrom",
    "scattering_vec_A_inv": "1/m", "phi_rad": "rad", "rot_a_angstroms": "Angstrom", "rot_b_angstroms": "Angstrom",
    "rot_c_angstroms": "Angstrom", "rot_a_star_A_inv": "1/Angstrom", "rot_b_star_A_inv": "1/Angstrom",
    "rot_c_star_A_inv": "1/Angstrom", "r_e_meters": "m", "r_e_sqr": "m^2", "fluence_photons_per_m2": "1/m^2",
    "I_pixel_final": "photons", "floatimage_accumulated": "photons", "F_cell": "electrons",
}  # fmt: skip


class Figure(NamedTuple):
    """A labelled figure; ``at`` are layer, sub-pixel, source, phi step and domain, as many as it belongs to."""

    label: str
    values: Vector
    at: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The label, with where it belongs in brackets."""
        return f"{self.label}[{','.join(map(str, self.at))}]" if self.at else self.label


class Before(NamedTuple):
    """What the pixels before it have left for a pixel, as the original walks the image."""

    first_visit: bool
    calls: int
    interpolate: bool


def before(plan: RenderPlan, index: int) -> Before:
    """The state that the pixel of this raster index finds; pixels before it are looked at where that matters."""
    pixels = plan.rendered_pixels()
    place = pixels.number_up_to(index) - 1
    if place < 0 or int(pixels[place : place + 1][0]) != index:
        raise BadInput(f"pixel slow {index // plan.n_fast} fast {index % plan.n_fast} is not rendered: roi or mask")
    first, later = cells_per_phi(plan)
    first_visit = first != later and serial.number_before_first_visit(plan, pixels) == place
    calls = strict.Run(plan, np.zeros(plan.n_fast * plan.n_slow, np.float32)).calls_before()
    return Before(first_visit, int(calls[place]) if len(calls) else 0, _still_interpolates(plan, place))


def _still_interpolates(plan: RenderPlan, place: int) -> bool:
    """Whether no pixel before this place in the list has sent interpolation off (Q02)."""
    if not plan.interpolate:
        return False
    image = np.zeros(plan.n_fast * plan.n_slow, np.float32)
    run, pixels = fast.Run(plan, image), plan.rendered_pixels()
    nothing = np.empty(0, np.int64)
    parts = (pixels[start : min(start + 4096, place)] for start in range(0, place, 4096))
    return all(run.draw(part, nothing, True, False) == NEVER for part in parts)


def trace(plan: RenderPlan, slow: int, fast_pixel: int, backend: str = "strict") -> list[Figure]:
    """All figures of one pixel in the order of the calculation.

    Parameters
    ----------
    plan
        What is rendered.
    slow, fast_pixel
        The pixel.
    backend
        ``strict`` and ``cref`` give what the original computes, ``fast`` and ``cuda`` what those kernels do.

    Raises
    ------
    BadInput
        If the pixel is not on the image or not rendered, or the backend cannot be used.
    """
    if not (0 <= slow < plan.n_slow and 0 <= fast_pixel < plan.n_fast):
        raise BadInput(
            f"pixel slow {slow} fast {fast_pixel}: the image has {plan.n_slow} x {plan.n_fast} (slow x fast)"
        )
    index = slow * plan.n_fast + fast_pixel
    left = before(plan, index)
    steps = _of_reference(plan, index, left) if backend == "cref" else _Walk(plan, index, left, backend).figures()
    return [*_of_frame(plan), *steps, *_of_scale(plan, steps)]


def last_figures(plan: RenderPlan, indices: Sequence[int], backend: str) -> Iterator[tuple[int, dict[str, Vector]]]:
    """Raster indices with the last figure of each label, of all pixels that are rendered, in raster order.

    The C reference goes on from pixel to pixel, as the original does; ``strict`` traces each by itself.
    """
    go_on = cref.Walk(plan) if backend == "cref" else None
    for index in indices:
        yield index, _last(go_on.last_figures(index)) if go_on else last_of(plan, index, backend)


def last_of(plan: RenderPlan, index: int, backend: str) -> dict[str, Vector]:
    """The last figure of each label of one pixel."""
    if backend == "cref":
        return _last(_beginning_at(plan, before(plan, index)).last_figures(index))
    return {figure.label: figure.values for figure in trace(plan, *divmod(index, plan.n_fast), backend)}


def _last(figures: Iterable[tuple[str, Vector]]) -> dict[str, Vector]:
    return {label: _in_angstrom(label, values) for label, values in figures}


def _in_angstrom(label: str, values: Vector) -> Vector:
    """Cells of the C reference are in metres."""
    return tuple(v * 1e10 for v in values) if label.startswith("rot_") else values


def _of_frame(plan: RenderPlan) -> Iterator[Figure]:
    """What is the same for all pixels."""
    yield Figure("pix0_vector_meters", plan.pix0)
    yield Figure("fdet_vec", plan.fdet)
    yield Figure("sdet_vec", plan.sdet)
    yield Figure("odet_vec", plan.odet)
    yield Figure("close_distance_meters", (plan.close_distance,))
    recip = _reciprocal(plan)
    for axis, at in zip("abc", (0, 3, 6), strict=True):
        yield Figure(f"rot_{axis}_star_A_inv", recip[at : at + 3])


def _reciprocal(plan: RenderPlan) -> Vector:
    """The reciprocal vectors, 1/Angstrom; the plan's own, unless spots measure distances with others (Q20)."""
    cell = np.reshape(plan.cell, (3, 3)) * 1e10
    if plan.shape < GAUSS or np.allclose(np.reshape(plan.recip, (3, 3)) @ cell.T, np.eye(3), atol=DUAL):
        return plan.recip
    return tuple(np.linalg.inv(cell).T.ravel().tolist())


def _of_scale(plan: RenderPlan, steps: list[Figure]) -> Iterator[Figure]:
    """From the sum to photons; its last figures are already among ``steps``, where they were computed."""
    found = {figure.label: figure.values[0] for figure in steps if len(figure.at) < 5}
    total, polar = found["I_before_scaling"], found["polar"]
    yield Figure("cos_2theta", (found["cos_2theta_of_source"],))  # of the last layer, sub-pixel and source
    yield Figure("I_before_scaling_pre_polar", (total,))
    yield Figure("I_before_scaling_post_polar", (total if plan.oversample_polar else total * polar,))
    yield Figure("r_e_meters", (math.sqrt(plan.r_e_sqr),))
    yield Figure("r_e_sqr", (plan.r_e_sqr,))
    yield Figure("fluence_photons_per_m2", (plan.fluence,))
    yield Figure("steps", (plan.steps,))
    for flag in ("oversample_thick", "oversample_polar", "oversample_omega"):
        yield Figure(flag, (float(getattr(plan, flag)),))
    with np.errstate(over="ignore"):
        yield Figure("floatimage_accumulated", (float(np.float32(found["I_pixel_final"])),))


def _derived(plan: RenderPlan, figure: Figure) -> Iterator[Figure]:
    """A figure, and those that only say it in other words."""
    yield figure
    if figure.label == "R_distance_meters":
        yield Figure("obliquity_factor", (plan.close_distance / figure.values[0],), figure.at)
    if figure.label == "lambda_meters":
        yield Figure("lambda_angstroms", (figure.values[0] * 1e10,), figure.at)
    if figure.label == "hkl_rounded":
        place, inside = table_place(plan, figure.values)
        yield Figure("table_address", (float(place),), figure.at)
        yield Figure("inside_table", (float(inside),), figure.at)


def table_place(plan: RenderPlan, node: Vector) -> tuple[int, bool]:
    """Where a node stands in the table, counted in amplitudes from its beginning, and whether it is inside; else -1."""
    inside = plan.n_hkl != 0 and all(
        low <= x <= high for low, x, high in zip(plan.hkl_min, node, plan.hkl_max, strict=True)
    )
    if not inside:
        return -1, False
    at = tuple(int(x) - low for x, low in zip(node, plan.hkl_min, strict=True))
    return int(np.ravel_multi_index(at, plan.table.shape)), True


class _Walk:
    """The loops of a kernel over one pixel, with the functions that it calls."""

    def __init__(self, plan: RenderPlan, index: int, left: Before, backend: str):
        from nanobragg.kernels.step import fast_step, geometry, physics
        from nanobragg.kernels.strict import loops as strict_pixels

        self.physics, self.fast_step, self.geometry, self.strict_pixels = physics, fast_step, geometry, strict_pixels
        self.plan, self.index, self.left, self.backend = plan, index, left, backend
        self.exact = backend == "strict"
        first, later = cells_per_phi(plan)
        self.cells = with_domains(plan, later)
        self.first_cells = with_domains(plan, first) if left.first_visit else self.cells
        self.axes = axes_of(plan, left.calls + 2 + plan.evaluations)
        self.calls, self.visited, self.interpolate = left.calls, False, left.interpolate
        self.polar, self.omega, self.capture = (1.0 if plan.nopolar else 0.0), 0.0, 0.0
        self.contributions = 0.0
        self.found: list[Figure] = []

    def figures(self) -> list[Figure]:
        """All of them."""
        plan = self.plan
        for layer in range(plan.layers):
            self.capture = 1.0 if plan.thickness == 0.0 else 0.0
            for sub in range(plan.oversample**2):
                self._sub_pixel(layer, sub)
        total, photons = self._sum()
        self.note((), I_before_scaling=total, capture_fraction=self.capture, polar=self.polar)
        self.note((), omega_pixel=self.omega, I_pixel_final=photons)
        return self.found

    def note(self, at: tuple[int, ...], **figures: Any) -> None:
        """Keep figures, in this order."""
        for label, values in figures.items():
            values = tuple(float(v) for v in (values if isinstance(values, tuple) else (values,)))
            self.found.extend(_derived(self.plan, Figure(label, values, at)))

    def _sub_pixel(self, layer: int, sub: int) -> None:
        plan, physics, geometry = self.plan, self.physics, self.geometry
        slow, fast_pixel = divmod(self.index, plan.n_fast)
        size, (sub_s, sub_f) = plan.pixel_size / plan.oversample, divmod(sub, plan.oversample)
        f_pos, s_pos = (
            size * (pixel * plan.oversample + part) + size / 2.0 for pixel, part in ((fast_pixel, sub_f), (slow, sub_s))
        )
        point = geometry.position(plan, f_pos, s_pos, layer * plan.layer_step)
        airpath, d = physics.magnitude(point), physics.unit(point)
        if self.omega == 0.0 or plan.oversample_omega:
            self.omega = geometry.pixel_solid_angle(plan, airpath)
        if self.capture == 0.0 or plan.oversample_thick:
            self.capture = self.fast_step.capture(plan, layer, d)
        at = (layer, sub)
        self.note(at, pixel_pos_meters=point, R_distance_meters=airpath, omega_pixel_sr=self.omega, diffracted_vec=d)
        self.note(at, capture_of_layer=self.capture)
        for source in range(len(plan.sources)):
            d = self._source(at, source, d)

    def _source(self, at: tuple[int, int], j: int, d: Vector) -> Vector:
        plan, physics = self.plan, self.physics
        incident = tuple(-x for x in plan.sources[j, :3].tolist())
        wavelength = float(plan.sources[j, 3])
        q = physics.scattering_vector(d, incident, wavelength)
        here = (*at, j)
        self.note(here, incident_vec=incident, lambda_meters=wavelength, cos_2theta_of_source=physics.dot(incident, d))
        self.note(here, scattering_vec_A_inv=q)
        cut = self.geometry.cut_by_resolution(plan, q)
        if cut and not (plan.keep_background or (has_products(plan) and not plan.running_products)):
            return d
        if self.polar == 0.0 or plan.oversample_polar:
            d = self._polarize(incident, d)
        self.note(here, polar_of_source=self.polar)
        if cut:
            return d
        cells = self.cells if self.visited else self.first_cells
        self.visited = True
        for i in range(cells.shape[0]):
            for m in range(cells.shape[1]):
                self._evaluate((*here, i, m), plan.phi0 + plan.phi_step * float(i), cells[i, m].tolist(), q)
        return d

    def _polarize(self, incident: Vector, d: Vector) -> Vector:
        plan = self.plan
        if not self.exact:
            axis = unit(plan.polar_axis)
            frame = self.fast_step.polar_frame(axis, incident)
            self.polar = self.fast_step.polarization(plan.kahn, incident, frame, d)
            return d
        self.calls += 1
        seen = self.physics.unit(d)
        axis = self.strict_pixels.axis_of_call(self.axes, self.calls)
        self.polar = self.physics.polarization_factor(plan.kahn, self.physics.unit(incident), seen, axis)
        return d if plan.pure_polarization else seen

    def _evaluate(self, at: tuple[int, ...], phi: float, cell: list[float], q: Vector) -> None:
        plan, physics = self.plan, self.physics
        a, b, c = (tuple(cell[k : k + 3]) for k in (0, 3, 6))
        hkl = tuple(physics.dot(v, q) for v in (a, b, c))
        exact_node = self.exact or plan.shape >= GAUSS
        node = tuple(physics.nearest(h) for h in hkl) if exact_node else self.fast_step.nearest_node(hkl)
        self.note(at, phi_rad=phi)
        self.note(
            at, **{f"rot_{n}_angstroms": tuple(x * 1e10 for x in v) for n, v in zip("abc", (a, b, c), strict=True)}
        )
        self.note(at, hkl_frac=hkl, hkl_rounded=node)
        f_latt = self._lattice(at, hkl, node)
        self.note(at, F_latt=f_latt)
        if f_latt == 0.0 and not plan.water:
            return
        f_cell, inside = self.strict_pixels.structure_factor(plan, hkl, node, self.interpolate)
        self.interpolate = inside if plan.sticky else self.interpolate
        self.contributions += f_cell * f_cell * f_latt * f_latt
        self.note(at, F_cell=f_cell, I_contribution=f_cell * f_cell * f_latt * f_latt)

    def _lattice(self, at: tuple[int, ...], hkl: Vector, node: Vector) -> float:
        plan, physics, fast_step = self.plan, self.physics, self.fast_step
        if plan.shape == SQUARE:
            at_node = physics.phases(hkl, node, plan.reduced_sines) if self.exact else hkl
            for axis, h, h0, n in zip("abc", at_node, node, plan.n_cells, strict=True):
                self.note(at, **{f"F_latt_{axis}": self._grating(h, h0, n)})
        if self.exact and plan.shape == SQUARE:
            return physics.square_lattice(at_node, plan.n_cells)
        if self.exact or plan.shape >= GAUSS:
            return physics.lattice_factor(plan.shape, hkl, node, plan.n_cells, plan.recip, plan.fudge)
        if plan.shape == SQUARE:
            return fast_step.square_lattice((plan.n_cells, plan.fudge), node, hkl)
        return fast_step.round_lattice((plan.n_cells, plan.fudge), node, hkl)

    def _grating(self, h: float, h0: float, n: float) -> float:
        from nanobragg.kernels.step import polynomials

        if self.exact:
            return self.physics.grating(math.pi * h, n) if n > 1.0 else 1.0
        above, below = polynomials.grating(n, h0, h)
        return above / below

    def _sum(self) -> tuple[float, float]:
        """The sum before scaling, and photons: those of the kernel itself."""
        plan, left = self.plan, self.left
        slow, fast_pixel = divmod(self.index, plan.n_fast)
        if self.exact:
            total, capture, polar, omega, *_ = self.strict_pixels.pixel_sum(
                plan, self.first_cells, self.cells, self.axes, fast_pixel, slow, left.calls, left.interpolate
            )
            return total, self.strict_pixels.photons(plan, total, capture, polar, omega)
        photons = self._kernel_photons()
        factor = plan.r_e_sqr * plan.fluence / plan.steps
        for applies, value in (
            (not plan.oversample_thick, self.capture), (not plan.oversample_polar, self.polar),
            (not plan.oversample_omega, self.omega),
        ):  # fmt: skip
            factor *= value if applies else 1.0
        return (photons / factor if factor else plan.background + self.contributions), photons

    def _kernel_photons(self) -> float:
        plan = self.plan
        pixels, nothing = np.array([self.index], np.int32), np.empty(0, np.int64)
        if self.backend == "cuda":
            from nanobragg.engine.render import render

            alone = np.zeros(plan.n_fast * plan.n_slow, np.uint8)
            alone[self.index] = 1
            return float(render(plan._replace(mask=alone), "cuda").image.flat[self.index])
        image = np.zeros(plan.n_fast * plan.n_slow)
        fast.Run(plan, image).draw(pixels, nothing, self.left.interpolate, self.left.first_visit)
        return float(image[self.index])


def _of_reference(plan: RenderPlan, index: int, left: Before) -> list[Figure]:
    """The figures of the C reference, with where they belong, which the reference does not say."""
    return _with_places(plan, _beginning_at(plan, left).figures(index))


def _beginning_at(plan: RenderPlan, left: Before) -> cref.Walk:
    """The C reference with what the pixels before have left."""
    if not cref.available():
        raise BadInput("--backend cref: the C reference is not installed (no C compiler when nanobragg was installed)")
    _, later = cells_per_phi(plan)
    held = plan.cell if left.first_visit or not later else tuple(x for v in later[-1] for x in v)
    axes = axes_of(plan, left.calls + 2)
    calls = 0 if plan.pure_polarization else left.calls
    axis = tuple(axes.axes[min(calls, len(axes.axes) - 1)].tolist())
    return cref.Walk(plan, held, axis, left.interpolate)


def _with_places(plan: RenderPlan, figures: Iterable[tuple[str, Vector]]) -> list[Figure]:
    """Figures of the C reference with where they belong, and what only says them in other words."""
    place = _Place(plan)
    steps: list[Figure] = []
    for label, values in figures:
        values = _in_angstrom(label, values)
        if label != "I_so_far":
            steps += _derived(plan, Figure(label, values, place.of(label)))
        if label == "F_cell":
            squared = values[0] * values[0] * steps[-2].values[0] * steps[-2].values[0]
            steps.append(Figure("I_contribution", (squared,), place.of(label)))
    return steps


class _Place:
    """Counts layers, sub-pixels, sources, phi steps and domains from the labels as they pass."""

    def __init__(self, plan: RenderPlan):
        self.plan, self.sub, self.source, self.evaluation = plan, -1, -1, -1

    def of(self, label: str) -> tuple[int, ...]:
        """Where a figure belongs; those after the loops belong nowhere."""
        if label == "pixel_pos_meters":
            self.sub, self.source = self.sub + 1, -1
        if label == "incident_vec":
            self.source, self.evaluation = self.source + 1, -1
        if label == "phi_rad":
            self.evaluation += 1
        layer, sub = divmod(self.sub, self.plan.oversample**2)
        if label in ("pixel_pos_meters", "R_distance_meters", "omega_pixel_sr", "diffracted_vec", "capture_of_layer"):
            return layer, sub
        if label in (
            "incident_vec",
            "lambda_meters",
            "cos_2theta_of_source",
            "scattering_vec_A_inv",
            "polar_of_source",
        ):
            return layer, sub, self.source
        if label in ("I_before_scaling", "capture_fraction", "polar", "omega_pixel", "I_pixel_final"):
            return ()
        return (layer, sub, self.source, *divmod(self.evaluation, self.plan.domains))


def first_only(figures: list[Figure]) -> list[Figure]:
    """Those of the first layer, sub-pixel, source, phi step and domain, and what belongs to the whole pixel."""
    return [Figure(f.label, f.values) for f in figures if not any(f.at)]


def text(figures: list[Figure]) -> str:
    """Lines ``TRACE name = values``, 17 digits."""
    return "".join(f"TRACE {f.name} = {' '.join(f'{v:.17g}' for v in f.values)}\n" for f in figures)


def as_json(figures: list[Figure]) -> list[dict[str, Any]]:
    """The same for machines, with units."""
    keys = ("layer", "sub_pixel", "source", "phi_step", "domain")
    return [
        {
            "label": f.label,
            "values": list(f.values),
            "unit": UNITS.get(f.label, ""),
            **dict(zip(keys, f.at, strict=False)),
        }
        for f in figures
    ]
