"""NXmx: a scene as NeXus describes it, for HDF5 images.

NeXus' (McStas') laboratory has z along the beam; the spindle is made its -x, as the field's readers expect.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Any, NamedTuple

import numpy as np

from nanobragg import __version__
from nanobragg.engine.errors import BadInput
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.vectors import Vector, cross, dot, unit

SATURATION = {"int32": 2**31 - 2, "uint16": 65534, "float32": 2**31 - 2}
SENSORS = ("Si", "CdTe", "GaAs")
DATA = "entry/data/data"
TRANSFORMATIONS = "entry/instrument/detector/transformations"
DETECTOR = "entry/instrument/detector"
GAP, LEFT_OUT = 1, 1 << 8  # bits of a pixel mask: no pixel is there; left out by a user
SPECTRUM = "incident_wavelength_1Dspectrum"
OMEGA = "entry/sample/transformations/omega"
PARALLEL = 1e-6
THINNEST_MM = 1e-3  # readers refuse a sensor without thickness


def turn(beam: Vector, spindle: Vector) -> np.ndarray:
    """The rotation from our laboratory to NeXus', (3, 3); its rows are NeXus' x, y and z in our directions.

    A spindle that is not across the beam is, turned, as near -x as it can be; along the beam it says nothing.
    """
    z = unit(beam)
    towards = dot(spindle, z)
    across = tuple(s - towards * b for s, b in zip(spindle, z, strict=True))
    if dot(across, across) < PARALLEL:  # type: ignore[arg-type]
        across = cross(z, (0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0))
    x = tuple(-a for a in unit(across))  # type: ignore[arg-type]
    y = cross(z, x)  # type: ignore[arg-type]
    return np.array([x, y, z])


class FrameAxis(NamedTuple):
    """What each image has of something: an array, or a virtual layout, and what stands for images that are missing."""

    values: Any
    missing: float = np.nan


class NexusPanel(NamedTuple):
    """A flat panel in NeXus' laboratory: its first corner (metres), its axes, and its pixels, slow and fast."""

    origin: np.ndarray
    fast: np.ndarray
    slow: np.ndarray
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class NexusPlacement:
    """The panels of a detector in NeXus' laboratory, pixels of each and their edge (metres), and the rotation axis."""

    n_fast: int
    n_slow: int
    pixel_size: float
    panels: tuple[NexusPanel, ...]
    spindle: np.ndarray


def placement(scene: Scene) -> NexusPlacement:
    """Where NeXus finds the detector of a scene.

    Raises
    ------
    BadInput
        For a curved detector, which NXmx cannot describe.
    """
    d = scene.detector
    if d.curved:
        raise BadInput("-curved_det: NXmx has no words for a curved detector; take another format")
    to_nexus = turn(scene.beam.direction, scene.scan.spindle)
    panels = tuple(
        NexusPanel(to_nexus @ p.pix0, to_nexus @ p.fdet, to_nexus @ p.sdet, size)
        for p, size in zip(d.panels, d.sizes, strict=True)
    )
    return NexusPlacement(d.n_fast, d.n_slow, d.pixel_size, panels, to_nexus @ scene.scan.spindle)


def _group(parent: Any, name: str, kind: str) -> Any:
    group = parent.require_group(name)
    group.attrs["NX_class"] = kind
    return group


def _put(group: Any, name: str, value: Any, **attributes: Any) -> Any:
    dataset = group.create_dataset(name, data=value)
    for key, attribute in attributes.items():
        dataset.attrs[key] = attribute
    return dataset


