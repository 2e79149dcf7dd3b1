"""The Python API: what is simulated, in the user's units, and the image of it. Right by default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nanobragg.engine import images, reasons
from nanobragg.engine.api_checks import (
    check_beam,
    check_crystal,
    check_detector,
    check_scan,
    check_spreads,
    in_own_words,
    numbers,
    of_kind,
    pixels_of,
    words_for,
)
from nanobragg.engine.api_files import cell_of as cell_of
from nanobragg.engine.api_files import constant as constant
from nanobragg.engine.api_files import read_image as read_image
from nanobragg.engine.api_files import read_structure_factors as read_structure_factors
from nanobragg.engine.api_files import structure_factors as structure_factors
from nanobragg.engine.api_files import structure_factors_from as structure_factors_from
from nanobragg.engine.api_files import write as write
from nanobragg.engine.api_files import write_float_image as write_float_image
from nanobragg.engine.api_files import write_smv_image as write_smv_image
from nanobragg.engine.api_parts import Beam as Beam
from nanobragg.engine.api_parts import Crystal as Crystal
from nanobragg.engine.api_parts import Detector as Detector
from nanobragg.engine.api_parts import Scan as Scan
from nanobragg.engine.detectors.catalogue import PHOSPHOR, detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import Experiment, Geometry, experiment, freeze, geometry
from nanobragg.engine.factors.structure_factors import StructureFactors as StructureFactors
from nanobragg.engine.original import beam as beams
from nanobragg.engine.original.c_numbers import DEGREES, HC
from nanobragg.engine.original.fixes import FIXABLE, NONE, Fixes, fixes_of
from nanobragg.engine.original.frame import CONVENTIONS as FRAMES
from nanobragg.engine.original.frame import CUSTOM
from nanobragg.engine.original.quirks import Run, biting
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.render import choose, render
from nanobragg.engine.truth.spots import Spots as Spots
from nanobragg.engine.truth.spots import predict_spots as predict_spots
from nanobragg.kernels.plan import RenderPlan


def _fixes(quirks: str) -> Fixes:
    if quirks in ("right", "c"):
        return FIXABLE if quirks == "right" else NONE
    if quirks.startswith("c+"):
        with in_own_words():
            return fixes_of(quirks.removeprefix("c+"))
    raise BadInput(f"quirks {quirks!r}: right, c, or c+NAMES (c with some computed right)")


def _settings(
    crystal: Crystal, detector: Detector, beam: Beam, scan: Scan, quirks: str, more: dict[str, Any]
) -> Settings:
    """Settings as the command line would leave them."""
    (h, v), steps = beam.divergence_mrad, beam.divergence_steps
    assert detector.shape is not None and beam.wavelength_A is not None
    made: dict[str, Any] = {
        "lambda0": beam.wavelength_A / 1e10, "fluence": beam.fluence, "exposure": beam.exposure_s,
        "beamsize": beam.beamsize_mm / 1e3, "kahn": beam.polarization or 0.0,
        "nopolar": beam.polarization is None,
        "pixel": detector.pixel_mm / 1000.0, "distance": detector.distance_mm / 1000.0,
        "n_s": detector.shape[0], "n_f": detector.shape[1], "convention": detector.convention,
        "curved": detector.curved, "point_pixel": detector.point_pixel, "twotheta": detector.twotheta_deg / DEGREES,
        "N_a": float(crystal.N[0]), "N_b": float(crystal.N[1]), "N_c": float(crystal.N[2]),
        "shape": crystal.shape, "fudge": crystal.fudge, "phi0": scan.start_deg / DEGREES,
        "mosaic_seed": -abs(crystal.mosaic_seed), "water": crystal.water_um / 1e6, "fixes": _fixes(quirks),
        **{f"rot_{axis}": angle / DEGREES for axis, angle in zip("xyz", detector.tilt_deg, strict=True)},
    }  # fmt: skip
    for name, full, count in (("hdiv", h / 1000.0, steps[0]), ("vdiv", v / 1000.0, steps[1])):
        if count > 1:
            made |= {name: full, f"{name}_steps": count}
    if beam.dispersion_steps > 1:
        made |= {"dispersion": beam.dispersion_percent / 100.0, "disp_steps": beam.dispersion_steps}
    if scan.range_deg > 0.0 or scan.steps > 1:
        made |= {"osc": scan.range_deg / DEGREES, "phisteps": scan.steps}
    if any(crystal.misset_deg):
        made |= {f"misset_{axis}": angle / DEGREES for axis, angle in zip("xyz", crystal.misset_deg, strict=True)}
        made["misset_mode"] = 1
    if crystal.mosaic_domains > 1:
        made |= {"mosaic": crystal.mosaic_deg / DEGREES, "domains": crystal.mosaic_domains}
    if crystal.cell is not None:
        names = ("cell_a", "cell_b", "cell_c", "cell_alpha", "cell_beta", "cell_gamma")
        values = [*crystal.cell[:3], *(angle / DEGREES for angle in crystal.cell[3:])]
        made |= {"user_cell": True, **dict(zip(names, values, strict=True))}
    if detector.thickness_um > 0.0:
        made |= {"thick": detector.thickness_um * 1e-6, "thick_steps": detector.layers}
        depth_um = detector.attenuation_um
        if depth_um is None and detector.model is not None:
            depth_mm = detector_model(detector.model).attenuation_mm(HC / beam.wavelength_A)
            depth_um = None if depth_mm is None else depth_mm * 1e3
        if depth_um is not None:
            made["mu"] = 1.0 / (depth_um * 1e-6)
    if detector.model is not None:
        model = detector_model(detector.model)
        sensor = {} if model.sensor == PHOSPHOR else {"sensor_material": model.sensor}
        made |= {"saturation": float(model.saturation), **sensor}
    if detector.origin_mm is not None:
        made |= _panel(detector)
    if detector.beam_center_mm is not None:
        in_pixels = detector.convention in ("XDS", "DIALS")
        unit = detector.pixel_mm if in_pixels else 1e3
        x, y = (x / unit for x in detector.beam_center_mm)
        made |= {"ORGX": x, "ORGY": y} if in_pixels else {"Xbeam": x, "Ybeam": y}
    return Settings(**{**made, **more})


def _panel(detector: Detector) -> dict[str, Any]:
    """Settings of a panel that is placed by its vectors; the normal is made to point away from the sample."""
    beam, _, _, _, tt_axis, polar, spindle, _ = FRAMES[detector.convention]
    fast, slow = (tuple(float(x) for x in v) for v in (detector.fast, detector.slow))  # type: ignore[union-attr]
    return {
        "convention": CUSTOM, "pivot": "SAMPLE", "fdet": fast, "sdet": slow, "odet": (0.0, 0.0, 0.0),
        "beam": beam, "polar": polar, "spindle": spindle, "tt_axis": tt_axis,
        "pix0": tuple(float(x) / 1000.0 for x in detector.origin_mm),  # type: ignore[union-attr]
    }  # fmt: skip


def set_up(
    crystal: Crystal,
    detector: Detector,
    factors: StructureFactors,
    beam: Beam | None = None,
    scan: Scan | None = None,
    *,
    quirks: str = "right",
    oversample: int | None = None,
    interpolate: bool | None = None,
    dmin_A: float = 0.0,
    roi: tuple[int, int, int, int] | None = None,
    mask: npt.ArrayLike | None = None,
    remark: Callable[[str], None] | None = None,
) -> Experiment:
    """What is simulated, checked and placed; parameters and errors are those of `simulate`."""
    beam = Beam() if beam is None else beam
    scan = Scan() if scan is None else scan
    of_kind("detector", detector, Detector, "a Detector, nb.Detector(model=...) say (simulate takes lists too)")
    detector = detector.of_model()
    with in_own_words():
        _check_parts(crystal, detector, factors, beam, scan, quirks)
    if oversample is not None:
        numbers("oversample", oversample, 1, whole=True, lowest=1)
    if interpolate is not None:
        of_kind("interpolate", interpolate, (bool, np.bool_), "True, False or None")
    numbers("dmin_A", dmin_A, 1, lowest=0)
    if roi is not None:
        numbers("roi", roi, 4, whole=True, lowest=0)
        if roi[0] > roi[1] or roi[2] > roi[3]:
            raise BadInput(f"roi {roi}: first and last fast, first and last slow pixel")
    more: dict[str, Any] = {
        "oversample": int(oversample or -1), "interp": 2 if interpolate is None else int(interpolate),
        "dmin": dmin_A * 1e-10, "default_F": factors.default_F, "do_noise": False,
    }  # fmt: skip
    if roi is not None:
        more |= dict(zip(("roi_x0", "roi_x1", "roi_y0", "roi_y1"), roi, strict=True))
    settings = _settings(crystal, detector, beam, scan, quirks, more)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"{field.name}: is infinite or not a number")
    matrix = None
    if crystal.reciprocal is not None:
        vectors = np.asarray(crystal.reciprocal, float).reshape(3, 3)
        assert beam.wavelength_A is not None
        matrix = (vectors.T * beam.wavelength_A).ravel().tolist()
    kept = _kept(detector, mask)
    say = words_for(remark)
    with in_own_words():
        placed = geometry(settings, kept, say, matrix=matrix)
        if beam.spectrum is None:
            return experiment(placed, say, factors=factors)
        return experiment(placed, say, factors=factors, beam=beams.beam(settings, placed.frame, _sources(placed, beam)))


def _kept(detector: Detector, mask: npt.ArrayLike | None) -> np.ndarray | None:
    """The pixels that are rendered: those of the mask, and not in the gaps of a model."""
    assert detector.shape is not None
    gaps = None
    if detector.model is not None:
        found = detector_model(detector.model).mask().ravel()
        gaps = None if found.all() else found
    if mask is None:
        return gaps
    pixels = np.asarray(mask)
    if pixels.shape != tuple(detector.shape):
        raise BadInput(f"mask: has shape {pixels.shape}, the detector {tuple(detector.shape)} (slow, fast)")
    kept = (pixels != 0).astype(np.uint16).ravel()
    return kept if gaps is None else kept * gaps


def _sources(placed: Geometry, beam: Beam) -> np.ndarray:
    """A spectrum as sources (n, 5): X Y Z (metres), weight, wavelength (metres)."""
    rows = np.asarray(beam.spectrum, float)
    place = np.tile([-beams.SOURCE_DISTANCE * b for b in placed.frame.beam], (len(rows), 1))
    return np.column_stack([place, rows[:, 1], rows[:, 0] * 1e-10])


def _check_parts(crystal: Any, detector: Any, factors: Any, beam: Any, scan: Any, quirks: Any) -> None:
    """Refuse what is of another kind, and what would silently be something else."""
    of_kind("crystal", crystal, Crystal, "a Crystal")
    of_kind("factors", factors, StructureFactors, "made by structure_factors, read_structure_factors or constant")
    of_kind("beam", beam, Beam, "a Beam")
    of_kind("scan", scan, Scan, "a Scan")
    of_kind("quirks", quirks, str, "a text: right, c, or c+NAMES")
    check_crystal(crystal)
    check_detector(detector, quirks)
    check_beam(beam)
    check_spreads(crystal, beam)
    check_scan(scan)


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
    roi: tuple[int, int, int, int] | None = ...,
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
    roi: tuple[int, int, int, int] | None = ...,
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
    roi: tuple[int, int, int, int] | None = None,
    mask: npt.ArrayLike | None = None,
    remark: Callable[[str], None] | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Photons per pixel.

    Parameters
    ----------
    crystal, detector, factors, beam, scan
        What is simulated; several detectors (panels) give a list of images.
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
        First and last fast, first and last slow pixel; the others stay 0.
    mask
        Pixels that are 0 in it are not rendered, (slow, fast).
    remark
        Called with each line that the command would say on stderr.

    Returns
    -------
    numpy.ndarray
        float32, (slow, fast); a list of them for several panels.

    Raises
    ------
    BadInput
        For anything that cannot be simulated.
    """
    if threads is not None:
        numbers("threads", threads, 1, whole=True, lowest=1)
    of_kind("backend", backend, str, "a text: auto, fast, strict, cref or cuda")
    options: dict[str, Any] = {
        "quirks": quirks, "oversample": oversample, "interpolate": interpolate, "dmin_A": dmin_A, "roi": roi,
        "mask": mask, "remark": remark,
    }  # fmt: skip
    if isinstance(detector, Sequence) and not isinstance(detector, str):
        if not detector:
            raise BadInput("detector: the list of panels is empty")
        return [
            simulate(crystal, panel, factors, beam, scan, backend=backend, threads=threads, **options)
            for panel in detector
        ]
    made = set_up(crystal, detector, factors, beam, scan, **options)
    say = words_for(remark)
    with in_own_words():
        plan = freeze(made)
        for line in (*map(str, biting(Run(made, plan))), *reasons.before(made, plan)) if remark is not None else ():
            say(line)
        image = render(plan, _chosen(backend, plan), threads=threads).image
    if "Q79" in made.settings.fixes and not np.isfinite(image).all():
        raise BadInput("the image overflows: a pixel is infinite or not a number: check fluence, amplitudes and sizes")
    if remark is not None and np.isfinite(image).all():
        told = reasons.of_brightness(made, plan, image, float(image.max()))
        say(told) if told else None
    return image


