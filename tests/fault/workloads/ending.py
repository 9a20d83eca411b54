"""The end of everything: a group is waited for until it is done, and a reader of its own reads what there is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.fault.history.operations import ReadToEnd, partition_name
from tests.fault.records import PATIENT
from tests.fault.workloads.recording import RecordedConsumer, Recorder

DRAINED_WITHIN_S = 90


def wait_until_the_group_is_done(
    notes: Recorder,
    bootstrap_servers: str,
    group: str,
    topic: str,
    partitions: int,
    meanwhile: Callable[[], None] = lambda: None,
    within_s: float = DRAINED_WITHIN_S,
) -> None:
    """Until it has committed the ends of `topic`, which nobody writes to any more; `meanwhile` is called all the time.

    Raises:
        AssertionError: it has not within `within_s`; says how far it is.
    """
    places = [TopicPartition(topic, number) for number in range(partitions)]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **PATIENT})
    began = notes.now()
    ends = ends_of(bootstrap_servers, topic, partitions)
    deadline = time.monotonic() + within_s
    while True:
        committed = [-1]
        with contextlib.suppress(KafkaException):
            answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])[group].result(30)
            committed = [each.offset for each in answer.topic_partitions]
        if committed == ends:
            break
        assert time.monotonic() < deadline, f"the group {group} has committed {committed} of {ends}"
        meanwhile()
        time.sleep(0.1)
    for number, offset in enumerate(committed):
        notes.write(
            ReadToEnd(
                at=notes.now(),
                began=began,
                process=notes.process,
                reader=group,
                isolation="read_committed",
                partition=partition_name(topic, number),
                offset=offset,
            )
        )


def ends_of(bootstrap_servers: str, topic: str, partitions: int) -> list[int]:
    """The high watermark of each partition."""
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": "ends", **PATIENT}
    client = Consumer({**settings, "isolation.level": "read_uncommitted"})
    ends = [client.get_watermark_offsets(TopicPartition(topic, number), 30)[1] for number in range(partitions)]
    client.close()
    return ends


def read_everything(recorder: Recorder, bootstrap_servers: str, topics: Mapping[str, int]) -> None:
    """Each topic with that many partitions, from the first offset to the high watermark: no transaction is left open.

    Raises:
        AssertionError: a reader of committed records did not get there within `DRAINED_WITHIN_S`.
    """
    for topic, partitions in topics.items():
        began = recorder.now()
        ends = ends_of(bootstrap_servers, topic, partitions)
        reader = RecordedConsumer(recorder, bootstrap_servers, **{"enable.partition.eof": True})
        reader.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        names = [partition_name(topic, number) for number in range(partitions)]
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while any(reader.ends.get(name, -1) < end for name, end in zip(names, ends, strict=True)):
            reader.poll(1000)
            assert time.monotonic() < deadline, f"{topic} was read up to {reader.ends}, its ends are {ends}"
        reader.client.close()
        for name, end in zip(names, ends, strict=True):
            recorder.write(
                ReadToEnd(
                    at=recorder.now(),
                    began=began,
                    process=recorder.process,
                    reader=recorder.process,
                    isolation="read_committed",
                    partition=name,
                    offset=end,
                )
            )
