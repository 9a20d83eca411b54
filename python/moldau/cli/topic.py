"""`moldau topic`: see, create, change, grow and delete topics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection, pairs
from moldau.cli.outcome import CommandError, PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, emphasised, say

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ConfigEntry, TopicDescription

INTERNAL_PREFIX: Final = "__"
RESULT_COLUMNS: Final = ("topic", "result")


def list_topics(*, internal: bool = False, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the topics.

    Parameters
    ----------
    internal
        Also those that the cluster keeps for itself.
    """
    admin = connection.admin()
    metadata = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s))
    records = [
        {
            "topic": name,
            "partitions": len(topic.partitions),
            "replicas": max((len(partition.replicas) for partition in topic.partitions.values()), default=0),
            "internal": name.startswith(INTERNAL_PREFIX),
        }
        for name, topic in sorted(metadata.topics.items())
        if internal or not name.startswith(INTERNAL_PREFIX)
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
    settings = [one for one in _settings(admin, connection, topic) if every_setting or not one["default"]]
    if output.output != "table":
        output.record({**summary, "partitions": partitions, "settings": settings}, ())
        return
    output.record(summary, tuple(summary))
    print()
    output.records(partitions, ("partition", "leader", "replicas", "in_sync_replicas", "start_offset", "end_offset"))
    if settings:
        print()
        output.records(settings, ("setting", "value", "source"))


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


def _settings(admin: AdminClient, connection: Connection, topic: str) -> list[dict[str, Any]]:
    from confluent_kafka.admin import ConfigResource, ResourceType

    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries: Mapping[str, ConfigEntry] = connection.answer(admin.describe_configs([resource])[resource])
    return [
        {
            "setting": name,
            "value": None if entry.is_sensitive else entry.value,
            "source": _source(entry),
            "default": _source(entry) != "topic",
        }
        for name, entry in sorted(entries.items())
    ]


def _source(entry: ConfigEntry) -> str:
    from confluent_kafka.admin import ConfigSource

    names = {
        ConfigSource.DYNAMIC_TOPIC_CONFIG.value: "topic",
        ConfigSource.DYNAMIC_BROKER_CONFIG.value: "broker, changed",
        ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG.value: "cluster, changed",
        ConfigSource.STATIC_BROKER_CONFIG.value: "broker",
        ConfigSource.DEFAULT_CONFIG.value: "default",
    }
    # The library's stub says ConfigSource, its C code gives the number.
    return names.get(ConfigSource(entry.source).value, "unknown")


def create_topics(
    *topics: str,
    partitions: Annotated[int, Parameter(name=["--partitions", "-p"])] = -1,
    replicas: Annotated[int, Parameter(name=["--replicas", "-r"])] = -1,
    config: Annotated[list[str] | None, Parameter(name=["--config", "-c"])] = None,
    validate_only: bool = False,
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
    """
    from confluent_kafka.admin import NewTopic

    _require(topics)
    _warn_of_unknown_settings(config)
    new = [
        NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=pairs(config)) for name in topics
    ]
    done = "could be created" if validate_only else "created"
    admin = connection.admin()
    futures = admin.create_topics(
        new, validate_only=validate_only, operation_timeout=connection.timeout_s, request_timeout=connection.timeout_s
    )
    _report(futures, done, connection, output)
    if replicas > 1 and not validate_only:
        _tell_fewer_replicas(admin, connection, topics, replicas)


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
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete topics with everything in them.

    Parameters
    ----------
    topics
        Their names.
    yes
        Do not ask.
    """
    _require(topics)
    confirm(f"delete {', '.join(topics)} and every record in it", yes=yes)
    admin = connection.admin()
    futures = admin.delete_topics(list(topics), operation_timeout=connection.timeout_s)
    _report(futures, "deleted", connection, output)


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
    _report(futures, f"has {partitions} partitions", connection, output)


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
        output.records(_settings(admin, connection, topic), ("setting", "value", "source"))
        return
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    _warn_of_unknown_settings(set_)
    changes = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in pairs(set_).items()
    ]
    changes += [ConfigEntry(key, "", incremental_operation=AlterConfigOpType.DELETE) for key in unset or ()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)
    futures = admin.incremental_alter_configs([resource])
    _report({topic: futures[resource]}, "changed", connection, output)


def _require(topics: Sequence[str]) -> None:
    if not topics:
        raise UsageError("no topic was named")


def _warn_of_unknown_settings(texts: list[str] | None) -> None:
    """Say which setting was probably meant. It is sent all the same: a newer broker may know more than we do."""
    from moldau.config import Scope, find, nearest

    for name in pairs(texts):
        if find(Scope.TOPIC, name) is None:
            close = nearest(name, Scope.TOPIC)
            say(f"note: {name} is no topic setting of Kafka 4.3" + (f", did you mean {close}?" if close else ""))


def confirm(deed: str, *, yes: bool, ask: Callable[[str], str] = input) -> None:
    """Ask before something that cannot be taken back; without a terminal there is nobody to ask.

    Raises:
        UsageError: there is nobody to ask.
        RefusedError: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"this would {deed}", "add --yes when that is what you want")
    if ask(emphasised(f"{deed}? [y/N] ", sys.stdout)).strip().lower() not in ("y", "yes"):
        raise RefusedError("nothing was done")


def _report(futures: Mapping[str, Future[Any]], done: str, connection: Connection, output: Output) -> None:
    """Print what became of each; a failure of one is no failure of the others."""
    records: list[dict[str, str]] = []
    failures: list[CommandError] = []
    for topic, future in futures.items():
        try:
            connection.answer(future)
            records.append({"topic": topic, "result": done})
        except CommandError as error:
            failures.append(error)
            records.append({"topic": topic, "result": str(error)})
    if len(futures) == 1 and failures:
        raise failures[0]
    output.records(records, RESULT_COLUMNS)
    if len(failures) == len(futures):
        raise failures[0]
    if failures:
        raise PartlyDoneError(f"{len(failures)} of {len(futures)} failed")
