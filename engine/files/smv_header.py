"""The SMV header of an experiment."""

from __future__ import annotations

from nanobragg.engine.experiment import Experiment, mean_wavelength
from nanobragg.engine.files.smv import header
from nanobragg.engine.fixes import Fixes


def of_experiment(made: Experiment, *, noise: bool, fixes: Fixes) -> bytes:
    """The header of the integer or of the noise image; with the mean wavelength where that is fixed (Q81, Q102)."""
    s = made.settings
    wavelength = mean_wavelength(made) if fixes & {"Q81", "Q102"} else s.lambda0
    return header(made.detector, wavelength, s.phi0, made.scan.osc, s.adc, noise=noise, fixes=fixes)
