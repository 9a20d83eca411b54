"""Notifications: what a snapshot does, as records of a topic (channel `sink`) and lines of the log (`log`).

The record's shape and the names are Debezium's, its `Initial Snapshot` for blocking ones too.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from moldau.connect.connectors.postgres import source_info
from moldau.connect.connectors.postgres.events import Events
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.data import Struct

_LOG = logging.getLogger(__name__)

INITIAL, INCREMENTAL = "Initial Snapshot", "Incremental Snapshot"
CHANNELS: Final = ("sink", "log")


class Notifications:
    """Sends to the channels that are enabled; `events` takes the records. Belongs to the task's thread."""

    def __init__(self, events: Events, channels: Collection[str], topic: str | None) -> None:
        self._events = events
        self._topic = topic if "sink" in channels else None
        self._log = "log" in channels
        unknown = sorted(set(channels) - set(CHANNELS))
        if unknown:
            _LOG.warning("notification.enabled.channels: there is no %s; there are sink and log", ", ".join(unknown))

    def send(
        self,
        aggregate: str,
        kind: str,
        offset: Mapping[str, Any],
        position: Position,
        more: Mapping[str, str],
        id_: str | None = None,
    ) -> None:
        """`offset` is what is stored when the record has arrived."""
        if self._topic is None and not self._log:
            return
        id_ = id_ or str(uuid.uuid4())
        data = {**more, "connector_name": self._events.settings.prefix}
        timestamp = self._events.clock() // 1_000_000
        if self._log:
            told = ", ".join(f"{name}={value}" for name, value in data.items())
            _LOG.info(
                "[Notification Service] {id='%s', aggregateType='%s', type='%s', additionalData={%s}, timestamp=%d}",
                *(id_, aggregate, kind, told, timestamp),
            )
        if self._topic is not None:
            key_schema, schema = source_info.NOTIFICATION_KEY_SCHEMA, source_info.NOTIFICATION_SCHEMA
            value = Struct.of(schema, [id_, kind, aggregate, data, timestamp])
            key = Struct.of(key_schema, [id_])
            self._events.add(self._topic, key_schema, key, schema, value, dict(offset), position)


def listed(tables: Iterable[object]) -> str:
    """Tables as notifications name them together."""
    return ",".join(map(str, tables))
