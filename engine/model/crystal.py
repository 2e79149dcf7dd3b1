"""The crystal: its cell, size, shape, orientation and mosaicity."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.deviates import deviates
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.checks import numbers, of_kind, one_of, spread
from nanobragg.engine.model.part import Part, Vector
from nanobragg.engine.model.spots import SPOT_SHAPES
from nanobragg.kernels.image.random import misset_of

MOST_LATTICES, LATTICE_STREAM = 1000, 13
MOST_CELL_SPREAD = 20.0  # percent
SHORTEST_EDGE_A = 1e-6  # below it volumes and their inverses leave the range of numbers


def possible_cell(cell: Any) -> None:
    """Refuse angles that no cell can have."""
    numbers("Crystal: cell", cell, 6, above=0)
    *edges, alpha, beta, gamma = (float(x) for x in cell)
    if min(edges) < SHORTEST_EDGE_A:
        raise BadInput(f"Crystal: cell: an edge of {min(edges):g} A: no atom fits into it")
    if not (alpha + beta + gamma < 360.0 and max(alpha, beta, gamma) * 2.0 < alpha + beta + gamma):
        raise BadInput(
            f"Crystal: cell: no cell has the angles {alpha:g}, {beta:g}, {gamma:g}: each must be smaller than the "
            "sum of the other two, and all three together smaller than 360"
        )


@dataclasses.dataclass(frozen=True, repr=False)
class Crystal(Part):
    """A block of unit cells, or one of the other shapes, with mosaic domains and water around it.

    Parameters
    ----------
    cell
        a, b, c (Angstrom), alpha, beta, gamma (degrees), in the default orientation; or
    reciprocal
        The vectors a*, b*, c* as rows, 1/Angstrom, laboratory frame, (3, 3).
    N
        Unit cells along a, b and c.
    misset_deg
        Turns about x, y and z after that, degrees.
    shape
        Of the spots: ``square`` for a block of cells, ``round`` for an ellipsoid, ``gauss`` or ``tophat`` for a block
        with Gaussian or sharp-edged spots; ``gauss_round`` and ``tophat_round`` for spots that are round in reciprocal
        space, of a crystal of the same volume. ``fudge`` scales the squared width of all but the first.
    mosaic_deg, mosaic_domains, mosaic_seed
        Largest angle of a domain, degrees; their number; the seed of their orientations.
    water_um
        Edge of the droplet of water, micrometres.
    mosaic_axes_deg
        Instead of ``mosaic_deg``: standard deviations of the domains' turns about a*, about what is across it in the
        plane of a* and b*, and about c, degrees. About another axis n, 1/eta^2 = n^T diag(1/eta_i^2) n.
    cell_spread_percent
        Standard deviations of a, b and c from domain to domain, percent.
    lattices, lattice_seed
        How many crystals like this are in the beam; the others are oriented at random, and differ by the seed.
    share
        How much of the beam's photons this crystal meets.
    B_A2
        Added to the B factors of all atoms, square Angstrom.
    dose_MGy, decay_per_MGy
        Dose before the exposure, and how fast intensities fade: as exp(-2 ``decay_per_MGy`` dose sin(theta)/lambda).
    """

    cell: tuple[float, float, float, float, float, float] | None = None
    reciprocal: npt.ArrayLike | None = None
    N: tuple[int, int, int] = (1, 1, 1)
    misset_deg: Vector = (0.0, 0.0, 0.0)
    shape: str = "square"
    fudge: float = 1.0
    mosaic_deg: float = 0.0
    mosaic_domains: int = 1
    mosaic_seed: int = 12345678
    water_um: float = 0.0
    mosaic_axes_deg: Vector | None = None
    cell_spread_percent: Vector = (0.0, 0.0, 0.0)
    lattices: int = 1
    lattice_seed: int = 1
    share: float = 1.0
    B_A2: float = 0.0
    dose_MGy: float = 0.0
    decay_per_MGy: float = 0.139

    def check(self) -> None:
        """See `Part.check`."""
        if (self.cell is None) == (self.reciprocal is None):
            raise BadInput("Crystal: give either cell or reciprocal")
        if self.cell is not None:
            possible_cell(self.cell)
        else:
            rows = "Crystal: reciprocal (a*, b* and c* as rows, (3, 3), 1/Angstrom)"
            of_kind(rows, self.reciprocal, tuple, "three rows")
            if len(self.reciprocal) != 3:  # type: ignore[arg-type]
                raise BadInput(f"{rows}: has {len(self.reciprocal)} rows")  # type: ignore[arg-type]
            for row in self.reciprocal:  # type: ignore[union-attr]
                numbers(f"{rows}: a row", row, 3)
        numbers("Crystal: N", self.N, 3, whole=True, lowest=1)
        numbers("Crystal: misset_deg", self.misset_deg, 3)
        numbers("Crystal: mosaic_deg", self.mosaic_deg, 1, lowest=0)
        numbers("Crystal: mosaic_domains", self.mosaic_domains, 1, whole=True, lowest=1)
        numbers("Crystal: mosaic_seed", self.mosaic_seed, 1, whole=True)
        numbers("Crystal: fudge", self.fudge, 1)
        numbers("Crystal: water_um", self.water_um, 1, lowest=0)
        one_of("Crystal: shape", self.shape, SPOT_SHAPES)
        spread("Crystal: mosaic_deg", self.mosaic_deg, self.mosaic_domains, "mosaic_domains")
        self._check_realism()

    def _check_realism(self) -> None:
        if self.mosaic_axes_deg is not None:
            numbers("Crystal: mosaic_axes_deg", self.mosaic_axes_deg, 3, above=0)
            spread("Crystal: mosaic_axes_deg", max(self.mosaic_axes_deg), self.mosaic_domains, "mosaic_domains")
            if self.mosaic_deg > 0.0:
                raise BadInput("Crystal: mosaic_deg and mosaic_axes_deg both say how domains are turned: take one")
        numbers("Crystal: cell_spread_percent", self.cell_spread_percent, 3, lowest=0)
        if max(self.cell_spread_percent) > MOST_CELL_SPREAD:
            raise BadInput(f"Crystal: cell_spread_percent: more than {MOST_CELL_SPREAD:g} cannot be meant")
        spread("Crystal: cell_spread_percent", max(self.cell_spread_percent), self.mosaic_domains, "mosaic_domains")
        numbers("Crystal: lattices", self.lattices, 1, whole=True, lowest=1)
        if self.lattices > MOST_LATTICES:
            raise BadInput(f"Crystal: lattices: {self.lattices} are more than {MOST_LATTICES}")
        numbers("Crystal: lattice_seed", self.lattice_seed, 1, whole=True, lowest=0)
        numbers("Crystal: share", self.share, 1, above=0)
        numbers("Crystal: B_A2", self.B_A2, 1)
        numbers("Crystal: dose_MGy", self.dose_MGy, 1, lowest=0)
        numbers("Crystal: decay_per_MGy", self.decay_per_MGy, 1, lowest=0)

    @property
    def in_all_lattices(self) -> tuple[Crystal, ...]:
        """This crystal and the others like it, each alone."""
        alone = dataclasses.replace(self, lattices=1)
        turned = (
            misset_of(*deviates(int(self.lattice_seed), LATTICE_STREAM, n, 3)) for n in range(1, int(self.lattices))
        )
        others = (dataclasses.replace(alone, misset_deg=tuple(math.degrees(a) for a in angles)) for angles in turned)  # type: ignore[arg-type]
        return (alone, *others)

    def randomly_oriented(self, seed: int) -> Crystal:
        """The same crystal in an orientation that is drawn uniformly from all, by a seed."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise BadInput(f"seed: must be a whole number, 0 or more, not {seed!r}")
        q = np.random.default_rng(int(seed)).normal(size=4)
        w, x, y, z = q / np.linalg.norm(q)
        m = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        # turns about x, then y, then z: m = Rz Ry Rx
        angles = (math.atan2(m[2, 1], m[2, 2]), -math.asin(max(-1.0, min(1.0, m[2, 0]))), math.atan2(m[1, 0], m[0, 0]))
        return dataclasses.replace(self, misset_deg=tuple(math.degrees(angle) for angle in angles))  # type: ignore[arg-type]