def now() -> str:
    """The time as ISO 8601 with a Z."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe(
    file: Any, scene: Scene, values: str, sensor: str, times: tuple[str, str], images: int, *, turns: bool
) -> None:
    """Write all of NXmx but the images, wavelengths and angles (`frame_axes`), and their links.

    Parameters
    ----------
    file
        An open `h5py.File`.
    scene
        Of the first image; detector and beam direction are those of all.
    values
        Data type of the pixels.
    sensor
        ``Si``, ``CdTe`` or ``GaAs``.
    times
        When the first image was begun and the last one finished.
    images
        Number of frames.
    turns
        Whether the crystal turns about the spindle, in an exposure or from one to the next.
    """
    file.attrs["NX_class"] = "NXroot"
    file.attrs["file_time"] = now()
    file.attrs["creator"] = f"nanobragg {__version__}"
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry")
    entry.attrs["default"] = "data"
    _put(entry, "definition", "NXmx", version="v1.0")
    for name, at in zip(("start_time", "end_time", "end_time_estimated"), (*times, times[1]), strict=True):
        _put(entry, name, at)
    _put(_group(entry, "source", "NXsource"), "name", "nanoBragg simulation", short_name="simulation")
    sample = _group(entry, "sample", "NXsample")
    _put(sample, "name", "simulated crystal")
    _put(sample, "depends_on", f"/{OMEGA}" if turns else ".")
    instrument = _group(entry, "instrument", "NXinstrument")
    _put(instrument, "name", "nanoBragg simulation", short_name="simulation")
    beam = _group(instrument, "beam", "NXbeam")
    _put(beam, "incident_beam_size", [scene.beam.beamsize * 1e3] * 2, units="mm")
    _detector(_group(instrument, "detector", "NXdetector"), scene, values, sensor, images)
    _group(entry, "data", "NXdata").attrs["signal"] = "data"


def plain(value: float) -> float:
    """A number without the noise of its last digits: 0.32 for 0.31999999999999995."""
    return float(f"{value:.14g}")


def pedestal(scene: Scene, values: str) -> float:
    """What was added to each count; nothing to expected photons."""
    if values == "float32":
        return 0.0
    return scene.detector.offset


def gain(scene: Scene, values: str) -> float:
    """Counts per photon."""
    return 1.0 if values == "float32" or scene.response is None else abs(scene.response.counts[0])


def saturation_of(scene: Scene, values: str) -> int:
    """The highest count that is trusted: the detector's, or that of the data type."""
    highest = scene.detector.saturation or math.inf
    if scene.response is not None and values != "float32":
        highest = scene.response.highest_of(scene.detector.saturation)
    return int(min(SATURATION[values], highest))


def _detector(detector: Any, scene: Scene, values: str, sensor: str, images: int) -> None:
    place, d = placement(scene), scene.detector
    _put(detector, "description", "simulated")
    _put(detector, "type", "simulated")
    _put(detector, "detector_number", "simulated")
    _put(detector, "sensor_material", sensor)
    _put(detector, "sensor_thickness", max(plain(d.thickness * 1e3), THINNEST_MM), units="mm")
    _put(detector, "x_pixel_size", plain(d.pixel_size), units="m")
    _put(detector, "y_pixel_size", plain(d.pixel_size), units="m")
    _put(detector, "saturation_value", saturation_of(scene, values))
    _put(detector, "underload_value", 0)
    _put(detector, "bit_depth_readout", 32)
    _put(detector, "count_time", scene.beam.exposure, units="s")
    _put(detector, "frame_time", scene.beam.exposure, units="s")
    _put(detector, "distance", plain(d.nearest * 1e3), units="mm")
    if len(d.panels) == 1:
        _put(detector, "beam_center_x", plain(d.panel.Fbeam / d.pixel_size), units="pixel")
        _put(detector, "beam_center_y", plain(d.panel.Sbeam / d.pixel_size), units="pixel")
    _put(detector, "pedestal", pedestal(scene, values), units="counts")
    _put(detector, "depends_on", f"/{TRANSFORMATIONS}/det_z")
    detector.create_dataset("pixel_mask", data=unrendered(scene), chunks=True, compression="gzip")
    specific = _group(detector, "detectorSpecific", "NXcollection")  # where converters of Eiger files look
    _put(specific, "nimages", images)
    _put(specific, "ntrigger", 1)
    _put(specific, "x_pixels_in_detector", place.n_fast)
    _put(specific, "y_pixels_in_detector", scene.detector.stacked_shape[0])
    specific["pixel_mask"] = detector["pixel_mask"]
    _modules(detector, place)


def _modules(detector: Any, place: NexusPlacement) -> None:
    """Where the panels are: along the beam, then to the first corner of each, then its axes.

    The corner is a translation of its own in the chain that the axes depend on: old readers take no notice of an offset
    of the axes. Modules are read in the order of their names.
    """
    transformations = _group(detector, "transformations", "NXtransformations")
    z = plain(place.panels[0].origin[2] * 1e3)
    _put(transformations, "det_z", [z], transformation_type="translation", units="mm", vector=[0.0, 0.0, 1.0],
         depends_on=".")  # fmt: skip
    digits = max(len(str(len(place.panels) - 1)), 3)
    for number, panel in enumerate(place.panels):
        name = "module" if len(place.panels) == 1 else f"module_{number:0{digits}d}"
        _module(_group(detector, name, "NXdetector_module"), f"/{DETECTOR}/{name}", place, number, panel, z)


