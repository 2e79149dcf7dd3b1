"""What the headers of a mask or an image change in the settings."""

from __future__ import annotations

from typing import Any

from nanobragg.engine.c_numbers import DEGREES
from nanobragg.engine.formats.smv import Smv, value, whole_key
from nanobragg.engine.original.quirks import NONE, Fixes


def header_settings(image: Smv, pixel: float, *, is_mask: bool, fixes: Fixes = NONE) -> dict[str, Any]:
    """Settings that a header sets, absent keys left out; metres and radians.

    ``pixel`` is the pixel size so far. The centre Y of a mask is counted from the far edge (Q66); a swing has no
    effect (Q67).
    """

    def key(name: str, divisor: float) -> float | None:
        number = whole_key(image.header, name) if "Q68" in fixes else value(image.header, name)
        return None if number is None else number / divisor

    def origin(name: str) -> float | None:
        found = key(name, 1.0)
        return key(f"XDS_{name}", 1.0) if found is None and "Q68" in fixes else found

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
        "Ybeam": settings["det_s"] - Y if is_mask and Y is not None and "Q66" not in fixes else Y,
        "ORGX": origin("ORGX"),
        "ORGY": origin("ORGY"),
        "phi0": key("PHI", DEGREES),
        "osc": key("OSC_RANGE", DEGREES),
    }
    if "Q67" in fixes:
        optional["twotheta"] = key("TWOTHETA", DEGREES)
    settings.update({name: number for name, number in optional.items() if number is not None})
    return settings
