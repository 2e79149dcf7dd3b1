"""What is written beside an NXmx file of one image: its description for DIALS, and its geometry for CrystFEL."""

from __future__ import annotations

import os

from nanobragg.engine.formats import expt
from nanobragg.engine.formats.geom import geom_of
from nanobragg.engine.formats.nexus import rotation
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.scene.scene import Scene

ENDINGS = (".h5", ".nxs")


def names_beside(path: str) -> list[str]:
    """The files that go with a data set, by its name."""
    stem, ending = os.path.splitext(path)
    return [f"{stem}.expt", f"{stem}.geom"] if ending.lower() in ENDINGS else []


def write_beside(path: str, scene: Scene, values: str) -> list[str]:
    """Write what goes with a data set whose pixels are ``values``; the names of the files."""
    names = names_beside(path)
    if not names:
        return []
    file, sensor = os.path.basename(path), scene.detector.sensor_material
    begin, end = rotation(scene)
    if end > begin:
        text = expt.sweeps(None, file, scene, [expt.Sweep(begin, end - begin, 0, 1)], values, sensor)
    else:
        text = expt.stills([(file, 0, scene)], values, sensor)
    for name, content in zip(names, (text, geom_of(scene)), strict=True):
        with whole_file(name, "--output") as opened:
            opened.write(content.encode())
    return names
