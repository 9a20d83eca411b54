"""What a lag is, once everything is read. Pure: offsets and times come in, numbers go out.

next_offset   where the group goes on: what it committed; the log start when it has committed nothing, or when what
it committed was deleted meanwhile; moved on to the first record that is really there
lag           from there to the end, in offsets. Holes further on (compacted records, markers and records of aborted
transactions) are counted: never fewer than the records that wait, sometimes a few more
lag_s         how long the first record that waits has been waiting: now less its timestamp
undecided     records behind the last stable offset: a read_committed group cannot see them yet
lost          records that were deleted before the group had read them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Place = tuple[str, int]
GroupPlace = tuple[str, str, int]
"""Group, topic, partition."""


class FirstRecord(NamedTuple):
    """The first record at or behind an offset."""

    offset: int
    timestamp_ms: int | None
    stamped_by: str | None
    """`create-time`: the producer's clock; `append-time`: the broker's."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Where one partition begins and ends."""

    log_start_offset: int
    end_offset: int
    """Up to where the group reads: the last stable offset, or the high watermark."""
    high_watermark: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment."""

    at_s: float
    """A clock that never goes back."""
    committed: Mapping[GroupPlace, int | None]
    """Every partition that belongs to a group, None where it has committed nothing."""
    ends: Mapping[Place, Ends]

    def next_offset(self, at: GroupPlace) -> int:
        """Where the group goes on, as far as offsets tell."""
        committed, ends = self.committed[at], self.ends[at[1:]]
        return ends.log_start_offset if committed is None else max(committed, ends.log_start_offset)


def records(
    before: Sample | None, now: Sample, first: Mapping[GroupPlace, FirstRecord | None], now_ms: int
) -> list[dict[str, Any]]:
    """One row per group and partition.

    Args:
        before: an earlier sample, for rates; None when there is none.
        first: what was read where a group goes on: None where there was nothing to read up to the end. A partition that
            is not in it was not read.
        now_ms: the time of day, milliseconds since the epoch.
    """
    return [_record(before, now, at, first, now_ms) for at in sorted(now.committed)]


def _record(
    before: Sample | None, now: Sample, at: GroupPlace, first: Mapping[GroupPlace, FirstRecord | None], now_ms: int
) -> dict[str, Any]:
    group, topic, partition = at
    committed, ends = now.committed[at], now.ends[topic, partition]
    next_offset = now.next_offset(at)
    found = first.get(at)
    if found is not None:
        next_offset = max(next_offset, found.offset)
    elif at in first:
        # Nothing but holes up to the end: there is nothing to wait for.
        next_offset = max(next_offset, ends.end_offset)
    lag = max(ends.end_offset - next_offset, 0)
    consumed, produced = _rates(before, now, at)
    return {
        "group": group,
        "topic": topic,
        "partition": partition,
        "committed": committed,
        "next_offset": next_offset,
        "log_start_offset": ends.log_start_offset,
        "end_offset": ends.end_offset,
        "lag": lag,
        **_waiting(lag, found, now_ms),
        "undecided": max(ends.high_watermark - ends.end_offset, 0),
        "lost": 0 if committed is None else max(ends.log_start_offset - committed, 0),
        "consumed_per_s": consumed,
        "produced_per_s": produced,
        "catch_up_s": _catch_up_s(lag, consumed, produced),
    }


def _waiting(lag: int, found: FirstRecord | None, now_ms: int) -> dict[str, Any]:
    if lag == 0:
        return {"lag_s": 0.0, "lag_s_from": None}
    if found is None or found.timestamp_ms is None:
        return {"lag_s": None, "lag_s_from": None}
    # A producer's clock may be ahead of ours.
    return {"lag_s": max(now_ms - found.timestamp_ms, 0) / 1000, "lag_s_from": found.stamped_by}


def _rates(before: Sample | None, now: Sample, at: GroupPlace) -> tuple[float | None, float | None]:
    """Records per second that the group has moved on, and that were written; None without two samples."""
    if before is None or at not in before.committed or at[1:] not in before.ends or now.at_s <= before.at_s:
        return None, None
    elapsed_s = now.at_s - before.at_s
    was, is_ = before.committed[at], now.committed[at]
    consumed = None if was is None or is_ is None else round((is_ - was) / elapsed_s, 3)
    written = now.ends[at[1:]].end_offset - before.ends[at[1:]].end_offset
    return consumed, round(written / elapsed_s, 3)


def sums(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per group and topic: records added up, the longest wait, the last to have caught up.

    `behind` counts the partitions with a lag. A wait that is not known of one is not known of the whole; rates are
    added up where there are any, because a group has none where it has committed nothing.
    """
    by_topic: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_topic.setdefault((row["group"], row["topic"]), []).append(row)
    return [_sum(group, topic, parts) for (group, topic), parts in by_topic.items()]


def _sum(group: str, topic: str, parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    rates = [part["consumed_per_s"] for part in parts if part["consumed_per_s"] is not None]
    return {
        "group": group,
        "topic": topic,
        "partitions": len(parts),
        "behind": sum(part["lag"] > 0 for part in parts),
        "lag": sum(part["lag"] for part in parts),
        "lag_s": _largest(part["lag_s"] for part in parts),
        "consumed_per_s": sum(rates) if rates else None,
        "catch_up_s": _largest(part["catch_up_s"] for part in parts),
    }


def _largest(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else max(filter(None, known), default=0.0)


def _catch_up_s(lag: int, consumed: float | None, produced: float | None) -> float | None:
    """When the lag is gone if both go on as they did; None when it never is, or nobody knows."""
    if lag == 0:
        return 0.0
    if consumed is None or produced is None or consumed <= produced:
        return None
    return round(lag / (consumed - produced), 3)


def is_over(row: Mapping[str, Any], records_max: int | None, seconds_max: float | None) -> bool:
    """Whether a row is above one of the thresholds. A wait that is not known is not above any."""
    too_many = records_max is not None and row["lag"] > records_max
    too_long = seconds_max is not None and row["lag_s"] is not None and row["lag_s"] > seconds_max
    return too_many or too_long
