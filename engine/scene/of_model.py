"""From a model to a scene: everything right, without any of the original's oddities."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.c_numbers import DEGREES, HC, divide
from nanobragg.engine.detectors.catalogue import detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.beam import Beam
from nanobragg.engine.model.crystal import Crystal
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.model.response import Response
from nanobragg.engine.model.scan import Scan
from nanobragg.engine.model.spots import ROUND_SPOTS
from nanobragg.engine.model.structure_factors import FactorsFrom, StructureFactors
from nanobragg.engine.scene import cell as cells
from nanobragg.engine.scene import checks, domains, matter, sources
from nanobragg.engine.scene.placement import (
    CONVENTIONS,
    SAMPLE,
    Aim,
    Convention,
    by_convention,
    by_vectors,
    in_frame,
    rotate_xyz,
)
from nanobragg.engine.scene.scene import (
    NO_WIDE_PIXELS,
    Illumination,
    Lattice,
    Noise,
    PlacedDetector,
    PlacedPanel,
    Rotation,
    Sampled,
    Scene,
    Three,
)
from nanobragg.engine.scene.sensor import DEFAULT_SENSOR, absorption_of_sources, material_of, mean_absorption
from nanobragg.kernels.image.random import mosaic_rotations, new_table, uniform_cap_rotation
from nanobragg.kernels.plan import Habits
from nanobragg.kernels.shapes import BY_DISTANCE
from nanobragg.kernels.vectors import Vector, magnitude, unit

UNUSABLE_SEED = 2**31 - 1  # the generator cannot start from it
LARGEST_SPREAD = 1e9  # radians
FEW_CELLS = 2.0  # up to so many along an axis, spots are so wide that amplitudes between nodes matter
RIGHT = "right"
NARROWEST_SPREAD, WIDEST_SPREAD = 0.01, 10.0  # pixels, that the sums over a kernel and blocks are good for
Load = Callable[[FactorsFrom, PlacedDetector, Lattice, Illumination], StructureFactors]


def scene_of(experiment: Experiment, load: Load | None = None) -> Scene:
    """What an experiment is, worked out.

    Parameters
    ----------
    experiment
        The model.
    load
        Reads amplitudes where the model only says where they come from.

    Raises
    ------
    BadInput
        For anything that cannot be simulated.
    """
    e = experiment
    convention = laboratory(e)
    beam = illumination(e.beam, convention)
    response = response_of(e)
    offset = 0.0 if response is None else response.counts[1]
    detector = dataclasses.replace(placed_detector(e, beam, convention), offset=offset)
    crystal, *others = map(lattice, e.all_crystals)
    scan = rotation(e.scan, convention)
    factors = e.factors
    if isinstance(factors, FactorsFrom):
        assert load is not None
        factors = load(factors, detector, crystal, beam)
    factors, table_numbers = factors.seen_at(HC / (beam.wavelengths * 1e10))
    beam = dataclasses.replace(beam, table_numbers=table_numbers)
    sampled = _sampled(e, detector, beam, crystal, scan, factors)
    checks.check_cells(scan.steps, crystal.domains)
    amount = sum(background.intensity() for background in e.all_backgrounds)
    return Scene(
        detector=detector, beam=beam, crystal=crystal, scan=scan, factors=factors, sampled=sampled,
        background=amount * sampled.steps, water=amount > 0.0, dmin=e.sampling.dmin_A * 1e-10,
        noise=Noise(0, 0.0), habits=Habits(), physics=RIGHT, other_crystals=tuple(others),
        scatterers=matter.scatterers_of(e.backgrounds, e.beamstop, beam, detector.nearest),
        shade=matter.shade_of(e.backgrounds, e.beamstop, beam), response=response,
    )  # fmt: skip


def response_of(e: Experiment) -> Response | None:
    """What the detector makes of photons: as given, or as it is known of a detector by name."""
    response = e.response
    if response is None and e.detector.model is not None:
        response = detector_model(e.detector.model).response
    if response is not None and response.point_spread != "none":
        pixels = response.spread_um * 1e-3 / e.detector.pixel_mm
        if not NARROWEST_SPREAD <= pixels <= WIDEST_SPREAD:
            raise BadInput(
                f"Response: spread_um: {pixels:.3g} pixels: must be {NARROWEST_SPREAD:g} to {WIDEST_SPREAD:g}, or give "
                "kernel"
            )
    return response


def laboratory(e: Experiment) -> Convention:
    """Directions of the laboratory: those of the detector's convention where the model gives no others."""
    given = {"beam": e.beam.direction, "polar": e.beam.polarization_axis, "spindle": e.scan.axis}
    own = {name: unit(_vector(v)) for name, v in given.items() if v is not None}
    return CONVENTIONS[e.detector.convention]._replace(**own)


