"""`moldau topic`: see, create, change, grow and delete topics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection, pairs
from moldau.cli.output import Output, say
from moldau.cli.resource_settings import SETTING_COLUMNS, change, settings_of, warn_of_unknown
from moldau.cli.several import Yes, confirm, report, require
from moldau.internal_names import is_internal_topic

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient, TopicDescription

LOOK_AGAIN_S: Final = 0.05
NOT_LED_YET: Final = frozenset({3, 5, 6})
"""What the protocol says of a partition that is unknown, has no leader, or whose leader does not know that yet."""


def list_topics(*, internal: bool = False, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the topics.

    Parameters
    ----------
    internal
        Also those that the cluster and a schema registry keep for themselves.
    """
    admin = connection.admin()
    metadata = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s))
    records = [
        {
            "topic": name,
            "partitions": len(topic.partitions),
            "replicas": max((len(partition.replicas) for partition in topic.partitions.values()), default=0),
            "internal": is_internal_topic(name),
        }
        for name, topic in sorted(metadata.topics.items())
        if internal or not is_internal_topic(name)
    ]
    output.records(records, ("topic", "partitions", "replicas"))


def describe_topic(
    topic: str, /, *, every_setting: bool = False, connection: Connection = Connection(), output: Output = Output()
) -> None:
    """Show one topic: its partitions with their offsets, and its settings.

    Parameters
    ----------
    topic
        Its name.
    every_setting
        Also the settings that have their default.
    """
    admin = connection.admin()
    description = _describe(admin, connection, topic)
    summary = {
        "topic": description.name,
        # librdkafka writes base64 with + and /, Kafka itself with - and _.
        "topic_id": str(description.topic_id).translate(str.maketrans("+/", "-_")),
        "internal": description.is_internal,
    }
    partitions = _partitions(admin, connection, description)
    settings = [one for one in settings_of(admin, connection, "topic", topic) if every_setting or not one["default"]]
    if not output.for_eyes:
        output.record({**summary, "partitions": partitions, "settings": settings}, ())
        return
    output.record(summary, tuple(summary))
    print()
    output.records(partitions, ("partition", "leader", "replicas", "in_sync_replicas", "start_offset", "end_offset"))
    if settings:
        print()
        output.records(settings, SETTING_COLUMNS)


def _describe(admin: AdminClient, connection: Connection, topic: str) -> TopicDescription:
    from confluent_kafka import TopicCollection

    futures: Mapping[str, Future[TopicDescription]] = admin.describe_topics(TopicCollection([topic]))
    return connection.answer(futures[topic])


def _partitions(admin: AdminClient, connection: Connection, description: TopicDescription) -> list[dict[str, Any]]:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import OffsetSpec

    places = [TopicPartition(description.name, partition.id) for partition in description.partitions]
    ends = {}
    for which, spec in (("start", OffsetSpec.earliest()), ("end", OffsetSpec.latest())):
        for place, future in admin.list_offsets(dict.fromkeys(places, spec)).items():
            ends[which, place.partition] = connection.answer(future).offset
    return [
        {
            "partition": partition.id,
            "leader": partition.leader.id if partition.leader is not None else None,
            "replicas": [node.id for node in partition.replicas],
            "in_sync_replicas": [node.id for node in partition.isr],
            "start_offset": ends["start", partition.id],
            "end_offset": ends["end", partition.id],
        }
        for partition in description.partitions
    ]


