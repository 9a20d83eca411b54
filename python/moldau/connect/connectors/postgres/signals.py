"""Signals: rows that somebody writes into the signal table, obeyed when they come by in the stream.

The table has three columns (`id`, `type`, `data`), taken by their place as in Debezium; `data` is JSON.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from moldau.connect.connectors.postgres.pgoutput import RawRow

_LOG = logging.getLogger(__name__)

WINDOW_OPEN, WINDOW_CLOSE = "snapshot-window-open", "snapshot-window-close"
MARKS: Final = "moldau.incremental.snapshot"
"""Prefix of the messages in the WAL that are marks; they are no events, whoever's they are."""


@dataclass(frozen=True)
class Signal:
    id: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


def read_signal(row: RawRow) -> Signal | None:
    """The signal in a row; None, with a word in the log, for a row that is none."""
    texts = [part.decode() if isinstance(part, bytes) else "" for part in row[:3]]
    if len(texts) < 2 or not texts[1]:
        _LOG.warning("A row of the signal table is no signal: it needs the columns id, type and data")
        return None
    data: Any = {}
    if len(texts) > 2 and texts[2]:
        try:
            data = json.loads(texts[2])
        except ValueError as error:
            _LOG.warning("The signal %s (%s) is left out: its data is no JSON: %s", texts[0], texts[1], error)
            return None
    return Signal(texts[0], texts[1], data if isinstance(data, dict) else {})
