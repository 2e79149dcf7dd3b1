"""DIALS' experiment lists (``.expt``): detector, beam, goniometer, scan and crystal of one experiment."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from nanobragg.engine.detectors.sensor_table import TABLE
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import read
from nanobragg.engine.geometry.found import (
    OF_DIALS,
    FileGeometry,
    direction,
    listed,
    number,
    one_pixel,
    vector,
    wavelength,
)
from nanobragg.engine.model.panels import PanelInFrame, flattened, parts_of

KINDS = ("detector", "beam", "goniometer", "scan", "crystal")
UNTURNED = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def read_expt(path: str, which: int = 0) -> FileGeometry:
    """The geometry of an experiment of a list, the first by default.

    Raises
    ------
    BadInput
        In one line that names the file and the field.
    """
    try:
        lists = json.loads(read(path, "--geometry"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is no .expt (JSON): {str(error)[:80]}") from None
    if not isinstance(lists, dict) or lists.get("__id__") != "ExperimentList":
        raise BadInput(f"{path}: is no .expt: __id__ is not ExperimentList")
    experiments = _list(lists.get("experiment"), f"{path}: experiment")
    if not 0 <= which < len(experiments):
        raise BadInput(f"{path}: has {len(experiments)} experiments, from 0 on; {which} is not among them")
    models = {name: _model(lists, experiments[which], name, path) for name in KINDS}
    detector, beam = models["detector"], models["beam"]
    if detector is None or beam is None:
        raise BadInput(f"{path}: experiment {which}: has no {'beam' if detector else 'detector'}")
    tables = {"detector": _detector(detector, path), "beam": _beam(beam, path)}
    scan, turned = _scan(models["goniometer"], models["scan"], path)
    if scan:
        tables["scan"] = scan
    remarks = []
    if models["crystal"] is not None:
        tables["crystal"] = {"reciprocal": _reciprocal(models["crystal"], turned, path)}
        if "A_at_scan_points" in models["crystal"]:
            remarks.append(f"{path}: crystal: varies with the scan; its mean is taken")
    if len(experiments) > 1:
        remarks.append(f"{path}: has {len(experiments)} experiments: number {which} is taken ({path}:N for another)")
    if models["scan"] is not None and (images := _images(models["scan"], path)) > 1:
        remarks.append(f"{path}: scan: has {images} images: the first is simulated, -phi says another")
    return FileGeometry(path, tables, remarks=tuple(remarks))


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadInput(f"{what}: must be a list with something in it")
    return value


def _model(lists: dict[str, Any], experiment: Any, name: str, path: str) -> dict[str, Any] | None:
    """The model of a kind that an experiment names by its place in a list."""
    if not isinstance(experiment, dict):
        raise BadInput(f"{path}: experiment: must be a table")
    place = experiment.get(name)
    if place is None:
        return None
    models = lists.get(name, [])
    fits = isinstance(place, int) and not isinstance(place, bool) and isinstance(models, list)
    if not fits or not 0 <= place < len(models):
        raise BadInput(f"{path}: experiment: {name} {place!r}: there is no such {name} in the file")
    model = models[place]
    if not isinstance(model, dict):
        raise BadInput(f"{path}: {name} {place}: must be a table, not the name of another file")
    return model


def _need(table: Any, key: str, what: str) -> Any:
    if not isinstance(table, dict):
        raise BadInput(f"{what}: must be a table")
    if table.get(key) is None:
        raise BadInput(f"{what}: {key}: is missing")
    return table[key]


def _beam(beam: dict[str, Any], path: str) -> dict[str, Any]:
    what = f"{path}: beam"
    towards = direction(_need(beam, "direction", what), f"{what}: direction")
    photons = -towards
    table: dict[str, Any] = {
        "wavelength_A": wavelength(_need(beam, "wavelength", what), f"{what}: wavelength"),
        "direction": listed(OF_DIALS @ photons),
    }
    normal, fraction = beam.get("polarization_normal"), beam.get("polarization_fraction")
    if normal is not None and fraction is not None:
        across = np.cross(photons, direction(normal, f"{what}: polarization_normal"))
        if not np.linalg.norm(across) > 0.0:
            raise BadInput(f"{what}: polarization_normal: is along the beam")
        share = number(fraction, f"{what}: polarization_fraction")
        if not 0.0 <= share <= 1.0:
            raise BadInput(f"{what}: polarization_fraction: must be from 0 to 1, not {share:g}")
        table["polarization_axis"] = listed(OF_DIALS @ (across / np.linalg.norm(across)))
        table["polarization"] = 2.0 * share - 1.0
    return table


def _detector(detector: dict[str, Any], path: str) -> dict[str, Any]:
    panels = _list(detector.get("panels"), f"{path}: detector: panels")
    made = [_panel(panel, f"{path}: detector: panel {number}") for number, panel in enumerate(panels)]
    edges = [edge for panel, _ in made for edge in panel["pixel_mm"]]
    table: dict[str, Any] = {"pixel_mm": one_pixel(edges, f"{path}: detector: pixel_size")}
    if any(sensor != made[0][1] for _, sensor in made):
        raise BadInput(f"{path}: detector: thickness, material, mu and trusted_range: must be those of all panels")
    table |= made[0][1]
    parts = [{key: value for key, value in panel.items() if key != "pixel_mm"} for panel, _ in made]
    root = detector.get("hierarchy")
    order: list[int] = []
    if root is not None and not isinstance(root, dict):
        raise BadInput(f"{path}: detector: hierarchy: must be a table")
    tree = None if root is None else _group(root, parts, order, f"{path}: detector: hierarchy")
    if tree is None:
        tree, order = (
            {"panels": parts, "fast": (1.0, 0.0, 0.0), "slow": (0.0, 1.0, 0.0), "origin_mm": (0.0, 0.0, 0.0)},
            [],
        )
    elif sorted(order) != list(range(len(parts))):
        raise BadInput(f"{path}: detector: hierarchy: does not have each of the {len(parts)} panels once")
    elif order != sorted(order):  # images have the panels in the order of the list
        flat = [_in_laboratory(each) for each in flattened(parts_of([tree], path), np.eye(3), np.zeros(3))]
        tree = {"panels": [flat[order.index(n)] for n in range(len(parts))], "fast": (1.0, 0.0, 0.0),
                "slow": (0.0, 1.0, 0.0), "origin_mm": (0.0, 0.0, 0.0)}  # fmt: skip
    for key in ("fast", "slow", "origin_mm"):
        table[key] = listed(OF_DIALS @ np.asarray(tree[key], float))
    return table | {"panels": tuple(tree["panels"])}


def _frame(node: dict[str, Any], what: str) -> dict[str, Any]:
    """Axes and origin (mm) of a panel or a group, at right angles."""
    fast = direction(_need(node, "fast_axis", what), f"{what}: fast_axis")
    slow = direction(_need(node, "slow_axis", what), f"{what}: slow_axis")
    if abs(float(fast @ slow)) > 1e-6:
        raise BadInput(f"{what}: fast_axis and slow_axis: must be at right angles")
    origin = vector(_need(node, "origin", what), f"{what}: origin")
    name = node.get("name", "")
    return {"fast": listed(fast), "slow": listed(slow), "origin_mm": listed(origin), "name": str(name)}


def _panel(panel: Any, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A panel's table, with its pixel's edges, and what must be the same for all."""
    size, pixel = _need(panel, "image_size", what), _need(panel, "pixel_size", what)
    if not isinstance(size, list) or len(size) != 2 or not isinstance(pixel, list) or len(pixel) != 2:
        raise BadInput(f"{what}: image_size and pixel_size: must be two numbers")
    shape = [number(n, f"{what}: image_size", 0.0) for n in reversed(size)]
    if any(n % 1 for n in shape):
        raise BadInput(f"{what}: image_size: must be whole numbers")
    table = _frame(panel, what) | {"shape": tuple(int(n) for n in shape)}
    table["pixel_mm"] = [number(edge, f"{what}: pixel_size", 0.0) for edge in pixel]
    mask = panel.get("mask") or []
    if not isinstance(mask, list) or not all(isinstance(rectangle, list) for rectangle in mask):
        raise BadInput(f"{what}: mask: must be a list of rectangles")
    table["masked"] = tuple(tuple(rectangle) for rectangle in mask)
    sensor: dict[str, Any] = {}
    thickness = number(panel.get("thickness", 0.0), f"{what}: thickness")
    mu, material = number(panel.get("mu", 0.0), f"{what}: mu"), str(panel.get("material") or "")
    if thickness > 0.0 and (mu > 0.0 or material in TABLE):
        sensor |= {"thickness_um": thickness * 1e3}
        sensor |= {"material": material} if material in TABLE else {}
        sensor |= {"attenuation_um": 1e3 / mu} if mu > 0.0 else {}
    trusted = panel.get("trusted_range")
    if isinstance(trusted, list) and len(trusted) == 2:
        highest = number(trusted[1], f"{what}: trusted_range")
        sensor |= {"saturation": highest} if highest > 0.0 else {}
    return table, sensor


