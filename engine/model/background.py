"""What scatters beside the crystal. A new background is a `Background`, listed in `KINDS`."""

from __future__ import annotations

import dataclasses

from nanobragg.engine.model.checks import numbers
from nanobragg.engine.model.part import Part

AVOGADRO = 6.02214179e23
WATER_F, WATER_WEIGHT = 2.57, 18.0  # electrons of a molecule in forward direction; g/mol


class Background(Part):
    """Something that scatters the same into every pixel's direction."""

    def intensity(self) -> float:
        """Squared electrons of all of it: what a pixel's sum has of it, polarization and solid angle apart."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, repr=False)
class Water(Background):
    """A cube of water around the crystal, F = 2.57 in every direction.

    Parameters
    ----------
    edge_um
        Micrometres.
    """

    edge_um: float = 0.0

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Water: edge_um", self.edge_um, 1, lowest=0)

    def intensity(self) -> float:
        """F^2 of a molecule times their number, at 1 g/cm^3."""
        edge = self.edge_um / 1e6
        return WATER_F * WATER_F * edge * edge * edge * 1e6 * AVOGADRO / WATER_WEIGHT


KINDS: dict[str, type[Background]] = {"water": Water}
