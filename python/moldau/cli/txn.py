"""`moldau txn`: the transactions of any Kafka cluster, and an end for those that hang (KIP-664).

A transaction hangs when a partition holds one open that its coordinator knows nothing of: nobody will ever end it, and
readers of committed records stand still before it. librdkafka has no calls for any of this, so it is the protocol
itself. Only what the broker that is asked leads and coordinates is seen: on one node that is everything.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from moldau.cli.channel import Channel, require_no_error
from moldau.cli.connection import Connection
from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output
from moldau.client.protocol.questions import (
    DESCRIBE_PRODUCERS,
    DESCRIBE_TRANSACTIONS,
    LIST_TRANSACTIONS,
    WRITE_TXN_MARKERS,
)

LISTED: Final = ("transactional_id", "producer_id", "state")
DESCRIBED: Final = (
    "transactional_id",
    "state",
    "producer_id",
    "producer_epoch",
    "timeout_ms",
    "started",
    "open_ms",
    "partitions",
)
HANGING: Final = ("topic", "partition", "producer_id", "producer_epoch", "start_offset", "last_written", "open_ms")
ENDED: Final = ("topic", "partition", "producer_id", "outcome")

DURATIONS_SINCE: Final = 1
PATTERNS_SINCE: Final = 2
"""The versions of ListTransactions that can be asked for these. (KIP-994, KIP-1152)"""
NO_START: Final = -1
NOTHING_OPEN: Final = -1
LONGEST_TIMEOUT_MS: Final = 900_000
"""`transaction.max.timeout.ms` of a broker that nobody has changed; the coordinator has ended what is older."""


def list_transactions(
    *,
    state: tuple[str, ...] = (),
    producer: tuple[int, ...] = (),
    longer_than_ms: int = -1,
    pattern: str | None = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """List transactional ids.

    Parameters
    ----------
    state
        Only those in this state: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort.
    producer
        Only that of this producer id.
    longer_than_ms
        Only those that were begun longer ago than this.
    pattern
        Only those whose transactional id this regular expression matches as a whole.
    """

    def build(version: int) -> dict[str, Any]:
        for what, wanted, since in (
            ("duration filter", longer_than_ms >= 0, DURATIONS_SINCE),
            ("transactional id pattern", pattern is not None, PATTERNS_SINCE),
        ):
            if wanted and version < since:
                raise RefusedError(f"this broker has no {what}", "leave the option out")
        return {
            "state_filters": state,
            "producer_id_filters": producer,
            "duration_filter": longer_than_ms,
            "transactional_id_pattern": pattern,
        }

    with connection.channel() as channel:
        answer = channel.ask(LIST_TRANSACTIONS, build)
    require_no_error(answer)
    if answer.unknown_state_filters:
        raise UsageError(f"there is no state {answer.unknown_state_filters[0]!r}", "see --help for the states")
    records = [
        {
            "transactional_id": str(each.transactional_id),
            "producer_id": int(each.producer_id),
            "state": str(each.transaction_state),
        }
        for each in answer.transaction_states
    ]
    output.records(sorted(records, key=lambda record: record["transactional_id"]), LISTED)


def describe_transaction(
    transactional_id: str, /, *, connection: Connection = Connection(), output: Output = Output()
) -> None:
    """Show what the coordinator knows about a transactional id."""
    with connection.channel() as channel:
        answer = channel.ask(DESCRIBE_TRANSACTIONS, lambda _: {"transactional_ids": [transactional_id]})
    (found,) = answer.transaction_states
    if found.error_code.name == "transactional_id_not_found":
        raise RefusedError(f"there is no transactional id {transactional_id!r}", "`moldau txn list` shows them")
    require_no_error(found)
    output.records([_described(found)], DESCRIBED)


def _described(found: Any) -> dict[str, Any]:
    started_ms = _milliseconds(found.transaction_start_time)
    is_open = str(found.transaction_state) == "Ongoing"
    return {
        "transactional_id": str(found.transactional_id),
        "state": str(found.transaction_state),
        "producer_id": int(found.producer_id),
        "producer_epoch": int(found.producer_epoch),
        "timeout_ms": found.transaction_timeout // timedelta(milliseconds=1),
        "started": _time(started_ms),
        "open_ms": _now_ms() - started_ms if is_open else None,
        "partitions": [f"{topic.topic}-{partition}" for topic in found.topics for partition in topic.partitions],
    }


def find_hanging(
    *,
    topic: str | None = None,
    longer_than_ms: int = LONGEST_TIMEOUT_MS,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Find transactions that are open in a partition, and that no coordinator will end.

    Parameters
    ----------
    topic
        Look only here.
    longer_than_ms
        What was written to within this time is left alone: it may be about to be known.
    """
    wanted = _partitions(connection, topic)
    with connection.channel() as channel:
        open_ones = _open_in_partitions(channel, wanted)
        known = _known_to_coordinators(channel) if open_ones else {}
    output.records(hanging(open_ones, known, longer_than_ms), HANGING)


