"""Where a stretch of a partition begins or ends, in the words of one who asks: an offset, a time, how long ago."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from moldau.client import Consumer, KafkaException, TopicPartition

Place = str | int | dt.datetime | dt.timedelta | Mapping[int, int]
"""`"earliest"`, `"latest"`, an offset, a time, a time so long ago, or an offset for each partition."""

LOOK_UP_TIMEOUT_S = 30.0
Ends = dict[tuple[str, int], tuple[int, int]]
"""By topic and partition: the first offset there is, and the one after the last."""


def offsets_at(consumer: Consumer, place: Place, ends: Ends, now: dt.datetime) -> dict[tuple[str, int], int]:
    """The offset of each partition where `place` is, within what the partition holds.

    Raises:
        ValueError: it is no place, or a time without a time zone.
        KafkaException: the cluster cannot look it up.
    """
    if isinstance(place, dt.timedelta):
        place = now - abs(place)
    if isinstance(place, dt.datetime):
        return _at_time(consumer, place, ends)
    if isinstance(place, Mapping):
        return {at: _within(place.get(at[1], low), low, high) for at, (low, high) in ends.items()}
    if isinstance(place, int) and not isinstance(place, bool):
        return {at: _within(place, low, high) for at, (low, high) in ends.items()}
    if place == "earliest":
        return {at: low for at, (low, _) in ends.items()}
    if place == "latest":
        return {at: high for at, (_, high) in ends.items()}
    raise ValueError(
        f"{place!r} is no place in a topic: say 'earliest', 'latest', an offset (-10: ten before the end), a datetime, "
        "a timedelta (so long ago), or {partition: offset}"
    )


def _within(offset: int, low: int, high: int) -> int:
    return min(max(high + offset if offset < 0 else offset, low), high)


def _at_time(consumer: Consumer, when: dt.datetime, ends: Ends) -> dict[tuple[str, int], int]:
    if when.tzinfo is None:
        raise ValueError(f"{when} has no time zone: write datetime(…, tzinfo=UTC), or .astimezone() for the local one")
    asked = [TopicPartition(topic, number, int(when.timestamp() * 1000)) for topic, number in ends]
    found = {}
    for each in consumer.offsets_for_times(asked, timeout=LOOK_UP_TIMEOUT_S):
        if each.error is not None:
            raise KafkaException(each.error)
        # A negative offset says: nothing is as late as that.
        high = ends[each.topic, each.partition][1]
        found[each.topic, each.partition] = each.offset if each.offset >= 0 else high
    return found


def ends_of(consumer: Consumer, topics: Sequence[str], partitions: Sequence[int] | None) -> Ends:
    """What each partition of these topics holds now.

    Raises:
        KafkaException: there is no such topic, or nobody answers.
        ValueError: a topic has no such partition.
    """
    ends: Ends = {}
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=LOOK_UP_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        missing = set(partitions or ()) - metadata.partitions.keys()
        if missing:
            raise ValueError(f"{topic} has {len(metadata.partitions)} partitions, and no {sorted(missing)}")
        for number in sorted(metadata.partitions if partitions is None else set(partitions)):
            here = TopicPartition(topic, number)
            ends[topic, number] = consumer.get_watermark_offsets(here, timeout=LOOK_UP_TIMEOUT_S)
    return ends
