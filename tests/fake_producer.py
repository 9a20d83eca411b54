"""What a session of a streams application writes with, where no cluster is."""

from __future__ import annotations

from collections import Counter

from moldau._core import RecordAccumulator
from moldau.client.producing import (
    AbortableError,
    Delivered,
    NoRoomError,
    ProduceError,
    Refused,
    TooLargeError,
)
from moldau.errors import ErrorCode


class FakeRecordProducer:
    """Writes when it is asked what it wrote, but what somebody refuses."""

    def __init__(self, *_, refusing=None, bytes_max=1 << 20, missing=(), room=1 << 30, partitions=1):
        self.refusing = refusing or (lambda topic, value: False)
        self.bytes_max, self.missing, self.room, self.partitions = bytes_max, missing, room, partitions
        self.names = []
        self.waiting = []
        self.written = []
        self.failure = None
        self.ends = Counter()
        self.calls = []
        self.offsets = []
        self.in_transaction = self.is_spoilt = False

    def open(self, topic, timeout_s):
        if topic in self.missing:
            raise ProduceError(f"cannot write to {topic}", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self.names.append(topic)
        return len(self.names) - 1

    def partition_count(self, topic):
        return self.partitions

    def append(self, topic, partition, key, value, timestamp_ms, headers):
        if len(self.waiting) >= self.room:
            raise NoRoomError("full")
        if len(value or b"") > self.bytes_max and self.names[topic] != "dead":
            raise TooLargeError("too large")
        if partition >= self.partitions:
            raise IndexError(f"there is no partition {partition}")
        self.waiting.append((self.names[topic], max(partition, 0), (timestamp_ms, key, value, headers)))

    def append_run(self, topic, run, output):
        for key, value, timestamp, headers in run.records(output):
            self.append(topic, -1, key, value, timestamp, headers)
        return []

    def wait_for_room(self, timeout_s):
        pass

    def reports(self):
        if self.failure is not None:
            raise self.failure
        waiting, self.waiting = self.waiting, []
        return [self._report(*one) for one in waiting]

    def _report(self, topic, partition, record):
        if self.refusing(topic, record[2]):
            source = RecordAccumulator(1 << 20, 1, 1 << 20, 1 << 30)
            number = source.add_topic()
            source.set_partitions(number, 1)
            timestamp, key, value, headers = record
            source.append(number, 0, key, value, timestamp, headers, 0.0)
            self.is_spoilt = True
            error = ProduceError(f"{topic} does not take it", ErrorCode.INVALID_RECORD)
            return Refused(topic, partition, source.take(number, 0), error)
        self.written.append((topic, partition, record))
        self.ends[topic, partition] += 1
        return Delivered(topic, partition, self.ends[topic, partition] - 1, 1)

    def flush(self, timeout_s):
        return self.failure is None

    def close(self):
        pass

    def init_transactions(self, timeout_s):
        self._do("init")

    def begin_transaction(self):
        self._do("begin")
        assert not self.in_transaction
        self.in_transaction, self.is_spoilt = True, False
        self._begins_at = len(self.written)

    def send_offsets_to_transaction(self, offsets, group, timeout_s):
        self._do("offsets")
        self.offsets.append((dict(offsets), group))

    def commit_transaction(self, timeout_s):
        self._do("commit")
        assert not self.waiting
        if self.is_spoilt:
            raise AbortableError("a record was refused", ErrorCode.INVALID_RECORD)
        self.in_transaction = False

    def abort_transaction(self, timeout_s):
        self._do("abort")
        self.waiting.clear()
        del self.written[self._begins_at :]
        self.in_transaction = False

    def _do(self, call):
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def values_of(self, topic):
        return [record[2] for name, _, record in self.written if name == topic]


def refuse(*topics):
    """A producer from which these topics take no value that begins with a minus."""
    return FakeRecordProducer(refusing=lambda topic, value: topic in topics and value.startswith(b"-"))
