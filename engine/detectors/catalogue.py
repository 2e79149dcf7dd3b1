"""Detectors by name: pixels, gaps between modules, sensor, and what a pixel can count.

Sizes are those that the makers publish: Dectris' Pilatus, Eiger and Eiger2, Rayonix' MX series, the Jungfrau of
the Paul Scherrer Institute, SLAC's ePix10k, the AGIPD of the European XFEL.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools

import numpy as np

from nanobragg.engine.detectors.layouts import agipd_modules, in_pinwheel, in_rows, size_of_pinwheel
from nanobragg.engine.detectors.sensors import attenuation
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.panels import Group, Panel
from nanobragg.engine.model.response import Response

PHOSPHOR = "phosphor"
# Counts of the makers' software, which puts back what dead times take.
COUNTS = Response()
# Light in a phosphor and fibre optics, read by CCDs: values that are in use for such detectors.
CCD = Response(point_spread="fiber", spread_um=80.0, calibration_percent=3.0, offset=10.0, readout=3.0)


def _switching(*stages: tuple[float, float, float, float], calibration_percent: float = 1.0) -> Response:
    """A detector that switches its gain: counts for a photon of 12.4 keV, pedestal, noise, most photons of each."""
    return Response(stages=stages, calibration_percent=calibration_percent)


JUNGFRAU = _switching((500.0, 3000.0, 12.0, 25.0), (-17.0, 15000.0, 8.0, 750.0), (-1.2, 15000.0, 8.0, 12_000.0))
EPIX10K = _switching((68.0, 2000.0, 6.0, 170.0), (1.2, 2000.0, 6.0, 11_000.0))
AGIPD = _switching((90.0, 4000.0, 9.0, 60.0), (3.2, 4000.0, 9.0, 2500.0), (0.8, 4000.0, 9.0, 15_000.0))
BETWEEN_CHIPS = 2  # pixels, over which the outermost of both chips reach
CHIP = (256, 256)


@dataclasses.dataclass(frozen=True)
class DetectorModel:
    """A detector of one flat panel, or of several in one frame.

    Parameters
    ----------
    name
        As its maker writes it.
    modules
        Rows and columns of modules.
    module
        Pixels of one, slow and fast.
    gap
        Pixels between two, slow and fast.
    pixel_mm
        Edge of a pixel.
    sensor
        ``Si``, ``CdTe`` or ``phosphor``, whose attenuation is not modelled.
    thickness_mm
        Of the sensor.
    saturation
        The most that a pixel can count.
    panels
        Where there are several: the panels in their frame, whose size ``frame`` is (slow, fast pixels).
    chip
        Pixels of a chip, slow and fast, where two more stand between chips, so that the outermost are two pixels wide.
    response
        What it makes of photons.
    """

    name: str
    modules: tuple[int, int]
    module: tuple[int, int]
    gap: tuple[int, int]
    pixel_mm: float
    sensor: str
    thickness_mm: float
    saturation: int
    panels: tuple[Panel | Group, ...] = ()
    frame: tuple[int, int] = (0, 0)
    chip: tuple[int, int] | None = None
    response: Response = COUNTS

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels, slow and fast, gaps among them."""
        if self.panels:
            return self.frame
        slow, fast = (
            n * size + (n - 1) * gap for n, size, gap in zip(self.modules, self.module, self.gap, strict=True)
        )
        return slow, fast

    @functools.cached_property
    def _mask(self) -> np.ndarray:
        rows, columns = (
            (np.arange(total) % (size + gap)) < size
            for total, size, gap in zip(self.shape, self.module, self.gap, strict=True)
        )
        mask = (rows[:, None] & columns).astype(np.uint16)
        mask.setflags(write=False)
        return mask

    def mask(self) -> np.ndarray:
        """1 where a pixel is, 0 in gaps, uint16 (slow, fast)."""
        return self._mask

    @functools.cached_property
    def wide_pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """The first of each two fast, and slow, pixels of a panel that stand for one of double width."""
        if self.chip is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rows, columns = (1, 1) if self.panels else self.modules
        of_axes = zip((columns, rows), reversed(self.module), reversed(self.gap), reversed(self.chip), strict=True)
        return tuple(_wide(*of_axis) for of_axis in of_axes)  # type: ignore[return-value]

    @property
    def number_of_panels(self) -> int:
        """How many panels images have."""
        return self.modules[0] * self.modules[1] if self.panels else 1

    def attenuation_mm(self, energy_eV: float) -> float | None:
        """1/mu of the sensor, or `None` where that is not modelled."""
        return None if self.sensor == PHOSPHOR else attenuation(self.sensor, energy_eV)


def _wide(modules: int, module: int, gap: int, chip: int) -> np.ndarray:
    """The first pixels of pairs along an axis of modules that have chips and two pixels between two of these."""
    borders = range(chip, module, chip + BETWEEN_CHIPS)
    pairs = [
        number * (module + gap) + border + side for number in range(modules) for border in borders for side in (-1, 1)
    ]
    return np.array(pairs, np.int64)


def _pilatus(name: str, rows: int, columns: int, thickness_mm: float) -> DetectorModel:
    return DetectorModel(name, (rows, columns), (195, 487), (17, 7), 0.172, "Si", thickness_mm, 1_048_575)


