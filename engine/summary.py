"""A scene in a dozen lines, with units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from nanobragg.engine.c_numbers import HC
from nanobragg.engine.formats.nexus import clean_degrees

if TYPE_CHECKING:
    from nanobragg.engine.placed import Placed
    from nanobragg.engine.scene.scene import Scene


def lines(s: Scene) -> Iterator[str]:
    """What is simulated."""
    from nanobragg.engine.cost import steps_of
    from nanobragg.engine.placed import panels_of_scene
    from nanobragg.engine.plan import plan_of

    c, d, b, scan = s.crystal, s.detector, s.beam, s.scan
    wavelength = b.mean_wavelength * 1e10
    cell = [*(f"{x:.5g}" for x in c.cell[:3]), *(f"{clean_degrees(x):.5g}" for x in c.cell[3:])]
    edges = " x ".join(f"{n * length * 1e9:.4g}" for n, length in zip(c.n_cells, c.lengths, strict=True))
    mosaic = f"; {c.domains} domains over {clean_degrees(c.mosaic_spread):g} degrees" if c.domains > 1 else ""
    layers = f"{d.layers} layer" + "s" * (d.layers > 1)
    depth = f"attenuation {1e6 / d.mu:.4g} um, {layers}" if d.mu > 0.0 else "no attenuation"
    begin, width = clean_degrees(scan.phi0), clean_degrees(scan.osc)
    pixels = f"{len(d.panels)} panels of " * (len(d.panels) > 1) + f"{d.n_fast} x {d.n_slow} pixels (fast x slow)"
    said = {
        "cell": f"{' '.join(cell)} (A, degrees)",
        "crystal": f"{' x '.join(f'{n:g}' for n in c.n_cells)} cells, {edges} nm, {c.shape}{mosaic}",
        "detector": f"{pixels} of {d.pixel_size * 1e3:g} mm, {d.convention}",
        "position": f"{d.nearest * 1e3:g} mm from the sample{', curved' if d.curved else _seen(panels_of_scene(s))}",
        "sensor": f"{d.thickness * 1e6:g} um, {depth}" if d.thickness > 0.0 else "none",
        "beam": f"{wavelength:.6g} A ({HC / wavelength:.6g} eV), {b.fluence:.4g} photons/m^2",
        "polarized": "left out" if b.polarization_left_out else f"Kahn factor {b.kahn:g}",
        "sources": f"{len(b.directions)}",
        "rotation": f"{begin:g} to {begin + width:g} degrees in {scan.steps} steps" if width > 0.0 else "none",
        "amplitudes": repr(s.factors),
        "steps": f"{steps_of(plan_of(s)):.3g}: {steps_in_words(s)}",
        "physics": s.physics,
    }
    yield from (f"{name:12}{text}" for name, text in (said | _around(s)).items())


def _around(s: Scene) -> dict[str, str]:
    """What there is beside a crystal and an ideal detector."""
    others, parts = len(s.other_crystals), len(s.scatterers)
    said = {"others": f"{others} crystal{'s' * (others > 1)} more in the beam"} if others else {}
    shades = ["absorption on the way"] * (s.shade.absorption > 0.0) + ["a beamstop"] * (s.shade.distance > 0.0)
    matter = [f"{parts} amorphous part{'s' * (parts > 1)}"] * (parts > 0)
    said |= {"background": ", ".join(matter + shades)} if matter or shades else {}
    return said | ({"response": repr(s.response)} if s.response is not None else {})


def _seen(panels: list[Placed]) -> str:
    """Where the beam meets a flat detector, and how far it sees."""
    slow, fast = panels[0].shape
    corners = [p.resolution(np.array([0, 0, slow, slow]), np.array([0, fast, 0, fast])) for p in panels]
    finest = f"; to {min(c.min() for c in corners):.3g} A"
    if len(panels) > 1:
        return finest
    centre = panels[0].beam_center()
    at = "nowhere" if centre is None else f"fast {centre[1]:.1f}, slow {centre[0]:.1f} pixels"
    return f", beam at {at}{finest}"


def steps_in_words(s: Scene) -> str:
    """Where the steps of an image come from."""
    d = s.detector
    parts = {
        "layers": d.layers, "sub-pixels": s.sampled.oversample**2, "sources": len(s.beam.directions),
        "phi steps": s.scan.steps, "domains": s.crystal.domains,
    }  # fmt: skip
    return " x ".join(
        [f"{len(d.panels) * d.n_fast * d.n_slow} pixels", *(f"{n} {name}" for name, n in parts.items() if n > 1)]
    )
