"""From a file of any kind to amplitudes in P1; what takes long is kept in the user's cache, by digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from typing import Any

import numpy as np

from nanobragg import __version__
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors import atoms as model
from nanobragg.engine.factors import lists
from nanobragg.engine.factors.amplitudes import Amplitudes, Cell
from nanobragg.engine.factors.gemmi_package import check_file, errors_of, package
from nanobragg.engine.factors.wanted import Solvent, Wanted
from nanobragg.engine.formats.hkl import looks_like_a_structure
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.whole import appearing

MODEL, MTZ, BLOCK, TEXT = "model", "mtz", "reflections in CIF", "hkl text"
STARS = re.compile(rb"(?m)^(?:ATOM  |HETATM).{24}[^\n*]{0,23}\*\*")
MOST_TEXT = 2**27  # bytes of a PDB file that are looked at for them
MOST_KEPT = 20  # files
LEAST_TO_KEEP = 100_000  # reflections; fewer are calculated in no time
FINEST_A = 0.3
ENDINGS = (".cif", ".mmcif", ".ent", ".pdb")
HERE = os.path.dirname(os.path.realpath(__file__))


def kind_of(path: str) -> str:
    """What a file is, by what is in it."""
    check_file(path)
    with errors_of(path), open(path, "rb") as file:
        start = file.read(4096)
    if start.startswith(b"MTZ "):
        return MTZ
    if path.lower().removesuffix(".gz").endswith(ENDINGS) or looks_like_a_structure(start):
        return BLOCK if _has_reflections(path, start) else MODEL
    return TEXT


def _has_reflections(path: str, start: bytes) -> bool:
    """Whether a CIF file holds reflections and no atoms."""
    if not path.lower().removesuffix(".gz").endswith((".cif", ".mmcif")) and b"data_" not in start:
        return False
    with errors_of(path):
        blocks = package().as_refln_blocks(package().cif.read(path))
        return len(blocks) > 0 and len(blocks[0].block.find_values("_atom_site.id")) == 0 and bool(blocks[0])


def structure_of(path: str) -> Any:
    """The model of a PDB or mmCIF file, a `gemmi.Structure`."""
    gemmi = package()
    with errors_of(path):
        known = path.lower().removesuffix(".gz").endswith(ENDINGS)
        with open(path, "rb") as file:
            if STARS.search(file.read(MOST_TEXT)):
                raise BadInput(f"{path}: a coordinate is ***: it does not fit its columns; take mmCIF")
        return gemmi.read_structure(path, format=gemmi.CoorFormat.Unknown if known else gemmi.CoorFormat.Detect)


def cell_of(path: str) -> Cell | None:
    """The unit cell of a file (Angstrom, degrees), or `None` where it has none."""
    kind = kind_of(path)
    if kind == TEXT:
        return None
    with errors_of(path):
        if kind == MTZ:
            cell = package().read_mtz_file(path).cell
        elif kind == BLOCK:
            cell = package().as_refln_blocks(package().cif.read(path))[0].cell
        else:
            cell = structure_of(path).cell
    return tuple(cell.parameters) if cell.is_crystal() else None


def amplitudes_of(path: str, wanted: Wanted) -> Amplitudes:
    """Amplitudes in P1 of a structure, or of a list of reflections.

    Raises
    ------
    BadInput
        In one line that names the file, for whatever it does not hold.
    """
    kind = kind_of(path)
    if kind != MODEL and (wanted.anomalous or wanted.solvent != Solvent()):
        raise BadInput(f"{path}: is a list of reflections: solvent and anomalous scattering are of structures")
    with errors_of(path):
        if kind == MTZ:
            amplitudes = lists.of_mtz(package().read_mtz_file(path), path, wanted.labels, wanted.symmetry)
        elif kind == BLOCK:
            blocks = package().as_refln_blocks(package().cif.read(path))
            amplitudes = lists.of_block(blocks[0], path, wanted.labels, wanted.symmetry)
        elif kind == TEXT:
            amplitudes = lists.of_text(path, wanted.symmetry)
    if kind != MODEL:
        return amplitudes if wanted.F000 else amplitudes.without_F000()
    if wanted.d_min_A is None:
        raise BadInput(f"{path}: is a structure: give d_min_A, the resolution (--resolution)")
    if not FINEST_A <= wanted.d_min_A < np.inf:
        raise BadInput(f"{path}: a resolution of {wanted.d_min_A:g} A: must be {FINEST_A} A or more")
    if wanted.labels or wanted.symmetry:
        raise BadInput(f"{path}: is a structure: columns and symmetry are of lists of reflections")
    return _kept(path, wanted)


def _of_model(path: str, wanted: Wanted) -> Amplitudes:
    assert wanted.d_min_A is not None
    structure = structure_of(path)
    energy = None if wanted.wavelength_A is None else HC / wanted.wavelength_A
    with errors_of(path):
        return model.of_structure(structure, path, wanted.d_min_A, energy_eV=energy, solvent=wanted.solvent,
                                  given=dict(wanted.anomalous), F000=wanted.F000)  # fmt: skip


def _kept(path: str, wanted: Wanted) -> Amplitudes:
    """Amplitudes of a model, from the cache if they were calculated before."""
    name = _name_in_cache(path, wanted)
    with contextlib.suppress(Exception):  # whatever is left of a damaged file
        return _read_kept(name)
    amplitudes = _of_model(path, wanted)
    worth_it = name and len(amplitudes.hkl) >= LEAST_TO_KEEP
    if worth_it and name == _name_in_cache(path, wanted):  # the file is still the same
        _forget_oldest(os.path.dirname(name))
        about = json.dumps({"cell": amplitudes.cell, "spacegroup": amplitudes.spacegroup, "story": amplitudes.story})
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(name), mode=0o700, exist_ok=True)
            with appearing(name) as file:
                np.savez(file, hkl=amplitudes.hkl, F=amplitudes.F, about=np.array(about))
    return amplitudes


def _read_kept(name: str) -> Amplitudes:
    with np.load(name, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        hkl, F = file["hkl"], file["F"]
    if hkl.shape != (len(F), 3) or not np.isfinite(F).all():
        raise ValueError("damaged")
    return Amplitudes(hkl, F, tuple(about["cell"]), about["spacegroup"], tuple(about["story"]))


def _forget_oldest(folder: str) -> None:
    """Let no more be kept than some."""
    with contextlib.suppress(OSError):
        there = sorted(
            (entry.stat().st_mtime, entry.path) for entry in os.scandir(folder) if entry.name.endswith(".npz")
        )
        for _, path in there[: max(len(there) - MOST_KEPT + 1, 0)]:
            os.unlink(path)


def _name_in_cache(path: str, wanted: Wanted) -> str:
    """Where amplitudes are kept; empty where nothing is."""
    root = kept.cache_root()
    tables = [value for _, value in wanted.anomalous if os.path.isfile(value)]
    digest = hashlib.sha256(
        repr((path, wanted, __version__, package().__version__, kept.sources_digest(HERE))).encode()
    )
    for name in (path, *tables):
        with errors_of(name), open(name, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return os.path.join(root, "amplitudes", f"{digest.hexdigest()[:32]}.npz") if root else ""