def _eiger(name: str, rows: int, columns: int) -> DetectorModel:
    return DetectorModel(name, (rows, columns), (514, 1030), (37, 10), 0.075, "Si", 0.45, 65_534, chip=CHIP)


def _eiger2(name: str, rows: int, columns: int, sensor: str, thickness_mm: float) -> DetectorModel:
    return DetectorModel(name, (rows, columns), (512, 1028), (38, 12), 0.075, sensor, thickness_mm, 65_534)


def _rayonix(name: str, pixels: int, pixel_mm: float) -> DetectorModel:
    return DetectorModel(name, (1, 1), (pixels, pixels), (0, 0), pixel_mm, PHOSPHOR, 0.04, 65_534, response=CCD)


def _jungfrau(name: str, rows: int, columns: int) -> DetectorModel:
    module, gap, pixel_mm = (514, 1030), (36, 8), 0.075
    slow, fast = (n * size + (n - 1) * between for n, size, between in zip((rows, columns), module, gap, strict=True))
    panels = in_rows(rows, columns, module, gap, pixel_mm)
    return DetectorModel(
        name, (rows, columns), module, gap, pixel_mm, "Si", 0.32, 10_000, panels, (slow, fast), CHIP, JUNGFRAU
    )


def _epix10k() -> DetectorModel:
    module, gap, pixel_mm = (352, 384), (12, 12), 0.1
    block = (2 * module[0] + gap[0], 2 * module[1] + gap[1])
    panels = in_pinwheel(in_rows(2, 2, module, gap, pixel_mm), block, gap[0], pixel_mm)
    frame = size_of_pinwheel(block, gap[0])
    return DetectorModel(
        "ePix10k 2M", (4, 4), module, gap, pixel_mm, "Si", 0.5, 10_000, panels, frame, response=EPIX10K
    )


def _agipd() -> DetectorModel:
    asic, apart, pitch, gap, pixel_mm = (64, 128), 2, 158, 8, 0.2
    block = (3 * pitch + asic[1], 8 * (asic[0] + apart) - apart)
    panels = in_pinwheel(agipd_modules(4, 8, asic, apart, pitch, pixel_mm), block, gap, pixel_mm)
    frame = size_of_pinwheel(block, gap)
    return DetectorModel(
        "AGIPD 1M", (16, 8), asic, (apart, gap), pixel_mm, "Si", 0.5, 10_000, panels, frame, response=AGIPD
    )


def _all() -> list[DetectorModel]:
    of_pilatus = {"6M": (12, 5), "2M": (8, 3), "1M": (5, 2), "300K": (3, 1)}
    of_eiger = {"16M": (8, 4), "9M": (6, 3), "4M": (4, 2), "1M": (2, 1)}
    rayonix = {"MX340-HS": (7680, 0.0443), "MX225": (3072, 0.0732), "MX170": (3840, 0.0443)}
    return [
        *(_pilatus(f"Pilatus {size}", *n, 0.32) for size, n in of_pilatus.items()),
        *(_pilatus(f"Pilatus3 {size}", *n, 0.45) for size, n in of_pilatus.items()),
        *(_eiger(f"Eiger {size}", *n) for size, n in of_eiger.items()),
        *(_eiger2(f"Eiger2 {size}", *n, "Si", 0.45) for size, n in of_eiger.items()),
        *(_eiger2(f"Eiger2 CdTe {size}", *n, "CdTe", 0.75) for size, n in of_eiger.items()),
        *(
            _rayonix(f"Rayonix {name}" + (f" bin {n}" if n > 1 else ""), pixels // n, edge * n)
            for name, (pixels, edge) in rayonix.items() for n in (1, 2, 3, 4)
        ),
        *(_jungfrau(f"Jungfrau {size}", *n) for size, n in {"16M": (8, 4), "4M": (4, 2), "1M": (2, 1)}.items()),
        _epix10k(), _agipd(),
    ]  # fmt: skip


def _key(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


MODELS = {model.name: model for model in _all()}
_BY_KEY = {_key(name): model for name, model in MODELS.items()}


def detector_model(name: str) -> DetectorModel:
    """The detector of this name; case, spaces and dashes do not matter.

    Raises
    ------
    BadInput
        With the names that are nearest, if there is none.
    """
    found = _BY_KEY.get(_key(name))
    if found is None:
        near = [_BY_KEY[key].name for key in difflib.get_close_matches(_key(name), _BY_KEY, 4, 0.4)]
        hint = f"is {' or '.join(near)} meant?" if near else "--detector list prints all"
        raise BadInput(f"detector {name[:40]!r}: no detector is called that ({hint})")
    return found


def detector_list() -> str:
    """All names, with pixels and sensor, a line each."""
    return "\n".join(f"{m.name:24} {in_words(m)}" for m in MODELS.values())


def in_words(model: DetectorModel) -> str:
    """Pixels and sensor of a detector, in a line."""
    slow, fast = model.module if model.panels else model.shape
    panels = f"{model.number_of_panels} panels of " if model.panels else ""
    return f"{panels}{fast} x {slow} pixels of {model.pixel_mm:g} mm, {model.sensor} {model.thickness_mm:g} mm"
