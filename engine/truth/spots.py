"""Where the spots of an experiment fall: reflections near the Ewald sphere, by geometry alone."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from nanobragg.engine.deviates import normal_integral
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.atoms import indices_within
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.placed import Placed, panels_of_scene, turned_about
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.image.indices import near_indices

LARGEST_SLICE = math.radians(1.0)  # of a rotation
WEAKEST = 0.05  # partiality below which a spot is left out
OF_FULL_WIDTH = 0.37  # of 1/(N a), the width of an interference function as a standard deviation
UNKNOWN_WIDTH = 0.0008  # 1/Angstrom
OF_RANGE = 1.0 / math.sqrt(12.0)  # of a uniform distribution's width, its standard deviation


@dataclasses.dataclass(frozen=True)
class Spots:
    """Predicted spots, (n,) each.

    ``hkl`` (n, 3); ``slow`` and ``fast`` in pixels (whole numbers and a half are centres of pixels); ``d_A``;
    ``phi_deg``, where the crystal reflects best; ``partiality``, the recorded share of the reflection's rocking curve;
    ``F``, electrons; ``panel``, the number of the panel; ``path``, metres from the sample; ``entering``, whether the
    node comes into the Ewald sphere; ``whole``, whether it passes it while the image is taken. ``front_slow`` and
    ``front_fast`` are where the beam meets the panel's front; photons are seen where the sensor absorbs them.
    """

    hkl: np.ndarray
    slow: np.ndarray
    fast: np.ndarray
    d_A: np.ndarray
    phi_deg: np.ndarray
    partiality: np.ndarray
    F: np.ndarray
    panel: np.ndarray
    path: np.ndarray
    entering: np.ndarray
    whole: np.ndarray
    front_slow: np.ndarray
    front_fast: np.ndarray

    def __len__(self) -> int:
        return len(self.hkl)

    def __repr__(self) -> str:
        return f"Spots({len(self)} reflections to {self.d_A.min(initial=np.inf):.3g} A)"


def predict_spots(scene: Scene, weakest: float = WEAKEST) -> Spots:
    """The spots of an experiment on its detector.

    The excitation error of a reflection, the distance of its node from the Ewald sphere, is compared with the width
    that crystal size (0.37/(N a)), mosaicity, bandwidth and divergence give it, taken as one Gaussian. A still records
    its value, a rotation its integral, degree by degree: what passes the sphere in two of them is listed twice, with
    its share in each.

    Parameters
    ----------
    scene
        What `set_up` returns.
    weakest
        Partiality below which a spot is left out.
    """
    if not isinstance(scene, Scene):
        raise BadInput(f"predict_spots: takes what set_up returns, not {type(scene).__name__}")
    e, panels = scene, panels_of_scene(scene)
    begin, width = e.scan.mean - e.scan.osc / 2.0, e.scan.osc
    count = max(math.ceil(width / LARGEST_SLICE), 1)
    slices = [begin + width * n / count for n in range(count + 1)]
    longest = _longest(panels)
    parts = [part for ends in itertools.pairwise(slices) for part in _in_slice(e, panels, longest, *ends, weakest)]
    return Spots(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _in_slice(
    e: Scene, panels: list[Placed], longest: float, begin: float, end: float, weakest: float
) -> Iterator[tuple[np.ndarray, ...]]:
    """The columns of `Spots` in a rotation that is small enough for nodes to pass the sphere on a straight way."""
    placed = panels[0]  # wavelength and beam are those of all
    recip = np.array(e.crystal.recip)
    first, last = (turned_about(recip, e.scan.spindle, phi) for phi in (begin, end))
    hkl = near_indices(first, last, placed.beam, 1.0 / placed.wavelength_A, longest, _widths(e))
    q = hkl @ recip
    at_ends = [_excitation(turned_about(q, e.scan.spindle, phi), placed) for phi in (begin, end)]
    turns = end > begin
    share = np.clip(at_ends[0] / np.where(at_ends[0] == at_ends[1], 1.0, at_ends[0] - at_ends[1]), 0.0, 1.0)
    phi = begin + (end - begin) * share if turns else np.full(len(q), begin)
    best = turned_about(q, e.scan.spindle, phi)
    error, width = _excitation(best, placed), _width(best, e)
    partiality = np.exp(-0.5 * (error / width) ** 2)
    if turns:
        partiality = np.abs(normal_integral(at_ends[1] / width) - normal_integral(at_ends[0] / width))
    strong = partiality >= weakest
    entering, whole = at_ends[1] < at_ends[0], (share > 0.0) & (share < 1.0)
    hkl, q, best, phi, partiality = hkl[strong], q[strong], best[strong], phi[strong], partiality[strong]
    entering, whole = entering[strong], whole[strong]
    for number, panel in enumerate(panels):
        front_slow, front_fast = _hits(best, panel)
        slow, fast = _absorbed_at(e, best, panel, front_slow, front_fast)
        kept = (slow >= 0) & (slow < panel.shape[0]) & (fast >= 0) & (fast < panel.shape[1])
        kept &= _is_rendered(e, number, slow, fast, kept)
        d = 1.0 / np.linalg.norm(q[kept], axis=1)
        F = amplitudes_at(e.seen_factors, hkl[kept])
        path = np.linalg.norm(panel.points(slow[kept], fast[kept]), axis=1)
        yield (
            hkl[kept], slow[kept], fast[kept], d, np.degrees(phi[kept]), partiality[kept], F, np.full(len(F), number),
            path, entering[kept], whole[kept], front_slow[kept], front_fast[kept],
        )  # fmt: skip


def near_sphere(placed: Placed, half_turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n, 3) near the Ewald sphere and where they would be seen (n, 2; slow, fast pixels), of an image alone.

    ``half_turn``: half of the rotation in the image, radians. The width of spots is not known, and taken as 0.0008/A.
    """
    assert placed.reciprocal is not None
    hkl = _candidates(placed.reciprocal, [placed])
    q = hkl @ placed.reciprocal
    error, reach = np.abs(_excitation(q, placed)), np.hypot(UNKNOWN_WIDTH, half_turn * np.linalg.norm(q, axis=1))
    slow, fast = _hits(q, placed)
    kept = (error < 1.5 * reach) & (slow >= 0) & (slow < placed.shape[0]) & (fast >= 0) & (fast < placed.shape[1])
    return hkl[kept], np.column_stack([slow[kept], fast[kept]])


