"""The metadata log as bytes: its codec and the settings its partition is opened with.

`__cluster_metadata-0` has no topic record (it is where topic records are), so what its log is opened with comes from
the `metadata.*` settings. Nothing is removed from it: snapshots, which would make that safe, are not written yet.
"""

from __future__ import annotations

from typing import Final

from moldau.config import topic_defaults
from moldau.config.settings import BrokerSettings
from moldau.control.metadata.features import record_version
from moldau.control.metadata.image import MetadataImage
from moldau.control.metadata.records import FeatureLevelRecord, decode_record, encode_record
from moldau.control.schema import Message, SchemaError
from moldau.server.core_types import LogSettings, StoredRecord
from moldau.server.runner import KeyAndValue
from moldau.server.translation import log_settings

METADATA_TOPIC: Final = "__cluster_metadata"
FOREVER: Final = -1


class MetadataCodec:
    """Writes each record in the version that the cluster's `metadata.version` asks for."""

    def __init__(self, image: MetadataImage) -> None:
        self._image = image

    def encode(self, record: Message) -> KeyAndValue:
        level = self._image.metadata_version
        if level == 0 and isinstance(record, FeatureLevelRecord):
            # The very first record of a cluster says what the version is; that record never changed its own.
            return None, encode_record(record, type(record).highest_version)
        return None, encode_record(record, record_version(record, level))

    def decode(self, record: StoredRecord) -> Message:
        if record.value is None:
            raise SchemaError(f"the metadata record at offset {record.offset} has no value")
        return decode_record(record.value)[0]


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
