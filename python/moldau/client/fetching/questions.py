"""What a reader asks, as the protocol's fields, and what an answer says of each partition.

Source: the Kafka protocol guide; KIP-227 (fetch sessions), KIP-320 (leader epochs), KIP-392 (the rack).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from moldau.client.fetching.reading import Reading
from moldau.client.fetching.sessions import FetchSession, Wanted
from moldau.client.fetching.settings import FetchSettings
from moldau.client.protocol.partitions import Partition, by_topic
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS, OFFSET_FOR_LEADER_EPOCH, Values


class Request(NamedTuple):
    """A question to one broker."""

    api_key: int
    readings: tuple[Reading, ...]
    values: Values
    session: FetchSession | None = None
    """Of a Fetch: what the broker remembers."""

    @property
    def what(self) -> str:
        """As people call it."""
        return {FETCH: "records", LIST_OFFSETS: "offsets"}.get(self.api_key, "the ends of epochs")


def list_offsets(readings: tuple[Reading, ...], settings: FetchSettings) -> Request:
    """Where do these begin, or end?"""
    topics = [
        {
            "name": topic,
            "partitions": [
                {
                    "partition_index": one.place[1],
                    "current_leader_epoch": one.leader_epoch,
                    "timestamp": one.position,
                    "max_num_offsets": 1,
                }
                for one in ones
            ],
        }
        for topic, ones in by_topic((one.place[0], one) for one in readings).items()
    ]
    values = {"replica_id": -1, "isolation_level": int(settings.read_committed), "topics": topics}
    return Request(LIST_OFFSETS, readings, values)


def offsets_for_leader_epoch(readings: tuple[Reading, ...]) -> Request:
    """Where does each leader's part of the epoch end in which we have come to where we are?"""
    topics = [
        {
            "topic": topic,
            "partitions": [
                {"partition": one.place[1], "current_leader_epoch": one.leader_epoch, "leader_epoch": one.epoch}
                for one in ones
            ],
        }
        for topic, ones in by_topic((one.place[0], one) for one in readings).items()
    ]
    return Request(OFFSET_FOR_LEADER_EPOCH, readings, {"replica_id": -1, "topics": topics})


def fetch(readings: tuple[Reading, ...], session: FetchSession, settings: FetchSettings, max_wait_ms: int) -> Request:
    """What comes next in these? The broker is told of those that are not as it remembers them."""
    asked = session.ask({one.place: Wanted(one.position, one.leader_epoch, one) for one in readings})
    rows = (
        (
            topic,
            {
                "partition": partition,
                "current_leader_epoch": wanted.leader_epoch,
                "fetch_offset": wanted.offset,
                "partition_max_bytes": settings.partition_max_bytes,
            },
        )
        for (topic, partition), wanted in asked.changed.items()
    )
    values = {
        "max_wait": max_wait_ms,
        "min_bytes": settings.min_bytes,
        "max_bytes": settings.max_bytes,
        "isolation_level": int(settings.read_committed),
        "session_id": asked.session_id,
        "session_epoch": asked.session_epoch,
        "topics": [{"topic": topic, "partitions": ones} for topic, ones in by_topic(rows).items()],
        "forgotten_topics_data": [
            {"topic": topic, "partitions": ones} for topic, ones in by_topic(asked.forgotten).items()
        ],
        "rack_id": settings.rack,
    }
    return Request(FETCH, readings, values, session)


def parts_of(request: Request, answer: Any) -> dict[Partition, Any]:
    """What an answer says of each partition."""
    if request.api_key == FETCH:
        rows = [(str(topic.topic), one.partition_index, one) for topic in answer.responses for one in topic.partitions]
    elif request.api_key == LIST_OFFSETS:
        rows = [(str(topic.name), one.partition_index, one) for topic in answer.topics for one in topic.partitions]
    else:
        rows = [(str(topic.topic), one.partition, one) for topic in answer.topics for one in topic.partitions]
    return {(topic, int(partition)): one for topic, partition, one in rows}