def _group(node: dict[str, Any], panels: list[dict[str, Any]], order: list[int], what: str) -> dict[str, Any]:
    """A group of the hierarchy as a table, with its panels; ``order`` takes their numbers."""
    parts: list[dict[str, Any]] = []
    children = node.get("children")
    if not isinstance(children, list):
        raise BadInput(f"{what}: children: must be a list")
    for child in children:
        if not isinstance(child, dict):
            raise BadInput(f"{what}: children: each must be a table")
        if "panel" in child:
            place = child["panel"]
            if not isinstance(place, int) or not 0 <= place < len(panels):
                raise BadInput(f"{what}: panel {place!r}: there is no such panel")
            order.append(place)
            parts.append(panels[place])
        else:
            parts.append(_group(child, panels, order, what))
    return _frame(node, what) | {"panels": tuple(parts)}


def _in_laboratory(each: PanelInFrame) -> dict[str, Any]:
    """The table of a panel that stands in no group."""
    own = {"shape": each.panel.shape, "name": each.panel.name, "masked": each.panel.masked}
    return own | {"fast": listed(each.fast), "slow": listed(each.slow), "origin_mm": listed(each.origin_mm)}


def _rotation(values: Any, what: str) -> np.ndarray:
    try:
        matrix = np.asarray(UNTURNED if values is None else values, float).reshape(3, 3)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"{what}: must be nine numbers") from None
    if not np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-5:
        raise BadInput(f"{what}: is no rotation")
    return np.asarray(matrix)


