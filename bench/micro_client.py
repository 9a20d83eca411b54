"""What Moldau's clients cost beside bare confluent-kafka, on the same broker: `python -m bench.micro_client`.

The two take turns, so that what else the machine does falls on both, and the best round of each is compared: noise only
ever adds. It ends with 1 when a loop takes more than 1.05 times the CPU of this thread that the bare one takes;
librdkafka's own threads do the same for both. On a machine that does much else even that says little (`poll()` is one
and the same function in both, and shows how little); `bench.micro_client_instructions` then counts instructions.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import TopicPartition

import moldau
from moldau.client import Partitioner

VALUE = b"x" * 100
BATCH = 500
CHANGE_MAX = 1.05

Clients = tuple[type[confluent_kafka.Producer], type[confluent_kafka.Consumer]]
BARE: Clients = confluent_kafka.Producer, confluent_kafka.Consumer
OURS: Clients = moldau.Producer, moldau.Consumer


def first_partition(_key: bytes, every: Sequence[int], _available: Sequence[int]) -> int:
    return every[0]


def produce(clients: Clients, bootstrap: str, topic: str, count: int, partitioner: Partitioner | None = None) -> None:
    """The guide's loop: produce, poll(0), and flush at the end."""
    settings: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "queue.buffering.max.messages": 0,
        "linger.ms": 5,
        "partitioner": partitioner or "murmur2_random",
    }
    producer = clients[0](settings)
    for number in range(count):
        producer.produce(topic=topic, key=b"%d" % number, value=VALUE)
        producer.poll(0)
    assert producer.flush(timeout=60) == 0


def consume(clients: Clients, bootstrap: str, topic: str, count: int) -> None:
    """The guide's loop: consume(500), look at error() and value() of each."""
    consumer = assigned(clients, bootstrap, topic)
    seen = 0
    while seen < count:
        for message in consumer.consume(num_messages=BATCH, timeout=1.0):
            assert message.error() is None
            seen += len(message.value() or b"") > 0
    consumer.close()


def poll(clients: Clients, bootstrap: str, topic: str, count: int) -> None:
    """One message at a time."""
    consumer = assigned(clients, bootstrap, topic)
    seen = 0
    while seen < count:
        message = consumer.poll(1.0)
        if message is not None:
            assert message.error() is None
            seen += 1
    consumer.close()


def assigned(clients: Clients, bootstrap: str, topic: str) -> confluent_kafka.Consumer:
    consumer = clients[1]({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
    return consumer


def measured(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and seconds of CPU of this thread: librdkafka's own threads do the same for both."""
    wall_s, cpu_s = time.perf_counter(), time.thread_time()
    run()
    return time.perf_counter() - wall_s, time.thread_time() - cpu_s


def compare(name: str, bare: Callable[[], None], ours: Callable[[], None], count: int, rounds: int) -> bool:
    """Print one line; whether the CPU that ours takes is within the limit."""
    bare(), ours()
    pairs = []
    for number in range(rounds):
        # Who comes second inherits the caches and the connections' fate: take turns.
        first = measured(ours) if number % 2 else None
        pairs.append((measured(bare), first or measured(ours)))
    best = [[min(pair[who][what] for pair in pairs) for what in (0, 1)] for who in (0, 1)]
    wall, cpu = (best[1][what] / best[0][what] for what in (0, 1))
    (bare_s, bare_cpu_s), (ours_s, ours_cpu_s) = best
    print(
        f"{name:24}{count / bare_s:>11,.0f}{count / ours_s:>11,.0f}{wall:>8.3f}"
        f"{bare_cpu_s / count * 1e6:>12.3f}{ours_cpu_s / count * 1e6:>9.3f}{cpu:>8.3f}"
    )
    return cpu <= CHANGE_MAX


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", help="a running broker; without it a Moldau node is started")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=24)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = given.bootstrap or stack.enter_context(moldau.Broker()).bootstrap_servers
        count, rounds = given.count, given.rounds
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        filled, spare = f"{topic}-filled", f"{topic}-spare"
        produce(BARE, bootstrap, filled, count)
        print(f"{'':24}{'records per second':>22}{'time':>8}{'CPU per record, us':>21}{'CPU':>8}")
        print(f"{'':24}{'bare':>11}{'ours':>11}{'ratio':>8}{'bare':>12}{'ours':>9}{'ratio':>8}")
        verdicts = [
            compare(
                "produce",
                lambda: produce(BARE, bootstrap, spare, count),
                lambda: produce(OURS, bootstrap, spare, count),
                count,
                rounds,
            ),
            compare(
                f"consume({BATCH})",
                lambda: consume(BARE, bootstrap, filled, count),
                lambda: consume(OURS, bootstrap, filled, count),
                count,
                rounds,
            ),
            compare(
                "poll()",
                lambda: poll(BARE, bootstrap, filled, count),
                lambda: poll(OURS, bootstrap, filled, count),
                count,
                rounds,
            ),
        ]
        # For information: what asking a Python callable costs.
        compare(
            "produce, partitioner=f",
            lambda: produce(BARE, bootstrap, spare, count),
            lambda: produce(OURS, bootstrap, spare, count, first_partition),
            count,
            rounds,
        )
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
