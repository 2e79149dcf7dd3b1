"""What a detector makes of photons: light that spreads, sensitivity, electronics. In users' units."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind, one_of
from nanobragg.engine.model.part import Part

POINT_SPREADS = ("none", "fiber", "gaussian")
OUTPUTS = ("calibrated", "raw")
CODES = (0, 1, 3, 2)  # of stages in raw values, as Jungfrau has them
MOST_STAGES, LARGEST_KERNEL = 4, 401
ADC_VALUES = 1 << 14
LARGEST = 1e9


@dataclasses.dataclass(frozen=True, repr=False)
class Response(Part):
    """What a detector makes of the photons that reach it, in the order of the parameters. By default it counts them.

    Parameters
    ----------
    flicker_percent, shutter_percent
        Standard deviations of the beam's brightness and of the exposure, from frame to frame.
    point_spread, spread_um
        ``fiber`` (g / (2 pi) (g^2 + r^2)^(-3/2), of light in fibre optics) or ``gaussian``, and their full width at
        half maximum, micrometres; ``none`` where light stays in its pixel.
    kernel
        Instead: the shares of a photon's light in the pixels around its own, (n, n), n odd; scaled to 1 in all.
    calibration_percent
        Standard deviation of the pixels' sensitivity, the same on all frames of a detector.
    dead_pixels, hot_pixels
        Shares of pixels that count nothing, and that are always at the highest count.
    detector_seed
        What sensitivities, dead and hot pixels are drawn from.
    dead_time_ns, paralysable
        How long a counter is blind after each photon; whether photons in that time make it longer.
    gain, offset, readout
        Counts per photon, what is added to each count, and the noise of the readout, counts.
    stages
        Instead, of an integrating detector that switches its gain: (gain, offset, readout, most photons) of each, in
        the order in which they are tried; raw values have 14 bits.
    output
        Of such a detector: ``calibrated`` photons, times ``counts_per_photon``, or ``raw`` values, whose two highest
        bits are the stage (0, 1, 3).
    counts_per_photon
        Of what is calibrated.
    saturation
        The highest count; that of the detector, or as much as a file's numbers hold, if not given.
    """

    flicker_percent: float = 0.0
    shutter_percent: float = 0.0
    point_spread: str = "none"
    spread_um: float = 0.0
    kernel: npt.ArrayLike | None = None
    calibration_percent: float = 0.0
    dead_pixels: float = 0.0
    hot_pixels: float = 0.0
    detector_seed: int = 1
    dead_time_ns: float = 0.0
    paralysable: bool = False
    gain: float = 1.0
    offset: float = 0.0
    readout: float = 0.0
    stages: tuple[tuple[float, float, float, float], ...] = ()
    output: str = "calibrated"
    counts_per_photon: float = 1.0
    saturation: float | None = None

    def check(self) -> None:
        """See `Part.check`."""
        for name in (
            "flicker_percent",
            "shutter_percent",
            "spread_um",
            "calibration_percent",
            "dead_time_ns",
            "readout",
        ):
            numbers(f"Response: {name}", getattr(self, name), 1, lowest=0)
        for name in ("dead_pixels", "hot_pixels"):
            numbers(f"Response: {name}", getattr(self, name), 1, lowest=0)
            if getattr(self, name) > 1.0:
                raise BadInput(f"Response: {name}: is a share of all pixels, from 0 to 1")
        for name in ("gain", "counts_per_photon"):
            numbers(f"Response: {name}", getattr(self, name), 1, above=0)
        numbers("Response: offset", self.offset, 1)
        for name in ("gain", "offset", "readout", "counts_per_photon"):
            if abs(getattr(self, name)) > LARGEST:
                raise BadInput(f"Response: {name}: more than {LARGEST:g} cannot be meant")
        numbers("Response: detector_seed", self.detector_seed, 1, whole=True, lowest=0)
        if self.saturation is not None:
            numbers("Response: saturation", self.saturation, 1, above=0)
        of_kind("Response: paralysable", self.paralysable, bool, "True or False")
        one_of("Response: output", self.output, OUTPUTS)
        one_of("Response: point_spread", self.point_spread, POINT_SPREADS)
        self._check_spread()
        self._check_stages()

    def _check_spread(self) -> None:
        if self.point_spread != "none" and not self.spread_um > 0.0:
            raise BadInput(
                f"Response: point_spread {self.point_spread} needs spread_um, its full width at half maximum"
            )
        if self.point_spread == "none" and self.spread_um > 0.0:
            raise BadInput("Response: spread_um: of which point_spread, fiber or gaussian?")
        if self.kernel is None:
            return
        if self.point_spread != "none":
            raise BadInput("Response: kernel and point_spread both say how light spreads: take one")
        try:
            kernel = np.asarray(self.kernel, float)
        except (TypeError, ValueError):
            kernel = np.empty(0)
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not kernel.shape[0] % 2:
            raise BadInput("Response: kernel: must be numbers of shape (n, n), n odd")
        if not np.isfinite(kernel).all() or (kernel < 0.0).any() or not kernel.sum() > 0.0:
            raise BadInput("Response: kernel: must be 0 or more everywhere, and more somewhere")
        if len(kernel) > LARGEST_KERNEL:
            raise BadInput(f"Response: kernel: {len(kernel)} pixels wide, more than {LARGEST_KERNEL}")

    def _check_stages(self) -> None:
        of_kind("Response: stages", self.stages, tuple, "a list of (gain, offset, readout, most photons)")
        if len(self.stages) == 1:
            raise BadInput("Response: stages: one is gain, offset and readout")
        if len(self.stages) > MOST_STAGES:
            raise BadInput(f"Response: stages: {len(self.stages)} are more than {MOST_STAGES}")
        for number, stage in enumerate(self.stages):
            what = f"Response: stages: stage {number} (gain, offset, readout, most photons)"
            numbers(what, stage, 4)
            if stage[0] == 0.0 or stage[2] < 0.0 or not stage[3] > 0.0:
                raise BadInput(f"{what}: a gain of 0, a negative readout noise, or no photons")
            if not 0.0 <= stage[1] < ADC_VALUES:
                raise BadInput(f"{what}: the offset is not among the {ADC_VALUES} values of the readout")
        if self.stages and (self.gain, self.offset, self.readout) != (1.0, 0.0, 0.0):
            raise BadInput("Response: gain, offset and readout are those of stages where there are some")
        if not self.stages and (self.output, self.counts_per_photon) != ("calibrated", 1.0):
            raise BadInput("Response: output and counts_per_photon are of a detector with stages")
        if self.stages and self.dead_time_ns > 0.0:
            raise BadInput("Response: dead_time_ns is of counters, stages of integrating detectors")

    @property
    def counts(self) -> tuple[float, float]:
        """Counts per photon, and the count of none, of what is written."""
        if not self.stages:
            return self.gain, self.offset
        return (self.stages[0][0], self.stages[0][1]) if self.output == "raw" else (self.counts_per_photon, 0.0)

    def highest_of(self, saturation: float) -> float:
        """The highest count of a detector whose own is ``saturation``, 0 where that is not known; photons of stages."""
        if self.stages and self.output == "raw":
            return float((1 << 16) - 1)
        if self.saturation is not None:
            return self.saturation
        return saturation * (self.counts_per_photon if self.stages else 1.0) or math.inf
