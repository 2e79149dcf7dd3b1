"""nanoBragg: X-ray diffraction images of nanocrystals, in absolute photons per pixel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanobragg.engine.api import (
        Amorphous,
        Beam,
        Beamstop,
        Crystal,
        Detector,
        Experiment,
        FactorsFrom,
        FileGeometry,
        Gas,
        GaussianSpectrum,
        Group,
        Ice,
        Panel,
        Response,
        Sampling,
        SaseSpectrum,
        Scan,
        SeededSpectrum,
        Spectrum,
        SpectrumFile,
        Spots,
        StructureFactors,
        TopHatSpectrum,
        Water,
        add_noise,
        cell_of,
        constant,
        predict_spots,
        read_geometry,
        read_image,
        read_out,
        read_structure_factors,
        render_experiment,
        scene,
        set_up,
        simulate,
        structure_factors,
        structure_factors_by_energy,
        structure_factors_from,
        write,
        write_float_image,
        write_smv_image,
    )
    from nanobragg.engine.detectors import by_name as detectors  # noqa: F401 (see `__getattr__`)
    from nanobragg.engine.errors import BadInput

__version__ = "0.1.0"
__all__ = [
    "Amorphous",
    "BadInput",
    "Beam",
    "Beamstop",
    "Crystal",
    "Detector",
    "Experiment",
    "FactorsFrom",
    "FileGeometry",
    "Gas",
    "GaussianSpectrum",
    "Group",
    "Ice",
    "Panel",
    "Response",
    "Sampling",
    "SaseSpectrum",
    "Scan",
    "SeededSpectrum",
    "Spectrum",
    "SpectrumFile",
    "Spots",
    "StructureFactors",
    "TopHatSpectrum",
    "Water",
    "add_noise",
    "cell_of",
    "constant",
    "predict_spots",
    "read_geometry",
    "read_image",
    "read_out",
    "read_structure_factors",
    "render_experiment",
    "scene",
    "set_up",
    "simulate",
    "structure_factors",
    "structure_factors_by_energy",
    "structure_factors_from",
    "write",
    "write_float_image",
    "write_smv_image",
]


def __getattr__(name: str) -> Any:
    """The API, loaded when it is first asked for."""
    if name == "detectors":
        return importlib.import_module("nanobragg.engine.detectors.by_name")
    if name in __all__:
        return getattr(importlib.import_module("nanobragg.engine.api"), name)
    raise AttributeError(f"module 'nanobragg' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, also before they are loaded."""
    return [*__all__, "__version__", "detectors"]
