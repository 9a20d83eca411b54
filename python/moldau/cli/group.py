"""`moldau group`: see consumer groups with their lag, move their offsets, delete them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import CommandError, PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.places import Place, end_offsets, partitions_of, resolve
from moldau.cli.topic import confirm

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription


def list_groups(
    *,
    state: Annotated[list[str] | None, Parameter(name="--state")] = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """List the consumer groups.

    Parameters
    ----------
    state
        Only groups in this state (stable, empty, dead, preparing-rebalance, …); may be given many times.
    """
    admin = connection.admin()
    listing = connection.answer(admin.list_consumer_groups(request_timeout=connection.timeout_s))
    wanted = {name.lower().replace("_", "-") for name in state or ()}
    records = [
        {
            "group": group.group_id,
            "state": _name(group.state),
            "protocol": _name(group.type),
            "simple": group.is_simple_consumer_group,
        }
        for group in sorted(listing.valid, key=lambda group: group.group_id)
        if not wanted or _name(group.state) in wanted
    ]
    output.records(records, ("group", "state", "protocol"))
    if listing.errors:
        raise PartlyDoneError(f"not every broker answered: {listing.errors[0]}")


def _name(member: Any) -> str:
    """Librdkafka's enumerations in the words of the other tools: `PREPARING_REBALANCING` is `preparing-rebalance`."""
    words = str(member.name).lower().replace("_", "-")
    return words.replace("rebalancing", "rebalance")


