"""The metadata log as bytes: its codec and the settings its partition is opened with.

`__cluster_metadata-0` has no topic record (it is where topic records are), so what its log is opened with comes from
the `metadata.*` settings. What is removed from it is what a snapshot holds (`metadata_snapshots`), never by itself.
"""

from __future__ import annotations

from typing import Final

from moldau.config import topic_defaults
from moldau.config.settings import BrokerSettings
from moldau.control.metadata.machine import MetadataMachine
from moldau.control.schema import Message, SchemaError
from moldau.server.core_types import LogSettings, StoredRecord
from moldau.server.runner import KeyAndValue
from moldau.server.snapshot_files import QUORUM_TYPES, control_type
from moldau.server.translation import log_settings

METADATA_TOPIC: Final = "__cluster_metadata"
FOREVER: Final = -1


class MetadataCodec:
    """The machine knows how its records are written; this gives them the shape of log records."""

    def __init__(self, machine: MetadataMachine) -> None:
        self._machine = machine
        self.bytes_seen = 0
        """Of records that went through here, in either direction."""
        self.quorum: dict[int, KeyAndValue] = {}
        """What the quorum has last said of itself, by the type of control record (`snapshot_files.QUORUM_TYPES`)."""

    def encode(self, record: Message) -> KeyAndValue:
        value = self._machine.encode(record)
        self.bytes_seen += len(value)
        return None, value

    def decode(self, record: StoredRecord) -> Message | None:
        if record.is_control:
            # The quorum's own records: who leads it, who votes.
            kind = control_type(record)
            if kind in QUORUM_TYPES:
                self.quorum[kind] = (record.key, record.value)
            return None
        if record.value is None:
            raise SchemaError(f"the metadata record at offset {record.offset} has no value")
        self.bytes_seen += len(record.value)
        return self._machine.decode(record.value)


def metadata_log_settings(settings: BrokerSettings) -> LogSettings:
    """What the log of `__cluster_metadata-0` is opened with."""
    opened = log_settings(topic_defaults(settings.values))
    opened["segment_bytes"] = settings.integer("metadata.log.segment.bytes")
    opened["segment_ms"] = settings.integer("metadata.log.segment.ms")
    opened["max_message_bytes"] = 2**31 - 1
    opened["retention_ms"] = FOREVER
    opened["retention_bytes"] = FOREVER
    opened["compression_type"] = "producer"
    opened["delete"] = False
    opened["compact"] = False
    return opened
