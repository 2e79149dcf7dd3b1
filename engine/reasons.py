"""What a user should be told of a run that is likely not what was meant: before it, and of an image that is empty."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nanobragg.engine.c_numbers import g
from nanobragg.engine.formats.nexus import turn
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import ENDS

SHORTEST_A, LONGEST_A = 0.01, 20.0  # wavelengths of X-rays that diffract in crystals, generously
FEW_CELLS = 2.0  # up to so many, spots are so wide that the rim of the direct beam is what is looked at
FAINT = 0.1  # photons
AS_READ = np.array([[-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])  # fast and slow of SMV and CBF as readers take them, NeXus'
UNTURNED = 1e-6
NO_ANGLE = 1e-162  # of a pixel over its distance, whose square is 0
GRID = 33  # pixels along each edge that are looked at


def before(scene: Scene, plan: RenderPlan) -> Iterator[str]:
    """One line for each thing that is allowed and unlikely to be meant."""
    wavelength = scene.beam.wavelength * 1e10
    if not SHORTEST_A <= wavelength <= LONGEST_A:
        yield f"the wavelength is {g(wavelength)} A ({g(12398.42 / wavelength)} eV): is that meant?"
    lengths = _lengths_on(plan)
    shortest = _shortest_reciprocal(scene)
    if len(lengths) and min(plan.cells.n_cells) > FEW_CELLS and lengths.max() < shortest:
        yield (
            f"no reflection can reach the detector: its finest resolution is {g(1.0 / lengths.max())} A, the longest "
            f"spacing of the crystal {g(1.0 / shortest)} A: check wavelength, distance and cell"
        )


def of_header(scene: Scene, form: str) -> str | None:
    """What to say of a detector that a header in this format (``SMV``, ``CBF``) has no words for."""
    if scene.detector.curved:
        return f"{form} headers have no words for a curved detector: readers take it for a flat one"
    if len(scene.detector.panels) > 1:
        return f"{form} headers have no words for several panels"
    panel = scene.detector.panel
    nexus = turn(scene.beam.direction, scene.scan.spindle) @ np.array([panel.fdet, panel.sdet]).T
    if np.abs(nexus - AS_READ).max() < UNTURNED:
        return None
    return (
        f"{form} headers have no words for the way this detector stands: readers take its fast axis for the spindle's "
        "direction, its slow one as MOSFLM does, and no tilt"
    )


def of_brightness(scene: Scene, plan: RenderPlan, image: np.ndarray, max_I: float) -> str | None:
    """What to say of an image that is all zero, or nearly so."""
    if 0.0 < max_I < FAINT:
        return f"the brightest pixel expects {g(max_I)} photons"
    if max_I > 0.0 or image.any():
        return None
    return f"the image is all zero: {_why_zero(scene, plan)}"


def of_faint(scene: Scene, plan: RenderPlan, image: np.ndarray) -> Iterator[str]:
    """The same of one image among many, in words that are equal for many of them."""
    brightest = float(image.max(initial=0.0))
    if 0.0 < brightest < FAINT:
        yield f"the brightest pixel expects less than {FAINT} photons"
    elif brightest <= 0.0 and (said := of_brightness(scene, plan, image, brightest)):
        yield said


def of_overflow(plan: RenderPlan) -> str:
    """What to say of an image with pixels that are infinite or no numbers, as the original's are."""
    if not plan.panels.close_distance.all():
        return "the detector is at distance 0: pixels are not numbers, as in the original"
    return "Q79 smv: the image overflows, as the original's does: its infinite or undefined pixels are kept"


def _why_zero(scene: Scene, plan: RenderPlan) -> str:
    if not plan.n_rendered:
        return "roi and mask leave no pixel"
    if not plan.panels.close_distance.all():
        return "the detector is at distance 0, where its pixels have no solid angle"
    if plan.panels.pixel_size < np.abs(plan.panels.close_distance).min() * NO_ANGLE:
        return "the detector is so far away that its pixels have no solid angle"
    if plan.scale.fluence == 0.0:
        return "there are no photons (the fluence is 0)"
    if plan.sensor.thickness > 0.0 and plan.sensor.mu == 0.0:
        return "the sensor absorbs nothing (Q08: -detector_abs inf before -detector_thick)"
    if plan.sampling.oversample_thick and plan.sensor.thickness == 0.0:
        return "-oversample_thick without a sensor (Q07)"
    if plan.factors.default_F == 0.0 and not plan.factors.table.any():
        return "all amplitudes are 0"
    lengths = _lengths_on(plan)
    if not len(lengths):
        return "no pixel has a direction"
    if plan.factors.dmin > 0.0 and 1.0 / lengths.min() < plan.factors.dmin * 1e10:
        return f"-dmin cuts every pixel: they see {g(1.0 / lengths.min())} A and finer"
    reach = _reach_of_table(scene)
    if plan.factors.default_F == 0.0 and lengths.min() > reach:
        return (
            f"the amplitudes reach to {g(1.0 / reach)} A, and all pixels see finer than {g(1.0 / lengths.min())} A "
            "(-default_F is that of all others)"
        )
    if plan.cells.shape in ENDS:
        return (
            "no spot falls on a pixel: Gaussian and top-hat spots end, and these are narrow (-N, -fudge, -oversample)"
        )
    return "no pixel is near an index whose amplitude is not 0"


def _lengths_on(plan: RenderPlan) -> np.ndarray:
    """Lengths of the scattering vectors (1/Angstrom) of some rendered pixels, those of the rim among them."""
    pixels, panels = plan.rendered_pixels(), plan.panels
    if not len(pixels):
        return np.empty(0)
    rows = np.linspace(0, len(pixels) - 1, GRID * GRID).astype(int)
    number, slow, fast = np.unravel_index(pixels[rows], plan.shape)
    corners = [
        (slow.min(), fast.min()), (slow.min(), fast.max()), (slow.max(), fast.min()), (slow.max(), fast.max()),
    ]  # fmt: skip
    slow, fast = (np.append(at, [corner[k] for corner in corners]) for k, at in enumerate((slow, fast)))
    number = np.append(number, [number[0]] * len(corners))
    f_pos, s_pos = ((at[:, None] + 0.5) * panels.pixel_size for at in (fast, slow))
    point = f_pos * panels.fdet[number] + s_pos * panels.sdet[number] + panels.pix0[number]
    with np.errstate(all="ignore"):
        point /= np.abs(point).max(axis=1, keepdims=True)  # else the squares of large distances overflow
        direction = point / np.linalg.norm(point, axis=1, keepdims=True)
        towards, wavelength = plan.sources.direction[0], plan.sources.wavelength[0]
        lengths = np.linalg.norm(direction + towards, axis=1) / wavelength * 1e-10
    return lengths[np.isfinite(lengths) & (lengths > 0.0)]


def _shortest_reciprocal(scene: Scene) -> float:
    """Length of the shortest reciprocal vector among the 26 around the origin, 1/Angstrom."""
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps @ np.asarray(scene.crystal.recip), axis=1)
    return float(lengths[lengths > 0.0].min(initial=math.inf))


def _reach_of_table(scene: Scene) -> float:
    """Length of the longest reciprocal vector of the table's box, 1/Angstrom."""
    corners = np.stack(np.meshgrid(*scene.factors.bounds.astype(float), indexing="ij"), axis=-1).reshape(-1, 3)
    return float(np.linalg.norm(corners @ np.asarray(scene.crystal.recip), axis=1).max())
