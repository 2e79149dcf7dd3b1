"""An experiment: everything that is simulated, in the users' units."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.background import KINDS, Background, Water
from nanobragg.engine.model.beam import Beam
from nanobragg.engine.model.beamstop import Beamstop
from nanobragg.engine.model.checks import of_kind
from nanobragg.engine.model.crystal import Crystal
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.model.part import Part, of_table, unknown_name
from nanobragg.engine.model.response import Response
from nanobragg.engine.model.sampling import Sampling
from nanobragg.engine.model.scan import Scan
from nanobragg.engine.model.structure_factors import FactorsFrom, StructureFactors

TABLES: dict[str, type[Part]] = {
    "crystal": Crystal, "detector": Detector, "beam": Beam, "scan": Scan, "sampling": Sampling, "factors": FactorsFrom,
    "response": Response, "beamstop": Beamstop,
}  # fmt: skip
LISTS = ("background", "other_crystal")
NEEDED = ("crystal", "detector", "factors")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A crystal in a beam in front of a detector.

    Parameters
    ----------
    crystal, detector, beam, scan, sampling
        The parts; each is checked where it is made.
    factors
        Structure factors, or where they come from.
    backgrounds
        What scatters beside the crystal; its water is one of them.
    other_crystals
        Further crystals in the beam.
    response
        What the detector makes of photons; that of a detector by name if not given, else it counts them.
    beamstop
        What stops the beam and shades the detector.
    mask
        Pixels that are 0 in it are not rendered, (slow, fast), or (panel, slow, fast) where there are several.

    Raises
    ------
    BadInput
        For parts of another kind, and parts that do not go together.
    """

    crystal: Crystal
    detector: Detector
    factors: StructureFactors | FactorsFrom
    beam: Beam = dataclasses.field(default_factory=Beam)
    scan: Scan = dataclasses.field(default_factory=Scan)
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    backgrounds: tuple[Background, ...] = ()
    other_crystals: tuple[Crystal, ...] = ()
    response: Response | None = None
    beamstop: Beamstop | None = None
    mask: npt.ArrayLike | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse parts of another kind; a detector by name gets what its model says of it."""
        of_kind("crystal", self.crystal, Crystal, "a Crystal")
        said = "a Detector, nb.Detector(model=...) say (simulate takes lists too)"
        of_kind("detector", self.detector, Detector, said)
        made_by = "made by structure_factors, read_structure_factors or constant"
        of_kind("factors", self.factors, (StructureFactors, FactorsFrom), made_by)
        of_kind("beam", self.beam, Beam, "a Beam")
        of_kind("scan", self.scan, Scan, "a Scan")
        of_kind("sampling", self.sampling, Sampling, "a Sampling")
        object.__setattr__(self, "detector", self.detector.of_model())
        of_kind("backgrounds", self.backgrounds, (tuple, list), "a list of backgrounds, Water(edge_um=5) say")
        for background in self.backgrounds:
            of_kind("backgrounds: each", background, Background, "a background, Water(edge_um=5) say")
        object.__setattr__(self, "backgrounds", tuple(self.backgrounds))
        of_kind("other_crystals", self.other_crystals, (tuple, list), "a list of crystals")
        for crystal in self.other_crystals:
            of_kind("other_crystals: each", crystal, Crystal, "a Crystal")
        object.__setattr__(self, "other_crystals", tuple(self.other_crystals))
        if self.response is not None:
            of_kind("response", self.response, Response, "a Response")
        if self.beamstop is not None:
            of_kind("beamstop", self.beamstop, Beamstop, "a Beamstop")
        self._check_mask()
        panels = max(len(self.detector.panels_in_frame), 1)
        if self.sampling.rois and len(self.sampling.rois) != panels:
            raise BadInput(f"roi: has {len(self.sampling.rois)} of panels, the detector {panels}")

    def _check_mask(self) -> None:
        if self.mask is None:
            return
        try:
            mask = np.asarray(self.mask)
        except ValueError:  # rows of different lengths
            mask = np.empty(0, object)
        if mask.dtype.kind not in "biuf":
            raise BadInput("mask: must be an array (slow, fast) of numbers")
        shape = self.detector.image_shape
        if mask.shape != shape:
            of_panels = "panel, " * (len(shape) == 3)
            raise BadInput(f"mask: has shape {mask.shape}, the detector {shape} ({of_panels}slow, fast)")

    @property
    def all_crystals(self) -> tuple[Crystal, ...]:
        """The crystals in the beam, each alone."""
        return tuple(alone for crystal in (self.crystal, *self.other_crystals) for alone in crystal.in_all_lattices)

    @property
    def all_backgrounds(self) -> tuple[Background, ...]:
        """The backgrounds, with the crystal's water among them."""
        water = (Water(self.crystal.water_um),) if self.crystal.water_um > 0.0 else ()
        return (*self.backgrounds, *water)

    def to_json(self) -> dict[str, Any]:
        """Tables of what is not as it is by default; `of_json` makes the experiment again.

        Structure factors that are not a file's are only named; a mask is left out.
        """
        tables: dict[str, Any] = {}
        for name in TABLES:
            part = getattr(self, name)
            if part is None:
                continue
            table = part.to_json() if isinstance(part, Part) else {"given": repr(part)}
            if name == "detector" and self.detector.model is not None:
                for own in ("shape", "pixel_mm", "panels", "saturation"):
                    table.pop(own, None)
            if table:
                tables[name] = table
        if self.backgrounds:
            tables["background"] = [_kind_of(part) | part.to_json() for part in self.backgrounds]
        if self.other_crystals:
            tables["other_crystal"] = [_unlike(self.crystal, crystal) for crystal in self.other_crystals]
        return tables

    @classmethod
    def of_json(cls, tables: dict[str, Any], what: str = "experiment") -> Experiment:
        """The experiment that tables describe, by the names of the API: those of `to_json`, or of a job file.

        Parameters
        ----------
        tables
            ``crystal``, ``detector`` and ``factors``; ``beam``, ``scan``, ``sampling``, ``response``, ``beamstop`` and
            lists of ``background`` and ``other_crystal`` where they are not as they are by default. Another crystal
            is as the first one in what is not said of it.
        what
            Names the tables in messages.

        Raises
        ------
        BadInput
            For a table or a name that there is not, with the nearest, and for values that are refused.
        """
        of_kind(what, tables, dict, "tables by their names")
        for name in tables:
            if name not in (*TABLES, *LISTS):
                raise BadInput(f"{what}: {unknown_name(name, [*TABLES, *LISTS])}")
        if missing := [name for name in NEEDED if name not in tables]:
            raise BadInput(f"{what}: [{missing[0]}] is missing")
        parts = {
            name: of_table(TABLES[name], table, f"{what}: [{name}]") for name, table in tables.items() if name in TABLES
        }
        for name in LISTS:
            of_kind(f"{what}: [[{name}]]", tables.get(name, []), (list, tuple), "a list of tables")
        backgrounds = tuple(_background(table, f"{what}: [[background]]") for table in tables.get("background", []))
        others = tuple(
            _other_crystal(tables["crystal"], table, f"{what}: [[other_crystal]]")
            for table in tables.get("other_crystal", [])
        )
        return cls(**parts, backgrounds=backgrounds, other_crystals=others)  # type: ignore[arg-type]


