"""SMV images: the header the original writes, and what it takes from the headers it reads."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import read
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.original.c_numbers import LOWEST_INT, g, in_degrees, real, to_int32
from nanobragg.engine.original.detector import Detector
from nanobragg.engine.original.fixes import NONE, Fixes

MAGIC = b"{\nHEADER_BYT"
HEADER_BYTES = 512
TRUNCATED = 9
MOST_HEADER_BYTES = 2**26


class Smv(NamedTuple):
    """Header text, size and pixels (slow * fast, uint16) of an SMV image; ``missing`` pixels are not in the file."""

    header: str
    width: int
    height: int
    pixels: np.ndarray
    missing: int


def value(header: str, key: str) -> float | None:
    """The number after the ``=`` that follows the last occurrence of ``key``, also inside longer keys (Q68)."""
    at = header.rfind(key)
    if at < 0:
        return None
    equals = header.find("=", at + len(key))
    number = real(header[equals + 1 :]) if equals >= 0 else 0.0
    return None if number != number else number


def whole_key(header: str, key: str) -> float | None:
    """The number of a key that stands at the beginning of its line, as a whole."""
    found = re.findall(rf"(?m)^\s*{re.escape(key)}\s*=([^;\n]*)", header)
    number = real(found[-1]) if found else math.nan
    return None if number != number else number


def _whole(number: float | None) -> int:
    return LOWEST_INT if number is None else to_int32(number)


def read_smv(path: str, flag: str, fixes: Fixes = NONE) -> Smv:
    """Read an SMV image; byte order and data type are not looked at (Q69), missing pixels are 0.

    Raises
    ------
    OSError
        If the file cannot be opened.
    BadInput
        If it is shorter than its header (status 9), or no SMV image at all.
    """
    try:
        data = read(path, flag, TRUNCATED)
    except IsADirectoryError:
        raise BadInput(f"{flag} {path}: is a folder", TRUNCATED) from None
    if len(data) < HEADER_BYTES:
        raise BadInput(f"{flag} {path}: shorter than the {HEADER_BYTES} bytes of an SMV header", TRUNCATED)
    header = _text(data[:HEADER_BYTES])
    if not data.startswith(MAGIC):
        raise BadInput(f"{flag} {path}: not an SMV image: it does not start with '{{' and HEADER_BYTES")
    size = _whole(value(header, "HEADER_BYTES"))
    if size <= 0 or size > MOST_HEADER_BYTES:
        raise BadInput(f"{flag} {path}: HEADER_BYTES={size} is no size for a header")
    if size != HEADER_BYTES:
        if len(data) < size:
            raise BadInput(f"{flag} {path}: shorter than its own HEADER_BYTES={size}", TRUNCATED)
        header = _text(data[:size])
    if "BYTE_ORDER=" not in header:
        raise BadInput(f"{flag} {path}: the header has no BYTE_ORDER")
    width, height = _whole(value(header, "SIZE1")), _whole(value(header, "SIZE2"))
    if width == 0:
        width = height = _whole(value(header, "DETECTOR_DIMENSIONS"))
    if width <= 0 or height <= 0:
        raise BadInput(f"{flag} {path}: the header gives no image size (SIZE1 and SIZE2)")
    if width * height * 2 > 2**33:
        raise BadInput(
            f"{flag} {path}: SIZE1={width}, SIZE2={height} make an image of {width * height * 2 / 1e9:.3g} GB"
        )
    order = "<u2"
    if "Q69" in fixes:
        kind = re.findall(r"(?m)^\s*TYPE\s*=\s*([^;\n]*)", header)
        if kind and kind[-1].strip() not in ("unsigned_short", "mad"):
            raise BadInput(f"{flag} {path}: TYPE={kind[-1].strip()}: only unsigned_short can be read")
        order = ">u2" if re.search(r"(?m)^\s*BYTE_ORDER\s*=\s*big_endian", header) else "<u2"
    words = np.frombuffer(data + bytes(len(data) % 2), order)  # of a pixel that is half there, the low byte counts
    first = size // 2
    pixels = np.zeros(width * height, np.uint16)
    there = words[first : first + len(pixels)]
    pixels[: len(there)] = there
    return Smv(header, width, height, pixels, max(len(pixels) - max(len(data) // 2 - first, 0), 0))


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("latin-1")


def _header_lines(
    detector: Detector, lambda0: float, phi0: float, osc: float, denzo_sign: float, adc: float | None
) -> list[str]:
    """``adc`` is said, and the beam centre is that which dxtbx makes the beam's of, unless it is `None` (Q102)."""
    d, p = detector, detector.pixel_size
    x, y, z = (g(v) for v in d.dials_origin)
    named = [
        ("PIXEL_SIZE", p * 1000.0),
        ("DISTANCE", d.distance * 1000.0),
        ("WAVELENGTH", lambda0 * 1e10),
        ("BEAM_CENTER_X", (d.Fbeam - p if adc is not None else d.Xbeam) * 1000.0),
        ("BEAM_CENTER_Y", (d.size_slow - d.Sbeam + p if adc is not None else d.Ybeam) * 1000.0),
        ("ADXV_CENTER_X", d.Fbeam * 1000.0),
        ("ADXV_CENTER_Y", (d.size_slow - d.Sbeam) * 1000.0),
        ("MOSFLM_CENTER_X", (d.Sbeam - 0.5 * p) * 1000.0),
        ("MOSFLM_CENTER_Y", (d.Fbeam - 0.5 * p) * 1000.0),
        ("DENZO_X_BEAM", (d.Sbeam + denzo_sign * (0.0 * p)) * 1000.0),
        ("DENZO_Y_BEAM", (d.Fbeam + denzo_sign * (0.0 * p)) * 1000.0),
    ]
    angles = [
        ("CLOSE_DISTANCE", d.close_distance * 1000.0),
        ("PHI", in_degrees(phi0)),
        ("OSC_START", in_degrees(phi0)),
        ("OSC_RANGE", in_degrees(osc)),
        ("TWOTHETA", in_degrees(d.twotheta)),
    ]
    return [
        "{", f"HEADER_BYTES={HEADER_BYTES};", "DIM=2;", "BYTE_ORDER=little_endian;", "TYPE=unsigned_short;",
        f"SIZE1={d.n_fast};", f"SIZE2={d.n_slow};",
        *(f"{key}={g(number)};" for key, number in named),
        f"DIALS_ORIGIN={x},{y},{z}",
        f"XDS_ORGX={g(d.ORGX)};", f"XDS_ORGY={g(d.ORGY)};",
        *(f"{key}={g(number)};" for key, number in angles),
        *([] if adc is None else [f"ADC_OFFSET={g(adc)};"]),
        "DETECTOR_SN=000;", "BEAMLINE=fake;",
    ]  # fmt: skip


