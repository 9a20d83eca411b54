"""`moldau group seek` and `moldau group delete-offsets`: what a group has committed, moved and taken back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.channel import error_of, require_no_error
from moldau.cli.connection import Connection
from moldau.cli.group import committed_offsets, describe
from moldau.cli.outcome import CommandError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.places import Place, partitions_of, resolve
from moldau.cli.several import Execute, Topics, Yes, confirm, settle
from moldau.client.protocol.questions import OFFSET_DELETE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient


def seek_group(
    group: str,
    /,
    *,
    to: str | None = None,
    to_group: str | None = None,
    to_file: Path | None = None,
    topic: Topics = None,
    save: Path | None = None,
    execute: Execute = False,
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
        says otherwise), as @milliseconds or as @-1h30m.
    to_group
        Where this other group is.
    to_file
        What stands in this file: topic, partition and offset in each line, with commas or spaces between.
    topic
        Only this topic (or topic:0,2,5 for some partitions); may be given many times. Every topic that the group has
        committed to without it.
    save
        Write where the group is now to this file first; --to-file takes it back there.
    execute
        Do it.
    """
    if sum(wish is not None for wish in (to, to_group, to_file)) != 1:
        raise UsageError("one of --to, --to-group and --to-file says where to")
    admin = connection.admin()
    committed = committed_offsets(admin, connection, group)
    if save is not None:
        _save(save, committed)
    targets = _targets(admin, connection, committed, topic, to=to, to_group=to_group, to_file=to_file)
    if not targets:
        raise UsageError(f"{group} has committed nothing", "--topic names the topics to move it in")
    if execute:
        commit_offsets(admin, connection, group, targets)
    records = [
        {"topic": place[0], "partition": place[1], "from": committed.get(place), "to": offset}
        for place, offset in targets.items()
    ]
    output.records(records, ("topic", "partition", "from", "to"))
    moved = f"moved {len(targets)} partition{'s' * (len(targets) != 1)}"
    say(moved if execute else "nothing was moved; --execute does it")


def _targets(
    admin: AdminClient,
    connection: Connection,
    committed: Mapping[Place, int],
    topics: list[str] | None,
    *,
    to: str | None,
    to_group: str | None,
    to_file: Path | None,
) -> dict[Place, int]:
    if to is not None:
        places = partitions_of(admin, connection, topics) if topics else sorted(committed)
        return resolve(admin, connection, places, to, committed) if places else {}
    if to_group is not None:
        source: Mapping[Place, int] = committed_offsets(admin, connection, to_group)
        if not source:
            raise UsageError(f"{to_group} has committed nothing")
    else:
        assert to_file is not None
        source = _read(to_file)
    wanted = set(partitions_of(admin, connection, topics)) if topics else source.keys()
    existing = set(partitions_of(admin, connection, sorted({topic for topic, _partition in source})))
    strange = sorted(place for place in source.keys() & wanted if place not in existing)
    if strange:
        raise UsageError(f"there is no partition {strange[0][0]}-{strange[0][1]}")
    return {place: source[place] for place in sorted(source.keys() & wanted)}


def _save(file: Path, committed: Mapping[Place, int]) -> None:
    lines = [f"{topic},{partition},{offset}\n" for (topic, partition), offset in sorted(committed.items())]
    try:
        file.write_text("".join(lines))
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error


def _read(file: Path) -> dict[Place, int]:
    """Offsets as Kafka's tools (commas) and rpk (spaces) write them."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error
    offsets: dict[Place, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"\s*\"?([\w.\-]+)\"?[\s,]+([0-9]+)[\s,]+([0-9]+)\s*", line)
        if match is None:
            raise UsageError(f"{file}:{number} is not topic, partition and offset: {line!r}")
        offsets[match[1], int(match[2])] = int(match[3])
    return offsets


def commit_offsets(admin: AdminClient, connection: Connection, group: str, targets: Mapping[Place, int]) -> None:
    """Commit offsets for a group without members; raises CommandError."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    wishes = [TopicPartition(topic, partition, offset) for (topic, partition), offset in targets.items()]
    request = [ConsumerGroupTopicPartitions(group, wishes)]
    futures: Mapping[str, Future[ConsumerGroupTopicPartitions]] = admin.alter_consumer_group_offsets(request)
    answer = connection.answer(futures[group])
    for place in answer.topic_partitions or ():
        if place.error is not None:
            raise connection.explained(place.error)


def delete_offsets(
    group: str,
    /,
    *,
    topic: Annotated[list[str], Parameter(name=["--topic", "-t"], negative=())],
    yes: Yes = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Forget what a group has committed for a topic. One that a member still reads is refused.

    Parameters
    ----------
    group
        Its name.
    topic
        The topic, or topic:0,2,5 for some partitions; may be given many times.
    """
    admin = connection.admin()
    description = describe(admin, connection, group)
    places = partitions_of(admin, connection, topic)
    confirm(f"forget the offsets of {group} in {', '.join(topic)}", yes=yes)
    with connection.coordinator_channel(description) as channel:
        answer = channel.ask(OFFSET_DELETE, lambda _: {"group_id": group, "topics": _by_topic(places)})
    require_no_error(answer)
    records: list[dict[str, Any]] = []
    failures: list[CommandError] = []
    for part in answer.topics:
        for partition in part.partitions:
            error = error_of(partition)
            failures += [] if error is None else [error]
            result = "deleted" if error is None else str(error)
            records.append({"topic": part.name, "partition": int(partition.partition_index), "result": result})
    output.records(records, ("topic", "partition", "result"))
    settle(failures, len(records))


def _by_topic(places: list[Place]) -> list[dict[str, Any]]:
    partitions: dict[str, list[Any]] = {}
    for name, partition in places:
        partitions.setdefault(name, []).append({"partition_index": partition})
    return [{"name": name, "partitions": each} for name, each in partitions.items()]
