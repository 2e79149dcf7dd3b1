"""Numbers as the C library reads, converts and prints them."""

from __future__ import annotations

import math
import re

DEGREES = 180.0 * 0.31830988618379067154  # per radian; the original divides by it
HC = 12398.42  # eV Angstrom
WHITE = " \t\n\v\f\r"
_DECIMAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_HEXADECIMAL = r"0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?"
REAL = re.compile(
    rf"[{WHITE}]*([+-]?(?:{_HEXADECIMAL}|{_DECIMAL}|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN](?:\(\w*\))?))",
    re.ASCII,
)
INTEGER = re.compile(rf"[{WHITE}]*([+-]?\d+)", re.ASCII)
LOWEST_INT = -2147483648
LONG = (-(2**63), 2**63 - 1)


def real(text: str) -> float:
    """The longest numeric prefix, as ``strtod`` reads it; 0 where there is none."""
    match = REAL.match(text)
    return to_float(match.group(1)) if match else 0.0


def to_float(number: str) -> float:
    """The value of a text that `REAL` has matched."""
    lowered = number.lower()
    if "nan" in lowered:
        return math.nan
    if "x" in lowered:
        try:
            return float.fromhex(number)
        except OverflowError:
            return -math.inf if number.startswith("-") else math.inf
    return float(number)


def integer(text: str) -> int:
    """The leading decimal digits, as ``atoi`` reads them: 0 where there are none, cut to the low 32 bits."""
    match = INTEGER.match(text)
    return low_32_bits(to_long(match.group(1))) if match else 0


def to_long(digits: str) -> int:
    """What ``strtol`` makes of decimal digits: it stops at the ends of 64 bits."""
    if len(digits) > 25:
        digits = digits.lstrip("+-0")[:25] if not digits.startswith("-") else "-" + digits.lstrip("-0")[:25]
    return min(max(int(digits or "0"), LONG[0]), LONG[1])


def low_32_bits(value: int) -> int:
    """A wide integer stored in 32 bits."""
    return (value + 2**31) % 2**32 - 2**31


def to_int32(value: float) -> int:
    """A real converted to a 32-bit integer as on x86-64: truncated, the lowest integer where it does not fit."""
    if -2147483649.0 < value < 2147483648.0:
        return int(value)
    return LOWEST_INT


def ceil(value: float) -> float:
    """Upward rounding that leaves infinities and NaN alone."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def divide(a: float, b: float) -> float:
    """IEEE division: by zero gives an infinity, or NaN with the sign bit that x86-64 gives it."""
    if b != 0.0:
        return a / b
    if a != a:
        return a
    return -math.nan if a == 0.0 else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _nan(value: float) -> str:
    return "-nan" if math.copysign(1.0, value) < 0.0 else "nan"


def g(value: float, digits: int = 6) -> str:
    """``%g`` of the C library, the sign of NaN included."""
    return f"%.{digits}g" % value if value == value else _nan(value)


def fixed(value: float, width: int = 0, decimals: int = 6) -> str:
    """``%f`` of the C library, the sign of NaN included."""
    return f"%{width}.{decimals}f" % value if value == value else _nan(value).rjust(width)


def in_degrees(angle: float) -> float:
    """Radians to degrees, the original's way."""
    return angle * DEGREES
