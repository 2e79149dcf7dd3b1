"""How gases absorb on the way to the detector."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.matter.gas_table import GASES


def of_gas(name: str, energy_eV: float) -> float:
    """The absorption of a gas at its usual density, 1/m: logarithmic between the table's energies, ends are held."""
    energies, mu = (np.array(column) for column in GASES[name])
    return float(np.exp(np.interp(np.log(energy_eV), np.log(energies), np.log(mu))))
