"""Kio reads durations as `timedelta`; the control plane counts whole milliseconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(time: timedelta | int) -> int:
    """A duration as kio gives it, or the plain default of a version without the field, in whole milliseconds."""
    return time // _MILLISECOND if isinstance(time, timedelta) else time