def _chosen(backend: str, plan: RenderPlan) -> str:
    """``auto`` is the fast kernel in Python, whose calls are many: the C reference is for short programs."""
    chosen = choose(backend, plan)
    return "fast" if backend == "auto" and chosen == "cref" else chosen


def add_noise(
    image: Any,
    seed: int,
    *,
    offset: float = 0.0,
    dtype: npt.DTypeLike = np.uint16,
    panel: int = 0,
    threads: int | None = None,
) -> Any:
    """Counts of a photon-counting detector: Poisson deviates that depend on seed, panel and pixel alone.

    Parameters
    ----------
    image
        Photons per pixel, (slow, fast); or a list of such images, the panels of one detector, which are numbered from
        ``panel`` on.
    seed
        Any 64-bit number.
    offset
        Added to each count.
    dtype
        uint16 or int32; what is above its largest number is that.
    panel
        Number of the panel, so that no two of a detector have the same noise.
    threads
        On the CPU; one by default. The counts do not depend on it.

    Returns
    -------
    numpy.ndarray
        Counts (slow, fast); a list of them for several panels.

    Raises
    ------
    BadInput
        For what is no image, and numbers that cannot be meant.
    """
    numbers("seed", seed, 1, whole=True)
    numbers("offset", offset, 1)
    numbers("panel", panel, 1, whole=True, lowest=0)
    if threads is not None:
        numbers("threads", threads, 1, whole=True, lowest=1)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind not in (np.uint16, np.int32):
        raise BadInput(f"dtype: must be uint16 or int32, not {dtype!r}")
    if isinstance(image, list | tuple) and _holds_images(image):
        several = enumerate(image, panel)
        return [add_noise(one, seed, offset=offset, dtype=kind, panel=n, threads=threads) for n, one in several]
    pixels = pixels_of(image)
    if not np.isfinite(pixels).all():
        raise BadInput("image: holds pixels that are infinite or not a number")
    plan = _any_plan(pixels.shape)
    return images.philox_noise(plan, pixels, float(offset), int(seed), "fast", threads or 1, kind, panel=int(panel))[0]


def _holds_images(some: Sequence[Any]) -> bool:
    try:
        return not some or np.ndim(some[0]) > 1
    except ValueError:  # rows of different lengths
        return False


def _any_plan(shape: tuple[int, ...]) -> Any:
    crystal, detector = Crystal(cell=(50, 50, 50, 90, 90, 90)), Detector((shape[0], shape[1]))
    return freeze(set_up(crystal, detector, constant(1.0), oversample=1))
