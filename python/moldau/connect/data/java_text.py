"""How Java writes a value as text: settings are shown so, and `Cast`, `StringConverter` and keys of maps write so.

Floating point numbers have at least one digit behind the point, and an exponent below 10^-3 and from 10^7 on. Digits
are the fewest that name the number exactly, as Java writes them since version 19.
"""

from __future__ import annotations

import math
import struct
from typing import Any


def java_double(value: float) -> str:
    """`Double.toString`."""
    # Of the numbers with two digits that name the same, Java takes the nearest: 4.9E-324, not 5.0E-324.
    return _written(value, f"{value:.1e}" if float(f"{value:.1e}") == value else repr(value))


def java_float(value: float) -> str:
    """`Float.toString` of the 32-bit number nearest to `value`."""
    return _written(value, shortest_float32(value))


def to_float32(value: float) -> float:
    """The 32-bit floating point number nearest to `value`; too large ones are infinite, as a cast in Java."""
    try:
        return float(struct.unpack(">f", struct.pack(">f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def shortest_float32(value: float) -> str:
    """The fewest digits that name the 32-bit number nearest to `value`."""
    exact = to_float32(value)
    if not math.isfinite(exact):
        return repr(exact)
    for digits in range(2, 10):
        text = f"{exact:.{digits}g}"
        if to_float32(float(text)) == exact:
            return text
    return repr(exact)


def _written(value: float, digits: str) -> str:
    if math.isnan(value):
        return "NaN"
    if digits.strip("-") == "inf":
        return "-Infinity" if value < 0 else "Infinity"
    mantissa, _, exponent = digits.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    all_digits = whole + fraction
    stripped = all_digits.lstrip("0")
    point -= len(all_digits) - len(stripped)
    stripped = stripped.rstrip("0")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if not stripped:
        return f"{sign}0.0"
    if -3 < point <= 7:
        padded = stripped.ljust(point, "0")
        if point > 0:
            return f"{sign}{padded[:point]}.{padded[point:] or '0'}"
        return f"{sign}0.{'0' * -point}{stripped}"
    return f"{sign}{stripped[0]}.{stripped[1:] or '0'}E{point - 1}"


def java_text(value: Any) -> str:
    """`String.valueOf` of what Connect holds: null, true, 1.0E7, [a, b], {k=v}, Struct{a=1}."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, list):
        return f"[{', '.join(map(java_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{java_text(key)}={java_text(each)}" for key, each in value.items()) + "}"
    return str(value)