def _module(module: Any, path: str, place: NexusPlacement, number: int, panel: NexusPanel, z: float) -> None:
    """A panel and its slab of the images, in which panels are one below the other."""
    to_corner = panel.origin * 1e3 - np.array([0.0, 0.0, z])
    to_corner[2] = 0.0 if len(place.panels) == 1 else to_corner[2]
    length = float(np.linalg.norm(to_corner))
    direction = to_corner / length if length > 0.0 else np.array([1.0, 0.0, 0.0])
    _put(module, "module_offset", length, transformation_type="translation", units="mm", vector=direction,
         offset=[0.0, 0.0, 0.0], offset_units="mm", depends_on=f"/{TRANSFORMATIONS}/det_z")  # fmt: skip
    _put(module, "data_origin", np.array([number * place.n_slow, 0]))
    _put(module, "data_size", np.array(panel.size))
    for name, vector in (("fast_pixel_direction", panel.fast), ("slow_pixel_direction", panel.slow)):
        _put(module, name, plain(place.pixel_size * 1e3), transformation_type="translation", units="mm", vector=vector,
             offset=[0.0, 0.0, 0.0], offset_units="mm", depends_on=f"{path}/module_offset")  # fmt: skip


def unrendered(scene: Scene) -> np.ndarray:
    """NXmx' pixel mask, int32 (slow, fast), panels one below the other: what is not rendered, and why."""
    d = scene.detector
    mask = np.full((len(d.panels), d.n_slow, d.n_fast), LEFT_OUT, np.int32)
    first_fast, last_fast, first_slow, last_slow = d.roi
    mask[:, max(first_slow, 0) : max(last_slow + 1, 0), max(first_fast, 0) : max(last_fast + 1, 0)] = 0
    if d.mask.size:
        mask[d.mask.reshape(mask.shape) == 0] = GAP
    return mask.reshape(d.stacked_shape)


def frame_axes(
    file: Any, wavelengths: FrameAxis, flux: FrameAxis, spectrum: tuple[FrameAxis, FrameAxis] | None
) -> None:
    """Write what may differ from image to image: wavelengths (Angstrom) and photons per second.

    ``spectrum`` are the wavelengths and their shares, (n,) for all images or (images, n), if they are more than one.
    """
    beam = file["entry/instrument/beam"]
    dataset = _put_axis(beam, "incident_wavelength", wavelengths, "angstrom")
    _put_axis(beam, "total_flux", flux, "Hz")
    if spectrum is not None:
        dataset.attrs["variant"] = SPECTRUM  # both old and new readers understand this form
        _put_axis(beam, SPECTRUM, spectrum[0], "angstrom")
        _put_axis(beam, f"{SPECTRUM}_weights", spectrum[1], "")
        beam[f"{SPECTRUM}_weight"] = beam[f"{SPECTRUM}_weights"]  # as old readers call it


def spectrum_axes(waves: np.ndarray, weights: np.ndarray) -> tuple[FrameAxis, FrameAxis] | None:
    """A spectrum, (n,) or (images, n), for `frame_axes`; nothing for one wavelength."""
    if waves.shape[-1] < 2:
        return None
    if waves.ndim == 2 and (waves == waves[0]).all():
        waves = waves[0]
    return FrameAxis(waves), FrameAxis(weights)


def _put_axis(group: Any, name: str, axis: FrameAxis, units: str) -> Any:
    if isinstance(axis.values, np.ndarray):
        dataset = group.create_dataset(name, data=axis.values)
    else:
        dataset = group.create_virtual_dataset(name, axis.values, fillvalue=axis.missing)
    dataset.attrs["units"] = units
    return dataset


def rotation_axis(file: Any, scene: Scene, begins: np.ndarray, ends: np.ndarray) -> None:
    """Write from where to where the crystal turns in each image (degrees, rising)."""
    spindle = placement(scene).spindle
    if begins[0] > ends[0] or (len(begins) > 1 and begins[1] < begins[0]):  # downwards: upwards about the other end
        begins, ends, spindle = -ends, -begins, -spindle
    axes = _group(file["entry/sample"], "transformations", "NXtransformations")
    _put(axes, "omega", begins, transformation_type="rotation", units="deg", vector=spindle, depends_on=".")
    _put(axes, "omega_end", ends, units="deg")


def clean_degrees(angle: float) -> float:
    """Degrees of an angle in radians, without the noise of the last digits."""
    return float(f"{math.degrees(angle):.13g}")


def rotation(scene: Scene) -> tuple[float, float]:
    """From where to where the crystal turns, degrees: the range about the mean of the rendered angles (Q38)."""
    middle, half = scene.scan.mean, scene.scan.osc / 2.0
    return _clean(middle - half), _clean(middle + half)


def _clean(angle: float) -> float:
    """Degrees; what is left of differences that are 0 is 0."""
    return round(clean_degrees(angle), 12) + 0.0
