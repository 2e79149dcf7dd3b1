"""What a sensor is made of, and what it absorbs of the photons."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.detectors.catalogue import PHOSPHOR, detector_model
from nanobragg.engine.detectors.sensors import attenuation
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.scene.scene import Illumination

DEFAULT_SENSOR = "Si"


def material_of(d: Detector) -> str | None:
    """What the sensor is made of, where its attenuation is known."""
    model = None if d.model is None else detector_model(d.model)
    return d.material or (model.sensor if model is not None and model.sensor != PHOSPHOR else None)


def absorption(d: Detector, wavelength: float) -> float:
    """1/m: as given, or that of the sensor's material, or such that the thickness is the attenuation depth."""
    depth_um, material = d.attenuation_um, material_of(d)
    if depth_um is None and material is not None and d.thickness_um > 0.0:
        depth_um = attenuation(material, HC / (wavelength * 1e10)) * 1e3
    if depth_um is None:
        depth_um = d.thickness_um
    return 1.0 / (depth_um * 1e-6) if depth_um > 0.0 else 0.0


def absorption_of_sources(d: Detector, beam: Illumination) -> np.ndarray:
    """The absorption of each source's photons, 1/m; empty where all are absorbed alike.

    An attenuation that is given is that of the nominal wavelength, others' follow from the material.
    """
    different, number = np.unique(beam.wavelengths, return_inverse=True)
    if len(different) == 1 or material_of(d) is None:
        return np.empty(0)
    return np.array([_absorption_beside(d, beam.wavelength, wavelength) for wavelength in different])[number.ravel()]


def mean_absorption(d: Detector, beam: Illumination) -> float:
    """The absorption of photons of the mean wavelength, 1/m."""
    if material_of(d) is None or (beam.wavelengths == beam.wavelengths[0]).all():
        return absorption(d, beam.mean_wavelength)
    return _absorption_beside(d, beam.wavelength, beam.mean_wavelength)


def _absorption_beside(d: Detector, nominal: float, wavelength: float) -> float:
    """That of photons of another wavelength than the nominal one, by what is known of the material."""
    material = material_of(d)
    assert material is not None
    at_nominal, at_other = (attenuation(material, HC / (x * 1e10)) for x in (nominal, wavelength))
    return absorption(d, nominal) * at_nominal / at_other
