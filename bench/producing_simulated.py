"""What more requests to one broker at a time would bring a producer: `python -m bench.producing_simulated`.

The machine of Moldau's producer in simulated time, so that nothing else of this computer is measured: a request is
answered after a round trip and the time that its bytes take (200 MB/s). Each of the requests that are on their way has
other partitions, as the machine has it: a partition has one batch on its way. Each row is a round trip, with one
request on its way and with five:

    megabytes per second of as much as it takes | milliseconds until a record is acknowledged (median), of 500 records
    of 1,000 bytes per second
"""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections import deque
from types import SimpleNamespace
from typing import Any

from moldau._core import RecordAccumulator
from moldau.client.producing.machine import Delivered, ProduceMachine, Request
from moldau.client.producing.settings import ProduceSettings

ROUND_TRIPS_MS = (0.2, 1, 5, 20)
PARTITIONS = (1, 64)
AT_A_TIME = (1, 5)
BYTES_PER_S = 200e6
VALUE = bytes(1000)
MEGABYTES = 400
PER_SECOND = 500
RECORDS = 5000
SETTINGS = ProduceSettings(linger_s=0.0, compression="none")


class Simulated:
    """A producer, a broker and so many requests between them."""

    def __init__(self, round_trip_ms: float, partitions: int, at_a_time: int) -> None:
        self.round_trip_s, self.partitions, self.at_a_time = round_trip_ms / 1000, partitions, at_a_time
        sizes = SETTINGS.batch_bytes, SETTINGS.batch_records, SETTINGS.record_bytes_max, SETTINGS.buffer_bytes
        self.source = RecordAccumulator(*sizes)
        self.machine = ProduceMachine(SETTINGS, self.source)
        self.number = self.machine.open("t", 0.0).number
        parts = [SimpleNamespace(partition_index=number, leader_id=1) for number in range(partitions)]
        topics = [SimpleNamespace(name="t", error_code=0, partitions=parts)]
        self.machine.learned(
            ["t"], SimpleNamespace(brokers=[SimpleNamespace(node_id=1, host="h", port=1)], topics=topics), 0
        )
        self.machine.identified(SimpleNamespace(error_code=0, producer_id=7, producer_epoch=0), 0.0)
        self.flying: list[tuple[float, int, Request]] = []
        self._order = itertools.count()
        self._free_at = 0.0

    def give(self, number: int, now: float) -> bool:
        """Whether there was room for another record."""
        return self.source.append(self.number, number % self.partitions, None, VALUE, 1, None, now) in {0, 1}

    def send(self, now: float) -> None:
        self.machine.look()
        while len(self.flying) < self.at_a_time and (request := self.machine.next(1, now)) is not None:
            size = sum(one.batch.size_bytes for _, one in request.parts)
            # The line is one for all of them.
            self._free_at = max(self._free_at, now) + size / BYTES_PER_S
            heapq.heappush(self.flying, (self._free_at + self.round_trip_s, next(self._order), request))

    def answer(self) -> tuple[float, list[Any]]:
        """When the next answer comes, and what was written then."""
        now, _, request = heapq.heappop(self.flying)
        rows = [
            SimpleNamespace(index=writing.place[1], error_code=0, base_offset=0, error_message=None)
            for writing, _ in request.parts
        ]
        self.machine.answered(
            request, SimpleNamespace(responses=[SimpleNamespace(name="t", partition_responses=rows)]), now
        )
        return now, self.machine.take_reports()


def throughput(simulated: Simulated) -> float:
    """Megabytes per second, while there is always more than there is room for."""
    count, given, now = MEGABYTES * 1_000_000 // len(VALUE), 0, 0.0
    while given < count or not simulated.machine.is_empty:
        while given < count and simulated.give(given, now):
            given += 1
        simulated.send(now)
        if simulated.flying:
            now, _ = simulated.answer()
    return MEGABYTES / now


def latency(simulated: Simulated) -> float:
    """The median of milliseconds."""
    sent: dict[int, deque[float]] = {number: deque() for number in range(simulated.partitions)}
    waits: list[float] = []
    given = 0
    while given < RECORDS or simulated.flying:
        due = given / PER_SECOND if given < RECORDS else float("inf")
        if simulated.flying and simulated.flying[0][0] <= due:
            now, reports = simulated.answer()
            for report in reports:
                assert isinstance(report, Delivered)
                waits += [now - sent[report.partition].popleft() for _ in range(report.records)]
        else:
            now = due
            assert simulated.give(given, now)
            sent[given % simulated.partitions].append(now)
            given += 1
        simulated.send(now)
    return statistics.median(waits) * 1000


def main() -> None:
    head = "".join(f"{f'{at_a_time} at a time':>26}" for at_a_time in AT_A_TIME)
    print(f"{'partitions':>10} {'round trip':>11}{head}")
    for partitions, round_trip_ms in itertools.product(PARTITIONS, ROUND_TRIPS_MS):
        cells = [
            (
                throughput(Simulated(round_trip_ms, partitions, at_a_time)),
                latency(Simulated(round_trip_ms, partitions, at_a_time)),
            )
            for at_a_time in AT_A_TIME
        ]
        text = "".join(f"{rate:>12.0f} MB/s{wait:>6.1f} ms" for rate, wait in cells)
        print(f"{partitions:>10} {round_trip_ms:>8} ms{text}")


if __name__ == "__main__":
    main()
