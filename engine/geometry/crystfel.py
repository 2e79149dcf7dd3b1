"""CrystFEL's geometry files (``.geom``): panels, distance, pixel, photon energy and bad regions."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import read
from nanobragg.engine.geometry.found import OF_NEXUS, FileGeometry, direction, listed, number, one_pixel, wavelength

LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "A": 1e-10, "nm": 1e-9}
ENERGIES = {"eV": 1.0, "keV": 1e3, "MeV": 1e6, "J": 1.0 / 1.602176634e-19, "V": 1.0, "kV": 1e3}
OF_PANEL = {
    "fs", "ss", "corner_x", "corner_y", "min_fs", "max_fs", "min_ss", "max_ss", "res", "clen", "coffset", "no_index",
    "max_adu", "adu_per_photon", "adu_per_eV", "data", "mask", "mask_file", "mask_good", "mask_bad", "saturation_map",
}  # fmt: skip
AXIS = re.compile(r"([+-]?\s*(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)?)\s*\*?\s*([xyz])")
NEEDED = ("fs", "ss", "corner_x", "corner_y", "min_fs", "max_fs", "min_ss", "max_ss", "res")
MIDDLE = 0.5  # of a pixel, from its edge


def read_geom(path: str) -> FileGeometry:
    """The geometry of a file.

    Raises
    ------
    BadInput
        In one line that names the file, the panel and the key.
    """
    words, panels, bad = _parsed(path)
    if not panels:
        raise BadInput(f"{path}: has no panel: lines PANEL/KEY = VALUE")
    tables, edges = [], []
    for name, keys in panels.items():
        table, pixel_mm = _panel(name, keys, path)
        tables.append(table)
        edges.append(pixel_mm)
    detector: dict[str, Any] = {
        "panels": tuple(tables), "pixel_mm": one_pixel(edges, f"{path}: res"),
        "fast": listed(OF_NEXUS[:, 0]), "slow": listed(OF_NEXUS[:, 1]), "origin_mm": (0.0, 0.0, 0.0),
    }  # fmt: skip
    highest = {(keys.get("max_adu"), keys.get("adu_per_photon", "1")) for keys in panels.values()}
    if len(highest) == 1 and (most := next(iter(highest)))[0] is not None:
        counts = number(most[0], f"{path}: max_adu", 0.0) / number(most[1], f"{path}: adu_per_photon", 0.0)
        detector["saturation"] = counts
    beam = _beam(words, path)
    remarks = []
    if any("mask" in keys or "mask_file" in keys for keys in panels.values()):
        remarks.append(f"{path}: mask: masks of other files are not read; bad regions are")
    mask = _mask(tables, detector["pixel_mm"], bad, list(panels), path)
    parts = {"detector": detector} | ({"beam": beam} if beam else {})
    return FileGeometry(path, parts, mask, remarks=tuple(remarks))


def _parsed(path: str) -> tuple[dict[str, str], dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Keys of the whole, of each panel and of each bad region; panels begin with what is said before them."""
    try:
        lines = read(path, "--geometry").decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no .geom: holds bytes that are no text") from None
    of_all: dict[str, str] = {}
    panels: dict[str, dict[str, str]] = {}
    bad: dict[str, dict[str, str]] = {}
    for count, line in enumerate(lines, 1):
        said = line.partition(";")[0].strip()
        if not said:
            continue
        key, equals, value = (part.strip() for part in said.partition("="))
        if not equals or not key:
            raise BadInput(f"{path}: line {count}: {said[:40]!r}: must be KEY = VALUE")
        name, slash, own = key.rpartition("/")
        if not slash:
            of_all[key] = value
        elif name.startswith("bad"):
            bad.setdefault(name, {})[own] = value
        else:
            begun = {k: v for k, v in of_all.items() if k in OF_PANEL}
            panels.setdefault(name, begun)[own] = value
    return of_all, panels, bad


def _quantity(value: str, units: dict[str, float], default: str, what: str) -> float:
    """A number with a unit."""
    if value.startswith("/"):
        raise BadInput(f"{what}: {value}: stands in another file: write the number here")
    words = value.split()
    unit = words[1] if len(words) > 1 else default
    if len(words) not in (1, 2) or unit not in units:
        raise BadInput(f"{what}: {value!r}: must be a number and one of {', '.join(units)}")
    return number(words[0], what) * units[unit]


def _beam(words: dict[str, str], path: str) -> dict[str, Any]:
    if words.get("photon_energy", words.get("wavelength", "")).startswith("/"):
        return {}  # it stands in the images
    if "photon_energy" in words:
        energy = _quantity(words["photon_energy"], ENERGIES, "eV", f"{path}: photon_energy")
        return {
            "wavelength_A": wavelength(HC / number(energy, f"{path}: photon_energy", 0.0), f"{path}: photon_energy")
        }
    if "wavelength" in words:
        in_A = _quantity(words["wavelength"], LENGTHS, "A", f"{path}: wavelength") * 1e10
        return {"wavelength_A": wavelength(in_A, f"{path}: wavelength")}
    if "electron_voltage" in words:
        raise BadInput(f"{path}: electron_voltage: electrons are not simulated")
    return {}