def hanging(
    open_ones: list[dict[str, Any]], known: dict[int, set[tuple[str, int]]], longer_than_ms: int
) -> list[dict[str, Any]]:
    """Those of the open transactions that no coordinator knows; `known` has its partitions by producer id."""
    return [
        each
        for each in open_ones
        if each["open_ms"] > longer_than_ms
        and (each["topic"], each["partition"]) not in known.get(each["producer_id"], set())
    ]


def abort_transaction(
    topic: str,
    partition: int,
    /,
    *,
    start_offset: int,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """End a transaction that hangs in a partition: a marker says "abort" in its producer's name.

    For one that does not hang this tears it in two: its coordinator does not hear of it.

    Parameters
    ----------
    start_offset
        Where it begins, as `moldau txn find-hanging` shows it.
    """
    with connection.channel() as channel:
        open_here = _open_in_partitions(channel, [(topic, (partition,))])
        found = next((each for each in open_here if each["start_offset"] == start_offset), None)
        if found is None:
            raise RefusedError(
                f"no transaction that began at offset {start_offset} is open in {topic}-{partition}",
                "`moldau txn find-hanging` shows those that hang",
            )

        marker = {
            "producer_id": found["producer_id"],
            "producer_epoch": found["producer_epoch"],
            "transaction_result": False,
            "coordinator_epoch": found["coordinator_epoch"],
            "topics": [{"name": topic, "partition_indexes": [partition]}],
        }
        answer = channel.ask(WRITE_TXN_MARKERS, lambda _: {"markers": [marker]})
    require_no_error(answer.markers[0].topics[0].partitions[0])
    ended = {"topic": topic, "partition": partition, "producer_id": found["producer_id"], "outcome": "aborted"}
    output.records([ended], ENDED)


def _partitions(connection: Connection, only: str | None) -> list[tuple[str, tuple[int, ...]]]:
    """Every topic, or that one, with its partitions."""
    admin = connection.admin()
    topics = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s)).topics
    if only is not None and only not in topics:
        raise RefusedError(f"there is no topic {only!r}", "`moldau topic list --internal` shows them")
    return [(name, tuple(sorted(topics[name].partitions))) for name in sorted(topics) if only in (None, name)]


def _open_in_partitions(channel: Channel, wanted: list[tuple[str, tuple[int, ...]]]) -> list[dict[str, Any]]:
    """Every transaction that a partition holds open."""
    topics = [{"name": name, "partition_indexes": partitions} for name, partitions in wanted]
    answer = channel.ask(DESCRIBE_PRODUCERS, lambda _: {"topics": topics})
    now_ms = _now_ms()
    return [
        {
            "topic": str(topic.name),
            "partition": int(partition.partition_index),
            "producer_id": int(producer.producer_id),
            "producer_epoch": int(producer.producer_epoch),
            "start_offset": int(producer.current_txn_start_offset),
            "last_written": _time(int(producer.last_timestamp)),
            "open_ms": now_ms - int(producer.last_timestamp),
            "coordinator_epoch": int(producer.coordinator_epoch),
        }
        for topic in answer.topics
        for partition in topic.partitions
        for producer in partition.active_producers
        if int(producer.current_txn_start_offset) != NOTHING_OPEN
    ]


def _known_to_coordinators(channel: Channel) -> dict[int, set[tuple[str, int]]]:
    """By producer id, the partitions of the transaction that its coordinator knows."""
    listed = channel.ask(LIST_TRANSACTIONS, lambda _: {})
    require_no_error(listed)
    ids = [str(each.transactional_id) for each in listed.transaction_states]
    if not ids:
        return {}
    answer = channel.ask(DESCRIBE_TRANSACTIONS, lambda _: {"transactional_ids": ids})
    return {
        int(each.producer_id): {
            (str(topic.topic), int(partition)) for topic in each.topics for partition in topic.partitions
        }
        for each in answer.transaction_states
    }


def _milliseconds(moment: datetime | None) -> int:
    return NO_START if moment is None else int(moment.timestamp() * 1000)


def _time(moment_ms: int) -> str | None:
    return None if moment_ms < 0 else datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
