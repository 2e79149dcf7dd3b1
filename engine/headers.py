"""What the headers of a mask or an image change in the settings."""

from __future__ import annotations

from typing import Any

from nanobragg.engine.c_numbers import DEGREES
from nanobragg.engine.files.smv import Smv, value


def header_settings(image: Smv, pixel: float, *, is_mask: bool) -> dict[str, Any]:
    """Settings that a header sets, absent keys left out; metres and radians.

    ``pixel`` is the pixel size so far. The centre Y of a mask is counted from the far edge (Q66); a swing has no
    effect (Q67).
    """

    def key(name: str, divisor: float) -> float | None:
        number = value(image.header, name)
        return None if number is None else number / divisor

    size = key("PIXEL_SIZE", 1000.0)
    pixel = pixel if size is None else size
    settings: dict[str, Any] = {
        "n_f": image.width,
        "n_s": image.height,
        "pixel": pixel,
        "det_f": pixel * image.width,
        "det_s": pixel * image.height,
    }
    Y = key("BEAM_CENTER_Y", 1000.0)
    optional = {
        "distance": key("DISTANCE", 1000.0),
        "close_distance": key("CLOSE_DISTANCE", 1000.0),
        "lambda0": key("WAVELENGTH", 1e10),
        "Xbeam": key("BEAM_CENTER_X", 1000.0),
        "Ybeam": settings["det_s"] - Y if is_mask and Y is not None else Y,
        "ORGX": key("ORGX", 1.0),
        "ORGY": key("ORGY", 1.0),
        "phi0": key("PHI", DEGREES),
        "osc": key("OSC_RANGE", DEGREES),
    }
    settings.update({name: number for name, number in optional.items() if number is not None})
    return settings
