"""A set-up in a dozen lines, with units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from nanobragg.engine.formats.nexus import in_degrees
from nanobragg.engine.original.c_numbers import HC
from nanobragg.engine.original.fixes import FIXABLE

if TYPE_CHECKING:
    from nanobragg.engine.experiment import Experiment
    from nanobragg.engine.placed import Placed


def lines(e: Experiment) -> Iterator[str]:
    """What is simulated."""
    from nanobragg.engine.cost import steps_of
    from nanobragg.engine.experiment import freeze, mean_wavelength
    from nanobragg.engine.placed import of_experiment

    c, d, b, s = e.crystal, e.detector, e.beam, e.settings
    wavelength = mean_wavelength(e) * 1e10
    cell = [*(f"{x:.5g}" for x in c.cell[:3]), *(f"{in_degrees(x):.5g}" for x in c.cell[3:])]
    edges = " x ".join(f"{n * length * 1e9:.4g}" for n, length in zip(c.n_cells, c.lengths, strict=True))
    yield f"cell        {' '.join(cell)} (A, degrees)"
    mosaic = f"; {c.domains} domains over {in_degrees(c.mosaic_spread):g} degrees" if c.domains > 1 else ""
    yield f"crystal     {' x '.join(f'{n:g}' for n in c.n_cells)} cells, {edges} nm, {c.shape}{mosaic}"
    yield f"detector    {d.n_fast} x {d.n_slow} pixels (fast x slow) of {d.pixel_size * 1e3:g} mm, {d.convention}"
    yield f"position    {d.distance * 1e3:g} mm from the sample{', curved' if d.curved else _seen(of_experiment(e))}"
    layers = f"{d.layers} layer" + "s" * (d.layers > 1)
    depth = f"attenuation {1e6 / d.mu:.4g} um, {layers}" if d.mu > 0.0 else "no attenuation"
    yield f"sensor      {f'{d.thickness * 1e6:g} um, {depth}' if d.thickness > 0.0 else 'none'}"
    polarized = "left out" if b.nopolar else f"Kahn factor {b.kahn:g}"
    yield f"beam        {wavelength:.6g} A ({HC / wavelength:.6g} eV), {b.fluence:.4g} photons/m^2"
    yield f"polarization {polarized}"
    yield f"sources     {len(b.directions)}"
    begin, width = in_degrees(e.scan.phi0), in_degrees(e.scan.osc)
    yield f"rotation    {f'{begin:g} to {begin + width:g} degrees in {e.scan.steps} steps' if width > 0.0 else 'none'}"
    yield f"amplitudes  {e.factors!r}"
    yield f"steps       {steps_of(freeze(e)):.3g}: {steps_in_words(e)}"
    kept = "as the original's" + (", some of it right" if s.fixes else "")
    yield f"physics     {'right' if s.fixes >= FIXABLE else kept}"


def _seen(placed: Placed) -> str:
    """Where the beam meets a flat detector, and how far it sees."""
    slow, fast = placed.shape
    corners = placed.resolution(np.array([0, 0, slow, slow]), np.array([0, fast, 0, fast]))
    centre = placed.beam_center()
    at = "nowhere" if centre is None else f"fast {centre[1]:.1f}, slow {centre[0]:.1f} pixels"
    return f", beam at {at}; to {corners.min():.3g} A"


def steps_in_words(e: Experiment) -> str:
    """Where the steps of an image come from."""
    d = e.detector
    parts = {
        "layers": d.layers, "sub-pixels": e.oversample**2, "sources": len(e.beam.directions), "phi steps": e.scan.steps,
        "domains": e.crystal.domains,
    }  # fmt: skip
    return " x ".join([f"{d.n_fast * d.n_slow} pixels", *(f"{n} {name}" for name, n in parts.items() if n > 1)])
