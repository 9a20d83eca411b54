"""What the sides of a foreign-key join send each other: bytes that are refused, and where answers go."""

from __future__ import annotations

from typing import Any

import pytest

from moldau.streams import Serdes, StreamsBuilder, TableJoined
from moldau.streams.serdes.foreign_key import (
    Instruction,
    Response,
    Subscription,
    response_serde,
    subscription_serde,
    value_hash_of,
)
from moldau.streams.topology.nodes import SinkNode
from moldau.streams.topology.topology import copartition_groups

HASH = bytes(range(16))


def both(one: str, other: str) -> str:
    return f"{one}+{other}"


def test_the_hash_is_murmur3_with_the_seed_of_kafka():
    # Of texts of every length around a block; the first is what Kafka wrote for it in a scenario.
    assert value_hash_of(b"a1").hex() == "353e0e4f3af5ce6b8fb80c06f3fdc584"
    assert len({value_hash_of(b"x" * length) for length in range(50)}) == 50


@pytest.mark.parametrize("value_hash", [None, HASH])
@pytest.mark.parametrize("partition", [None, 7])
@pytest.mark.parametrize("instruction", list(Instruction))
def test_a_subscription_reads_as_it_was_written(value_hash: Any, partition: Any, instruction: Instruction):
    serde = subscription_serde(Serdes.String())
    subscription = Subscription(value_hash, instruction, "key", partition)
    assert serde.deserialize(serde.serialize(subscription)) == subscription


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x03short", b"\x02\x03" + HASH, b"\x01\x09" + HASH + b"\0\0\0\0"])
def test_a_torn_or_newer_subscription_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"subscription|hash|Instruction"):
        subscription_serde(Serdes.String()).deserialize(data)


@pytest.mark.parametrize("data", [b"", b"\x00short", b"\x01" + HASH])
def test_a_torn_or_newer_response_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"response|hash"):
        response_serde(Serdes.String()).deserialize(data)


def test_a_response_goes_to_the_partition_that_asked_or_to_the_one_that_a_partitioner_says():
    def sinks(joined: TableJoined | None) -> dict[str, SinkNode]:
        builder = StreamsBuilder()
        left, right = builder.table("left", value=str), builder.table("right", value=str)
        left.join(right, lambda value: value[:1], both, joined)
        topology = builder.build()
        assert [set(group) for group in copartition_groups(topology)] == [
            {"right", next(topic for topic in topology.repartition_topics if "egistration" in topic.lower())},
            {"left", next(topic for topic in topology.repartition_topics if "esponse" in topic.lower())},
        ]
        return {str(node.topic): node for node in topology.nodes.values() if isinstance(node, SinkNode)}

    asked, answered = sinks(None).values()
    assert asked.partitioner is None
    assert answered.partitioner is not None
    assert answered.partitioner("topic", "key", Response(HASH, "value", 3), 8) == 3
    chosen = TableJoined(None, lambda *given: len(str(given)), lambda *given: 5)
    asked, answered = sinks(chosen).values()
    assert answered.partitioner is not None
    assert asked.partitioner is not None
    assert asked.partitioner("t", "key", Subscription(HASH, Instruction(0), "k", 0), 8) == 5
    assert answered.partitioner("t", "key", Response(HASH, "value", 3), 8) == len(str(("t", "key", None, 8)))