def about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """The rotation about an axis."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = math.radians(degrees)
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross)


def _goniometer(gonio: dict[str, Any], path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The axis, what turns the crystal before it does, and what turns all after: r = S R F A h."""
    what = f"{path}: goniometer"
    if "axes" not in gonio:
        axis = direction(_need(gonio, "rotation_axis", what), f"{what}: rotation_axis")
        fixed = _rotation(gonio.get("fixed_rotation"), f"{what}: fixed_rotation")
        return axis, fixed, _rotation(gonio.get("setting_rotation"), f"{what}: setting_rotation")
    axes = [direction(axis, f"{what}: axes") for axis in _list(gonio["axes"], f"{what}: axes")]
    angles = [number(a, f"{what}: angles") for a in _list(_need(gonio, "angles", what), f"{what}: angles")]
    scan_axis = gonio.get("scan_axis", 0)
    if len(angles) != len(axes) or not isinstance(scan_axis, int) or not 0 <= scan_axis < len(axes):
        raise BadInput(f"{what}: axes, angles and scan_axis do not go together")
    fixed, setting = np.eye(3), np.eye(3)
    for place, (axis, angle) in enumerate(zip(axes, angles, strict=True)):
        if place < scan_axis:
            fixed = about(axis, angle) @ fixed
        elif place > scan_axis:
            setting = about(axis, angle) @ setting
    return axes[scan_axis], fixed, setting


def _scan(gonio: dict[str, Any] | None, scan: dict[str, Any] | None, path: str) -> tuple[dict[str, Any], np.ndarray]:
    """The scan's table, and how the goniometer holds the crystal at 0 degrees."""
    if gonio is None:
        return {}, np.eye(3)
    axis, fixed, setting = _goniometer(gonio, path)
    table: dict[str, Any] = {"axis": listed(OF_DIALS @ setting @ axis)}
    if scan is not None:
        start, width = _oscillation(scan, path)
        if width < 0.0:
            raise BadInput(f"{path}: scan: oscillation: turns backwards: turn rotation_axis instead")
        table |= {"start_deg": start, "range_deg": width}
    return table, setting @ fixed


def _oscillation(scan: dict[str, Any], path: str) -> tuple[float, float]:
    """Where the first image begins and how far it turns, degrees."""
    what = f"{path}: scan: oscillation"
    if "oscillation" in scan:
        values = _list(scan["oscillation"], what)
        if len(values) != 2:
            raise BadInput(f"{what}: must be two numbers")
        return number(values[0], what), number(values[1], what)
    properties = scan.get("properties")
    starts = properties.get("oscillation") if isinstance(properties, dict) else None
    if not isinstance(starts, list) or not starts:
        return 0.0, 0.0
    begin = number(starts[0], what)
    return begin, number(starts[1], what) - begin if len(starts) > 1 else 0.0


def _images(scan: dict[str, Any], path: str) -> int:
    found = scan.get("image_range")
    if not isinstance(found, list) or len(found) != 2:
        raise BadInput(f"{path}: scan: image_range: must be two numbers")
    return int(number(found[1], f"{path}: scan: image_range") - number(found[0], f"{path}: scan: image_range")) + 1


def _reciprocal(crystal: dict[str, Any], turned: np.ndarray, path: str) -> tuple[tuple[float, ...], ...]:
    """a*, b*, c* as rows (1/Angstrom) in our laboratory, at 0 degrees of the goniometer."""
    names = ("real_space_a", "real_space_b", "real_space_c")
    what = f"{path}: crystal"
    real = np.array([vector(_need(crystal, name, what), f"{what}: {name}") for name in names])
    if not abs(np.linalg.det(real)) > 0.0:
        raise BadInput(f"{what}: real_space_a, b and c: make no cell")
    recip = np.linalg.inv(real).T @ turned.T @ OF_DIALS.T
    return tuple(listed(row) for row in recip)
