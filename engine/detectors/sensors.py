"""Sensor materials: how far X-rays go in them."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.detectors.sensor_table import TABLE
from nanobragg.engine.errors import BadInput


def attenuation(material: str, energy_eV: float) -> float:
    """The attenuation depth 1/mu, mm: photoabsorption and scattering, logarithmically between the table's energies.

    Raises
    ------
    BadInput
        For a material that is not known, or an energy beyond the table.
    """
    if material not in TABLE:
        raise BadInput(f"{material}: no sensor is known of it ({', '.join(TABLE)})")
    energies, mu = (np.array(column) for column in TABLE[material])
    if not energies[0] <= energy_eV <= energies[-1]:
        known = f"{energies[0]:g} to {energies[-1]:g} eV"
        raise BadInput(
            f"a photon energy of {energy_eV:g} eV: sensors are known from {known}; -detector_abs gives another's"
        )
    return float(np.exp(-np.interp(np.log(energy_eV), np.log(energies), np.log(mu))))
