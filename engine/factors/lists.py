"""Lists of reflections, measured or calculated: MTZ, mmCIF and hkl text, expanded to P1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nanobragg.engine import memory
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.amplitudes import Amplitudes
from nanobragg.engine.factors.gemmi_package import package
from nanobragg.engine.factors.tables import packed_indices
from nanobragg.engine.formats.hkl import read_lines
from nanobragg.engine.formats.reading import read

# Column types of MTZ: amplitudes, intensities; those of a Friedel mate; anomalous differences.
OBSERVATION = "Y"  # M/ISYM, of lists that are not merged
AMPLITUDE, INTENSITY, AMPLITUDE_OF_MATE, INTENSITY_OF_MATE, DIFFERENCE = "F", "J", "G", "K", "D"
CALCULATED = ("FC", "F-MODEL", "FMODEL", "F_MODEL", "FWT", "2FOFC", "DELFWT", "FOFC")  # what their names begin with
OF_MINUS = ("(-)", "-", "minus", "MINUS")  # what names of Friedel mates end with
NEXT = 2  # columns behind an amplitude, where its difference stands
SHELLS, COMPLETE = 20, 0.9
BYTES_A_NODE, MOST_COUNTED = 24, 30_000_000


class Chosen(NamedTuple):
    """What was read of a list: reflections with amplitudes, and in words which columns they are of.

    ``mates`` says whether Friedel mates are listed apart, so that none is to be added.
    """

    hkl: np.ndarray
    F: np.ndarray
    words: str
    mates: bool


def of_mtz(mtz: Any, path: str, labels: Sequence[str], symmetry: str | None) -> Amplitudes:
    """Amplitudes in P1 of a `gemmi.Mtz`; ``labels`` name the columns to take, and ``symmetry`` replaces the file's.

    Raises
    ------
    BadInput
        If there are no amplitudes, or no columns of these names.
    """
    if not mtz.nreflections:
        raise BadInput(f"{path}: has no reflections")
    if len(mtz.batches) or any(column.type == OBSERVATION for column in mtz.columns):
        raise BadInput(f"{path}: holds unmerged observations: merge them first (pointless, aimless)")
    hkl = np.asarray(mtz.make_miller_array(), np.int32)
    chosen = _chosen(mtz, hkl, path, labels)
    group = space_group(symmetry, path) if symmetry else mtz.spacegroup
    if group is None:
        raise BadInput(f"{path}: has no space group: give --symmetry")
    cell = tuple(mtz.cell.parameters) if mtz.cell.is_crystal() else None
    return expanded(chosen, group, cell, path)


def of_block(block: Any, path: str, labels: Sequence[str], symmetry: str | None) -> Amplitudes:
    """Amplitudes in P1 of the reflections of a CIF block, a `gemmi.ReflnBlock`."""
    converted = package().CifToMtz().convert_block_to_mtz(block)
    return of_mtz(converted, path, labels, symmetry)


def of_text(path: str, symmetry: str | None) -> Amplitudes:
    """Amplitudes of an hkl text file, in P1 if no symmetry is given."""
    found = read_lines(read(path, "hkl"), path)
    if not found.count:
        raise BadInput(f"{path}: has no line with h k l F")
    group = space_group(symmetry or "P 1", path)
    largest = np.abs(found.indices).max()
    if largest >= 2**31:
        raise BadInput(f"{path}: an index does not fit 32 bits")
    chosen = Chosen(found.indices.astype(np.int32), found.amplitudes, "h k l F", mates=symmetry is None)
    return expanded(chosen, group, None, path)


def space_group(name: str, path: str) -> Any:
    """A space group by its name or number."""
    gemmi = package()
    is_number = name.isascii() and name.isdigit()
    group = gemmi.find_spacegroup_by_number(int(name)) if is_number else gemmi.find_spacegroup_by_name(name)
    if group is None:
        raise BadInput(f"{path}: --symmetry {name}: is no space group")
    return group


def _chosen(mtz: Any, hkl: np.ndarray, path: str, labels: Sequence[str]) -> Chosen:
    """The columns that are asked for, or those that are likeliest meant: observed amplitudes before intensities."""
    columns = {column.label: column for column in mtz.columns}
    unknown = [label for label in labels if label not in columns]
    if unknown:
        there = ", ".join(name for name in columns if name not in ("H", "K", "L"))
        raise BadInput(f"{path}: has no column {', '.join(unknown)} (there are {there})")
    usable = [columns[label] for label in labels] if labels else list(mtz.columns)
    for both, single, root in (
        (AMPLITUDE_OF_MATE, AMPLITUDE, False), (INTENSITY_OF_MATE, INTENSITY, True),
    ):  # fmt: skip
        mates = [c for c in usable if c.type == both]
        mates = [c for c in mates if c.dataset_id == mates[0].dataset_id]
        if len(mates) >= 2:
            plus = sorted(mates[:2], key=lambda c: c.label.endswith(OF_MINUS))
            return _of_mates(hkl, [_values(c, root) for c in plus], f"{plus[0].label} and {plus[1].label}")
        found = [c for c in usable if c.type == single]
        measured = [c for c in found if not c.label.upper().startswith(CALCULATED)] or found
        if not measured:
            continue
        difference = _difference_of(measured[0], usable) if not root else None
        if difference is not None:
            mean, half = _values(measured[0], root), np.nan_to_num(np.asarray(difference.array, float)) / 2.0
            words = f"{measured[0].label} and {difference.label}"
            return _of_mates(hkl, [mean + half, mean - half], words)
        F = _values(measured[0], root)
        kept = np.isfinite(F)
        return Chosen(hkl[kept], F[kept], measured[0].label + " (intensities)" * root, mates=False)
    there = ", ".join(name for name in columns if name not in ("H", "K", "L")) or "none"
    of = f"the columns {', '.join(labels)}" if labels else f"its columns ({there})"
    raise BadInput(f"{path}: no amplitudes or intensities are in {of}")


def _difference_of(amplitude: Any, columns: Sequence[Any]) -> Any:
    """The anomalous difference of an amplitude: of its data set, right behind it or its sigma."""
    found = [c for c in columns if c.type == DIFFERENCE and c.dataset_id == amplitude.dataset_id]
    return found[0] if found and 0 < found[0].idx - amplitude.idx <= NEXT else None


def _values(column: Any, root: bool) -> np.ndarray:
    """Amplitudes of a column: of intensities the root, of negative ones 0."""
    values = np.asarray(column.array, float)
    return np.sqrt(np.clip(values, 0.0, None)) if root else np.abs(values)


def _of_mates(hkl: np.ndarray, pair: Sequence[np.ndarray], words: str) -> Chosen:
    """F(+) and F(-) as reflections of their own; where one is missing, the other stands for it."""
    plus, minus = (np.where(np.isfinite(mine), mine, other) for mine, other in (pair, pair[::-1]))
    kept = np.isfinite(plus)
    found = np.concatenate([hkl[kept], -hkl[kept]])
    return Chosen(found, np.concatenate([plus[kept], minus[kept]]), words, mates=True)


def expanded(chosen: Chosen, group: Any, cell: tuple[float, ...] | None, path: str) -> Amplitudes:
    """All reflections of P1 that the list and the symmetry give; of those that come twice, the listed one counts.

    Raises
    ------
    BadInput
        If no reflection has an amplitude.
    """
    if not len(chosen.hkl):
        raise BadInput(f"{path}: no reflection has an amplitude ({chosen.words})")
    signs = (1,) if chosen.mates else (-1, 1)
    rotations = [np.array(op.rot) // op.DEN for op in group.operations().sym_ops]
    images = [sign * (chosen.hkl @ rotation) for sign in signs for rotation in rotations[::-1]]
    hkl, F = np.concatenate(images), np.tile(chosen.F, len(images))  # the identity comes last
    keys = packed_indices(hkl)
    _, last = np.unique(keys[::-1], return_index=True)
    kept = np.sort(len(keys) - 1 - last)
    told = [f"{path}: {len(chosen.hkl)} reflections ({chosen.words}), {group.hm}"]
    if len(kept) > len(chosen.hkl):
        told.append(f"expanded to {len(kept)} in P1" + ("" if chosen.mates else ", Friedel mates alike"))
    _check_size(hkl[kept], path)
    if cell is not None and not package().UnitCell(*cell).is_compatible_with_spacegroup(group, 0.01):
        told.append(f"this cell does not have the symmetry of {group.hm}: one of them is wrong")
    if cell is not None:
        told += [f"cell {' '.join(f'{x:g}' for x in cell)}", *_reach(hkl[kept], cell)]
    indices = np.ascontiguousarray(hkl[kept], np.int32)
    return Amplitudes(indices, F[kept], cell, str(group.hm), tuple(told))  # type: ignore[arg-type]


def _check_size(hkl: np.ndarray, path: str) -> None:
    """Refuse a list with an index that makes its box larger than memory."""
    largest = np.abs(hkl).max(axis=0)
    needed = float(np.prod(2.0 * largest + 2.0)) * BYTES_A_NODE
    if memory.lacks(needed):
        worst = hkl[int(np.argmax(np.abs(hkl).max(axis=1)))]
        index = " ".join(map(str, worst.tolist()))
        raise BadInput(f"{path}: the index {index} makes a table of {needed / 1e9:.3g} GB: is it meant?")


def _reach(hkl: np.ndarray, cell: tuple[float, ...]) -> list[str]:
    """How far a list goes, and how far it is complete, in words."""
    gemmi = package()
    hkl = hkl[(hkl != 0).any(axis=1)]
    if not len(hkl):
        return []
    d = np.asarray(gemmi.UnitCell(*cell).calculate_d_array(hkl))
    if 4.2 * float(d.min()) ** -3.0 * gemmi.UnitCell(*cell).volume > MOST_COUNTED:
        return [f"reaches {float(d.min()):.4g} A"]
    finest = float(d.min()) * (1.0 - 1e-5)  # what is exactly there counts
    wanted = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P 1"), finest))
    possible = 2 * np.histogram(_cubes(gemmi.UnitCell(*cell).calculate_d_array(wanted)), _edges(finest))[0]
    there = np.histogram(_cubes(d), _edges(finest))[0]
    share = there / np.maximum(possible, 1)
    poor = np.flatnonzero((share < COMPLETE) & (possible > 0))
    to = float(_edges(finest)[poor[0]]) ** (-1.0 / 3.0) if len(poor) and poor[0] else finest
    missing = int(possible.sum()) - int(there.sum())
    known = f"reaches {finest:.4g} A, {there.sum() / possible.sum():.1%} complete ({missing} missing in P1 count as 0)"
    return [known + (f", complete to {to:.3g} A" if len(poor) and poor[0] else "")]


def _cubes(d: np.ndarray) -> np.ndarray:
    return np.asarray(d) ** -3.0


def _edges(finest: float) -> np.ndarray:
    """Shells of equal volume in reciprocal space, 1/A^3."""
    return np.linspace(0.0, finest**-3.0 * (1.0 + 1e-6), SHELLS + 1)
