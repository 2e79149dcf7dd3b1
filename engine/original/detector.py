"""The detector: its size, its place in the laboratory, its sensor."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import sampling
from nanobragg.engine.original.c_numbers import ceil, to_int32
from nanobragg.engine.original.frame import Centres, Frame, centres
from nanobragg.engine.original.settings import Settings
from nanobragg.kernels.vectors import Vector, dot, rotate_axis

MOST_PIXELS = 2**31 - 1
LARGEST_PIXEL = 1e50  # metres; its square must not overflow


@dataclasses.dataclass(frozen=True)
class Detector:
    """One flat (or bent) detector in its place. Metres; unit vectors in the laboratory frame.

    ``Xbeam``, ``Ybeam``, ``Xclose``, ``Yclose`` are as the convention was told; ``Fbeam`` ... ``ORGY`` are derived
    again from the placed detector. ``mask`` is (n_slow * n_fast,) uint8, 0 where nothing is rendered, or empty.
    """

    n_fast: int
    n_slow: int
    pixel_size: float
    size_fast: float
    size_slow: float
    pix0: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    distance: float
    close_distance: float
    Xbeam: float
    Ybeam: float
    Fbeam: float
    Sbeam: float
    Xclose: float
    Yclose: float
    Fclose: float
    Sclose: float
    ORGX: float
    ORGY: float
    dials_origin: Vector
    twotheta: float
    pivot: str
    convention: str
    layers: int
    layer_step: float
    thickness: float
    mu: float
    curved: bool
    point_pixel: bool
    roi: tuple[int, int, int, int]
    mask: np.ndarray


def size(settings: Settings) -> tuple[float, float, int, int]:
    """Size in metres (fast, slow) and pixel counts; the sizes are not rounded to whole pixels."""
    if not 0.0 < settings.pixel < LARGEST_PIXEL:
        raise BadInput(f"-pixel: {settings.pixel * 1000.0:g} mm is no size for a pixel")
    det_f = settings.pixel * settings.n_f if settings.n_f else settings.det_f
    det_s = settings.pixel * settings.n_s if settings.n_s else settings.det_s
    n_fast = to_int32(ceil(det_f / settings.pixel - 0.5))
    n_slow = to_int32(ceil(det_s / settings.pixel - 0.5))
    return det_f, det_s, n_fast, n_slow


def check_size(n_fast: int, n_slow: int) -> None:
    """Refuse a detector without pixels, and one whose image does not fit in memory, before anything is allocated."""
    if n_fast <= 0 or n_slow <= 0:
        raise BadInput(
            f"the detector has no pixels ({n_fast} x {n_slow}): check -detpixels, -detsize, -pixel and the headers read"
        )
    pixels = n_fast * n_slow
    bytes_per_pixel = 4 + 8 + 8 + 2 + 2  # image, solid angles, pixel list, integers, noise
    needed, there = pixels * bytes_per_pixel, memory.available()
    if needed > there or pixels > MOST_PIXELS:
        room = f"this machine has {there / 1e9:.3g} GB free" if needed > there else "more than 2147483647 pixels"
        raise BadInput(f"a detector of {n_fast} x {n_slow} pixels takes {needed / 1e9:.3g} GB: {room}")


def rotate_xyz(v: Vector, angles: Vector) -> Vector:
    """Turn about x, then y, then z (radians); a zero angle leaves its step out."""
    x, y, z = v
    if angles[0] != 0.0:
        c, s = math.cos(angles[0]), math.sin(angles[0])
        y, z = y * c + z * -s, y * s + z * c
    if angles[1] != 0.0:
        c, s = math.cos(angles[1]), math.sin(angles[1])
        x, z = x * c + z * s, x * -s + z * c
    if angles[2] != 0.0:
        c, s = math.cos(angles[2]), math.sin(angles[2])
        x, y = x * c + y * -s, x * s + y * c
    return x, y, z


def _combine(f: float, fdet: Vector, s: float, sdet: Vector, o: float, odet: Vector) -> Vector:
    return tuple(-f * fdet[k] - s * sdet[k] + o * odet[k] for k in range(3))  # type: ignore[return-value]


def _roi(settings: Settings, n_fast: int, n_slow: int) -> tuple[int, int, int, int]:
    """Inclusive bounds; the upper defaults lie one past the last pixel (Q27)."""
    given = (settings.roi_x0, settings.roi_x1, settings.roi_y0, settings.roi_y1)
    return tuple(d if v < 0 else v for v, d in zip(given, (0, n_fast, 0, n_slow), strict=True))  # type: ignore[return-value]


def detector(settings: Settings, frame: Frame, mask: np.ndarray | None, warn: Callable[[str], None]) -> Detector:
    """Place the detector: tilt it, swing it about the two-theta axis, and derive its centres again."""
    det_f, det_s, n_fast, n_slow = size(settings)
    check_size(n_fast, n_slow)
    start = centres(settings, det_f, det_s)
    tilt = (settings.rot_x, settings.rot_y, settings.rot_z)

    def swing(v: Vector) -> Vector:
        return rotate_axis(v, frame.tt_axis, settings.twotheta)

    ratio = dot(frame.beam, rotate_xyz(frame.odet, tilt))
    if ratio == 0.0:
        ratio = sys.float_info.min
    close_distance = settings.close_distance
    if close_distance is None:
        close_distance = abs(ratio * settings.distance)
    distance = close_distance / ratio
    flat = _combine(start.Fclose, frame.fdet, start.Sclose, frame.sdet, close_distance, frame.odet)
    fdet, sdet, odet = (swing(rotate_xyz(v, tilt)) for v in (frame.fdet, frame.sdet, frame.odet))
    if frame.pivot == "SAMPLE":
        pix0 = swing(rotate_xyz(flat, tilt))
    else:
        pix0 = _combine(start.Fbeam, fdet, start.Sbeam, sdet, distance, frame.beam)
        if "Q84" in settings.fixes and "-pivot" not in settings.given:
            f, s = (rotate_xyz(v, tilt) for v in (frame.fdet, frame.sdet))
            pix0 = swing(_combine(start.Fbeam, f, start.Sbeam, s, distance, frame.beam))
    if "Q83" in settings.fixes and any(settings.pix0):
        pix0 = settings.pix0
    if "Q88" in settings.fixes and dot(frame.beam, odet) != 0.0:
        ratio = dot(frame.beam, odet)
    close_distance = dot(pix0, odet)
    place = _placed(pix0, fdet, sdet, frame, close_distance / ratio, start, settings.pixel)
    layers = sampling.layer_steps(settings)
    mu = sampling.absorption(settings)
    if "Q08" in settings.fixes and mu == 0.0:
        layers = sampling.Steps(1, 0.0, 0.0)
    elif "Q06" in settings.fixes and settings.thick_steps > 0 and settings.thick > 0.0 and settings.thick_step <= 0.0:
        layers = sampling.Steps(settings.thick_steps, settings.thick, settings.thick / settings.thick_steps)
    return Detector(
        n_fast, n_slow, settings.pixel, det_f, det_s, pix0, fdet, sdet, odet,
        close_distance / ratio, close_distance, **place,
        twotheta=settings.twotheta, pivot=frame.pivot, convention=frame.convention,
        layers=layers.count, layer_step=layers.step, thickness=layers.range, mu=mu,
        curved=settings.curved, point_pixel=settings.point_pixel,
        roi=_roi(settings, n_fast, n_slow),
        mask=fitting_mask(mask, (n_slow, n_fast), settings.mask_file, exact="Q71" in settings.fixes),
    )  # fmt: skip


def _placed(pix0, fdet, sdet, frame: Frame, distance: float, start: Centres, pixel: float) -> dict:
    """Centres as the placed detector has them."""
    Fclose, Sclose = -dot(pix0, fdet), -dot(pix0, sdet)
    q = tuple(distance * frame.beam[k] - pix0[k] for k in range(3))
    return {
        "Xbeam": start.Xbeam,
        "Ybeam": start.Ybeam,
        "Fbeam": dot(fdet, q),
        "Sbeam": dot(sdet, q),
        "Xclose": start.Xclose,
        "Yclose": start.Yclose,
        "Fclose": Fclose,
        "Sclose": Sclose,
        "ORGX": Fclose / pixel + 0.5,
        "ORGY": Sclose / pixel + 0.5,
        "dials_origin": (
            1000.0 * dot(pix0, (0.0, 0.0, 1.0)),
            1000.0 * dot(pix0, (0.0, 1.0, 0.0)),
            1000.0 * dot(pix0, (-1.0, 0.0, 0.0)),
        ),
    }


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