def amplitudes_at(factors: StructureFactors, hkl: np.ndarray) -> np.ndarray:
    """Amplitudes of whole indices (n, 3)."""
    if factors.source == "default":
        return np.full(len(hkl), factors.default_F)
    low, high = factors.bounds.T
    inside = ((hkl >= low) & (hkl <= high)).all(axis=1)
    found = np.full(len(hkl), factors.default_F)
    found[inside] = factors.table[tuple((hkl[inside] - low).T)]
    return found


def _candidates(recip: np.ndarray, panels: list[Placed]) -> np.ndarray:
    """Whole indices (n, 3) to the resolution of the panels' finest corner."""
    return indices_within(recip, _longest(panels), "the image").hkl


def _longest(panels: list[Placed]) -> float:
    """The longest scattering vector that a corner of the panels sees, 1/Angstrom."""
    shape = panels[0].shape
    corners = [(s, f) for s in (0, shape[0]) for f in (0, shape[1])]
    slow, fast = (np.array(at, float) for at in zip(*corners, strict=True))
    longest = max(float(np.linalg.norm(panel.scattering(slow, fast), axis=1).max()) for panel in panels) * 1.01
    return min(longest, 2.0 / panels[0].wavelength_A)


def _excitation(q: np.ndarray, placed: Placed) -> np.ndarray:
    """How far nodes are outside the Ewald sphere, 1/Angstrom."""
    k = 1.0 / placed.wavelength_A
    return np.asarray(np.linalg.norm(q + k * placed.beam, axis=1) - k)


def _widths(e: Scene) -> tuple[float, float, float]:
    """Parts of the squared standard deviation of the excitation error: without q, with its square, its fourth power."""
    edges = [n * float(np.linalg.norm(v)) for n, v in zip(e.crystal.n_cells, e.crystal.real_A, strict=True)]
    shape = OF_FULL_WIDTH / float(np.exp(np.mean(np.log(edges))))
    mosaic = e.crystal.mosaic_spread * 0.5
    band = 0.5 * float(np.ptp(e.beam.wavelengths)) * 1e10 * OF_RANGE
    spread = float(np.ptp(e.beam.directions, axis=0).max(initial=0.0)) * OF_RANGE
    cells = e.crystal.domain_scales
    stretched = float(cells.std(axis=0).max()) if len(cells) else 0.0
    return shape**2, mosaic**2 + spread**2 + stretched**2, band**2


def _width(q: np.ndarray, e: Scene) -> np.ndarray:
    """Standard deviation of the excitation error, 1/Angstrom."""
    squared = (q**2).sum(axis=1)
    shape, of_square, of_fourth = _widths(e)
    return np.asarray(np.sqrt(shape + of_square * squared + of_fourth * squared**2))


def _hits(q: np.ndarray, placed: Placed) -> tuple[np.ndarray, np.ndarray]:
    """Where diffracted beams meet the panel, pixels (slow, fast); outside where they do not."""
    beams = q + placed.beam / placed.wavelength_A
    normal = np.cross(placed.fast, placed.slow)
    with np.errstate(all="ignore"):
        reach = (placed.origin @ normal) / (beams @ normal)
        points = beams * reach[:, None] - placed.origin
    slow, fast = (np.where(reach > 0.0, points @ v / placed.pixel_size, -1.0) for v in (placed.slow, placed.fast))
    return np.nan_to_num(slow, nan=-1.0), np.nan_to_num(fast, nan=-1.0)


def _absorbed_at(
    e: Scene, q: np.ndarray, placed: Placed, slow: np.ndarray, fast: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where photons are absorbed on average that meet the front of the sensor there, pixels (slow, fast).

    Along their way in the sensor that is 1/mu - l exp(-mu l)/(1 - exp(-mu l)) for a way of length l.
    """
    d = e.detector
    if d.thickness == 0.0 or d.mu == 0.0:
        return slow, fast
    beams = q + placed.beam / placed.wavelength_A
    beams = beams / np.linalg.norm(beams, axis=1)[:, None]
    normal = np.cross(placed.fast, placed.slow)
    way = d.layer_step * d.layers / np.maximum(np.abs(beams @ normal), 1e-3)
    depth = 1.0 / d.mu - way * np.exp(-d.mu * way) / -np.expm1(-d.mu * way)
    moved = [depth * (beams @ axis) / placed.pixel_size for axis in (placed.slow, placed.fast)]
    return np.where(slow >= 0.0, slow + moved[0], slow), np.where(fast >= 0.0, fast + moved[1], fast)


def _is_rendered(e: Scene, panel: int, slow: np.ndarray, fast: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Whether spots of a panel fall on pixels that are rendered."""
    d, found = e.detector, kept.copy()
    s, f = slow[kept].astype(int), fast[kept].astype(int)
    first_fast, last_fast, first_slow, last_slow = d.roi
    inside = (f >= first_fast) & (f <= last_fast) & (s >= first_slow) & (s <= last_slow)
    if d.mask.size:
        inside &= d.mask.reshape(-1, d.n_slow, d.n_fast)[panel, s, f] != 0
    found[kept] = inside
    return found