RIVALS_OF_CELL = ("cell", "reciprocal")


def _kind_of(background: Background) -> dict[str, str]:
    (kind,) = (name for name, class_of_kind in KINDS.items() if class_of_kind is type(background))
    return {"kind": kind}


def _unlike(first: Crystal, other: Crystal) -> dict[str, Any]:
    """What another crystal has of its own, for `_other_crystal`."""
    alone = dataclasses.replace(first, lattices=1)
    names = [f.name for f in dataclasses.fields(Crystal)]
    own = {name: getattr(other, name) for name in names if getattr(other, name) != getattr(alone, name)}
    return {name: value for name, value in own.items() if value is not None or name not in RIVALS_OF_CELL}


def _other_crystal(first: dict[str, Any], table: Any, what: str) -> Crystal:
    """Another crystal: as the first one in all that is not said of it."""
    of_kind(what, table, dict, "a table")
    own = set(RIVALS_OF_CELL) & set(table)
    kept = {key: value for key, value in first.items() if key != "lattices" and not (own and key in RIVALS_OF_CELL)}
    return of_table(Crystal, kept | table, what)


def _background(table: Any, what: str) -> Background:
    of_kind(what, table, dict, "a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadInput(f"{what}: kind = {kind!r}: must be one of {', '.join(KINDS)}")
    return of_table(KINDS[kind], {name: value for name, value in table.items() if name != "kind"}, what)
