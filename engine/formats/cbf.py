"""miniCBF images, as a Pilatus writes them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.apart import read_apart
from nanobragg.engine.formats.format import Format
from nanobragg.engine.formats.nexus import now, plain, rotation, saturation_of
from nanobragg.engine.formats.nxmx import not_in_one_go
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.whole import appearing_path


class Cbf(Format):
    """See the module: 32 bits."""

    panels = False
    endings = (".cbf",)
    photons = False

    def is_begun_by(self, start: bytes) -> bool:
        """See `Format`."""
        return start.startswith(b"###CBF") or b"_array_data" in start

    def check(self, path: str, what: str) -> None:
        """See `Format`."""
        not_in_one_go(path, what)
        cbf_package()

    def write(self, path: str, pixels: np.ndarray, scene: Scene, *, turns: bool, stem: str) -> None:
        """See `Format`."""
        with appearing_path(os.path.realpath(path)) as beside:
            _write_with_fabio(beside, stem, pixels.astype(np.int32), cbf_header(scene, turns=turns))

    def read(self, path: str, part: str, shape: tuple[int, int] | None) -> np.ndarray:
        """See `Format`."""
        return read_apart(path, part)


def cbf_header(scene: Scene, *, turns: bool) -> str:
    """What readers of miniCBF look for. It has no words for tilts."""
    d = scene.detector
    pixel = f"{d.pixel_size:g} m x {d.pixel_size:g} m"
    material = {"Si": "Silicon"}.get(d.sensor_material, d.sensor_material)
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


def _write_with_fabio(path: str, stem: str, pixels: np.ndarray, text: str) -> None:
    """Write an image, int32 (slow, fast), under a temporary name; ``stem`` is what the file will be called."""
    header = {
        "_array_data.header_convention": '"GENERIC_MINI"',  # a Pilatus is made of modules
        "_array_data.header_contents": text,
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
