"""`moldau group`: see consumer groups with their lag, and delete them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.group_epochs import Epochs, epochs_of
from moldau.cli.outcome import PartlyDoneError, RefusedError
from moldau.cli.output import Output
from moldau.cli.places import Place, end_offsets
from moldau.cli.several import Yes, confirm, report, require
from moldau.internal_names import is_internal_group

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription


def list_groups(
    *,
    state: Annotated[list[str] | None, Parameter(name="--state")] = None,
    internal: bool = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """List the consumer groups.

    Parameters
    ----------
    state
        Only groups in this state (stable, empty, dead, preparing-rebalance, …); may be given many times.
    internal
        Also those that are nobody's application: the one in which schema registries elect.
    """
    admin = connection.admin()
    listing = connection.answer(admin.list_consumer_groups(request_timeout=connection.timeout_s))
    if listing.errors and not listing.valid:
        raise connection.explained(listing.errors[0])
    wanted = {name.lower().replace("_", "-") for name in state or ()}
    records = [
        {
            "group": group.group_id,
            "state": _name(group.state),
            "protocol": _name(group.type),
            "simple": group.is_simple_consumer_group,
            "internal": is_internal_group(group.group_id),
        }
        for group in sorted(listing.valid, key=lambda group: group.group_id)
        if (not wanted or _name(group.state) in wanted) and (internal or not is_internal_group(group.group_id))
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
    description = describe(admin, connection, group)
    protocol = _name(description.type)
    epochs = epochs_of(connection, description) if protocol == "consumer" else Epochs()
    members = [{**_member(member), **epochs.of_member(member.member_id)} for member in description.members]
    owners = {place: member["member_id"] for member in members for place in _places(member)}
    lag = _lag(admin, connection, group, owners)
    record = {
        "group": group,
        "state": _name(description.state),
        "protocol": protocol,
        "assignor": description.partition_assignor or None,
        "epoch": epochs.group,
        "assignment_epoch": epochs.assignment,
        "coordinator": description.coordinator.id if description.coordinator is not None else None,
        "lag": sum(one["lag"] or 0 for one in lag),
        "members": members,
        "partitions": lag,
    }
    if not output.for_eyes:
        output.record(record, ())
        return
    of_consumers = ("epoch", "assignment_epoch") if epochs.group is not None else ()
    output.record(record, ("group", "state", "protocol", "assignor", *of_consumers, "coordinator", "lag"))
    if members:
        print()
        of_consumers = ("protocol", "member_epoch") if epochs.group is not None else ()
        output.records(
            [{**member, "partitions": len(_places(member))} for member in members],
            ("member_id", "instance_id", "client_id", "host", *of_consumers, "partitions"),
        )
    if lag:
        print()
        output.records(lag, ("topic", "partition", "committed", "end_offset", "lag", "member_id"))


def describe(admin: AdminClient, connection: Connection, group: str) -> ConsumerGroupDescription:
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

    from moldau.client.coordinators import wait_for_coordinators

    connection.carry_out(lambda: wait_for_coordinators(admin, [group], connection.timeout_s))
    request = [ConsumerGroupTopicPartitions(group)]
    futures: Mapping[str, Future[ConsumerGroupTopicPartitions]] = admin.list_consumer_group_offsets(request)
    answer = connection.answer(futures[group])
    return {
        (place.topic, place.partition): place.offset for place in answer.topic_partitions or () if place.offset >= 0
    }


def delete_groups(
    *groups: str,
    yes: Yes = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete groups with the offsets they committed. A group with members is refused.

    Parameters
    ----------
    groups
        Their names.
    """
    require(groups, "group")
    confirm(f"delete {', '.join(groups)} and what they committed", yes=yes)
    admin = connection.admin()
    futures = admin.delete_consumer_groups(list(groups), request_timeout=connection.timeout_s)
    report("group", futures, "deleted", connection, output)
