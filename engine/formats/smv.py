"""SMV images: their headers, written and read."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from nanobragg.engine.c_numbers import LOWEST_INT, g, in_degrees, real, to_int32
from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.formats.reading import read
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.scene.scene import PlacedDetector, Scene

MAGIC = b"{\nHEADER_BYT"
HEADER_BYTES = 512
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


def read_smv(path: str, flag: str, *, any_type: bool = False) -> Smv:
    """Read an SMV image; missing pixels are 0. ``any_type``: byte order and data type are not looked at (Q69).

    Raises
    ------
    OSError
        If the file cannot be opened.
    BadInput
        If it is shorter than its header (`BadFile`), or no SMV image at all.
    """
    try:
        data = read(path, flag, BadFile)
    except IsADirectoryError:
        raise BadFile(f"{flag} {path}: is a folder") from None
    if len(data) < HEADER_BYTES:
        raise BadFile(f"{flag} {path}: shorter than the {HEADER_BYTES} bytes of an SMV header")
    header = _text(data[:HEADER_BYTES])
    if not data.startswith(MAGIC):
        raise BadInput(f"{flag} {path}: not an SMV image: it does not start with '{{' and HEADER_BYTES")
    size = _whole(value(header, "HEADER_BYTES"))
    if size <= 0 or size > MOST_HEADER_BYTES:
        raise BadInput(f"{flag} {path}: HEADER_BYTES={size} is no size for a header")
    if size != HEADER_BYTES:
        if len(data) < size:
            raise BadFile(f"{flag} {path}: shorter than its own HEADER_BYTES={size}")
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
    if not any_type:
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


class Said(NamedTuple):
    """What a header says beside the detector's place: metres and radians.

    ``beam_center`` is what readers take for it; ``offset`` is that of the counts, ``None`` leaves it out.
    """

    wavelength: float
    phi: float
    osc: float
    beam_center: tuple[float, float]
    denzo_sign: float = 1.0
    offset: float | None = None


def header_lines(d: PlacedDetector, said: Said) -> list[str]:
    """The lines of a header, as the original writes them."""
    p, panel = d.pixel_size, d.panel
    x, y, z = (g(v) for v in panel.dials_origin)
    named = [
        ("PIXEL_SIZE", p * 1000.0),
        ("DISTANCE", panel.distance * 1000.0),
        ("WAVELENGTH", said.wavelength * 1e10),
        ("BEAM_CENTER_X", said.beam_center[0] * 1000.0),
        ("BEAM_CENTER_Y", said.beam_center[1] * 1000.0),
        ("ADXV_CENTER_X", panel.Fbeam * 1000.0),
        ("ADXV_CENTER_Y", (d.size_slow - panel.Sbeam) * 1000.0),
        ("MOSFLM_CENTER_X", (panel.Sbeam - 0.5 * p) * 1000.0),
        ("MOSFLM_CENTER_Y", (panel.Fbeam - 0.5 * p) * 1000.0),
        ("DENZO_X_BEAM", (panel.Sbeam + said.denzo_sign * (0.0 * p)) * 1000.0),
        ("DENZO_Y_BEAM", (panel.Fbeam + said.denzo_sign * (0.0 * p)) * 1000.0),
    ]
    angles = [
        ("CLOSE_DISTANCE", panel.close_distance * 1000.0),
        ("PHI", in_degrees(said.phi)),
        ("OSC_START", in_degrees(said.phi)),
        ("OSC_RANGE", in_degrees(said.osc)),
        ("TWOTHETA", in_degrees(d.twotheta)),
    ]
    return [
        "{", f"HEADER_BYTES={HEADER_BYTES};", "DIM=2;", "BYTE_ORDER=little_endian;", "TYPE=unsigned_short;",
        f"SIZE1={d.n_fast};", f"SIZE2={d.n_slow};",
        *(f"{key}={g(number)};" for key, number in named),
        f"DIALS_ORIGIN={x},{y},{z}",
        f"XDS_ORGX={g(panel.Fclose / p + 0.5)};", f"XDS_ORGY={g(panel.Sclose / p + 0.5)};",
        *(f"{key}={g(number)};" for key, number in angles),
        *([] if said.offset is None else [f"ADC_OFFSET={g(said.offset)};"]),
        "DETECTOR_SN=000;", "BEAMLINE=fake;",
    ]  # fmt: skip


def as_text(lines: list[str]) -> str:
    """Lines as the text of a header."""
    return "\n".join(lines) + "\n}\f"


def with_semicolon(text: str) -> str:
    """The text with the semicolon that the original leaves out."""
    return re.sub(r"(DIALS_ORIGIN=[^\n;]*)\n", r"\1;\n", text)


def without_negative_zeros(text: str) -> str:
    """The text with 0 for -0."""
    return re.sub(r"(?<=[=,])-0(?=[;,\n])", "0", text)


def padded(text: str, *, announced: bool = True) -> bytes:
    """A header of 512 bytes; of more where it is longer, if that is to be ``announced``."""
    size = HEADER_BYTES
    if announced and len(text) > HEADER_BYTES:
        size = -(-len(text) // HEADER_BYTES) * HEADER_BYTES
        text = text.replace(f"HEADER_BYTES={HEADER_BYTES};", f"HEADER_BYTES={size};")
    return text.encode().ljust(size, b" ")


def center_for_readers(d: PlacedDetector) -> tuple[float, float]:
    """The centre that dxtbx makes the beam's of, metres."""
    return d.panel.Fbeam - d.pixel_size, d.size_slow - d.panel.Sbeam + d.pixel_size


def header(scene: Scene, *, turns: bool = True) -> bytes:
    """The header that readers take for what is meant.

    ``turns`` is false for stills, whose headers have no rotation that readers could make a sweep of.
    """
    scan, d = scene.scan, scene.detector
    begin = scan.mean - scan.osc / 2.0  # where the rendered range begins
    said = Said(scene.beam.mean_wavelength, begin, scan.osc if turns else 0.0, center_for_readers(d), 1.0, d.offset)
    return padded(without_negative_zeros(with_semicolon(as_text(header_lines(d, said)))))


def write_smv(path: str, flag: str, header_bytes: bytes, pixels: np.ndarray) -> None:
    """Write header and uint16 pixels (slow, fast)."""
    with whole_file(path, flag) as file:
        file.write(header_bytes)
        file.write(np.ascontiguousarray(pixels, "<u2").data)
