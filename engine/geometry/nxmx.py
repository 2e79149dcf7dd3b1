"""NXmx masters of real experiments: modules, sensor, mask, beam and rotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nanobragg.engine.detectors.sensor_table import TABLE
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.hdf5 import open_file, said_of
from nanobragg.engine.formats.nexus_chain import depends_on, metres, of_axis, radians, text, transformation
from nanobragg.engine.geometry.found import OF_NEXUS, FileGeometry, direction, listed, one_pixel
from nanobragg.engine.geometry.found import wavelength as possible

IN_SHORT = {"Silicon": "Si", "silicon": "Si", "Cadmium Telluride": "CdTe", "Gallium Arsenide": "GaAs"}
SPECTRUM = "incident_wavelength_1Dspectrum"
THINNEST = 1.5e-6  # metres; what is thinner stands for none, as readers refuse 0


def read_nxmx(path: str, image: int = 0) -> FileGeometry:
    """The geometry of an image of a data set, the first by default.

    Raises
    ------
    BadInput
        In one line that names the file and what is wrong in it.
    """
    try:
        with open_file(path) as file:
            entry = _of_class(file, "NXentry", path)
            instrument = _of_class(entry, "NXinstrument", path)
            detector = _of_class(instrument, "NXdetector", path)
            beams = [*_all(instrument, "NXbeam"), *(b for s in _all(entry, "NXsample") for b in _all(s, "NXbeam"))]
            if not beams:
                raise BadInput(f"{path}: has no NXbeam")
            table, mask = _detector(file, detector, path)
            _check_image(file, entry, beams[0], path, image)
            tables = {"detector": table, "beam": _beam(beams[0], path, image)}
            scan = _scan(file, entry, path, image)
            if scan:
                tables["scan"] = scan
            return FileGeometry(path, tables, mask)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        said = said_of(error) if isinstance(error, OSError) else " ".join(str(error).strip("'\"").split())[:150]
        raise BadInput(f"{path}: NXmx: {said}") from None


def _check_image(file: Any, entry: Any, beam: Any, path: str, image: int) -> None:
    """Refuse an image that is not there, as far as the file says how many there are."""
    data: Any = next(_all(entry, "NXdata"), {})
    counts = [data[name].shape[0] for name in data if getattr(data[name], "ndim", 0) == 3]
    counts += [beam["incident_wavelength"].size] if "incident_wavelength" in beam else []
    if counts and image >= max(counts):
        raise BadInput(f"{path}: has {max(counts)} images, from 0 on; {image} is not among them")


def _all(group: Any, kind: str) -> Iterator[Any]:
    for name in group:
        node = group[name]
        if hasattr(node, "keys") and text(node.attrs.get("NX_class", "")) == kind:
            yield node


def _of_class(group: Any, kind: str, path: str) -> Any:
    found = next(_all(group, kind), None)
    if found is None:
        raise BadInput(f"{path}: has no {kind}: is no NXmx")
    return found


def _detector(file: Any, detector: Any, path: str) -> tuple[dict[str, Any], np.ndarray | None]:
    modules = list(_all(detector, "NXdetector_module"))
    if not modules:
        raise BadInput(f"{path}: {detector.name}: has no NXdetector_module: where its pixels are is not said")
    slabs, panels, edges = [], [], []
    for module in modules:
        panel, slab, pixels_mm = _module(file, module, path)
        panels.append(panel)
        slabs.append(slab)
        edges += pixels_mm
    table: dict[str, Any] = {
        "panels": tuple(panels), "pixel_mm": one_pixel(edges, f"{path}: pixel directions"),
        "fast": listed(OF_NEXUS[:, 0]), "slow": listed(OF_NEXUS[:, 1]), "origin_mm": (0.0, 0.0, 0.0),
    }  # fmt: skip
    if "sensor_thickness" in detector:
        thickness = detector["sensor_thickness"]
        material = text(detector["sensor_material"][()]) if "sensor_material" in detector else ""
        material = IN_SHORT.get(material, material)
        amount = float(np.asarray(thickness[()]).ravel()[0]) * metres(_units(thickness, path))
        if material in TABLE and amount > THINNEST:
            table |= {"thickness_um": round(amount * 1e6, 9), "material": material}
    if "saturation_value" in detector:
        highest = float(np.asarray(detector["saturation_value"][()]).ravel()[0])
        table |= {"saturation": highest} if highest > 0.0 else {}
    return table, _mask(detector, slabs, path)


def _units(node: Any, path: str) -> Any:
    if "units" not in node.attrs:
        raise BadInput(f"{path}: {node.name}: has no units")
    return node.attrs["units"]


def _module(file: Any, module: Any, path: str) -> tuple[dict[str, Any], tuple[slice, slice], list[float]]:
    """A panel in NeXus' laboratory, its slab of the images, and the edges of its pixels, mm."""
    for name in ("fast_pixel_direction", "slow_pixel_direction", "data_size", "data_origin"):
        if name not in module:
            raise BadInput(f"{path}: {module.name}: has no {name}")
    fast, slow = module["fast_pixel_direction"], module["slow_pixel_direction"]
    chain = transformation(file, fast)
    corner = chain[:3, 3].copy()
    if "offset" in fast.attrs:
        units = fast.attrs.get("offset_units", _units(fast, path))
        corner += chain[:3, :3] @ np.asarray(fast.attrs["offset"], float) * metres(units)
    if "module_offset" in module and not depends_on(fast).endswith("/module_offset"):
        offset = module["module_offset"]
        corner = (transformation(file, offset) @ of_axis(offset))[:3, 3]
    axes = [direction(chain[:3, :3] @ np.asarray(axis.attrs["vector"], float), axis.name) for axis in (fast, slow)]
    edges = [float(np.asarray(axis[()]).ravel()[0]) * metres(_units(axis, path)) * 1e3 for axis in (fast, slow)]
    if abs(float(axes[0] @ axes[1])) > 1e-6:
        raise BadInput(f"{path}: {module.name}: its axes are not at right angles")
    size, origin = (
        np.asarray(module[name][()]).ravel()[-2:].astype(int).tolist() for name in ("data_size", "data_origin")
    )
    panel = {
        "shape": tuple(size), "fast": listed(axes[0]), "slow": listed(axes[1]), "origin_mm": listed(corner * 1e3),
        "name": module.name.rpartition("/")[2],
    }  # fmt: skip
    return panel, (slice(origin[0], origin[0] + size[0]), slice(origin[1], origin[1] + size[1])), edges