def describe_group(group: str, /, *, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Show one group: its members, and how far it is behind in every partition.

    Parameters
    ----------
    group
        Its name.
    """
    admin = connection.admin()
    description = _describe(admin, connection, group)
    members = [_member(member) for member in description.members]
    owners = {place: member["member_id"] for member in members for place in _places(member)}
    lag = _lag(admin, connection, group, owners)
    record = {
        "group": group,
        "state": _name(description.state),
        "protocol": _name(description.type),
        "assignor": description.partition_assignor or None,
        "coordinator": description.coordinator.id if description.coordinator is not None else None,
        "lag": sum(one["lag"] or 0 for one in lag),
        "members": members,
        "partitions": lag,
    }
    if output.output != "table":
        output.record(record, ())
        return
    output.record(record, ("group", "state", "protocol", "assignor", "coordinator", "lag"))
    if members:
        print()
        output.records(
            [{**member, "partitions": len(_places(member))} for member in members],
            ("member_id", "instance_id", "client_id", "host", "partitions"),
        )
    if lag:
        print()
        output.records(lag, ("topic", "partition", "committed", "end_offset", "lag", "member_id"))


def _describe(admin: AdminClient, connection: Connection, group: str) -> ConsumerGroupDescription:
    futures: Mapping[str, Future[ConsumerGroupDescription]] = admin.describe_consumer_groups(
        [group], request_timeout=connection.timeout_s
    )
    description = connection.answer(futures[group])
    if _name(description.state) == "dead":
        raise RefusedError(f"there is no group {group}", "`moldau group list` shows those that there are")
    return description


def _member(member: Any) -> dict[str, Any]:
    assigned: dict[str, list[int]] = {}
    for place in member.assignment.topic_partitions if member.assignment is not None else ():
        assigned.setdefault(place.topic, []).append(place.partition)
    return {
        "member_id": member.member_id,
        "instance_id": member.group_instance_id or None,
        "client_id": member.client_id,
        "host": member.host,
        "assigned": {topic: sorted(partitions) for topic, partitions in sorted(assigned.items())},
    }


def _places(member: Mapping[str, Any]) -> list[Place]:
    return [(topic, partition) for topic, partitions in member["assigned"].items() for partition in partitions]


def _lag(admin: AdminClient, connection: Connection, group: str, owners: Mapping[Place, str]) -> list[dict[str, Any]]:
    """Every partition with a committed offset or an owner; the lag of one without an offset is not known."""
    committed = committed_offsets(admin, connection, group)
    ends = end_offsets(admin, connection, committed.keys() | owners.keys())
    return [
        {
            "topic": topic,
            "partition": partition,
            "committed": committed.get((topic, partition)),
            "end_offset": end,
            "lag": max(end - committed[topic, partition], 0) if (topic, partition) in committed else None,
            "member_id": owners.get((topic, partition)),
        }
        for (topic, partition), end in sorted(ends.items())
    ]


def committed_offsets(admin: AdminClient, connection: Connection, group: str) -> dict[Place, int]:
    """What a group has committed, everywhere."""
    from confluent_kafka import ConsumerGroupTopicPartitions

    request = [ConsumerGroupTopicPartitions(group)]
    futures: Mapping[str, Future[ConsumerGroupTopicPartitions]] = admin.list_consumer_group_offsets(request)
    answer = connection.answer(futures[group])
    return {
        (place.topic, place.partition): place.offset for place in answer.topic_partitions or () if place.offset >= 0
    }


def delete_groups(
    *groups: str,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete groups with the offsets they committed. A group with members is refused.

    Parameters
    ----------
    groups
        Their names.
    yes
        Do not ask.
    """
    if not groups:
        raise UsageError("no group was named")
    confirm(f"delete {', '.join(groups)} and what they committed", yes=yes)
    admin = connection.admin()
    futures = admin.delete_consumer_groups(list(groups), request_timeout=connection.timeout_s)
    records, failures = [], []
    for name, future in futures.items():
        try:
            connection.answer(future)
            records.append({"group": name, "result": "deleted"})
        except CommandError as error:
            failures.append(error)
            records.append({"group": name, "result": str(error)})
    if len(failures) == len(groups) == 1:
        raise failures[0]
    output.records(records, ("group", "result"))
    if failures:
        raise (
            failures[0] if len(failures) == len(groups) else PartlyDoneError(f"{len(failures)} of {len(groups)} failed")
        )


def seek_group(
    group: str,
    /,
    *,
    to: str,
    topic: Annotated[list[str] | None, Parameter(name=["--topic", "-t"])] = None,
    execute: Annotated[bool, Parameter(negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Move the committed offsets of a group without members. Shows what it would do; --execute does it.

    Parameters
    ----------
    group
        Its name. A group that does not exist yet is created by --execute.
    to
        Where to: earliest, latest, an offset, +N or -N from where it is, or a time as 2026-01-31T12:00 (UTC unless it
        says otherwise) or as @milliseconds.
    topic
        Only this topic (or topic:0,2,5 for some partitions); may be given many times. Every topic that the group has
        committed to without it.
    execute
        Do it.
    """
    admin = connection.admin()
    committed = committed_offsets(admin, connection, group)
    places = partitions_of(admin, connection, topic) if topic else sorted(committed)
    if not places:
        raise UsageError(f"{group} has committed nothing", "--topic names the topics to move it in")
    targets = resolve(admin, connection, places, to, committed)
    records = [
        {"topic": place[0], "partition": place[1], "from": committed.get(place), "to": targets[place]}
        for place in places
    ]
    if execute:
        _commit(admin, connection, group, targets)
    output.records(records, ("topic", "partition", "from", "to"))
    say(f"moved {len(places)} partitions" if execute else "nothing was moved; --execute does it")


def _commit(admin: AdminClient, connection: Connection, group: str, targets: Mapping[Place, int]) -> None:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    wishes = [TopicPartition(topic, partition, offset) for (topic, partition), offset in targets.items()]
    request = [ConsumerGroupTopicPartitions(group, wishes)]
    futures: Mapping[str, Future[ConsumerGroupTopicPartitions]] = admin.alter_consumer_group_offsets(request)
    answer = connection.answer(futures[group])
    for place in answer.topic_partitions or ():
        if place.error is not None:
            raise connection.explained(place.error)