def _axis(text: str, what: str) -> np.ndarray:
    """``+0.99x -0.01y`` as a vector."""
    found = np.zeros(3)
    rest = AXIS.sub("", text).strip()
    if rest or not text.strip():
        raise BadInput(f"{what}: {text[:40]!r}: must be like +1.0x -0.01y")
    for amount, letter in AXIS.findall(text):
        amount = amount.replace(" ", "")
        found["xyz".index(letter)] += float(amount + "1" if amount in ("", "+", "-") else amount)
    return found


def _panel(name: str, keys: dict[str, str], path: str) -> tuple[dict[str, Any], float]:
    """A panel in CrystFEL's laboratory, and the edge of its pixels, mm."""
    what = f"{path}: panel {name}"
    missing = [key for key in NEEDED if key not in keys]
    if missing:
        raise BadInput(f"{what}: {missing[0]}: is missing")
    res = number(keys["res"], f"{what}: res", 0.0)
    if "clen" not in keys:
        raise BadInput(f"{what}: clen: is missing: the distance is not said")
    z = _quantity(keys["clen"], LENGTHS, "m", f"{what}: clen") + number(keys.get("coffset", 0.0), f"{what}: coffset")
    corner = [number(keys[key], f"{what}: {key}") / res for key in ("corner_x", "corner_y")]
    fast, slow = (_axis(keys[key], f"{what}: {key}") for key in ("fs", "ss"))
    for key, axis in (("fs", fast), ("ss", slow)):
        if not math.isclose(float(np.linalg.norm(axis)), 1.0, abs_tol=0.01):
            raise BadInput(f"{what}: {key}: must be about 1 long: other pixels have another res")
    fast = direction(fast, f"{what}: fs")
    off = float(fast @ direction(slow, f"{what}: ss"))
    if abs(off) > 0.01:
        raise BadInput(f"{what}: fs and ss: must be at right angles")
    slow = direction(slow - (slow @ fast) * fast, f"{what}: ss")  # files have few digits
    ends = {key: number(keys[key], f"{what}: {key}") for key in ("min_fs", "max_fs", "min_ss", "max_ss")}
    if any(value % 1 for value in ends.values()):
        raise BadInput(f"{what}: min_fs, max_fs, min_ss and max_ss: must be whole numbers")
    shape = (int(ends["max_ss"] - ends["min_ss"]) + 1, int(ends["max_fs"] - ends["min_fs"]) + 1)
    if min(shape) < 1:
        raise BadInput(f"{what}: max_fs and max_ss: must not be below min_fs and min_ss")
    table = {
        "shape": shape, "fast": listed(fast), "slow": listed(slow), "name": name,
        "origin_mm": (corner[0] * 1e3, corner[1] * 1e3, z * 1e3),
    }  # fmt: skip
    table["first"] = (int(ends["min_ss"]), int(ends["min_fs"]))
    return table, 1e3 / res


def _mask(
    panels: list[dict[str, Any]], pixel_mm: float, bad: dict[str, dict[str, str]], names: list[str], path: str
) -> np.ndarray | None:
    """0 for pixels in bad regions, as images are; ``None`` where there are none."""
    first = [panel.pop("first") for panel in panels]
    regions = [_region(name, keys, names, path) for name, keys in bad.items()]
    if not regions:
        return None
    shape = tuple(max(panel["shape"][k] for panel in panels) for k in (0, 1))
    kept = np.ones((len(panels), *shape), np.uint8)
    for number_of_panel, panel in enumerate(panels):
        slow, fast = np.mgrid[: shape[0], : shape[1]] + 0.0
        corner = np.asarray(panel["origin_mm"]) / pixel_mm
        place = corner[:, None, None] + np.multiply.outer(panel["fast"], fast + MIDDLE)
        place = place + np.multiply.outer(panel["slow"], slow + MIDDLE)
        at = {
            "x": place[0], "y": place[1],
            "fs": fast + first[number_of_panel][1], "ss": slow + first[number_of_panel][0],
        }  # fmt: skip
        for only, ends in regions:
            if only in (None, number_of_panel):
                inside = np.ones(shape, bool)
                for axis, (low, high) in ends.items():
                    inside &= (at[axis] >= low) & (at[axis] <= high)
                kept[number_of_panel][inside] = 0
    return kept if len(kept) > 1 else kept[0]


def _region(
    name: str, keys: dict[str, str], names: list[str], path: str
) -> tuple[int | None, dict[str, tuple[float, float]]]:
    """The panel of a bad region, if it is of one, and the ends of it along each axis."""
    what = f"{path}: {name}"
    axes = ("x", "y") if "min_x" in keys else ("fs", "ss")
    ends = {}
    for axis in axes:
        for side in ("min", "max"):
            if f"{side}_{axis}" not in keys:
                raise BadInput(f"{what}: {side}_{axis}: is missing")
        low, high = (number(keys[f"{side}_{axis}"], f"{what}: {side}_{axis}") for side in ("min", "max"))
        if low > high:
            raise BadInput(f"{what}: min_{axis} is above max_{axis}")
        ends[axis] = (low, high)
    panel = keys.get("panel")
    if panel is None:
        if axes == ("fs", "ss"):
            raise BadInput(f"{what}: panel: is missing")
        return None, ends
    if panel not in names:
        raise BadInput(f"{what}: panel = {panel}: there is no such panel")
    return names.index(panel), ends
