"""The anomalies, each a function with a name: from what is known of a history to what is wrong with it.

They are the ones that Jepsen's tests of Kafka and its peers look for (jepsen.tests.kafka; the analyses of Redpanda
21.10.1 and Bufstream 0.1.0), plus three: a transaction of which a part is there, a record that was seen before its
transaction asked to commit, and the law of the transfer workload. Nothing is deleted by retention or compaction while a
history is recorded: a record that is gone is lost.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator

from tests.fault.history.books import money_not_conserved
from tests.fault.history.cycles import read_cycles
from tests.fault.history.known import Known
from tests.fault.history.operations import Assign, Poll, ReadToEnd, Record, Seek, Send

Check = Callable[[Known], Iterator[str]]


def lost_write(known: Known) -> Iterator[str]:
    """Acknowledged (and committed, or seen by somebody), and not there for a reader that has read past it."""
    for send in known.sends:
        settled = known.settled_at(send)
        if settled is None:
            continue
        if (witness := _who_should_have(known, send, settled)) is not None:
            at = f"{send.partition}@{_shown(send.offset)}"
            yield f"{send.value!r} of {send.process} was acknowledged at {at}; {witness}"
    yield from _seen_and_gone(known)


def _who_should_have(known: Known, send: Send, settled: int) -> str | None:
    if any(place[0] == send.partition for place in known.places_of_value.get(send.value, ())):
        return None
    for end in known.ends:
        if end.partition == send.partition and settled < end.began and not _got(known, end.reader, send):
            return f"{end.reader} read everything below {end.offset} and did not get it"
    log = known.committed_log.get(send.partition)
    if log and send.offset is not None and send.offset < (highest := next(reversed(log))):
        return f"nobody got it, and {send.partition}@{highest} was read"
    return None


def _got(known: Known, reader: str, send: Send) -> bool:
    """Whether the reader got this send: its value in its partition, and not where another send put it."""
    places = known.places_of_reader.get(reader, ())
    return any(
        place in places and known.acknowledged_at.get(place, send) is send
        for place in known.places_of_value.get(send.value, ())
        if place[0] == send.partition
    )


def _seen_and_gone(known: Known) -> Iterator[str]:
    """A record that was committed for one reader is there for all that read everything later."""
    first_seen: dict[tuple[str, int, str], Poll] = {}
    for poll in known.polls:
        for record in poll.records:
            if poll.isolation == "read_committed" or not known.may_be_aborted(record):
                first_seen.setdefault((record.partition, record.offset, record.value), poll)
    for end in known.ends:
        if _is_group(known, end):
            continue
        # With its value: the offset of a record that is gone may have been given to another.
        got = {
            (record.partition, record.offset, record.value)
            for poll in known.polls
            if poll.reader == end.reader
            for record in poll.records
        }
        for (partition, offset, value), poll in first_seen.items():
            if partition == end.partition and poll.at < end.began and (partition, offset, value) not in got:
                at = f"{partition}@{offset}"
                yield f"{value!r} was read at {at} by {poll.process}; {end.reader} read all and did not get it"


def _is_group(known: Known, end: ReadToEnd) -> bool:
    return end.reader != end.process


def duplicate(known: Known) -> Iterator[str]:
    """One value at two places: a retry that was taken for new, or an effect that happened twice."""
    for value, places in known.places_of_value.items():
        if len(places) > 1:
            yield f"{value!r} is at {', '.join(f'{partition}@{offset}' for partition, offset in sorted(places))}"


def inconsistent_offset(known: Known) -> Iterator[str]:
    """One place with two values: for two readers, for two producers, or for a producer and a reader."""
    values: dict[tuple[str, int], set[str]] = defaultdict(set)
    for send in known.sends:
        if send.offset is not None:
            values[send.partition, send.offset].add(send.value)
    for poll in known.polls:
        for record in poll.records:
            values[record.partition, record.offset].add(record.value)
    for (partition, offset), found in sorted(values.items()):
        if len(found) > 1:
            yield f"{partition}@{offset} is {' and '.join(repr(value) for value in sorted(found))}"


def aborted_read(known: Known) -> Iterator[str]:
    """A reader of committed records got one whose transaction was aborted, or whose send surely failed."""
    for poll, record in _committed_reads(known):
        sends = known.sends_of_value.get(record.value, [])
        writer = known.writer_of(record)
        if not sends:
            yield f"{poll.process} read {_at(record)}, which nobody sent"
        elif writer is not None and _is_void(known, writer):
            yield f"{poll.process} read {_at(record)} of {writer.transaction or writer.process}, which was aborted"
        elif all(_is_void(known, send) for send in sends):
            yield f"{poll.process} read {_at(record)}: every attempt to write it was aborted"


def _is_void(known: Known, send: Send) -> bool:
    if send.outcome == "failed":
        return True
    return send.transaction is not None and known.outcome(send.transaction) == "aborted"


def uncommitted_read(known: Known) -> Iterator[str]:
    """A reader of committed records got one before its transaction had asked to commit."""
    for poll, record in _committed_reads(known):
        writer = known.writer_of(record)
        if writer is None or writer.transaction is None:
            continue
        transaction = known.transactions.get(writer.transaction)
        if transaction is not None and transaction.committing is not None and poll.at < transaction.committing:
            yield f"{poll.process} read {_at(record)} before {transaction.name} asked to commit"


def torn_transaction(known: Known) -> Iterator[str]:
    """A part of a transaction is there and a part is not, for a reader that has read everything."""
    ends: dict[str, dict[str, ReadToEnd]] = defaultdict(dict)
    for end in known.ends:
        ends[end.reader][end.partition] = end
    for name, sends in known.sends_of_transaction.items():
        transaction = known.transactions.get(name)
        if transaction is None or transaction.outcome == "aborted":
            continue
        for reader, of_partition in ends.items():
            read = [
                send
                for send in sends
                if (end := of_partition.get(send.partition)) is not None and transaction.at < end.began
            ]
            missing = [send.value for send in read if not _got(known, reader, send)]
            if missing and len(missing) < len(read):
                got = f"{len(read) - len(missing)} of {len(read)}"
                yield f"{reader} got {got} records of {name}; missing: {missing[:5]}"


def skipped_poll(known: Known) -> Iterator[str]:
    """A consumer went past a record that is there, without a seek; or a whole group has."""
    offsets = {partition: list(log) for partition, log in known.committed_log.items()}
    for process, before, after in _steps(known):
        log = offsets.get(before.partition, [])
        between = log[bisect_right(log, before.offset) : bisect_left(log, after.offset)]
        if between:
            yield (
                f"{process} got {before.partition}@{before.offset} and then @{after.offset}; "
                f"{len(between)} records are between them, the first is @{between[0]}"
            )
    for end in known.ends:
        if _is_group(known, end):
            got = known.places_of_reader[end.reader]
            below = offsets.get(end.partition, [])[: bisect_left(offsets.get(end.partition, []), end.offset)]
            missed = [offset for offset in below if (end.partition, offset) not in got]
            if missed:
                yield f"group {end.reader} is done with {end.partition} up to {end.offset} and never got {missed[:5]}"


def non_monotonic_poll(known: Known) -> Iterator[str]:
    """A consumer went back, without a seek and without a new assignment."""
    for process, before, after in _steps(known):
        if after.offset <= before.offset:
            yield f"{process} got {before.partition}@{before.offset} and then @{after.offset}"


def non_monotonic_send(known: Known) -> Iterator[str]:
    """Two records that a producer sent to a partition one after the other are there the other way round."""
    last: dict[tuple[str, str], Send] = {}
    for send in sorted(known.sends, key=lambda send: send.began):
        if send.offset is None:
            continue
        key = (send.process, send.partition)
        before = last.get(key)
        if before is not None and before.offset is not None and send.offset <= before.offset:
            yield (
                f"{send.process} sent {before.value!r} to {send.partition}@{before.offset} "
                f"and after it {send.value!r} to @{send.offset}"
            )
        last[key] = send


def read_cycle(known: Known) -> Iterator[str]:
    """Transactions that each saw what the next one wrote, in a circle: none of them can have been first."""
    for circle in read_cycles(known):
        yield f"each of these saw a record of another, in a circle: {', '.join(circle)}"


ANOMALIES: dict[str, Check] = {
    "lost write": lost_write,
    "duplicate": duplicate,
    "inconsistent offset": inconsistent_offset,
    "aborted read": aborted_read,
    "uncommitted read": uncommitted_read,
    "torn transaction": torn_transaction,
    "skipped poll": skipped_poll,
    "non-monotonic poll": non_monotonic_poll,
    "non-monotonic send": non_monotonic_send,
    "read cycle": read_cycle,
    "money not conserved": money_not_conserved,
}


def _committed_reads(known: Known) -> Iterator[tuple[Poll, Record]]:
    for poll in known.polls:
        if poll.isolation == "read_committed":
            for record in poll.records:
                yield poll, record


def _steps(known: Known) -> Iterator[tuple[str, Record, Record]]:
    """Each record that a consumer got, with the one before it in the same partition and the same assignment."""
    last: dict[str, dict[str, Record]] = defaultdict(dict)
    for operation in known.history:
        if isinstance(operation, Assign):
            last.pop(operation.process, None)
        elif isinstance(operation, Seek):
            last[operation.process].pop(operation.partition, None)
        elif isinstance(operation, Poll):
            of_process = last[operation.process]
            for record in operation.records:
                before = of_process.get(record.partition)
                if before is not None:
                    yield operation.process, before, record
                of_process[record.partition] = record


def _shown(offset: int | None) -> str:
    return "?" if offset is None else str(offset)


def _at(record: Record) -> str:
    return f"{record.value!r} at {record.partition}@{record.offset}"
