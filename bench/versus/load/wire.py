"""A client that costs next to nothing: pre-encoded batches out, raw bytes in, over one blocking socket.

Produce v8 with acks=all, one request in flight per 24 partitions' worth of batches, five requests pipelined (Java's
`max.in.flight.requests.per.connection`); Fetch v4 with the Java consumer's sizes. Every acknowledgement is checked,
and what is fetched is walked batch by batch to count records and to know where to go on.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence

from bench.versus.load.batches import batch_of, varint
from bench.versus.load.frames import connect, frame, text

PRODUCE, FETCH = 0, 1
PRODUCE_VERSION, FETCH_VERSION = 8, 4
REQUESTS_IN_FLIGHT = 5
FETCH_MAX_BYTES = 50 << 20
PARTITION_MAX_BYTES = 1 << 20
REQUEST_MAX_BYTES = 1 << 20
LEADER_TIMEOUT_S = 30
# UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER
RETRIED = {3, 5, 6}


def record_batch(count: int, record_bytes: int, keys: Sequence[bytes] | None = None) -> bytes:
    """A RecordBatch v2 (KIP-98) of `count` records, without keys unless given, uncompressed, not idempotent."""
    value = bytes(range(256)) * (record_bytes // 256 + 1)
    records = bytearray()
    for number in range(count):
        key = varint(-1) if keys is None else varint(len(keys[number])) + keys[number]
        record = b"\x00\x00" + varint(number) + key + varint(record_bytes) + value[:record_bytes] + b"\x00"
        records += varint(len(record)) + record
    now_ms = int(time.time() * 1000)
    return batch_of(records, count, now_ms, now_ms)


def produce_frame(topic: str, partitions: range, batch: bytes) -> bytes:
    """One request with one batch for each of the partitions, acks=all."""
    entries = b"".join(struct.pack(">ii", partition, len(batch)) + batch for partition in partitions)
    body = struct.pack(">hhi", -1, -1, 30_000) + struct.pack(">i", 1) + text(topic)
    return frame(PRODUCE, PRODUCE_VERSION, body + struct.pack(">i", len(partitions)) + entries)


class Reader:
    """Answers off a socket into one buffer that grows to the largest of them."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = memoryview(bytearray(4 << 20))

    def answer(self) -> memoryview:
        (size,) = struct.unpack(">i", self._read(4))
        return self._read(size)

    def _read(self, size: int) -> memoryview:
        if size > len(self.buffer):
            self.buffer = memoryview(bytearray(size))
        position = 0
        while position < size:
            received = self.connection.recv_into(self.buffer[position:size])
            if received == 0:
                raise ConnectionError("the broker closed the connection")
            position += received
        return self.buffer[:size]


