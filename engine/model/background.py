"""What scatters beside the crystal. A new background is a `Background`, listed in `KINDS`."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from nanobragg.engine.errors import BadInput
from nanobragg.engine.matter.molecules import GASES, MATERIALS
from nanobragg.engine.model.checks import numbers, of_kind, one_of
from nanobragg.engine.model.part import Part

AVOGADRO = 6.02214179e23
WATER_F, WATER_WEIGHT = 2.57, 18.0  # electrons of a molecule in forward direction; g/mol
NARROWEST = 1e-4  # ring, 1/Angstrom
BEHIND_MM = 30.0  # how far gas scatters behind the sample where nothing stops the beam


class Background(Part):
    """Something that scatters beside the crystal."""

    def intensity(self) -> float:
        """Squared electrons of all of it that scatter the same in every direction: what each pixel's sum has of it."""
        return 0.0


@dataclasses.dataclass(frozen=True, repr=False)
class Water(Background):
    """A cube of water around the crystal, F = 2.57 in every direction; `Amorphous` water has its ring.

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


@dataclasses.dataclass(frozen=True, repr=False)
class Amorphous(Background):
    """A slab of a liquid or glass at the sample, as wide as the beam: its volume is that of the beam in it.

    Parameters
    ----------
    material
        ``water`` or ``paratone``; what is said below stands instead of what is known of it. Without a material it must
        be said.
    thickness_um
        Along the beam, micrometres.
    density, weight
        g/cm^3, and g/mol of a molecule.
    stol, F
        F of a molecule, electrons, over sin(theta)/lambda, 1/Angstrom, (n,) each, ascending; between them by the
        polynomial through four points, beyond them the values of the ends.
    file
        The same from a file of two columns.
    compton
        Whether photons that lose energy are counted too; of a known material.
    """

    material: str | None = None
    thickness_um: float = 0.0
    density: float | None = None
    weight: float | None = None
    stol: npt.ArrayLike | None = None
    F: npt.ArrayLike | None = None
    file: str | None = None
    compton: bool = False

    def check(self) -> None:
        """See `Part.check`."""
        if self.material is not None:
            one_of("Amorphous: material", self.material, tuple(name for name in MATERIALS if name not in GASES))
        numbers("Amorphous: thickness_um", self.thickness_um, 1, lowest=0)
        for name in ("density", "weight"):
            if getattr(self, name) is not None:
                numbers(f"Amorphous: {name}", getattr(self, name), 1, above=0)
            elif self.material is None:
                raise BadInput(f"Amorphous: {name}: must be given where there is no material")
        of_kind("Amorphous: compton", self.compton, bool, "True or False")
        if self.compton and self.material is None:
            raise BadInput("Amorphous: compton: is known of a material alone")
        if self.file is not None:
            of_kind("Amorphous: file", self.file, str, "the name of a file")
        self._check_table()

    def _check_table(self) -> None:
        ways = [self.stol is not None or self.F is not None, self.file is not None]
        if not (any(ways) or self.material):
            raise BadInput("Amorphous: give material, or stol and F, or file")
        if all(ways):
            raise BadInput("Amorphous: stol and F, and file, both say what it scatters: take one")
        if ways[0]:
            check_stol(self.stol, self.F, "Amorphous: stol and F")

    @property
    def molecules_per_area(self) -> float:
        """Number of molecules in the beam for each square metre of it."""
        known = MATERIALS[self.material] if self.material is not None else None
        density = self.density if self.density is not None else known.density  # type: ignore[union-attr]
        weight = self.weight if self.weight is not None else known.weight  # type: ignore[union-attr]
        return self.thickness_um * 1e-6 * density * 1e6 * AVOGADRO / weight


@dataclasses.dataclass(frozen=True, repr=False)
class Gas(Background):
    """Gas along the beam, from the collimator to the beamstop, and between sample and detector, where it absorbs.

    Parameters
    ----------
    material
        ``air``, ``nitrogen`` or ``helium``, at room temperature and 1 atmosphere.
    before_mm, behind_mm
        How far it is lit before and behind the sample; up to the beamstop, or 30 mm, by default.
    pressure
        Atmospheres.
    absorbs
        Whether it takes photons away on their way to the detector.
    compton
        Whether photons that lose energy are counted too.
    """

    material: str = "air"
    before_mm: float = 0.0
    behind_mm: float | None = None
    pressure: float = 1.0
    absorbs: bool = True
    compton: bool = False

    def check(self) -> None:
        """See `Part.check`."""
        one_of("Gas: material", self.material, GASES)
        numbers("Gas: before_mm", self.before_mm, 1, lowest=0)
        if self.behind_mm is not None:
            numbers("Gas: behind_mm", self.behind_mm, 1, lowest=0)
        numbers("Gas: pressure", self.pressure, 1, lowest=0)
        for name in ("absorbs", "compton"):
            of_kind(f"Gas: {name}", getattr(self, name), bool, "True or False")

    @property
    def molecules_per_volume(self) -> float:
        """Number of molecules in each cubic metre."""
        known = MATERIALS[self.material]
        return self.pressure * known.density * 1e6 * AVOGADRO / known.weight


@dataclasses.dataclass(frozen=True, repr=False)
class Ice(Background):
    """A powder of hexagonal ice at the sample, as wide as the beam.

    Parameters
    ----------
    thickness_um
        Along the beam, micrometres.
    width
        Full width at half maximum of its rings, 1/Angstrom.
    """

    thickness_um: float = 0.0
    width: float = 0.003

    def check(self) -> None:
        """See `Part.check`."""
        numbers("Ice: thickness_um", self.thickness_um, 1, lowest=0)
        numbers("Ice: width", self.width, 1, lowest=NARROWEST)

    @property
    def molecules_per_area(self) -> float:
        """Number of molecules in the beam for each square metre of it, at 0.92 g/cm^3."""
        return self.thickness_um * 1e-6 * 0.92e6 * AVOGADRO / WATER_WEIGHT


def check_stol(stol: npt.ArrayLike | None, F: npt.ArrayLike | None, what: str) -> None:
    """Refuse tables that are none."""
    numbers(f"{what}: stol", stol, None, lowest=0)
    numbers(f"{what}: F", F, None, lowest=0)
    if np.size(stol) != np.size(F):  # type: ignore[arg-type]
        raise BadInput(f"{what}: must be as many")
    if (np.diff(np.asarray(stol, float)) <= 0.0).any():
        raise BadInput(f"{what}: stol must ascend")


KINDS: dict[str, type[Background]] = {"water": Water, "amorphous": Amorphous, "gas": Gas, "ice": Ice}