def create_topics(
    *topics: str,
    partitions: Annotated[int, Parameter(name=["--partitions", "-p"])] = -1,
    replicas: Annotated[int, Parameter(name=["--replicas", "-r"])] = -1,
    config: Annotated[list[str] | None, Parameter(name=["--config", "-c"])] = None,
    validate_only: bool = False,
    if_absent: bool = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Create topics.

    Parameters
    ----------
    topics
        Their names.
    partitions
        How many each has; the broker's num.partitions without it.
    replicas
        How many copies of each partition; the broker's default.replication.factor without it.
    config
        A setting of the topics, as key=value; may be given many times.
    validate_only
        Check everything, create nothing.
    if_absent
        A topic that is there already is no failure.
    """
    from confluent_kafka.admin import NewTopic

    require(topics, "topic")
    warn_of_unknown("topic", pairs(config))
    done = "could be created" if validate_only else "created"
    admin = connection.admin()
    if if_absent:
        there = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s)).topics
        for name in set(topics) & there.keys():
            say(f"{name} is there already")
        topics = tuple(name for name in topics if name not in there)
        if not topics:
            return
    new = [
        NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=pairs(config)) for name in topics
    ]
    futures = admin.create_topics(
        new, validate_only=validate_only, operation_timeout=connection.timeout_s, request_timeout=connection.timeout_s
    )
    report("topic", futures, done, connection, output)
    if not validate_only:
        _wait_until_led(admin, connection, topics)
    if replicas > 1 and not validate_only:
        _tell_fewer_replicas(admin, connection, topics, replicas)


def _wait_until_led(admin: AdminClient, connection: Connection, topics: Sequence[str]) -> None:
    """What is said to be created can be used by the next command. Apache Kafka needs a moment for that.

    A leader that does not come is no failure of what was done: whoever uses the topic hears of it.
    """
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import OffsetSpec

    deadline = time.monotonic() + connection.timeout_s
    while time.monotonic() < deadline:
        metadata = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s)).topics
        there = {name: metadata[name].partitions for name in topics if name in metadata and metadata[name].partitions}
        places = [TopicPartition(name, partition) for name, partitions in there.items() for partition in partitions]
        asked = admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest())) if len(there) == len(set(topics)) else {}
        try:
            for future in asked.values():
                future.result(connection.timeout_s)
            if asked:
                return
        except KafkaException as exception:
            if exception.args[0].code() not in NOT_LED_YET:
                return
        time.sleep(LOOK_AGAIN_S)


def _tell_fewer_replicas(admin: AdminClient, connection: Connection, topics: Sequence[str], replicas: int) -> None:
    """A node that lowers the replication factor does so silently, because the protocol has no word for it."""
    metadata = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s))
    for topic in topics:
        created = metadata.topics.get(topic)
        given = max((len(partition.replicas) for partition in created.partitions.values()), default=0) if created else 0
        if 0 < given < replicas:
            say(f"note: {topic} has {given} replicas, not {replicas}: there are no more nodes")


def delete_topics(
    *topics: str,
    yes: Yes = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete topics with everything in them.

    Parameters
    ----------
    topics
        Their names.
    """
    require(topics, "topic")
    confirm(f"delete {', '.join(topics)} and every record in it", yes=yes)
    admin = connection.admin()
    futures = admin.delete_topics(list(topics), operation_timeout=connection.timeout_s)
    report("topic", futures, "deleted", connection, output)


def grow_topic(
    topic: str, partitions: int, /, *, connection: Connection = Connection(), output: Output = Output()
) -> None:
    """Give a topic more partitions. Keys go to other partitions from then on.

    Parameters
    ----------
    topic
        Its name.
    partitions
        How many it shall have in all.
    """
    from confluent_kafka.admin import NewPartitions

    admin = connection.admin()
    futures = admin.create_partitions([NewPartitions(topic, partitions)])
    report("topic", futures, f"has {partitions} partitions", connection, output)


def configure_topic(
    topic: str,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name=["--set", "-s"])] = None,
    unset: Annotated[list[str] | None, Parameter(name=["--unset", "-u"])] = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Show the settings of a topic, or change them.

    Parameters
    ----------
    topic
        Its name.
    set_
        A setting to change, as key=value; may be given many times.
    unset
        A setting that shall have its default again; may be given many times.
    """
    admin = connection.admin()
    if not set_ and not unset:
        output.records(settings_of(admin, connection, "topic", topic), SETTING_COLUMNS)
        return
    future = change(admin, "topic", topic, pairs(set_), unset or ())
    report("topic", {topic: future}, "changed", connection, output)
