"""Where topics end now, counted by all records, also those of open transactions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from moldau.client.protocol.partitions import Partition
from moldau.streams.errors import StreamsError

_ASK_TIMEOUT_S: Final = 30.0


class RestoreError(StreamsError):
    """A changelog, or the topic of a global table, cannot be read."""


def ends_of(admin: AdminClient, places: Iterable[Partition]) -> dict[Partition, int]:
    """The offset after the last record of each partition; raises RestoreError when the cluster does not say."""
    request = {TopicPartition(*place): OffsetSpec.latest() for place in places}
    futures = admin.list_offsets(
        request, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_ASK_TIMEOUT_S
    )
    try:
        return {
            (asked.topic, asked.partition): future.result(_ASK_TIMEOUT_S).offset for asked, future in futures.items()
        }
    except KafkaException as error:
        raise RestoreError(f"the ends of topics cannot be found: {error.args[0].str()}") from error
    except TimeoutError as error:
        raise RestoreError(f"the ends of topics cannot be found: no answer within {_ASK_TIMEOUT_S:g} s") from error
