"""The Python API: what is simulated, in the user's units, and the image of it. Right by default."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nanobragg.engine import reasons
from nanobragg.engine.api_counts import add_noise as add_noise
from nanobragg.engine.api_counts import read_out as read_out
from nanobragg.engine.api_files import cell_of as cell_of
from nanobragg.engine.api_files import constant as constant
from nanobragg.engine.api_files import read_geometry as read_geometry
from nanobragg.engine.api_files import read_image as read_image
from nanobragg.engine.api_files import read_structure_factors as read_structure_factors
from nanobragg.engine.api_files import structure_factors as structure_factors
from nanobragg.engine.api_files import structure_factors_by_energy as structure_factors_by_energy
from nanobragg.engine.api_files import structure_factors_from as structure_factors_from
from nanobragg.engine.api_files import write as write
from nanobragg.engine.api_files import write_float_image as write_float_image
from nanobragg.engine.api_files import write_smv_image as write_smv_image
from nanobragg.engine.api_words import in_own_words, words_for
from nanobragg.engine.errors import BadInput
from nanobragg.engine.exposure import expose
from nanobragg.engine.factors.load import load
from nanobragg.engine.geometry.found import FileGeometry as FileGeometry
from nanobragg.engine.model.background import Amorphous as Amorphous
from nanobragg.engine.model.background import Gas as Gas
from nanobragg.engine.model.background import Ice as Ice
from nanobragg.engine.model.background import Water as Water
from nanobragg.engine.model.beam import Beam as Beam
from nanobragg.engine.model.beamstop import Beamstop as Beamstop
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.crystal import Crystal as Crystal
from nanobragg.engine.model.detector import Detector as Detector
from nanobragg.engine.model.experiment import Experiment as Experiment
from nanobragg.engine.model.panels import Group as Group
from nanobragg.engine.model.panels import Panel as Panel
from nanobragg.engine.model.response import Response as Response
from nanobragg.engine.model.sampling import Sampling as Sampling
from nanobragg.engine.model.scan import Scan as Scan
from nanobragg.engine.model.spectrum import GaussianSpectrum as GaussianSpectrum
from nanobragg.engine.model.spectrum import SaseSpectrum as SaseSpectrum
from nanobragg.engine.model.spectrum import SeededSpectrum as SeededSpectrum
from nanobragg.engine.model.spectrum import Spectrum as Spectrum
from nanobragg.engine.model.spectrum import SpectrumFile as SpectrumFile
from nanobragg.engine.model.spectrum import TopHatSpectrum as TopHatSpectrum
from nanobragg.engine.model.structure_factors import FactorsFrom as FactorsFrom
from nanobragg.engine.model.structure_factors import StructureFactors as StructureFactors
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import choose
from nanobragg.engine.scene.of_model import RIGHT, scene_of
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.truth.spots import Spots as Spots
from nanobragg.engine.truth.spots import predict_spots as predict_spots
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan

Say = Callable[[str], None]
Roi = tuple[int, int, int, int] | Sequence[tuple[int, int, int, int]]


def set_up(
    crystal: Crystal,
    detector: Detector,
    factors: StructureFactors,
    beam: Beam | None = None,
    scan: Scan | None = None,
    *,
    quirks: str = RIGHT,
    oversample: int | None = None,
    interpolate: bool | None = None,
    dmin_A: float = 0.0,
    roi: Roi | None = None,
    mask: npt.ArrayLike | None = None,
    remark: Say | None = None,
) -> Scene:
    """What is simulated, checked and placed; parameters and errors are those of `simulate`."""
    sampling = Sampling(oversample, interpolate, dmin_A, roi)  # type: ignore[arg-type]
    experiment = Experiment(
        crystal, detector, factors, Beam() if beam is None else beam, Scan() if scan is None else scan, sampling,
        mask=mask,
    )  # fmt: skip
    return scene(experiment, quirks=quirks, remark=remark)


def scene(experiment: Experiment, *, quirks: str = RIGHT, remark: Say | None = None) -> Scene:
    """An experiment worked out: places, directions and numbers in SI units.

    Parameters
    ----------
    experiment
        The model.
    quirks, remark
        As those of `simulate`.

    Raises
    ------
    BadInput
        For anything that cannot be simulated.
    """
    of_kind("experiment", experiment, Experiment, "an Experiment")
    of_kind("quirks", quirks, str, "a text: right, c, or c+NAMES")
    say = words_for(remark)
    with in_own_words():
        if quirks == RIGHT:
            dmin_A = experiment.sampling.dmin_A
            return scene_of(experiment, functools.partial(load, dmin_A=dmin_A, tell=say))
        return _as_original(experiment, quirks, say).scene


def _as_original(experiment: Experiment, quirks: str, say: Say) -> Any:
    from nanobragg.engine.original.of_model import set_up_of  # only who asks for the original loads it
    from nanobragg.engine.original.quirks import NONE, fixes_of

    if quirks != "c" and not quirks.startswith("c+"):
        raise BadInput(f"quirks {quirks!r}: right, c, or c+NAMES (c with some computed right)")
    return set_up_of(experiment, NONE if quirks == "c" else fixes_of(quirks.removeprefix("c+")), say)


def _remarks(experiment: Experiment, quirks: str, placed: Scene, plan: RenderPlan) -> list[str]:
    """What there is to say before rendering; oddities that bite among it."""
    if quirks == RIGHT:
        return list(reasons.before(placed, plan))
    from nanobragg.engine.original import remarks

    told = _as_original(experiment, quirks, lambda line: None)
    return [*map(str, remarks.quirks_of(told, plan)), *remarks.before(told, plan)]


@overload
def simulate(
    crystal: Crystal,
    detector: Detector,
    factors: StructureFactors,
    beam: Beam | None = ...,
    scan: Scan | None = ...,
    *,
    backend: str = ...,
    threads: int | None = ...,
    quirks: str = ...,
    oversample: int | None = ...,
    interpolate: bool | None = ...,
    dmin_A: float = ...,
    roi: Roi | None = ...,
    mask: npt.ArrayLike | None = ...,
    remark: Callable[[str], None] | None = ...,
) -> np.ndarray: ...


@overload
def simulate(
    crystal: Crystal,
    detector: Sequence[Detector],
    factors: StructureFactors,
    beam: Beam | None = ...,
    scan: Scan | None = ...,
    *,
    backend: str = ...,
    threads: int | None = ...,
    quirks: str = ...,
    oversample: int | None = ...,
    interpolate: bool | None = ...,
    dmin_A: float = ...,
    roi: Roi | None = ...,
    mask: npt.ArrayLike | None = ...,
    remark: Callable[[str], None] | None = ...,
) -> list[np.ndarray]: ...


def simulate(
    crystal: Crystal,
    detector: Detector | Sequence[Detector],
    factors: StructureFactors,
    beam: Beam | None = None,
    scan: Scan | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    quirks: str = "right",
    oversample: int | None = None,
    interpolate: bool | None = None,
    dmin_A: float = 0.0,
    roi: Roi | None = None,
    mask: npt.ArrayLike | None = None,
    remark: Callable[[str], None] | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Photons per pixel.

    Parameters
    ----------
    crystal, detector, factors, beam, scan
        What is simulated; several detectors give a list of images.
    backend
        ``fast``, ``strict``, ``cref``, ``cuda``, or ``auto``: a GPU for large images where there is one, else ``fast``.
    threads
        On the CPU; all processors by default. The image does not depend on it.
    quirks
        ``right``; ``c`` for what the original computes, oddities and all; ``c+NAMES`` for that with some right.
    oversample
        Sub-pixels along each edge of a pixel; as many as the spots need by default.
    interpolate
        Amplitudes between the nodes, tricubic; by default where a crystal has two cells or fewer along an axis.
    dmin_A
        Resolution below which nothing diffracts, Angstrom.
    roi
        First and last fast, first and last slow pixel; or a list of them, one for each panel. The others stay 0.
    mask
        Pixels that are 0 in it are not rendered, in the shape of the image.
    remark
        Called with each line that the command would say on stderr.

    Returns
    -------
    numpy.ndarray
        float32, (slow, fast), or (panel, slow, fast) where a detector has several panels; a list for several detectors.

    Raises
    ------
    BadInput
        For anything that cannot be simulated.
    """
    if isinstance(detector, Sequence) and not isinstance(detector, str):
        if not detector:
            raise BadInput("detector: the list of panels is empty")
        return [
            simulate(
                crystal, panel, factors, beam, scan, backend=backend, threads=threads, quirks=quirks, mask=mask,
                oversample=oversample, interpolate=interpolate, dmin_A=dmin_A, roi=roi, remark=remark,
            )
            for panel in detector
        ]  # fmt: skip
    sampling = Sampling(oversample, interpolate, dmin_A, roi)  # type: ignore[arg-type]
    experiment = Experiment(
        crystal, detector, factors, Beam() if beam is None else beam, Scan() if scan is None else scan, sampling,
        mask=mask,
    )  # fmt: skip
    image = render_experiment(experiment, backend=backend, threads=threads, quirks=quirks, remark=remark).image
    return image if image.flags.writeable else image.copy()


