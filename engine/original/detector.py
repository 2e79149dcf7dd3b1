"""The detector as the original places it."""

from __future__ import annotations

import dataclasses

import numpy as np

from nanobragg.engine.c_numbers import ceil, to_int32
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.frame import Centres, LabFrame, centres
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.scene.checks import check_size
from nanobragg.engine.scene.placement import corner, near_zero, placed, rotate_xyz
from nanobragg.engine.scene.scene import NO_WIDE_PIXELS, PlacedDetector, PlacedPanel
from nanobragg.engine.scene.sources import Steps
from nanobragg.kernels.vectors import Vector, dot, rotate_axis

LARGEST_PIXEL = 1e50  # metres; its square must not overflow
HINT = ": check -detpixels, -detsize, -pixel and the headers read"


@dataclasses.dataclass(frozen=True)
class ToldDetector(PlacedDetector):
    """The detector, with the centres as the convention was told, metres, and its pivot."""

    Xbeam: float
    Ybeam: float
    Xclose: float
    Yclose: float
    pivot: str


def size(settings: Settings) -> tuple[float, float, int, int]:
    """Size in metres (fast, slow) and pixel counts; the sizes are not rounded to whole pixels."""
    if not 0.0 < settings.pixel < LARGEST_PIXEL:
        raise BadInput(f"-pixel: {settings.pixel * 1000.0:g} mm is no size for a pixel")
    det_f = settings.pixel * settings.n_f if settings.n_f else settings.det_f
    det_s = settings.pixel * settings.n_s if settings.n_s else settings.det_s
    n_fast = to_int32(ceil(det_f / settings.pixel - 0.5))
    n_slow = to_int32(ceil(det_s / settings.pixel - 0.5))
    return det_f, det_s, n_fast, n_slow


def _roi(settings: Settings, n_fast: int, n_slow: int) -> tuple[int, int, int, int]:
    """Inclusive bounds; the upper defaults lie one past the last pixel (Q27)."""
    given = (settings.roi_x0, settings.roi_x1, settings.roi_y0, settings.roi_y1)
    return tuple(d if v < 0 else v for v, d in zip(given, (0, n_fast, 0, n_slow), strict=True))  # type: ignore[return-value]


def detector(settings: Settings, frame: LabFrame, mask: np.ndarray | None) -> ToldDetector:
    """Place the detector: tilt it, swing it about the two-theta axis, and derive its centres again."""
    det_f, det_s, n_fast, n_slow = size(settings)
    check_size(n_fast, n_slow, HINT)
    start = centres(settings, det_f, det_s)
    layers, mu = _layers(settings), sampling.absorption(settings)
    return ToldDetector(
        panels=(_panel(settings, frame, start),), n_fast=n_fast, n_slow=n_slow, pixel_size=settings.pixel,
        size_fast=det_f, size_slow=det_s, twotheta=settings.twotheta, convention=frame.convention,
        layers=layers.count, layer_step=layers.step, thickness=layers.range, mu=mu,
        sensor_material=settings.sensor_material, saturation=settings.saturation,
        offset=settings.adc,
        centroid_of_layer="Q101" in settings.fixes, curved=settings.curved, point_pixel=settings.point_pixel,
        roi=_roi(settings, n_fast, n_slow),
        mask=fitting_mask(mask, (n_slow, n_fast), settings.mask_file, exact="Q71" in settings.fixes),
        absorption=np.empty(0), wide_pixels=NO_WIDE_PIXELS,
        Xbeam=start.Xbeam, Ybeam=start.Ybeam, Xclose=start.Xclose, Yclose=start.Yclose, pivot=frame.pivot,
    )  # fmt: skip


def _layers(settings: Settings) -> Steps:
    layers = sampling.layer_steps(settings)
    if "Q08" in settings.fixes and sampling.absorption(settings) == 0.0:
        return Steps(1, 0.0, 0.0)
    if "Q06" in settings.fixes and settings.thick_steps > 0 and settings.thick > 0.0 and settings.thick_step <= 0.0:
        return Steps(settings.thick_steps, settings.thick, settings.thick / settings.thick_steps)
    return layers


def _panel(settings: Settings, frame: LabFrame, start: Centres) -> PlacedPanel:
    tilt = (settings.rot_x, settings.rot_y, settings.rot_z)

    def swing(v: Vector) -> Vector:
        return rotate_axis(v, frame.tt_axis, settings.twotheta)

    ratio = near_zero(dot(frame.beam, rotate_xyz(frame.odet, tilt)))
    close = settings.close_distance
    if close is None:
        close = abs(ratio * settings.distance)
    distance = close / ratio
    flat = corner(start.Fclose, frame.fdet, start.Sclose, frame.sdet, close, frame.odet)
    fdet, sdet, odet = (swing(rotate_xyz(v, tilt)) for v in (frame.fdet, frame.sdet, frame.odet))
    if frame.pivot == "SAMPLE":
        pix0 = swing(rotate_xyz(flat, tilt))
    else:
        pix0 = corner(start.Fbeam, fdet, start.Sbeam, sdet, distance, frame.beam)
        if "Q84" in settings.fixes and "-pivot" not in settings.given:
            f, s = (rotate_xyz(v, tilt) for v in (frame.fdet, frame.sdet))
            pix0 = swing(corner(start.Fbeam, f, start.Sbeam, s, distance, frame.beam))
    if "Q83" in settings.fixes and any(settings.pix0):
        pix0 = settings.pix0
    if "Q88" in settings.fixes and dot(frame.beam, odet) != 0.0:
        ratio = dot(frame.beam, odet)
    close = dot(pix0, odet)
    return placed(pix0, (fdet, sdet, odet), frame.beam, close, close / ratio)


def fitting_mask(
    mask: np.ndarray | None, shape: tuple[int, int], name: str | None, *, exact: bool = False
) -> np.ndarray:
    """The mask by the pixel numbers of the final image (Q71), of a size (slow, fast) where it has one of its own."""
    pixels = shape[0] * shape[1]
    if mask is None:
        return np.empty(0, np.uint8)
    if mask.ndim == 2:
        if mask.shape != shape:
            sizes = [f"{fast} x {slow}" for slow, fast in (mask.shape, shape)]
            raise BadInput(f"-mask {name}: has {sizes[0]} pixels (fast x slow), the image {sizes[1]}")
        return (mask.ravel() > 0).astype(np.uint8)
    if len(mask) < pixels:
        raise BadInput(f"-mask {name}: has {len(mask)} pixels, the image {pixels}: it would be read past its end")
    if exact and len(mask) != pixels:
        raise BadInput(f"-mask {name}: has {len(mask)} pixels, the image {pixels}")
    return (mask[:pixels] != 0).astype(np.uint8)
