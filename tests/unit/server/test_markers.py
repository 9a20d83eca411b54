"""Markers of transactions: when a partition counts as told."""

import asyncio
from types import SimpleNamespace

from moldau.control.machine import TransactionMarker
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode
from moldau.server.markers import MarkerWriter

MARKER = TransactionMarker(7, 1, 0, committed=True)


def image_of(**topics):
    """A shell whose image knows these topics with so many partitions."""
    known = {name: SimpleNamespace(partitions=dict.fromkeys(range(count))) for name, count in topics.items()}
    return SimpleNamespace(metadata=SimpleNamespace(machine=SimpleNamespace(image=SimpleNamespace(topics=known))))


def told_in_time(shell, *partitions):
    writing = MarkerWriter(None).write_until_done(shell, MARKER, {TopicPartition(*at) for at in partitions})
    asyncio.run(asyncio.wait_for(writing, 5))
    return True


def test_a_partition_whose_topic_was_deleted_needs_no_marker():
    assert told_in_time(image_of(), ("orders", 0))


def test_a_partition_that_the_topic_does_not_have_since_it_was_made_anew_needs_no_marker():
    assert told_in_time(image_of(orders=1), ("orders", 5))


def test_a_partition_that_is_there_gets_its_marker_as_soon_as_it_takes_one():
    shell = image_of(orders=1)
    refusals = [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER]

    class Writer(MarkerWriter):
        async def write(self, shell, marker, at):
            return refusals.pop() if refusals else ErrorCode.NONE

    writing = Writer(None).write_until_done(shell, MARKER, {TopicPartition("orders", 0)})
    asyncio.run(asyncio.wait_for(writing, 30))
    assert not refusals
