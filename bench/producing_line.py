"""What a producer gets through a long line, and how long a record takes: `python -m bench.producing_line`.

There is one broker. Moldau's own producer has one batch of a partition and one request to a broker on its way;
librdkafka is beside it with as many requests as it takes by itself (5), and with one. All are idempotent, with
acks=all, nothing compressed, and as much memory. Each row has the round trip that was asked for and the one that was
measured, and for each client:

    megabytes per second of as much as it takes | milliseconds until a record is acknowledged (median, 99 of 100), of
    few records per second
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from bench.versus.ports import free_port
from moldau.client.producing import Delivered, NoRoomError, RecordProducer, produce_settings
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.questions import METADATA
from moldau.testing.process import BrokerProcess

ROUND_TRIPS_MS = (0, 1, 5, 20)
PARTITIONS = (1, 64)
RECORD_BYTES = 1000
PATIENCE_S = 60.0
SETTINGS = {"compression.type": "none", "queue.buffering.max.kbytes": 65_536, "batch.size": 1_000_000}


class Ours:
    """Moldau's producer, asked what became of its batches after each record."""

    def __init__(self, bootstrap: str, topic: str, linger_ms: float) -> None:
        settings = {**SETTINGS, "bootstrap.servers": bootstrap, "linger.ms": linger_ms}
        self._producer = RecordProducer(Brokers(settings), produce_settings(settings))
        self._number = self._producer.open(topic, PATIENCE_S)
        self._sent: dict[int, deque[float]] = {}
        self.waits: list[float] = []

    def give(self, partition: int, value: bytes) -> None:
        while True:
            try:
                self._producer.append(self._number, partition, None, value, 1, None)
            except NoRoomError:
                self._producer.wait_for_room(0.1)
                self._producer.reports()
            else:
                return

    def give_timed(self, partition: int, value: bytes) -> None:
        self._sent.setdefault(partition, deque()).append(time.monotonic())
        self.give(partition, value)

    def serve(self) -> None:
        now = time.monotonic()
        for report in self._producer.reports():
            assert isinstance(report, Delivered), report
            if self._sent:
                self.waits += [now - self._sent[report.partition].popleft() for _ in range(report.records)]

    def flush(self) -> None:
        assert self._producer.flush(PATIENCE_S)
        self.serve()

    def close(self) -> None:
        self._producer.close()


class Librdkafka:
    """The same of librdkafka, with so many requests on their way."""

    def __init__(self, bootstrap: str, topic: str, linger_ms: float, in_flight: int = 5) -> None:
        self._topic = topic
        self._producer = confluent_kafka.Producer(
            {
                **SETTINGS,
                "bootstrap.servers": bootstrap,
                "linger.ms": linger_ms,
                "enable.idempotence": True,
                "max.in.flight.requests.per.connection": in_flight,
                "queue.buffering.max.messages": 0,
                # It says when a connection ends.
                "log_level": 2,
            }
        )
        self.waits: list[float] = []

    def give(self, partition: int, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, partition=partition)
            except BufferError:
                self._producer.poll(0.01)
            else:
                return

    def give_timed(self, partition: int, value: bytes) -> None:
        began = time.monotonic()

        def delivered(error: object, _message: object) -> None:
            assert error is None, error
            self.waits.append(time.monotonic() - began)

        self._producer.produce(self._topic, value, partition=partition, on_delivery=delivered)

    def serve(self) -> None:
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(PATIENCE_S) == 0

    def close(self) -> None:
        pass


class LibrdkafkaOneAtATime(Librdkafka):
    def __init__(self, bootstrap: str, topic: str, linger_ms: float) -> None:
        super().__init__(bootstrap, topic, linger_ms, in_flight=1)


CLIENTS: dict[str, Callable[[str, str, float], Ours | Librdkafka]] = {
    "moldau": Ours,
    "librdkafka": Librdkafka,
    "librdkafka, one in flight": LibrdkafkaOneAtATime,
}


