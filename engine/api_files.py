"""Files from Python: amplitudes and images, read and written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nanobragg.engine.api_words import in_own_words, of_file, path_of, pixels_of, words_for
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.files import amplitudes_of
from nanobragg.engine.factors.files import cell_of as cell_of_file
from nanobragg.engine.factors.tables import from_reflections, read_any_table, stacked
from nanobragg.engine.factors.wanted import Solvent, Wanted
from nanobragg.engine.formats import any_image
from nanobragg.engine.formats.hkl import Reflections
from nanobragg.engine.formats.output import write_output
from nanobragg.engine.formats.raw import write_float as _write_float
from nanobragg.engine.formats.smv import header, write_smv
from nanobragg.engine.geometry.found import FileGeometry
from nanobragg.engine.geometry.known import read_geometry as read_file_geometry
from nanobragg.engine.model.checks import numbers, of_kind
from nanobragg.engine.model.structure_factors import StructureFactors, constant_factors
from nanobragg.engine.scene.scene import Scene


def structure_factors(hkl: npt.ArrayLike, F: npt.ArrayLike, default_F: float = 0.0) -> StructureFactors:
    """Structure factors from arrays.

    Parameters
    ----------
    hkl
        Indices, (n, 3) whole numbers.
    F
        Amplitudes, (n,); of indices that come twice the last counts.
    default_F
        Of indices outside their box, and of those missing in it.

    Raises
    ------
    BadInput
        For shapes that do not fit, indices that are not whole, amplitudes that are not finite.
    """
    numbers("default_F", default_F, 1)
    try:
        indices, amplitudes = np.asarray(hkl, float), np.asarray(F, float)
    except (TypeError, ValueError):
        raise BadInput("structure factors: indices and amplitudes must be arrays of numbers") from None
    if indices.ndim != 2 or indices.shape[1] != 3 or amplitudes.shape != indices.shape[:1] or not len(indices):
        raise BadInput(
            f"structure factors: indices {indices.shape} and amplitudes {amplitudes.shape}, not (n, 3) and (n,)"
        )
    if not np.isfinite(indices).all() or (indices != np.rint(indices)).any():
        raise BadInput("structure factors: an index is not a whole number")
    bounds = np.column_stack([indices.min(axis=0), indices.max(axis=0)])
    return from_reflections(
        Reflections(indices=indices, amplitudes=amplitudes, bounds=bounds, count=len(indices), whole_numbers=True),
        default_F, "structure factors",
    )  # fmt: skip


def structure_factors_by_energy(
    energies_eV: npt.ArrayLike, hkl: npt.ArrayLike, F: npt.ArrayLike, default_F: float = 0.0, *, between: bool = False
) -> StructureFactors:
    """Structure factors that depend on the photon energy, from arrays.

    Parameters
    ----------
    energies_eV
        Photon energies, (m,), each once.
    hkl
        Indices, (n, 3) whole numbers.
    F
        Amplitudes, (m, n).
    default_F
        Of indices that are not there.
    between
        Whether other energies get amplitudes between those of the two nearest, linearly; else those of the nearest.

    Raises
    ------
    BadInput
        As `structure_factors`, and for energies that are not above 0, or not as many as rows of ``F``.
    """
    numbers("energies_eV", energies_eV, None, above=0)
    energies = np.asarray(energies_eV, float)
    try:
        rows = np.asarray(F, float)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or len(rows) != len(energies) or len(np.unique(energies)) != len(energies):
        raise BadInput(f"F: must have a row for each of the {len(energies)} energies, which must differ: {rows.shape}")
    for row in rows:
        structure_factors(hkl, row, default_F)
    return stacked(np.asarray(hkl), rows, energies.tolist(), float(default_F), "structure factors", between=between)


def read_geometry(name: str | os.PathLike) -> FileGeometry:
    """Detector, beam, rotation and crystal of a real experiment, as far as a file says them.

    Parameters
    ----------
    name
        A DIALS ``.expt``, an NXmx master, or a CrystFEL ``.geom``; ``FILE:N`` is experiment or image N, from 0 on.

    Returns
    -------
    FileGeometry
        With ``detector``, ``beam``, ``scan``, and ``crystal`` where the file has one: the parts of an `Experiment`.

    Raises
    ------
    BadInput
        In one line that names the file and the field.
    """
    of_kind("name", name, (str, os.PathLike), "the name of a file")
    return read_file_geometry(os.fspath(name))


def read_structure_factors(path: str | os.PathLike) -> StructureFactors:
    """Structure factors of an hkl text file (h k l F in each line) or of a dump."""
    name = path_of(path)
    with of_file("-hkl"):
        return read_any_table(name, lambda line: None)


def structure_factors_from(
    path: str | os.PathLike,
    *,
    wavelength_A: float | None = None,
    d_min_A: float | None = None,
    solvent: tuple[float, float] | None = (0.35, 46.0),
    labels: Sequence[str] = (),
    symmetry: str | None = None,
    anomalous: Mapping[str, tuple[float, float] | str] | None = None,
    F000: bool = False,
    default_F: float = 0.0,
    remark: Callable[[str], None] | None = None,
) -> StructureFactors:
    """Structure factors of a structure (PDB, mmCIF) or a list of reflections (MTZ, mmCIF, hkl text), in P1.

    Parameters
    ----------
    path
        The file; what it is, its contents say.
    wavelength_A
        Angstrom, for anomalous scattering; without it there is none but what ``anomalous`` gives.
    d_min_A
        Resolution, Angstrom; needed for structures.
    solvent
        Bulk solvent of structures: electrons per cubic Angstrom and B (square Angstrom), or `None`.
    labels
        Columns of lists, ``("F", "SIGF")`` for instance.
    symmetry
        Space group of lists, instead of the file's.
    anomalous
        f' and f'' by element, or names of tables (eV, f', f'').
    F000
        Whether the amplitude of 0 0 0 is among them.
    default_F
        Of indices that are not there.
    remark
        Called with lines that say what was done.

    Raises
    ------
    BadInput
        In one line, for whatever the file does not hold.
    """
    name, say = path_of(path), words_for(remark)
    for what, value in (("wavelength_A", wavelength_A), ("d_min_A", d_min_A)):
        if value is not None:
            numbers(what, value, 1, above=0)
    if solvent is not None:
        numbers("solvent", solvent, 2, lowest=0)
    numbers("default_F", default_F, 1)
    of_kind("labels", labels, (list, tuple), "a list of names of columns")
    for element, factors in (anomalous or {}).items():
        of_kind(f"anomalous {element}", factors, (str, list, tuple), "f' and f'', or the name of a table")
    given = tuple((e, v if isinstance(v, str) else ",".join(map(str, v))) for e, v in (anomalous or {}).items())
    bulk = None if solvent is None else Solvent(*solvent)
    wanted = Wanted(d_min_A, wavelength_A, bulk, tuple(labels), symmetry, given, bool(F000))
    with of_file("--structure"):
        found = amplitudes_of(name, wanted)
    for line in found.story:
        say(line)
    return found.table(name, default_F)


def cell_of(path: str | os.PathLike) -> tuple[float, float, float, float, float, float]:
    """The unit cell of a structure or a list of reflections: a, b, c (Angstrom), alpha, beta, gamma (degrees)."""
    name = path_of(path)
    with of_file("--structure"):
        cell = cell_of_file(name)
    if cell is None:
        raise BadInput(f"{name}: has no unit cell")
    return cell


def write(path: str | os.PathLike, image: npt.ArrayLike, scene: Scene) -> None:
    """Write an image in the format of the name's ending.

    Parameters
    ----------
    path
        Whole numbers go to .h5 .nxs (NXmx) .cbf .npy .tif .img (SMV) .png, reals to .h5 .nxs .npy .tif .bin .png.
    image
        Counts or expected photons, (slow, fast).
    scene
        What `set_up` returns: where the image was taken.
    """
    of_kind("scene", scene, Scene, "what set_up returns")
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "iuf" or pixels.shape != scene.detector.shape:
        raise BadInput(f"image: must be numbers of shape {scene.detector.shape} (slow, fast)")
    if pixels.dtype.kind in "iu" and pixels.size and (pixels.min() < -1 or pixels.max() > 2**31 - 1):
        raise BadInput("image: counts must fit into 32 bits")
    with in_own_words():
        write_output(path_of(path), pixels, scene, "path")


def constant(F: float) -> StructureFactors:
    """The same amplitude for all indices."""
    numbers("F", F, 1)
    return constant_factors(F)


def read_image(name: str | os.PathLike, shape: tuple[int, int] | None = None) -> np.ndarray:
    """An image (slow, fast) of an SMV, npy, CBF, HDF5 or raw file; what it is, its beginning says.

    Parameters
    ----------
    name
        A file; ``FILE:N`` is frame N of an HDF5 file (the first is 0), or ``FILE:PATH`` a data set.
    shape
        Slow and fast of a raw file of binary32; a square is assumed without.

    Raises
    ------
    BadInput
        If it cannot be read as an image.
    """
    of_kind("name", name, (str, os.PathLike), "the name of a file")
    if shape is not None:
        numbers("shape", shape, 2, whole=True, lowest=1)
    return any_image.read_image(os.fspath(name), shape)


def write_float_image(path: str | os.PathLike, image: npt.ArrayLike) -> None:
    """Raw binary32, one row after the other."""
    name, pixels = path_of(path), pixels_of(image)
    with of_file("-floatfile"):
        _write_float(name, pixels)


def write_smv_image(path: str | os.PathLike, counts: npt.ArrayLike, scene: Scene) -> None:
    """Counts (uint16) as an SMV image with the geometry of `set_up`."""
    of_kind("scene", scene, Scene, "what set_up returns")
    pixels = np.asarray(counts)
    if pixels.shape != scene.detector.shape:
        raise BadInput(f"counts: have shape {pixels.shape}, the detector {scene.detector.shape}")
    if pixels.dtype.kind not in "iu" or pixels.min() < 0 or pixels.max() > 65535:
        raise BadInput("counts: must be whole numbers from 0 to 65535")
    write_smv(path_of(path), "path", header(scene), pixels.astype(np.uint16))
