"""What a cluster has, as tables: topics with their records, groups with their members and their lag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from moldau.client import AdminClient, Consumer, KafkaException, TopicPartition
from moldau.internal_names import is_internal_group, is_internal_topic
from moldau.notebook import html
from moldau.notebook.records import Where, address_of

TIMEOUT_S: Final = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `records` is the sum of what lies between the first and the last offset of each partition."""

    name: str
    partitions: int
    replication_factor: int
    records: int


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """One group. `lag` is what its members have to read yet, in records; None as long as nothing is committed."""

    name: str
    state: str
    members: int
    lag: int | None


class Table(Sequence[Any]):
    """Rows that show themselves in a notebook."""

    caption = ""
    row: type

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._rows)!r})"

    def _repr_html_(self) -> str:
        names = [field.name for field in dataclasses.fields(self.row)]
        return html.table(
            self.caption,
            [name.replace("_", " ") for name in names],
            ([getattr(row, name) for name in names] for row in self._rows),
        )


class Topics(Table):
    """The topics of a cluster."""

    caption = "Topics"
    row = Topic


class Groups(Table):
    """The groups of a cluster."""

    caption = "Groups"
    row = Group


def topics(bootstrap_servers: Where = None, *, internal: bool = False, **settings: Any) -> Topics:
    """The topics of a cluster, by name; with Kafka's and a registry's own ones if `internal`.

    Raises:
        KafkaException: nobody answers.
    """
    with _reader(bootstrap_servers, settings) as consumer:
        found = consumer.list_topics(timeout=TIMEOUT_S).topics
        rows = []
        for name in sorted(found):
            if is_internal_topic(name) and not internal:
                continue
            partitions = found[name].partitions
            counts = (_count(consumer, TopicPartition(name, number)) for number in partitions)
            replicas = max((len(each.replicas) for each in partitions.values()), default=0)
            rows.append(Topic(name, len(partitions), replicas, sum(counts)))
    return Topics(rows)


def groups(bootstrap_servers: Where = None, *, internal: bool = False, **settings: Any) -> Groups:
    """The groups of a cluster, by name; with the one in which schema registries elect if `internal`.

    Raises:
        KafkaException: nobody answers.
    """
    admin = AdminClient({"bootstrap.servers": address_of(bootstrap_servers), "log_level": 3}, **settings)
    listed = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S)
    if listed.errors:
        raise KafkaException(listed.errors[0])
    names = sorted(each.group_id for each in listed.valid if internal or not is_internal_group(each.group_id))
    if not names:
        return Groups(())
    described = admin.describe_consumer_groups(names, request_timeout=TIMEOUT_S)
    rows = []
    for name in names:
        group = described[name].result(TIMEOUT_S)
        with _reader(bootstrap_servers, {**settings, "group_id": name}) as consumer:
            rows.append(Group(name, group.state.name.lower(), len(group.members), _lag(admin, consumer, name)))
    return Groups(rows)


def _reader(where: Where, settings: dict[str, Any]) -> Consumer:
    ours = {"bootstrap_servers": address_of(where), "group_id": "moldau-notebook", "log_level": 3}
    return Consumer(**(ours | settings | {"enable_auto_commit": False}))


def _count(consumer: Consumer, partition: TopicPartition) -> int:
    low, high = consumer.get_watermark_offsets(partition, timeout=TIMEOUT_S)
    return high - low


def _lag(admin: AdminClient, consumer: Consumer, group: str) -> int | None:
    from confluent_kafka import ConsumerGroupTopicPartitions

    asked = [ConsumerGroupTopicPartitions(group)]
    committed = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[group].result(TIMEOUT_S)
    known = [each for each in committed.topic_partitions or () if each.offset >= 0]
    ends = [consumer.get_watermark_offsets(each, timeout=TIMEOUT_S)[1] for each in known]
    return sum(max(end - each.offset, 0) for end, each in zip(ends, known, strict=True)) if known else None
