"""A scene in the words of a model, for records: what an image is, whoever described it first.

Numbers pass from metres to millimetres here, so last digits may differ from those that were simulated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nanobragg.engine.c_numbers import in_degrees
from nanobragg.engine.scene.scene import Scene

DIGITS = 15


def _number(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _vector(values: Any, factor: float = 1.0) -> list[float]:
    return [_number(float(x) * factor) for x in values]


def tables_of(scene: Scene) -> dict[str, Any]:
    """Tables with the names of `Experiment`: crystal, detector, beam, scan, sampling and factors."""
    sampling: dict[str, Any] = {"oversample": scene.sampled.oversample, "interpolate": scene.sampled.interpolate}
    if scene.dmin > 0.0:
        sampling["dmin_A"] = _number(scene.dmin * 1e10)
    return {
        "crystal": _crystal(scene), "detector": _detector(scene), "beam": _beam(scene),
        "scan": {"start_deg": _number(in_degrees(scene.scan.phi0)), "range_deg": _number(in_degrees(scene.scan.osc)),
                 "steps": scene.scan.steps},
        "sampling": sampling,
        "factors": {"given": repr(scene.factors)},
        "physics": scene.physics,
    }  # fmt: skip


def _crystal(scene: Scene) -> dict[str, Any]:
    c = scene.crystal
    table: dict[str, Any] = {
        "reciprocal": [_vector(v) for v in c.recip], "N": [int(n) for n in c.n_cells], "shape": c.shape,
        "fudge": c.fudge,
    }  # fmt: skip
    if c.domains > 1:
        table |= {"mosaic_deg": _number(in_degrees(c.mosaic_spread)), "mosaic_domains": c.domains}
        table |= {"mosaic_seed": abs(c.mosaic_seed)}
    return table


def _detector(scene: Scene) -> dict[str, Any]:
    d = scene.detector
    panel = d.panels[0]
    table: dict[str, Any] = {
        "shape": [d.n_slow, d.n_fast], "pixel_mm": _number(d.pixel_size * 1e3), "convention": d.convention,
        "distance_mm": _number(panel.distance * 1e3), "fast": _vector(panel.fdet), "slow": _vector(panel.sdet),
        "origin_mm": _vector(panel.pix0, 1e3),
    }  # fmt: skip
    if d.thickness > 0.0:
        table |= {"thickness_um": _number(d.thickness * 1e6), "layers": d.layers}
        table |= {"attenuation_um": _number(1e6 / d.mu)} if d.mu > 0.0 else {}
    if len(d.panels) > 1:
        for name in ("distance_mm", "fast", "slow", "origin_mm", "shape"):
            del table[name]
        table["panels"] = [
            {"shape": [d.n_slow, d.n_fast], "fast": _vector(p.fdet), "slow": _vector(p.sdet),
             "origin_mm": _vector(p.pix0, 1e3)} for p in d.panels
        ]  # fmt: skip
        table |= {"fast": [1.0, 0.0, 0.0], "slow": [0.0, 1.0, 0.0], "origin_mm": [0.0, 0.0, 0.0]}
    return table | {name: True for name in ("curved", "point_pixel") if getattr(d, name)}


def _beam(scene: Scene) -> dict[str, Any]:
    b = scene.beam
    table: dict[str, Any] = {
        "wavelength_A": _number(b.wavelength * 1e10), "fluence": b.fluence,
        "polarization": None if b.polarization_left_out else b.kahn,
        "beamsize_mm": _number(b.beamsize * 1e3), "exposure_s": b.exposure,
    }  # fmt: skip
    waves = np.unique(b.wavelengths)
    if len(b.wavelengths) > 1:
        table |= {"sources": len(b.wavelengths), "wavelengths_A": [_number(float(w) * 1e10) for w in waves[:100]]}
    return table
