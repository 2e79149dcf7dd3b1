"""A scene: all that is simulated, worked out in metres and radians, whoever described it.

A scene is made of a model (`nanobragg.engine.scene.of_model`) or of an original's command line
(`nanobragg.engine.original.set_up`). Files, predictions and plans are made of scenes.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from nanobragg.engine.model.response import Response
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.kernels.plan import Habits
from nanobragg.kernels.surroundings.plan import Shade
from nanobragg.kernels.vectors import Vector, dot

Three = tuple[Vector, Vector, Vector]
NO_SHADE = Shade(0.0, 0.0, 0.0, False, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0))
NO_SCALES = np.empty((0, 3))
NO_WIDE_PIXELS = (np.empty(0, np.int64), np.empty(0, np.int64))


@dataclasses.dataclass(frozen=True)
class PlacedPanel:
    """One panel in the laboratory, metres from the sample; ``Fbeam`` and ``Sbeam`` are where the beam meets it.

    ``size`` are its own pixels (slow, fast), where images may have room for more, and ``masked`` rectangles of it.
    """

    pix0: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    distance: float
    close_distance: float
    Fbeam: float
    Sbeam: float
    size: tuple[int, int] | None = None
    masked: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def Fclose(self) -> float:
        """The point nearest to the sample, along the fast axis."""
        return -dot(self.pix0, self.fdet)

    @property
    def Sclose(self) -> float:
        """The same along the slow axis."""
        return -dot(self.pix0, self.sdet)

    @property
    def dials_origin(self) -> Vector:
        """The corner in millimetres, in an order and signs of SMV headers."""
        return (
            1000.0 * dot(self.pix0, (0.0, 0.0, 1.0)),
            1000.0 * dot(self.pix0, (0.0, 1.0, 0.0)),
            1000.0 * dot(self.pix0, (-1.0, 0.0, 0.0)),
        )


def beam_spot(pix0: Vector, fdet: Vector, sdet: Vector, beam: Vector, distance: float) -> tuple[float, float]:
    """Where the beam meets a panel at this distance along it: fast and slow from the corner, metres."""
    q: Vector = tuple(distance * beam[k] - pix0[k] for k in range(3))  # type: ignore[assignment]
    return dot(fdet, q), dot(sdet, q)


@dataclasses.dataclass(frozen=True)
class PlacedDetector:
    """Panels of one size in their places, and what is the same for all of them.

    ``mask`` is (panel * slow * fast,) uint8, 0 where nothing is rendered, or empty; ``roi`` the first and last fast,
    first and last slow pixel; ``saturation`` the most that a pixel counts, 0 for as much as a file's numbers hold;
    ``offset`` what is added to each count; ``centroid_of_layer`` whether a layer
    stands where its photons are absorbed on average, or at its front. ``absorption`` (source,) is what the sensor
    absorbs of each source's photons, 1/m, or empty where that is ``mu`` for all. ``wide_pixels`` are fast, and slow,
    pixels that are the first of two that stand for one of double width.
    """

    panels: tuple[PlacedPanel, ...]
    n_fast: int
    n_slow: int
    pixel_size: float
    size_fast: float
    size_slow: float
    twotheta: float
    convention: str
    layers: int
    layer_step: float
    thickness: float
    mu: float
    sensor_material: str
    saturation: float
    offset: float
    centroid_of_layer: bool
    curved: bool
    point_pixel: bool
    roi: tuple[int, int, int, int]
    mask: np.ndarray
    absorption: np.ndarray
    wide_pixels: tuple[np.ndarray, np.ndarray]

    @property
    def depth_in_layer(self) -> float:
        """How far behind the front of a layer its photons are absorbed on average, metres, at normal incidence.

        1/mu - t exp(-mu t)/(1 - exp(-mu t)) of a layer of thickness t. The layers of a bent panel stay where they are.
        """
        t, mu = self.layer_step, self.mu
        if self.curved or not (self.centroid_of_layer and t > 0.0 and mu > 0.0):
            return 0.0
        absorbed = -math.expm1(-mu * t)
        return 1.0 / mu - t * (1.0 - absorbed) / absorbed

    @property
    def nearest(self) -> float:
        """The shortest distance of a panel along the beam, metres, of those that it can meet."""
        distances = [panel.distance for panel in self.panels]
        return min((x for x in distances if x > 0.0), default=distances[0])

    @property
    def panel(self) -> PlacedPanel:
        """The only panel; who asks for it can handle one."""
        (only,) = self.panels
        return only

    @property
    def shape(self) -> tuple[int, ...]:
        """Of images: pixels (slow, fast), or (panel, slow, fast) where there are several."""
        of_panel = (self.n_slow, self.n_fast)
        return of_panel if len(self.panels) == 1 else (len(self.panels), *of_panel)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Each panel's pixels in files, slow and fast: its own rows, each as long as those of the images.

        Old readers of NXmx fail where a panel is narrower than the images; what it lacks is in `masked`.
        """
        return [((panel.size or self.shape[-2:])[0], self.n_fast) for panel in self.panels]

    @property
    def masked(self) -> list[list[tuple[int, int, int, int]]]:
        """Rectangles of each panel that have no pixels: first fast, first slow, and the first behind of both."""
        found = []
        for panel in self.panels:
            slow, fast = panel.size or (self.n_slow, self.n_fast)
            beyond = [(fast, 0, self.n_fast, slow)] if fast < self.n_fast else []
            found.append([*panel.masked, *beyond])
        return found

    @property
    def stacked_shape(self) -> tuple[int, int]:
        """Of images that are written: the panels one below the other (slow, fast)."""
        return self.n_slow * len(self.panels), self.n_fast


