"""`moldau streams reset`: an application begins again, as with Kafka's kafka-streams-application-reset.

Inputs go back, intermediate topics go to their end, internal topics and local state are deleted. It shows what it would
do; --execute does it, and is refused while an instance runs: what it deletes would come back half.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.group import committed_offsets
from moldau.cli.group_offsets import commit_offsets
from moldau.cli.outcome import CommandError, PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.places import Place, partitions_of, resolve
from moldau.cli.several import Execute
from moldau.cli.streams import internal_topics, kind_of

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

TopicList = Annotated[list[str] | None, Parameter(negative=())]


def reset_streams(
    application: str,
    /,
    *,
    input_topics: TopicList = None,
    intermediate: TopicList = None,
    to: str = "earliest",
    state_dir: Path | None = None,
    execute: Execute = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Let an application begin again. Shows what it would do; --execute does it, and no instance may run then.

    Parameters
    ----------
    application
        Its application.id.
    input_topics
        The topics that it reads; with commas between them, or given many times.
    intermediate
        Topics of yours that it both writes and reads: they are skipped to their end.
    to
        Where the input topics go: earliest, latest, an offset, +N or -N from where they are, or a time as
        2026-01-31T12:00 (UTC unless it says otherwise), as @milliseconds or as @-1h30m.
    state_dir
        The state.dir of an instance on this machine, whose state of this application is deleted.
    execute
        Do it.
    """
    admin = connection.admin()
    _require_no_members(admin, connection, application)
    committed = committed_offsets(admin, connection, application)
    targets = _targets(admin, connection, committed, _split(input_topics), _split(intermediate), to)
    topics = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s)).topics
    internal = internal_topics(application, topics)
    folder = None if state_dir is None else state_dir / application
    if folder is not None and not folder.is_dir():
        folder = None
    if not (targets or internal or folder):
        raise UsageError(
            f"{application} has nothing to reset", "--input-topics names what it reads; `moldau group list` shows names"
        )
    failures: list[CommandError] = []
    if folder is not None:
        _delete_state(folder, execute=execute)
    results = dict.fromkeys(internal, "would be deleted")
    if execute:
        results = _delete_topics(admin, connection, internal, failures)
        if targets:
            commit_offsets(admin, connection, application, targets)
    record = {
        "application": application,
        "executed": execute,
        "offsets": [
            {"topic": place[0], "partition": place[1], "from": committed.get(place), "to": offset}
            for place, offset in targets.items()
        ],
        "internal_topics": [
            {"topic": topic, "kind": kind_of(topic), "result": result} for topic, result in results.items()
        ],
        "state": None if folder is None else str(folder),
    }
    _print(record, output)
    say("reset" if execute else "nothing was changed; --execute does it")
    if failures:
        raise PartlyDoneError(f"{len(failures)} of {len(internal)} internal topics could not be deleted")


def _split(topics: list[str] | None) -> list[str]:
    return [topic for text in topics or () for topic in text.split(",") if topic]


def _require_no_members(admin: AdminClient, connection: Connection, application: str) -> None:
    futures = admin.describe_consumer_groups([application], request_timeout=connection.timeout_s)
    members = connection.answer(futures[application]).members
    if members:
        raise RefusedError(
            f"{application} is running: {len(members)} members",
            "stop all of its instances; one that was killed counts until session.timeout.ms is over",
        )


def _targets(
    admin: AdminClient,
    connection: Connection,
    committed: dict[Place, int],
    inputs: list[str],
    intermediate: list[str],
    to: str,
) -> dict[Place, int]:
    targets: dict[Place, int] = {}
    if inputs:
        targets.update(resolve(admin, connection, partitions_of(admin, connection, inputs), to, committed))
    if intermediate:
        targets.update(resolve(admin, connection, partitions_of(admin, connection, intermediate), "latest"))
    return targets


def _delete_state(folder: Path, *, execute: bool) -> None:
    from moldau.streams.runtime.directory import StateDirectory, StateDirectoryError

    try:
        held = StateDirectory(folder, needed=True)
    except StateDirectoryError as error:
        raise RefusedError(f"the state in {folder} is in use", "stop the instance that has it") from error
    try:
        if execute:
            shutil.rmtree(folder)
    finally:
        held.close()


def _delete_topics(
    admin: AdminClient, connection: Connection, topics: list[str], failures: list[CommandError]
) -> dict[str, str]:
    if not topics:
        return {}
    results: dict[str, str] = {}
    for topic, future in admin.delete_topics(topics, request_timeout=connection.timeout_s).items():
        try:
            connection.answer(future)
            results[topic] = "deleted"
        except CommandError as error:
            failures.append(error)
            results[topic] = str(error)
    return results


def _print(record: dict[str, Any], output: Output) -> None:
    if not output.for_eyes:
        output.record(record, ())
        return
    blocks: list[tuple[Any, tuple[str, ...]]] = [
        (record["offsets"], ("topic", "partition", "from", "to")),
        (record["internal_topics"], ("topic", "kind", "result")),
    ]
    for number, (records, columns) in enumerate(block for block in blocks if block[0]):
        if number:
            print()
        output.records(records, columns)
    if record["state"] is not None:
        print(f"state  {record['state']}")
