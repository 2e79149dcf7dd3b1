"""The SMV header of an experiment."""

from __future__ import annotations

from nanobragg.engine.experiment import Experiment, mean_phi, mean_wavelength
from nanobragg.engine.formats.smv import header
from nanobragg.engine.original.fixes import Fixes, fixes_of

FOR_READERS = fixes_of("smv")  # what makes other programs understand a header


def of_experiment(made: Experiment, *, noise: bool, fixes: Fixes, turns: bool = True) -> bytes:
    """The header of the integer or of the noise image; with the mean wavelength where that is fixed (Q81, Q102).

    ``turns`` is false for stills, whose headers have no rotation that readers could make a sweep of.
    """
    s = made.settings
    wavelength = mean_wavelength(made) if fixes & {"Q81", "Q102"} else s.lambda0
    osc = made.scan.osc
    phi = mean_phi(made) - osc / 2.0 if "Q102" in fixes else s.phi0  # where the rendered range begins
    return header(made.detector, wavelength, phi, osc if turns else 0.0, s.adc, noise=noise, fixes=fixes)
