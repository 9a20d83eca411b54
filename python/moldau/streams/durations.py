"""Lengths of time as people write them: `timedelta`, `"1h"`, `"250ms"`, or whole milliseconds."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

Duration = timedelta | str | int

_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)")


def milliseconds(duration: Duration, name: str) -> int:
    """Whole milliseconds of a duration; raises ValueError that says which one (`name`) could not be read."""
    if isinstance(duration, bool) or not isinstance(duration, timedelta | str | int):
        raise TypeError(f"{name}: a timedelta, a text such as '1h' or whole milliseconds, not {duration!r}")
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    if isinstance(duration, int):
        return duration
    text = duration.strip().lower()
    parts = _PART.findall(text)
    if not parts or re.sub(r"\s", "", text) != "".join(number + unit for number, unit in parts):
        raise ValueError(
            f"{name}: cannot read {duration!r} as a length of time\nhint: such as '1h', '5m', '1h30m', '250ms'"
        )
    total = sum(Decimal(number) * _UNITS_MS[unit] for number, unit in parts)
    if total != int(total):
        raise ValueError(f"{name}: {duration!r} is not a whole number of milliseconds")
    return int(total)
