"""The lines on stdout that other programs pick up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nanobragg.engine.c_numbers import fixed, g, in_degrees
from nanobragg.engine.model.spots import ROUND_SPOTS
from nanobragg.engine.original import choices
from nanobragg.engine.original.crystal import estimated_weight
from nanobragg.engine.original.figures import Statistics
from nanobragg.engine.original.set_up import Geometry, SetUp
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.vectors import cross, dot

SHAPE_NAMES = {
    "square": "parallelpiped",
    "round": "ellipsoidal",
    "gauss": "gaussian",
    "tophat": "tophat-spot",
}


def _many(values, digits: int = 6) -> str:
    return " ".join(g(v, digits) for v in values)


def _cell(name: str, cell) -> str:
    return f"{name}: {_many(cell[:3])} {_many(in_degrees(angle) for angle in cell[3:])}"


def vectors_in_columns(title: str, names: Sequence[str], vectors) -> Iterator[str]:
    """Three vectors side by side under their names."""
    yield f"{title}:"
    yield "     " + "  ".join(f"{name:<10}" for name in names)
    for axis, name in enumerate("XYZ"):
        yield f"{name}: " + " ".join(fixed(v[axis], 11, 8) for v in vectors)


REAL_SPACE = ("real-space cell vectors (Angstrom)", ("a", "b", "c"))
RECIPROCAL_SPACE = ("reciprocal-space cell vectors (Angstrom^-1)", ("a_star", "b_star", "c_star"))


def _crystal(e: Geometry) -> Iterator[str]:
    c = e.crystal
    if c.random_misset:
        angles = " ".join(fixed(in_degrees(angle)) for angle in c.misset)
        yield f"random orientation misset angles: {angles} deg"
    yield _cell("Unit Cell", c.cell)
    yield _cell("Recp Cell", c.recip_cell)
    yield f"volume = {g(c.volume)} A^3"
    yield from vectors_in_columns(*REAL_SPACE, c.real_A)
    yield from vectors_in_columns(*RECIPROCAL_SPACE, c.recip)
    size = " x ".join(g(length * n * 1e6) for length, n in zip(c.lengths, c.n_cells, strict=True))
    yield f"crystal is {size} microns"
    if e.oversample_chosen:
        yield f"auto-selected {e.oversample}-fold oversampling"
    yield f"approximate MW = {g(estimated_weight(c.n_cells, c.lengths))}"


def _steps(e: SetUp) -> Iterator[str]:
    b = e.beam
    for layer in range(e.detector.layers):
        yield f"thick{layer} = {g(e.detector.layer_step * layer * 1e6)} um"
    for step in range(e.scan.steps):
        yield f"phi{step} = {g(in_degrees(e.scan.phi0 + e.scan.step * step))}"
    for eta, nu in b.divergence:
        yield f"divergence deviation: {g(eta)} {g(nu)}"
    if not b.from_file:
        for i in range(b.dispersion.count):
            wavelength = b.wavelength * (1.0 + b.dispersion.step * i - b.dispersion.range / 2.0)
            yield f"lambda{i} = {g(wavelength, 15)}"
    yield f"  created a total of {len(b.positions)} sources:"
    for position, weight, wavelength in zip(b.positions.tolist(), b.given_weights, b.wavelengths, strict=True):
        yield f"{_many(position)}   {_many((float(weight), float(wavelength)))}"
    yield f"  created a total of {e.crystal.domains} mosaic domains"


def _detector(e: SetUp) -> Iterator[str]:
    d, panel = e.detector, e.detector.panels[0]
    yield (
        f"distance={g(panel.distance)} detsize={g(d.size_fast)}x{g(d.size_slow)}  pixel={g(d.pixel_size)} meters "
        f"({d.n_fast}x{d.n_slow} pixels)"
    )
    yield f"sensor is {g(d.thickness)} m thick in {d.layers} layers with mu= {g(d.mu)}"
    for axes, name, of in (("XY", "beam", d), ("FS", "beam", panel), ("XY", "close", d), ("FS", "close", panel)):
        yield " ".join(f"{axis}{name}={g(getattr(of, axis + name))}" for axis in axes)
    for name, axis in (("X", panel.fdet), ("Y", panel.sdet), ("Z", panel.odet)):
        yield f"DIRECTION_OF_DETECTOR_{name}-AXIS= {_many(axis)}"
    yield f"INCIDENT_BEAM_DIRECTION= {_many(e.beam.direction)}"
    yield f"spindle ROTATION_AXIS= {_many(e.scan.spindle)}"
    yield f"POLARIZATION_PLANE_NORMAL= {_many(cross(e.frame.beam, e.frame.polar))}"
    yield f"dials origin= {_many(panel.dials_origin)}"
    x0, x1, y0, y1 = d.roi
    yield f"roi: {x0} < x < {x1} && {y0} < y < {y1}"


def _summary(e: SetUp) -> Iterator[str]:
    b, c = e.beam, e.crystal
    counts = "x".join(f"{n:.0f}" for n in c.n_cells)
    yield f"{e.factors.n_hkl} initialized hkls (all others ={g(e.factors.default_F)})"
    shape = c.shape.removesuffix(ROUND_SPOTS)
    yield f"{SHAPE_NAMES.get(shape, shape)} xtal: {counts} cells"
    of_file = b.from_file and choices.sources_as_read(e.settings.fixes)
    waves = sorted(set(b.wavelengths.tolist()))
    middle = float(b.wavelengths.mean()) if of_file else b.wavelength
    spread = (waves[-1] - waves[0]) / middle if of_file else b.dispersion.range
    yield f"wave={g(middle)} meters +/- {g(spread * 100.0)}% in {len(waves) if of_file else b.dispersion.count} steps"
    if not b.polarization_left_out:
        yield f"Kahn polarization factor: {fixed(b.kahn)}"
    yield f"incident fluence: {g(b.fluence)} photons/m^2"
    yield from _detector(e)
    yield f"hdivrange={g(b.hdiv.range)} hdivstep={g(b.hdiv.step)}  radians"
    yield f"vdivrange={g(b.vdiv.range)} vdivstep={g(b.vdiv.step)}  radians"
    yield f"{len(set(map(tuple, b.positions.tolist()))) if of_file else b.divergence_points} divergence steps"
    yield f"{len(b.directions)} sources"
    yield f"{c.domains} mosaic domains over mosaic spread of {g(in_degrees(c.mosaic_spread))} degrees"
    start, end = in_degrees(e.scan.phi0), in_degrees(e.scan.phi0 + e.scan.osc)
    yield f"{e.scan.steps} phi steps from {g(start)} to {g(end)} degrees"
    flags = {"thick": e.settings.over_thick, "polar": e.settings.over_polar, "omega": e.settings.over_omega}
    extra = "".join(f" +{name}" for name, on in flags.items() if on)
    yield f"{e.oversample}x{e.oversample} pixel oversample steps{extra}"
    if e.settings.do_noise:
        yield f"seed: {e.settings.seed}"
        yield f"water droplet size: {g(e.settings.water)} m"


def geometry(e: Geometry) -> Iterator[str]:
    """What is known before amplitudes are read."""
    d = e.detector.panels[0]
    yield f"XDS incident beam: {_many(dot(e.frame.beam, axis) for axis in (d.fdet, d.sdet, d.odet))}"
    yield from _crystal(e)


def before(e: SetUp) -> Iterator[str]:
    """What else set-up has found."""
    yield from _steps(e)
    for line in _summary(e):
        yield f"  {line}"


def solid_angle(s: Statistics) -> str:
    """What the detector sees of the sphere."""
    percent = 100.0 * s.solid_angle / 4.0 / 3.14159265358979323846
    return f"solid angle subtended by detector = {g(s.solid_angle)} steradian ( {g(percent)}% sphere)"


def figures(s: Statistics) -> Iterator[str]:
    """Figures of the rendered image."""
    yield f"max_I = {g(s.max_I)}  at {_many(s.max_at)}"
    yield f"mean= {g(s.mean)} rms= {g(s.rms)} rmsd= {g(s.rmsd)}"


class PercentLines:
    """``N% done`` at the pixel counts where the original prints it."""

    def __init__(self, plan: RenderPlan, say):
        x0, x1, y0, y1 = plan.panels.roi
        self.total, self.say, self.next = (x1 - x0 + 1) * (y1 - y0 + 1) * plan.shape[0], say, 0

    def __call__(self, done: int) -> None:
        """Print what became due with ``done`` pixels rendered."""
        total, first, self.next = self.total, self.next, max(done, self.next)
        if total < 100:
            return
        coarse, fine = total // 20, total // 100
        due = {c for step in (coarse, fine) for c in range(-(-first // step) * step, self.next, step)}
        for c in sorted(due):
            if c % coarse == 0 or 10 * c < total or 10 * c > 9 * total:
                self.say(f"{c * 100 // total}% done")
