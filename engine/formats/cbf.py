"""miniCBF images, as a Pilatus writes them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.nexus import now, plain, rotation, saturation_of
from nanobragg.engine.scene.scene import Scene


def cbf_header(scene: Scene, sensor: str, *, turns: bool) -> str:
    """What readers of miniCBF look for. It has no words for tilts."""
    d = scene.detector
    pixel = f"{d.pixel_size:g} m x {d.pixel_size:g} m"
    material = {"Si": "Silicon"}.get(sensor, sensor)
    begin, end = rotation(scene)
    width = end - begin if turns else 0.0  # else readers make a sweep of crystals
    lines = [
        "Detector: simulated", now().replace("Z", ".000"), f"Pixel_size {pixel}",
        *([f"{material} sensor, thickness {d.thickness:.6f} m"] if d.thickness > 0.0 else []),  # none: no parallax
        f"Exposure_time {scene.beam.exposure:g} s", f"Exposure_period {scene.beam.exposure:g} s",
        f"Count_cutoff {saturation_of(scene, 'int32')} counts", f"Pedestal {d.offset:g} counts",
        f"Wavelength {plain(scene.beam.mean_wavelength * 1e10):.8g} A",
        f"Detector_distance {d.panel.distance:.8g} m",
        f"Beam_xy ({d.panel.Fbeam / d.pixel_size:.4f}, {d.panel.Sbeam / d.pixel_size:.4f}) pixels",
        f"Flux {scene.beam.total_flux:g}", f"Start_angle {begin:.6f} deg.",
        f"Angle_increment {width:.6f} deg.",
    ]  # fmt: skip
    return "\r\n".join(f"# {line}" for line in lines)


def write_cbf(path: str, stem: str, pixels: np.ndarray, scene: Scene, sensor: str, *, turns: bool) -> None:
    """Write an image, int32 (slow, fast), under a temporary name; ``stem`` is what the file will be called."""
    header = {
        "_array_data.header_convention": '"GENERIC_MINI"',  # a Pilatus is made of modules
        "_array_data.header_contents": cbf_header(scene, sensor, turns=turns),
    }
    cbf_package().cbfimage.CbfImage(data=pixels, header=header).write(path)
    # fabio calls the data after the file.
    temporary = os.path.splitext(os.path.basename(path))[0]
    with open(path, "r+b") as file:
        whole = file.read()
        file.seek(0)
        file.write(whole.replace(f"data_{temporary}".encode(), f"data_{stem}".encode(), 1))
        file.truncate()


def cbf_package() -> Any:
    """fabio; raises `BadInput` where it is missing."""
    try:
        import fabio.cbfimage
    except ImportError:
        raise BadInput("CBF needs fabio: pip install 'nanobragg[files]'") from None
    return fabio
