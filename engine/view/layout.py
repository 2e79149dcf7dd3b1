"""A picture of a detector: its panels as the sample sees them, and rings of resolution for a wavelength of 1 A."""

from __future__ import annotations

import numpy as np

from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.model.beam import Beam
from nanobragg.engine.model.detector import Detector
from nanobragg.engine.placed import Placed
from nanobragg.engine.truth.maps import placed
from nanobragg.engine.view.assembled import across
from nanobragg.engine.view.picture import pyplot

RINGS_A = (8.0, 4.0, 3.0, 2.0, 1.5, 1.2)
FEW = 40  # panels that have room for their numbers
INCHES, DPI = 8.0, 110


def draw_layout(path: str, detector: Detector, title: str) -> None:
    """Write the picture as PNG; x is to the right and y upwards for who looks along the beam."""
    plt = pyplot()
    panels = placed(detector, Beam(1.0))
    horizontal, vertical = across(panels[0].beam)
    figure, axes = plt.subplots(figsize=(INCHES, INCHES), dpi=DPI, layout="constrained")
    try:
        for number, panel in enumerate(panels):
            _draw_panel(axes, panel, horizontal, vertical, str(number) if 1 < len(panels) <= FEW else "")
        _draw_gaps(axes, detector, panels, horizontal, vertical)
        reach = max(abs(x) for pair in (axes.get_xlim(), axes.get_ylim()) for x in pair)
        _draw_rings(axes, panels, reach)
        axes.plot(0.0, 0.0, "+", color="black", markersize=12)
        axes.set_aspect("equal")
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_xlabel("mm")
        axes.set_ylabel("mm, upwards")
        axes.set_title(f"{title}: {len(panels)} panel{'s' * (len(panels) > 1)}; first pixels dotted")
        with whole_file(path, "-o") as file:
            figure.savefig(file, format="png")
    finally:
        plt.close(figure)


def _flat(points: np.ndarray, horizontal: np.ndarray, vertical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points @ horizontal * 1e3, points @ vertical * 1e3


def _draw_panel(axes, panel: Placed, horizontal: np.ndarray, vertical: np.ndarray, name: str) -> None:
    slow, fast = panel.shape
    x, y = _flat(panel.points(np.array([0, 0, slow, slow, 0]), np.array([0, fast, fast, 0, 0])), horizontal, vertical)
    axes.fill(x, y, facecolor="#cfe0ee", edgecolor="#2f5d8a", linewidth=0.8)
    axes.plot(x[0], y[0], ".", color="#c0392b", markersize=5)
    if name:
        axes.text(x[:4].mean(), y[:4].mean(), name, ha="center", va="center", fontsize=8, color="#2f5d8a")


def _draw_gaps(axes, detector: Detector, panels: list[Placed], horizontal: np.ndarray, vertical: np.ndarray) -> None:
    """The gaps of a detector by name that is one panel."""
    from nanobragg.engine.detectors.catalogue import detector_model

    if detector.model is None or detector.panels:
        return
    model, panel = detector_model(detector.model), panels[0]
    for axis in (0, 1):
        size, gap, count = model.module[axis], model.gap[axis], model.modules[axis]
        for k in range(1, count) if gap else ():
            ends = [k * (size + gap) - gap, k * (size + gap)]
            along = [0, panel.shape[1 - axis]]
            corners = [(ends[0], along[0]), (ends[0], along[1]), (ends[1], along[1]), (ends[1], along[0])]
            places = np.array(corners if axis == 0 else [(b, a) for a, b in corners], float)
            x, y = _flat(panel.points(places[:, 0], places[:, 1]), horizontal, vertical)
            axes.fill(x, y, facecolor="white", edgecolor="#2f5d8a", linewidth=0.3)


def _draw_rings(axes, panels: list[Placed], reach: float) -> None:
    distance = min(abs(float(panel.origin @ panel.beam)) for panel in panels) * 1e3
    turns = np.linspace(0.0, 2.0 * np.pi, 361)
    for d in RINGS_A:
        angle = 2.0 * np.arcsin(0.5 / d)
        radius = distance * np.tan(angle) if angle < 1.5 else np.inf
        if radius < reach:
            axes.plot(radius * np.cos(turns), radius * np.sin(turns), color="#999999", linewidth=0.6, linestyle="--")
            axes.text(radius * 0.7071, radius * 0.7071, f"{d:g} A", fontsize=7, color="#666666")