def header(
    detector: Detector, lambda0: float, phi0: float, osc: float, adc: float, *, noise: bool, fixes: Fixes = NONE
) -> bytes:
    """The header, padded to 512 bytes; a longer one is not cut, and not announced either (Q74).

    The noise image's differs where a beam centre is a negative zero (Q80). It holds neither the offset of the counts
    nor a beam centre that readers take for the beam's (Q102). Metres and radians.
    """
    lines = _header_lines(detector, lambda0, phi0, osc, 1.0 if noise else -1.0, adc if "Q102" in fixes else None)
    text = "\n".join(lines) + "\n}\f"
    if "Q75" in fixes:
        text = re.sub(r"(DIALS_ORIGIN=[^\n;]*)\n", r"\1;\n", text)
    if "Q80" in fixes:
        text = re.sub(r"(?<=[=,])-0(?=[;,\n])", "0", text)
    size = HEADER_BYTES
    if "Q74" in fixes and len(text) > HEADER_BYTES:
        size = -(-len(text) // HEADER_BYTES) * HEADER_BYTES
        text = text.replace(f"HEADER_BYTES={HEADER_BYTES};", f"HEADER_BYTES={size};")
    return text.encode().ljust(size, b" ")


def write_smv(path: str, flag: str, header_bytes: bytes, pixels: np.ndarray) -> None:
    """Write header and uint16 pixels (slow, fast)."""
    with whole_file(path, flag) as file:
        file.write(header_bytes)
        file.write(np.ascontiguousarray(pixels, "<u2").data)
