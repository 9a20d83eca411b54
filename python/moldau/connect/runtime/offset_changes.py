"""Changing how far a stopped connector has come (KIP-875): source offsets in the store, sink offsets in the group.

The connector is asked first, and has so much time: what it has not agreed to by then is not written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as NotYetError
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException

from moldau.client import AdminClient, TopicPartition
from moldau.connect.errors import ConnectError
from moldau.connect.plugins import java_name
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.daemon_threads import DaemonThreads
from moldau.connect.runtime.offsets import Entry
from moldau.connect.runtime.refusals import BadRequestError, RefusedError

logger: Final = logging.getLogger("moldau.connect.herder")

ASK_TIMEOUT_S: Final = 30.0
TOPIC: Final = "kafka_topic"
PARTITION: Final = "kafka_partition"
OFFSET: Final = "kafka_offset"

Given = Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]]


def change_source_offsets(
    connector: Any,
    config: Mapping[str, str],
    name: str,
    store: ConnectorOffsets,
    keep: Callable[[Sequence[Entry]], None],
    offsets: Given | None,
    timeout_s: float,
) -> bool:
    """Whether the connector knows of it; `keep` writes. Raises ConnectError, also when the connector says no."""
    store.start()
    try:
        store.refresh()
        wanted = [(partition, None) for partition, _ in store.all_of(name)] if offsets is None else list(offsets)
        known = _ask(connector, config, wanted, name, timeout_s)
        if wanted:
            keep(wanted)
            store.refresh()
    finally:
        store.stop()
    return known


def _ask(connector: Any, config: Mapping[str, str], offsets: Any, name: str, timeout_s: float) -> bool:
    """Whether the connector knows of offsets; in a thread that is left behind when it does not answer."""
    asking = DaemonThreads(1, f"offsets-{name}")
    answer = asking.submit(connector.alter_offsets, dict(config), offsets)
    asking.shutdown(wait=False)
    try:
        return bool(answer.result(max(timeout_s, 0)))
    except NotImplementedError as error:
        raise ConnectError(
            "Failed to modify offsets for connector because it doesn't support external modification of offsets"
        ) from error
    except NotYetError:
        if answer.done():
            # Its own.
            raise
        asked = f"{java_name(type(connector))}.alter_offsets of connector {name}"
        logger.warning(
            "%s has not returned: it is left to itself, none of the offsets it was asked about is written, and its "
            "tasks may begin",
            asked,
        )
        raise RefusedError(
            f"Request timed out. The worker is currently waiting for {asked}, which has not returned; no offset was "
            "changed"
        ) from None


def change_sink_offsets(
    connector: Any,
    config: Mapping[str, str],
    name: str,
    group: str,
    client: Mapping[str, Any],
    offsets: Given | None,
    timeout_s: float,
) -> bool:
    """Whether the connector knows of it. Raises BadRequestError, ConnectError."""
    admin = AdminClient(client)
    parsed = None if offsets is None else [_parsed(partition, offset) for partition, offset in offsets]
    if parsed is None:
        current = committed_offsets(admin, group)
        parsed = [(topic, partition, None) for topic, partition, _ in current]
    asked = {(topic, partition): offset for topic, partition, offset in parsed}
    known = _ask(connector, config, asked, name, timeout_s)
    kept = [TopicPartition(topic, partition, offset) for topic, partition, offset in parsed if offset is not None]
    gone = [TopicPartition(topic, partition) for topic, partition, offset in parsed if offset is None]
    try:
        if offsets is None:
            _forget_group(admin, group)
        if kept:
            altered = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, kept)])
            _each_done(altered[group].result(ASK_TIMEOUT_S).topic_partitions)
        if gone and offsets is not None:
            deleted = admin.delete_consumer_group_offsets([ConsumerGroupTopicPartitions(group, gone)])  # type: ignore[attr-defined]
            _each_done(deleted[group].result(ASK_TIMEOUT_S).topic_partitions)
    except KafkaException as error:
        reason = error.args[0]
        raise ConnectError(
            f"Failed to alter consumer group offsets for connector {name} either because its tasks "
            f"haven't stopped completely yet or the resource has been deleted: {reason.str()}"
        ) from error
    return known


def _forget_group(admin: AdminClient, group: str) -> None:
    try:
        admin.delete_consumer_groups([group])[group].result(ASK_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise


def _each_done(partitions: Sequence[TopicPartition]) -> None:
    for each in partitions:
        if each.error is not None:
            raise KafkaException(each.error)


def _parsed(partition: Any, offset: Any) -> tuple[str, int, int | None]:
    if partition is None:
        raise BadRequestError("The partition for a sink connector offset cannot be null or missing")
    if TOPIC not in partition or PARTITION not in partition:
        raise BadRequestError(
            f"The partition for a sink connector offset must contain the keys '{TOPIC}' and '{PARTITION}'"
        )
    topic = partition[TOPIC]
    if topic is None:
        raise BadRequestError("Kafka topic names must be valid strings and may not be null")
    number = _number(partition[PARTITION])
    if number is None:
        raise BadRequestError(
            f"Failed to parse the following Kafka partition value in the provided offsets: '{partition[PARTITION]}'. "
            "Partition values for sink connectors need to be integers."
        )
    if offset is None:
        return str(topic), number, None
    if OFFSET not in offset:
        raise BadRequestError(f"The offset for a sink connector should either be null or contain the key '{OFFSET}'")
    position = _number(offset[OFFSET])
    if position is None:
        raise BadRequestError(
            f"Failed to parse the following Kafka offset value in the provided offsets: '{offset[OFFSET]}'. Offset "
            "values for sink connectors need to be integers."
        )
    return str(topic), number, position


def _number(given: Any) -> int | None:
    try:
        number = int(str(given))
    except ValueError:
        return None
    return number if number >= 0 else None


def committed_offsets(admin: AdminClient, group: str) -> list[tuple[str, int, int]]:
    """Topic, partition and offset of everything that the group has committed. Raises ConnectError."""
    try:
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = asked[group].result(ASK_TIMEOUT_S).topic_partitions or []
    except KafkaException as error:
        raise ConnectError(f"Failed to retrieve consumer group offsets of {group}: {error.args[0].str()}") from error
    return [(each.topic, each.partition, each.offset) for each in found if each.offset >= 0]