@dataclasses.dataclass(frozen=True)
class Illumination:
    """The beam as point sources: ``directions`` (n, 3) towards them, ``wavelengths`` (n,), and how their terms count.

    ``wavelength`` is the nominal one; ``weights`` (n,) are 1 on average; ``table_numbers`` (n,) say which amplitudes
    each source sees.
    """

    wavelength: float
    fluence: float
    exposure: float
    beamsize: float
    kahn: float
    polarization_left_out: bool
    direction: Vector
    polar: Vector
    directions: np.ndarray
    wavelengths: np.ndarray
    weights: np.ndarray
    table_numbers: np.ndarray

    @property
    def mean_wavelength(self) -> float:
        """The mean of the wavelengths that are rendered, metres: sources count as much as their terms do."""
        return float((self.wavelengths * self.weights).sum() / self.weights.sum())

    @property
    def total_flux(self) -> float:
        """Photons per second on the beam's area."""
        return self.fluence * self.beamsize**2 / self.exposure if self.exposure > 0.0 else self.fluence


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A block of unit cells. ``real`` in metres and ``recip`` in 1/Angstrom at phi = 0, laboratory frame.

    ``real_A`` are the real vectors in Angstrom, as they were before they became metres: last digits may differ.
    ``domain_scales`` (n, 3) are how much longer the edges of each domain are, empty where all are the same; ``share``
    is that of the beam which meets this crystal; ``fading`` are B and A of exp(-B stol^2 - A stol), which its
    amplitudes fade by, square Angstrom and Angstrom.
    ``lengths`` are those of the real vectors in metres; ``cell`` and ``recip_cell`` hold lengths in Angstrom (and
    1/Angstrom) and angles in radians; ``volume`` is in cubic Angstrom; ``n_cells`` are whole numbers. ``spot_vectors``
    are what Gaussian and top-hat spots measure distances with. ``rotations`` are those of the domains, (n, 9).
    """

    real: Three
    real_A: Three
    recip: Three
    lengths: Vector
    cell: tuple[float, ...]
    recip_cell: tuple[float, ...]
    volume: float
    n_cells: Vector
    shape: str
    fudge: float
    spot_vectors: tuple[float, ...]
    mosaic_spread: float
    mosaic_seed: int
    rotations: np.ndarray
    domain_scales: np.ndarray
    share: float
    fading: tuple[float, float]

    @property
    def domains(self) -> int:
        """Number of mosaic domains."""
        return len(self.rotations)


@dataclasses.dataclass(frozen=True)
class Rotation:
    """Phi steps about the spindle, radians: from ``phi0`` over ``osc``; the first stands at ``first``."""

    phi0: float
    osc: float
    step: float
    steps: int
    first: float
    spindle: Vector

    @property
    def mean(self) -> float:
        """The mean of the rendered angles."""
        return self.first + self.step * (self.steps - 1) / 2.0


@dataclasses.dataclass(frozen=True)
class Sampled:
    """How a pixel is sampled: sub-pixels along an edge, and which factors each of them has of its own.

    ``steps`` is what a pixel's sum is divided by; ``interpolate`` says whether amplitudes are taken between nodes.
    """

    oversample: int
    own_capture: bool
    own_polarization: bool
    own_solid_angle: bool
    interpolate: bool
    steps: float


@dataclasses.dataclass(frozen=True)
class Noise:
    """How counts are drawn: the seed, what is added to each, and the original's generator as set-up has left it.

    Without a ``table`` of the generator counts are drawn from counters, whatever is asked for.
    """

    seed: int
    offset: float
    table: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ScatteringTable:
    """Squared electrons of a molecule, (m,) each, over sin(theta)/lambda from 0 on in steps of ``step``, 1/metre.

    Many images have the same, made once: it is known by itself.
    """

    step: float
    coherent: np.ndarray
    incoherent: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scatterer:
    """Amorphous matter in the beam.

    ``offsets`` (n,) are places along the beam, metres behind the sample, ``molecules`` (n,) how many are there;
    ``table`` is what each scatters.
    """

    offsets: np.ndarray
    molecules: np.ndarray
    table: ScatteringTable


@dataclasses.dataclass(frozen=True, repr=False)
class Scene:
    """All that is simulated.

    ``background`` is what each pixel's sum starts from, ``water`` whether a droplet is there; ``dmin`` in metres;
    ``physics`` says in words whether all is right; ``habits`` are what of the original's arithmetic is kept.
    ``scatterers`` and ``shade`` are what surrounds the sample, ``response`` what the detector makes of photons: where
    there is none it counts them.
    """

    detector: PlacedDetector
    beam: Illumination
    crystal: Lattice
    scan: Rotation
    factors: StructureFactors
    sampled: Sampled
    background: float
    water: bool
    dmin: float
    noise: Noise
    habits: Habits
    physics: str
    other_crystals: tuple[Lattice, ...] = ()
    scatterers: tuple[Scatterer, ...] = ()
    shade: Shade = NO_SHADE
    response: Response | None = None

    def __repr__(self) -> str:
        """A dozen lines, with units."""
        from nanobragg.engine.summary import lines

        return "\n".join(lines(self))

    @property
    def seen_factors(self) -> StructureFactors:
        """The amplitudes of this crystal, as far as they have not faded."""
        if self.crystal.fading == (0.0, 0.0):
            return self.factors
        return self.factors.faded(np.array(self.crystal.recip), *self.crystal.fading)

    @property
    def each_crystal(self) -> list[Scene]:
        """Scenes that have one of the crystals each."""
        crystals = (self.crystal, *self.other_crystals)
        return [dataclasses.replace(self, crystal=crystal, other_crystals=()) for crystal in crystals]

    @property
    def evaluations(self) -> float:
        """Evaluations of a pixel: layers, sub-pixels, sources, phi steps and domains."""
        sources = len(self.beam.wavelengths)
        return float(
            self.detector.layers * self.sampled.oversample**2 * sources * self.scan.steps * self.crystal.domains
        )