class RefusedError(RuntimeError):
    """A partition of a Produce answer has an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the broker refused a batch with error code {code}")
        self.code = code


def check_produced(answer: memoryview) -> None:
    """Raise `RefusedError` when any partition of a Produce v8 answer has an error code."""
    position = 4
    (topics,) = struct.unpack_from(">i", answer, position)
    position += 4
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", answer, position)
        position += 2 + length
        (partitions,) = struct.unpack_from(">i", answer, position)
        position += 4
        for _ in range(partitions):
            _partition, error_code = struct.unpack_from(">ih", answer, position)
            if error_code != 0:
                raise RefusedError(error_code)
            position += 4 + 2 + 8 + 8 + 8
            (errors,) = struct.unpack_from(">i", answer, position)
            assert errors == 0
            position += 4
            (message,) = struct.unpack_from(">h", answer, position)
            position += 2 + max(message, 0)


def wait_for_leaders(reader: Reader, topic: str, partitions: int, batch: bytes | None = None) -> None:
    """Send `batch`, or one record, until every partition took it: Kafka names a partition before it can lead it."""
    deadline = time.monotonic() + LEADER_TIMEOUT_S
    for partition in range(partitions):
        while True:
            reader.connection.sendall(
                produce_frame(topic, range(partition, partition + 1), batch or record_batch(1, 1))
            )
            try:
                check_produced(reader.answer())
                break
            except RefusedError as refused:
                if refused.code not in RETRIED or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def produce(
    bootstrap_servers: str, topic: str, partitions: int, records: int, record_bytes: int, batch_bytes: int
) -> float:
    """Send at least `records` records; the seconds between the first byte sent and the last acknowledgement."""
    per_batch = max(1, batch_bytes // (record_bytes + 8))
    batch = record_batch(per_batch, record_bytes)
    # Several partitions share a request as a real client's would, up to its max.request.size.
    width = max(1, min(partitions, REQUEST_MAX_BYTES // len(batch)))
    groups = [range(first, min(first + width, partitions)) for first in range(0, partitions, width)]
    frames = [produce_frame(topic, group, batch) for group in groups]
    waiting: deque[int] = deque()
    sent = 0
    with connect(bootstrap_servers) as connection:
        reader = Reader(connection)
        wait_for_leaders(reader, topic, partitions)
        started = time.perf_counter()
        turn = 0
        while sent < records or waiting:
            while sent < records and len(waiting) < REQUESTS_IN_FLIGHT:
                group = turn % len(frames)
                connection.sendall(frames[group])
                waiting.append(group)
                sent += per_batch * len(groups[group])
                turn += 1
            check_produced(reader.answer())
            waiting.popleft()
        return time.perf_counter() - started


def fetch_frame(topic: str, offsets: dict[int, int]) -> bytes:
    entries = b"".join(struct.pack(">iqi", number, offset, PARTITION_MAX_BYTES) for number, offset in offsets.items())
    body = struct.pack(">iiiib", -1, 500, 1, FETCH_MAX_BYTES, 0) + struct.pack(">i", 1) + text(topic)
    return frame(FETCH, FETCH_VERSION, body + struct.pack(">i", len(offsets)) + entries)


def take_fetched(answer: memoryview, offsets: dict[int, int]) -> int:
    """Walk a Fetch v4 answer: move `offsets` on, return the number of records in whole batches."""
    position, records = 8, 0
    (topics,) = struct.unpack_from(">i", answer, position)
    position += 4
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", answer, position)
        position += 2 + length
        (partitions,) = struct.unpack_from(">i", answer, position)
        position += 4
        for _ in range(partitions):
            partition, error_code = struct.unpack_from(">ih", answer, position)
            if error_code != 0:
                raise RuntimeError(f"the broker refused a fetch with error code {error_code}")
            position += 4 + 2 + 8 + 8
            (aborted,) = struct.unpack_from(">i", answer, position)
            position += 4 + 16 * max(aborted, 0)
            (size,) = struct.unpack_from(">i", answer, position)
            position += 4
            end = position + max(size, 0)
            while position + 61 <= end:
                base_offset, batch_length = struct.unpack_from(">qi", answer, position)
                if position + 12 + batch_length > end:
                    break
                (count,) = struct.unpack_from(">i", answer, position + 57)
                records += count
                offsets[partition] = base_offset + count
                position += 12 + batch_length
            position = end
    return records


def consume(bootstrap_servers: str, topic: str, partitions: int, records: int) -> float:
    """Read until `records` records came; the seconds it took."""
    offsets = dict.fromkeys(range(partitions), 0)
    found = 0
    with connect(bootstrap_servers) as connection:
        reader = Reader(connection)
        started = time.perf_counter()
        while found < records:
            connection.sendall(fetch_frame(topic, offsets))
            found += take_fetched(reader.answer(), offsets)
        return time.perf_counter() - started


def produce_latencies_s(bootstrap_servers: str, topic: str, count: int, record_bytes: int) -> list[float]:
    """One record, wait for its acknowledgement, the next one."""
    frame = produce_frame(topic, range(1), record_batch(1, record_bytes))
    found = []
    with connect(bootstrap_servers) as connection:
        reader = Reader(connection)
        wait_for_leaders(reader, topic, 1)
        for _ in range(count):
            started = time.perf_counter()
            connection.sendall(frame)
            check_produced(reader.answer())
            found.append(time.perf_counter() - started)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["produce", "consume"])
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--record-bytes", type=int, required=True)
    parser.add_argument("--batch-bytes", type=int, default=16384)
    given = parser.parse_args()
    if given.what == "produce":
        taken_s = produce(
            given.bootstrap_servers, given.topic, given.partitions, given.records, given.record_bytes, given.batch_bytes
        )
    else:
        taken_s = consume(given.bootstrap_servers, given.topic, given.partitions, given.records)
    print(json.dumps({"seconds": taken_s, "records": given.records}))


if __name__ == "__main__":
    main()