def _mask(detector: Any, slabs: list[tuple[slice, slice]], path: str) -> np.ndarray | None:
    """0 for pixels that the mask of the file takes out, as images are; ``None`` without one."""
    if "pixel_mask" not in detector:
        return None
    mask = np.asarray(detector["pixel_mask"][()])
    if mask.ndim == 3 and len(mask) == 1:
        mask = mask[0]
    if mask.ndim == 3 and len(mask) == len(slabs):  # one for each module
        of_panels = [mask[n, : r.stop - r.start, : c.stop - c.start] for n, (r, c) in enumerate(slabs)]
    elif mask.ndim == 2:
        of_panels = [mask[slab] for slab in slabs]
    else:
        raise BadInput(
            f"{path}: {detector.name}/pixel_mask: {mask.shape}: must be (slow, fast), or one for each module"
        )
    shape = tuple(max(part.shape[k] for part in of_panels) for k in (0, 1))
    kept = np.zeros((len(slabs), *shape), np.uint8)
    for number, (part, (rows, columns)) in enumerate(zip(of_panels, slabs, strict=True)):
        if part.shape != (rows.stop - rows.start, columns.stop - columns.start):
            raise BadInput(f"{path}: {detector.name}/pixel_mask: {mask.shape}: does not reach over module {number}")
        kept[number, : part.shape[0], : part.shape[1]] = part == 0
    return kept if len(kept) > 1 else kept[0]


def _beam(beam: Any, path: str, image: int) -> dict[str, Any]:
    if "incident_wavelength" not in beam:
        raise BadInput(f"{path}: {beam.name}: has no incident_wavelength")
    wavelength = beam["incident_wavelength"]
    in_A = metres(_units(wavelength, path)) * 1e10
    values = np.asarray(wavelength[()], float).ravel() * in_A
    weights = beam.get(f"{SPECTRUM}_weights", beam.get(f"{SPECTRUM}_weight"))
    spectrum = None
    if SPECTRUM in beam and weights is not None:
        waves = np.asarray(beam[SPECTRUM][()], float) * metres(_units(beam[SPECTRUM], path)) * 1e10
        spectrum = (_row(waves, image), _row(np.asarray(weights[()], float), image))
    elif (shares := beam.get("incident_wavelength_weights")) is not None and len(values) > 1:
        spectrum = (values, _row(np.asarray(shares[()], float), image))
    for value in values:
        possible(float(value), f"{path}: {wavelength.name}")
    one = float(values[min(image, len(values) - 1)])
    if spectrum is None:
        return {"wavelength_A": one}
    return {"wavelength_A": one, "spectrum": tuple(zip(*(part.tolist() for part in spectrum), strict=True))}


def _row(values: np.ndarray, image: int) -> np.ndarray:
    return values if values.ndim == 1 else values[min(image, len(values) - 1)]


def _scan(file: Any, entry: Any, path: str, image: int) -> dict[str, Any]:
    """The rotation of an image about the first axis of the sample that moves; nothing for stills."""
    sample = next(_all(entry, "NXsample"), None)
    start = text(sample["depends_on"][()]) if sample is not None and "depends_on" in sample else "."
    path_of_axis = start
    while path_of_axis != ".":
        if path_of_axis not in file:
            raise BadInput(f"{path}: {path_of_axis}: is missing")
        axis = file[path_of_axis]
        values = np.asarray(axis[()], float).ravel()
        rotates = text(axis.attrs["transformation_type"]) == "rotation"
        if rotates and (len(values) > 1 or f"{axis.name}_end" in file):
            return _rotation(file, axis, values, image)
        path_of_axis = depends_on(axis)
    return {}


def _rotation(file: Any, axis: Any, values: np.ndarray, image: int) -> dict[str, Any]:
    degrees = radians(axis.attrs["units"]) * 180.0 / np.pi
    spindle = transformation(file, axis)[:3, :3] @ direction(axis.attrs["vector"], axis.name)
    begin = float(values[min(image, len(values) - 1)]) * degrees
    if f"{axis.name}_end" in file:
        ends = np.asarray(file[f"{axis.name}_end"][()], float).ravel() * degrees
        width = float(ends[min(image, len(ends) - 1)]) - begin
    else:
        width = float(values[1] - values[0]) * degrees
    if width < 0.0:
        begin, width, spindle = -begin, -width, -spindle
    return {"axis": listed(OF_NEXUS @ spindle), "start_deg": begin, "range_deg": width}