def _sampled(
    e: Experiment, detector: PlacedDetector, beam: Illumination, crystal: Lattice, scan: Rotation,
    factors: StructureFactors,
) -> Sampled:  # fmt: skip
    asked = e.sampling.interpolate
    few = min(crystal.n_cells) <= FEW_CELLS if asked is None else bool(asked)
    oversample = e.sampling.oversample or cells.recommended_oversampling(
        crystal.n_cells, crystal.lengths, beam.wavelength, detector.nearest, detector.pixel_size
    )
    return Sampled(
        oversample=int(oversample), own_capture=detector.thickness > 0.0,
        own_polarization=not beam.polarization_left_out, own_solid_angle=True,
        interpolate=few and factors.n_hkl != 0,
        steps=float(len(beam.wavelengths) * crystal.domains * scan.steps * int(oversample) ** 2),
    )  # fmt: skip


def illumination(beam: Beam, convention: Convention) -> Illumination:
    """The beam as point sources."""
    assert beam.wavelength_A is not None and beam.fluence is not None
    wavelength = beam.wavelength_A / 1e10
    hdiv, vdiv = (
        sources.spread_over(width / 1000.0, count)
        for width, count in zip(beam.divergence_mrad, beam.divergence_steps, strict=True)
    )
    dispersion = sources.spread_over(beam.dispersion_percent / 100.0, beam.dispersion_steps)
    sources.check_number(hdiv.count * vdiv.count * dispersion.count)
    points = tuple(sources.divergence_points(hdiv, vdiv, elliptical=True))
    rows = sources.grid_of_sources(wavelength, (convention.beam, convention.polar), points, dispersion)
    if not len(rows):
        raise BadInput("Beam: divergence_steps: no source is left inside the ellipse of divergence")
    if beam.spectrum is None:
        weights = np.full(len(rows), 1.0 / len(rows))
    else:
        channels = beam.channels()
        sources.check_number(len(rows) * len(channels.weights))
        rows = sources.times_wavelengths(rows, channels.wavelengths_A * 1e-10)
        weights = np.tile(channels.weights, len(rows) // len(channels.weights))
        wavelength = beam.nominal_A / 1e10
    return Illumination(
        wavelength=wavelength, fluence=beam.pulse_fluence, exposure=beam.exposure_s, beamsize=beam.beamsize_mm / 1e3,
        kahn=beam.polarization or 0.0, polarization_left_out=beam.polarization is None,
        direction=convention.beam, polar=convention.polar,
        directions=sources.directions_of(rows[:, :3]), wavelengths=rows[:, 3].copy(), weights=sources.shares(weights),
        table_numbers=np.zeros(len(rows), np.int64),
    )  # fmt: skip


def rotation(scan: Scan, convention: Convention) -> Rotation:
    """Phi steps, each standing in the middle of its part of the range."""
    start, width = scan.start_deg / DEGREES, scan.range_deg / DEGREES
    step = width / scan.steps
    first = start + step / 2.0 if width > 0.0 else start
    return Rotation(start, width, step, scan.steps, first, convention.spindle)


def placed_detector(e: Experiment, beam: Illumination, convention: Convention) -> PlacedDetector:
    """The detector in its place, with its sensor and the pixels that are rendered."""
    d = e.detector
    (n_slow, n_fast), pixel = d.of_each_panel, d.pixel_mm / 1000.0
    frame_slow, frame_fast = d.shape or d.of_each_panel
    number = max(len(d.panels_in_frame), 1)
    checks.check_size(n_fast, n_slow * number, ": check Detector: shape")
    size_fast, size_slow = pixel * frame_fast, pixel * frame_slow
    thickness, mu = d.thickness_um * 1e-6, mean_absorption(d, beam)
    absorbs = thickness > 0.0 and mu > 0.0
    frame = _panel(d, convention, pixel, size_fast, size_slow)
    return PlacedDetector(
        panels=placed_panels(d, frame, convention.beam),
        n_fast=n_fast, n_slow=n_slow, pixel_size=pixel, size_fast=size_fast, size_slow=size_slow,
        twotheta=d.twotheta_deg / DEGREES, convention=d.convention,
        layers=d.layers if absorbs else 1, layer_step=thickness / d.layers if absorbs else 0.0,
        thickness=thickness if absorbs else 0.0, mu=mu if absorbs else 0.0,
        sensor_material=material_of(d) or DEFAULT_SENSOR,
        saturation=d.saturation or 0.0, offset=0.0, centroid_of_layer=True,
        curved=d.curved, point_pixel=d.point_pixel,
        roi=_roi(e, n_fast, n_slow),
        mask=kept_pixels(e), absorption=absorption_of_sources(d, beam) if absorbs else np.empty(0),
        wide_pixels=NO_WIDE_PIXELS if d.model is None else detector_model(d.model).wide_pixels,
    )  # fmt: skip


def placed_panels(d: Detector, frame: PlacedPanel, beam: Vector) -> tuple[PlacedPanel, ...]:
    """The panels of a detector whose frame stands in its place; the frame itself where it has none."""
    if not d.panels:
        return (frame,)
    panels = []
    for each in d.panels_in_frame:
        placed = in_frame(frame, _vector(each.fast), _vector(each.slow), _vector(each.origin_mm / 1e3), beam)
        panels.append(dataclasses.replace(placed, size=each.panel.shape, masked=each.panel.masked))
    return tuple(panels)


def kept_pixels(e: Experiment) -> np.ndarray:
    """1 for the pixels that are not masked nor in gaps, (panel * slow * fast,) uint8; empty where all are rendered."""
    if not e.sampling.rois:
        return kept_of(e.detector, e.mask)
    shape = (len(e.sampling.rois), *e.detector.of_each_panel)
    kept = np.zeros(shape, np.uint8)
    for panel, (left, right, top, bottom) in zip(kept, e.sampling.rois, strict=True):
        panel[top : bottom + 1, left : right + 1] = 1
    inside = kept.reshape(e.detector.image_shape)
    return kept_of(e.detector, inside if e.mask is None else inside & (np.asarray(e.mask) != 0))


def _roi(e: Experiment, n_fast: int, n_slow: int) -> tuple[int, int, int, int]:
    """That of every panel; what differs from panel to panel is masked."""
    if e.sampling.roi is None or e.sampling.rois:
        return 0, n_fast, 0, n_slow
    left, right, top, bottom = (int(x) for x in e.sampling.roi)  # type: ignore[arg-type]
    return left, right, top, bottom


def kept_of(d: Detector, mask: npt.ArrayLike | None) -> np.ndarray:
    """The same of a detector and a mask in the shape of its images."""
    kept = None if mask is None else np.asarray(mask).reshape(d.image_shape) != 0
    own = _gaps(d) if not d.panels else _edges(d)
    if own is not None and not own.all():
        own = own.reshape(d.image_shape) != 0
        kept = own if kept is None else kept & own
    return np.empty(0, np.uint8) if kept is None else kept.ravel().astype(np.uint8)


def _gaps(d: Detector) -> np.ndarray | None:
    """Pixels between the modules of a detector by name, of one panel."""
    return None if d.model is None else detector_model(d.model).mask()


def _edges(d: Detector) -> np.ndarray:
    """Pixels that panels have, the largest of which the images have room for, less their masked ones."""
    kept = np.zeros((len(d.panels_in_frame), *d.of_each_panel), np.uint8)
    for number, each in enumerate(d.panels_in_frame):
        own = each.panel.kept()
        kept[number, : own.shape[0], : own.shape[1]] = own
    return kept


def frame_by_vectors(d: Detector, beam: Vector) -> PlacedPanel:
    """The panel, or the frame of panels, of a detector that is placed by its vectors."""
    corner: Vector = tuple(float(x) / 1000.0 for x in _vector(d.origin_mm))  # type: ignore[assignment]
    return by_vectors(_vector(d.fast), _vector(d.slow), corner, beam)


def _panel(d: Detector, convention: Convention, pixel: float, size_fast: float, size_slow: float) -> PlacedPanel:
    if d.origin_mm is not None:
        return frame_by_vectors(d, convention.beam)
    tilt: Vector = tuple(angle / DEGREES for angle in d.tilt_deg)  # type: ignore[assignment]
    fast_mid, slow_mid = _centre(d, convention, pixel, size_fast, size_slow)
    aim = Aim(d.distance_mm / 1000.0, fast_mid, slow_mid, tilt, d.twotheta_deg / DEGREES)
    return by_convention(convention, aim)


def _centre(
    d: Detector, convention: Convention, pixel: float, size_fast: float, size_slow: float
) -> tuple[float, float]:
    """Where the beam, or for XDS and DIALS the near point, is on the panel: fast and slow, metres from its corner."""
    if convention.pivot == SAMPLE:
        if d.beam_center_mm is None:
            return size_fast / 2.0, size_slow / 2.0
        x, y = (value / d.pixel_mm for value in d.beam_center_mm)
        return (x - 0.5) * pixel, (y - 0.5) * pixel
    x_size, y_size = (size_fast, size_slow - 2.0 * pixel) if d.convention == "ADXV" else (size_slow, size_fast)
    X, Y = (x_size + pixel) / 2.0, (y_size + pixel) / 2.0
    if d.beam_center_mm is not None:
        X, Y = (value / 1e3 for value in d.beam_center_mm)
    if d.convention == "ADXV":
        return X, size_slow - Y
    half = 0.5 * pixel if d.convention == "MOSFLM" else 0.0
    return Y + half, X + half


def lattice(crystal: Crystal) -> Lattice:
    """The crystal in the laboratory: cell, orientation, size and mosaic domains."""
    cell = None
    if crystal.cell is not None:
        a, b, c, *angles = (float(x) for x in crystal.cell)
        cell = cells.unit_cell((a, b, c), tuple(angle / DEGREES for angle in angles))  # type: ignore[arg-type]
        if not cell.possible:
            raise BadInput("Crystal: cell: these lengths and angles make no unit cell")
        recip = cells.default_orientation(cells.reciprocal(cell, _silent), 1.0 / c)
    else:
        a_star, b_star, c_star = np.asarray(crystal.reciprocal, float).tolist()
        recip = (_vector(a_star), _vector(b_star), _vector(c_star))
    misset: Vector = tuple(angle / DEGREES for angle in crystal.misset_deg)  # type: ignore[assignment]
    if any(crystal.misset_deg):
        recip = tuple(rotate_xyz(v, misset) for v in recip)  # type: ignore[assignment]
    real, recip, volume = cells.direct_vectors(recip, cell)
    if not cells.are_finite(real, recip):
        raise BadInput(f"Crystal: {'cell' if cell else 'reciprocal'}: these vectors do not make a unit cell")
    metres: Three = tuple(cells.scaled(v, cells.ANGSTROM) for v in real)  # type: ignore[assignment]
    n_cells: Vector = tuple(float(n) for n in crystal.N)  # type: ignore[assignment]
    widest = max(crystal.mosaic_axes_deg) if crystal.mosaic_axes_deg is not None else crystal.mosaic_deg
    spread = widest / DEGREES if crystal.mosaic_domains > 1 else 0.0
    return Lattice(
        real=metres, real_A=real, recip=recip,
        lengths=(magnitude(metres[0]), magnitude(metres[1]), magnitude(metres[2])),
        cell=cells.lengths_and_angles(real, recip, volume, _silent),
        recip_cell=cells.lengths_and_angles(recip, real, divide(1.0, volume), _silent),
        volume=volume, n_cells=n_cells, shape=crystal.shape, fudge=float(crystal.fudge),
        spot_vectors=spot_vectors_of(crystal.shape, recip, n_cells, volume),
        mosaic_spread=spread, mosaic_seed=-abs(crystal.mosaic_seed), rotations=_domains(crystal, spread, recip),
        domain_scales=domains.scales(crystal), share=float(crystal.share),
        fading=(float(crystal.B_A2), float(crystal.decay_per_MGy * crystal.dose_MGy)),
    )  # fmt: skip


def spot_vectors_of(shape: str, recip: Three, n_cells: Vector, volume: float) -> tuple[float, ...]:
    """What spots of a shape measure distances with."""
    if shape.endswith(ROUND_SPOTS):
        return cells.round_spot_vectors(recip, n_cells, volume)
    return cells.spot_vectors(n_cells) if shape in BY_DISTANCE else tuple(x for v in recip for x in v)


def _domains(crystal: Crystal, spread: float, recip: Three) -> np.ndarray:
    differ = spread > 0.0 or max(crystal.cell_spread_percent) > 0.0
    number = int(crystal.mosaic_domains) if differ else 1
    if number > checks.MOST_DOMAINS:
        raise BadInput(f"Crystal: mosaic_domains: more than {checks.MOST_DOMAINS}")
    if spread > LARGEST_SPREAD:
        raise BadInput(f"Crystal: mosaic_deg: a spread of {crystal.mosaic_deg:g} degrees")
    if spread == 0.0:
        return np.tile(np.eye(3).ravel(), (number, 1))
    if abs(crystal.mosaic_seed) == UNUSABLE_SEED:
        raise BadInput(f"seed {UNUSABLE_SEED}: the generator cannot start from it; take another")
    if crystal.mosaic_axes_deg is not None:
        return domains.turned_by_axes(crystal, recip)
    return mosaic_rotations(spread, number, -abs(crystal.mosaic_seed), new_table(), uniform_cap_rotation)[0]


def _vector(values: Any) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _silent(line: str) -> None:
    """Hear nothing: what could be said of a cell is refused where it is made."""
