"""What is known of an image because it was simulated: the ground truth beside its pixels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine.formats.nexus import clean_degrees, plain, rotation, turn
from nanobragg.engine.response import frame_factor
from nanobragg.engine.scene.scene import Scene

GROUP = "entry/ground_truth"
SPOTS, PIXELS = f"{GROUP}/spots", f"{GROUP}/pixels"
# Settings and fields that wavelengths, and fluxes, depend on.
OF_SPECTRUM = (
    "lambda0", "dispersion", "disp_steps", "source_file", "img_file", "beam.wavelength_A", "beam.energy_eV",
    "beam.spectrum", "beam.shot", "beam.seed", "beam.dispersion_percent", "beam.dispersion_steps",
)  # fmt: skip
OF_FLUX = (
    "flux", "fluence", "exposure", "beamsize", "beam.flux", "beam.fluence", "beam.exposure_s", "beam.beamsize_mm",
    "beam.shot", "beam.seed", "beam.pulse_jitter_percent",
)  # fmt: skip


class Truth(NamedTuple):
    """Of one image.

    Its command line, where there is one; its experiment as JSON; reciprocal vectors a*, b*, c* at phi = 0, nine
    numbers in 1/Angstrom, in our laboratory and in NeXus'; the real cell (Angstrom, degrees); the wavelength
    (Angstrom); photons per second; all photons expected; seeds; the first and the last angle of its rotation (degrees);
    the wavelengths of its spectrum (Angstrom) and their shares of the photons; photons that do not come from a crystal;
    counts per photon of its frame.
    """

    number: int
    argv: str
    experiment: str
    orientation: tuple[float, ...]
    orientation_nexus: tuple[float, ...]
    cell: tuple[float, ...]
    wavelength: float
    flux: float
    photons: float
    seed: int
    mosaic_seed: int
    phi: float
    phi_end: float
    spectrum: tuple[float, ...] = ()
    spectrum_weights: tuple[float, ...] = ()
    background: float = 0.0
    scale: float = 1.0


SHAPES: dict[str, tuple[int, ...]] = {"orientation": (3, 3), "orientation_nexus": (3, 3), "cell": (6,)}
UNITS = {
    "orientation": "1/angstrom", "orientation_nexus": "1/angstrom", "cell": "angstrom, degree",
    "wavelength": "angstrom", "flux": "Hz", "photons": "count", "phi": "deg", "phi_end": "deg",
    "spectrum": "angstrom", "spectrum_weights": "", "background": "count",
}  # fmt: skip
TEXTS = ("argv", "experiment")
SPECTRA = ("spectrum", "spectrum_weights")
TYPES = {"number": np.int64, "seed": np.int64, "mosaic_seed": np.int64}


def wavelength(scene: Scene) -> float:
    """The mean wavelength of what is rendered, Angstrom: sources count as much as their terms do."""
    return plain(scene.beam.mean_wavelength * 1e10)


def spectrum(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths (Angstrom), ascending, and their shares of the photons, which add up to 1."""
    waves, place = np.unique(scene.beam.wavelengths * 1e10, return_inverse=True)
    weights = np.bincount(place.ravel(), scene.beam.weights)
    return waves, weights / weights.sum()


def truth_of(
    number: int, words: Sequence[str], scene: Scene, image: np.ndarray, experiment: str, background: float = 0.0
) -> Truth:
    """The ground truth of an image, whose expected photons are ``image``.

    ``experiment`` describes it as JSON; ``background`` are those of its photons that do not come from a crystal.
    """
    e = scene
    recip = np.array(e.crystal.recip)
    nexus = recip @ turn(e.beam.direction, e.scan.spindle).T
    waves, shares = (tuple(part.tolist()) for part in spectrum(e))
    return Truth(
        number, shlex.join(words), experiment, tuple(recip.ravel().tolist()), tuple(nexus.ravel().tolist()),
        (*e.crystal.cell[:3], *(clean_degrees(angle) for angle in e.crystal.cell[3:])),
        wavelength(e), e.beam.total_flux, float(image.sum(dtype=np.float64)),
        -e.noise.seed, -e.crystal.mosaic_seed, *rotation(e), waves, shares,
        background, counts_per_photon(e),
    )  # fmt: skip


def counts_per_photon(scene: Scene) -> float:
    """Of a frame: the gain of what is written, and what flicker and shutter leave of its photons."""
    response = scene.response
    return 1.0 if response is None else response.counts[0] * frame_factor(response, scene.noise.seed)


def columns(truths: Sequence[Truth]) -> dict[str, Any]:
    """One array for each field, (images, ...)."""
    arrays: dict[str, Any] = {}
    for name, values in zip(Truth._fields, zip(*truths, strict=True), strict=True):
        if name in TEXTS:
            arrays[name] = list(values)
        elif name in SPECTRA:
            arrays[name] = _same_length(values)
        else:
            arrays[name] = np.array(values, TYPES.get(name, np.float64)).reshape(len(truths), *SHAPES.get(name, ()))
    return arrays


def _same_length(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Rows as one array (images, n), NaN where one is shorter."""
    longest = max(map(len, rows))
    filled = np.full((len(rows), longest), np.nan)
    for row, values in zip(filled, rows, strict=True):
        row[: len(values)] = values
    return filled