@contextlib.contextmanager
def line_to_a_node() -> Iterator[tuple[str, Callable[[float], None]]]:
    """Where a node is found at the end of a line, and how the line is told its round trip in milliseconds."""
    port = free_port()
    line = subprocess.Popen(
        [sys.executable, "-m", "bench.long_line", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert line.stdin is not None
    assert line.stdout is not None
    near = int(line.stdout.readline())

    def set_round_trip(milliseconds: float) -> None:
        assert line.stdin is not None
        assert line.stdout is not None
        line.stdin.write(f"{milliseconds / 2}\n")
        line.stdin.flush()
        line.stdout.readline()

    try:
        with BrokerProcess(port=port, advertised_listeners=f"PLAINTEXT://127.0.0.1:{near}"):
            yield f"127.0.0.1:{near}", set_round_trip
    finally:
        line.stdin.close()
        line.wait(30)


@contextlib.contextmanager
def topic_of(bootstrap: str, partitions: int) -> Iterator[str]:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    name = f"line-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(PATIENCE_S)
    yield name
    admin.delete_topics([name])[name].result(PATIENCE_S)


def round_trip_ms(bootstrap: str) -> float:
    """The fastest of some questions."""
    brokers = Brokers({"bootstrap.servers": bootstrap})
    connection = brokers.open_any()
    took = []
    for _ in range(10):
        began = time.perf_counter()
        connection.ask(METADATA, lambda _: {"topics": (), "allow_auto_topic_creation": False}, PATIENCE_S)
        took.append(time.perf_counter() - began)
    connection.close()
    return min(took) * 1000


def throughput(client: Ours | Librdkafka, partitions: int, megabytes: int) -> float:
    """Megabytes per second from the first record to the last acknowledgement; one record each is sent before."""
    value = random.Random(1).randbytes(RECORD_BYTES)
    for partition in range(partitions):
        client.give(partition, value)
    client.flush()
    count = megabytes * 1_000_000 // RECORD_BYTES
    began = time.perf_counter()
    for number in range(count):
        client.give(number % partitions, value)
        if not number % 1000:
            client.serve()
    client.flush()
    return count * RECORD_BYTES / 1e6 / (time.perf_counter() - began)


def latency(client: Ours | Librdkafka, partitions: int, per_second: int, seconds: float) -> list[float]:
    """Milliseconds that each record took, given at a steady rate."""
    value = bytes(RECORD_BYTES)
    for partition in range(partitions):
        client.give_timed(partition, value)
    client.flush()
    client.waits.clear()
    began, given = time.monotonic(), 0
    while given < per_second * seconds:
        if time.monotonic() >= began + given / per_second:
            client.give_timed(given % partitions, value)
            given += 1
        else:
            time.sleep(0.0002)
        client.serve()
    client.flush()
    return sorted(wait * 1000 for wait in client.waits)


def measured(
    make: Callable[[str, str, float], Ours | Librdkafka], bootstrap: str, partitions: int, given: argparse.Namespace
) -> tuple[float, list[float]]:
    """Megabytes per second, and what records waited."""
    with topic_of(bootstrap, partitions) as topic:
        client = make(bootstrap, topic, 5)
        rate = throughput(client, partitions, given.megabytes)
        client.close()
        client = make(bootstrap, topic, 0)
        waits = latency(client, partitions, given.per_second, given.seconds)
        client.close()
    return rate, waits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--per-second", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    with line_to_a_node() as (bootstrap, set_round_trip):
        print(f"{'partitions':>10} {'asked':>6} {'is':>6}   {'client':26}{'MB/s':>8}{'median':>9}{'99 %':>9}")
        for partitions in PARTITIONS:
            for asked_ms in ROUND_TRIPS_MS:
                set_round_trip(asked_ms)
                place = f"{partitions:>10} {asked_ms:>6} {round_trip_ms(bootstrap):>6.2f}"
                for name, make in CLIENTS.items():
                    rate, waits = measured(make, bootstrap, partitions, given)
                    middle, late = statistics.median(waits), waits[int(len(waits) * 0.99)]
                    print(f"{place}   {name:26}{rate:>8.1f}{middle:>9.2f}{late:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