def render_experiment(
    experiment: Experiment,
    *,
    backend: str = "auto",
    threads: int | None = None,
    quirks: str = RIGHT,
    remark: Say | None = None,
) -> Rendered:
    """Render an experiment; parameters and errors are those of `simulate`."""
    of_kind("backend", backend, str, "a text: auto, fast, strict, cref or cuda")
    if threads is not None:
        numbers("threads", threads, 1, whole=True, lowest=1)
    placed, say = scene(experiment, quirks=quirks, remark=remark), words_for(remark)
    with in_own_words():
        plan = plan_of(placed)
        for line in _remarks(experiment, quirks, placed, plan) if remark is not None else ():
            say(line)
        rendered = expose(placed, plan, _chosen(backend, plan), threads=threads)
    finite = bool(np.isfinite(rendered.panels).all())
    if quirks == RIGHT and not finite:
        raise BadInput("the image overflows: a pixel is infinite or not a number: check fluence, amplitudes and sizes")
    if remark is not None and finite:
        told = reasons.of_brightness(placed, plan, rendered.panels, float(rendered.panels.max()))
        say(told) if told else None
    return rendered


def _chosen(backend: str, plan: RenderPlan) -> str:
    """``auto`` is the fast kernel in Python, whose calls are many: the C reference is for short programs."""
    chosen = choose(backend, plan)
    return "fast" if backend == "auto" and chosen == "cref" else chosen
