"""The guide's order pipeline, end to end, against any broker; every step says what it did and what it proves.

topic     24 partitions with the guide's settings
group     three processors, static members, manual commits
stream    a keyed idempotent producer, acks=all, while the processors work
restart   each processor in turn, mid-stream, without a rebalance
drain     until nothing is left to process
replay    everything since the middle of the stream, again, from its timestamp
check     order by order: nothing lost, nothing twice, nothing changed, nothing out of sequence
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.connection import Connection
from moldau.cli.demo.lag import draw, lag_of
from moldau.cli.demo.orders import Order
from moldau.cli.demo.processed import Finding, check_processed, check_replay, checksum, read_entries
from moldau.cli.demo.processor import SEQUENCE_HEADER, sequence_of
from moldau.cli.demo.processors import ProcessorGroup, Restart
from moldau.cli.outcome import CommandError, RefusedError, TimedOutError
from moldau.cli.output import Progress, emphasised

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

PARTITIONS: Final = 24
REPLICAS: Final = 3
PROCESSORS: Final = 3
TOPIC_CONFIG: Final = {
    "retention.ms": "604800000",
    "retention.bytes": "53687091200",
    "compression.type": "zstd",
    "min.insync.replicas": "2",
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
}
PRODUCER_SETTINGS: Final[dict[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 20,
    "batch.size": 1048576,
    "compression.type": "zstd",
    "retries": 2147483647,
    "retry.backoff.ms": 100,
    "delivery.timeout.ms": 120000,
    "request.timeout.ms": 30000,
    "max.in.flight.requests.per.connection": 5,
}
RESTART_AFTER: Final = 0.2
"""Which part of the orders is processed before the processors are restarted."""
DRAIN_TIMEOUT_S: Final = 120.0
BURST: Final = 500
"""Orders between two looks at the clock."""


def tell(step: str, text: str) -> None:
    """One line of the report, on stdout."""
    import sys

    print(f"{emphasised(f'{step:8}', sys.stdout)} {text}", flush=True)


@dataclass
class Stream:
    """The producer's side: what was sent, when, and what became of it."""

    orders: list[Order]
    checksums: array[int] = field(default_factory=lambda: array("I"))
    timestamps_ms: array[int] = field(default_factory=lambda: array("q"))
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    failure: BaseException | None = None
    seconds: float = 0.0

    def send(self, producer: Producer, topic: str, per_second: int) -> None:
        """Send every order in sequence, `per_second` of them (0: as fast as it goes), and wait for the last answer."""
        started = time.monotonic()
        for start in range(0, len(self.orders), BURST):
            burst = self.orders[start : start + BURST]
            now_ms = time.time_ns() // 1_000_000
            for sequence, order in enumerate(burst, start=start):
                self._send_one(producer, topic, sequence, order, now_ms)
            producer.poll(0)
            if per_second:
                ahead = (start + len(burst)) / per_second - (time.monotonic() - started)
                time.sleep(max(ahead, 0.0))
        producer.flush()
        self.seconds = time.monotonic() - started

    def _send_one(self, producer: Producer, topic: str, sequence: int, order: Order, now_ms: int) -> None:
        self.checksums.append(checksum(order.value))
        self.timestamps_ms.append(now_ms)
        headers: Any = [("X-Source", b"moldau-demo"), (SEQUENCE_HEADER, str(sequence).encode())]
        while True:
            try:
                producer.produce(
                    topic,
                    key=order.key,
                    value=order.value,
                    headers=headers,
                    timestamp=now_ms,
                    on_delivery=self._answered,
                )
                return
            except BufferError:
                producer.poll(0.05)

    def _answered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.refused.append(error.str())


class Pipeline:
    """One run of the demo."""

    def __init__(self, connection: Connection, topic: str, orders: list[Order], folder: Path) -> None:
        self.connection = connection
        self.topic = topic
        self.group_name = f"{topic}-processor"
        self.folder = folder
        self.stream = Stream(orders)
        self.findings: list[Finding] = []

    def run(self, per_second: int) -> list[Finding]:
        """All of it. Returns what was checked.

        Raises:
            CommandError: a step could not be carried out.
        """
        self.create_topic()
        started = time.monotonic()
        group = ProcessorGroup(self.connection.bootstrap_servers, self.topic, self.group_name, PROCESSORS, self.folder)
        try:
            group.wait_until_shared(PARTITIONS)
            shares = " + ".join(str(len(member.partitions)) for member in group.members)
            generation = group.members[0].generation
            took = time.monotonic() - started
            tell(
                "group", f"{PROCESSORS} static members have {shares} partitions, generation {generation} ({took:.1f} s)"
            )
            sending = self._start_sending(per_second)
            self._restart_everybody(group)
            self._finish_sending(sending)
            self._drain(group)
            group.stop()
        finally:
            group.kill()
        self.findings += check_processed(self.stream.checksums, read_entries(group.ledgers))
        self._replay()
        return self.findings

    def create_topic(self) -> None:
        """Create the guide's topic; where there are fewer nodes than replicas, with fewer replicas and a note."""
        from confluent_kafka.admin import NewTopic

        admin = self.connection.admin()
        note = ""
        replicas = REPLICAS
        try:
            new = NewTopic(self.topic, PARTITIONS, REPLICAS, config=TOPIC_CONFIG)
            self.connection.answer(admin.create_topics([new])[self.topic])
        except CommandError as error:
            if "INVALID_REPLICATION_FACTOR" not in str(error):
                raise
            brokers = len(self.connection.carry_out(lambda: admin.list_topics(timeout=10)).brokers)
            replicas = min(REPLICAS, brokers)
            new = NewTopic(self.topic, PARTITIONS, replicas, config=TOPIC_CONFIG)
            self.connection.answer(admin.create_topics([new])[self.topic])
        metadata = self.connection.carry_out(lambda: admin.list_topics(self.topic, timeout=10))
        replicas = len(metadata.topics[self.topic].partitions[0].replicas)
        if replicas < REPLICAS:
            note = f" of {REPLICAS}: no more nodes"
        tell("topic", f"{self.topic}: {PARTITIONS} partitions, zstd, 7 days, replicas {replicas}{note}")

    def _start_sending(self, per_second: int) -> threading.Thread:
        producer = self.connection.producer(**PRODUCER_SETTINGS)

        def send() -> None:
            try:
                self.stream.send(producer, self.topic, per_second)
            except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits for this one)
                self.stream.failure = error

        thread = threading.Thread(target=send, name="orders", daemon=True)
        thread.start()
        return thread

    def _restart_everybody(self, group: ProcessorGroup) -> None:
        """Restart the processors one after the other while orders keep coming."""
        self._wait("processing", group.processed, round(len(self.stream.orders) * RESTART_AFTER), group)
        generation = group.members[0].generation
        for index in range(PROCESSORS):
            changes = group.changes()
            restart = group.restart(index, self._tell_lag if index == 0 else lambda: None)
            others_moved = (
                group.changes()[:index] + group.changes()[index + 1 :] != changes[:index] + changes[index + 1 :]
            )
            self._tell_restart(restart)
            self.findings.append(
                Finding(
                    restart.before == restart.after and not others_moved,
                    f"restart: {restart.instance} got back its {len(restart.before)} partitions, nobody else moved",
                )
            )
        after = {member.generation for member in group.members}
        told = ", ".join(sorted(map(str, after)))
        passed = generation is not None and after == {generation}
        self.findings.append(Finding(passed, f"restart: generation {generation} before, {told} after, no rebalance"))

    def _tell_lag(self) -> None:
        tell("lag", "with one processor away, partition by partition:")
        for line in draw(lag_of(self.connection, self.group_name, self.topic, PARTITIONS)):
            tell("", line)

    def _tell_restart(self, restart: Restart) -> None:
        same = "the same" if restart.before == restart.after else "OTHER"
        story = f"{restart.instance} was away {restart.seconds:.1f} s, has {same} {len(restart.after)} partitions"
        tell("restart", f"{story}, generation {restart.generation_after}")

    def _finish_sending(self, thread: threading.Thread) -> None:
        total = len(self.stream.orders)
        with Progress("sending   ", total) as progress:
            while thread.is_alive():
                progress.show(self.stream.acknowledged)
                thread.join(0.1)
        if self.stream.failure is not None:
            raise self.stream.failure
        rate = total / max(self.stream.seconds, 1e-9)
        tell("stream", f"{total:,} orders sent in {self.stream.seconds:.1f} s ({rate:,.0f}/s), idempotent, acks=all")
        self.findings.append(
            Finding(
                self.stream.acknowledged == total and not self.stream.refused,
                f"stream: {self.stream.acknowledged:,} of {total:,} orders acknowledged"
                + (f", first refusal: {self.stream.refused[0]}" if self.stream.refused else ""),
            )
        )

    def _drain(self, group: ProcessorGroup) -> None:
        started = time.monotonic()
        self._wait("processing", group.processed, len(self.stream.orders), group)
        behind: dict[int, int] = {}
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            behind = lag_of(self.connection, self.group_name, self.topic, PARTITIONS)
            if not any(behind.values()):
                break
            time.sleep(0.05)
        took = time.monotonic() - started
        tell("drain", f"everything processed {took:.1f} s after the last order, lag {sum(behind.values())}")
        self.findings.append(Finding(not any(behind.values()), "lag: every partition is committed to its end"))

    def _wait(self, label: str, count: Callable[[], int], goal: int, group: ProcessorGroup) -> None:
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        with Progress(label, len(self.stream.orders)) as progress:
            while (done := count()) < goal:
                if self.stream.failure is not None:
                    raise self.stream.failure
                if time.monotonic() > deadline:
                    raise TimedOutError(f"only {done:,} of {goal:,} orders processed after {DRAIN_TIMEOUT_S:.0f} s")
                for member in group.members:
                    if not member.is_running():
                        raise RefusedError(f"{member.instance} ended by itself")
                progress.show(done, f"sent {self.stream.acknowledged:,}")
                time.sleep(0.05)

    def _replay(self) -> None:
        """Read again what was sent since the middle of the stream, found by its timestamp."""
        from confluent_kafka import TopicPartition

        since_ms = self.stream.timestamps_ms[len(self.stream.orders) // 2]
        expected = {number for number, sent_ms in enumerate(self.stream.timestamps_ms) if sent_ms >= since_ms}
        started = time.monotonic()
        consumer = self.connection.consumer(f"{self.topic}-replay", **{"enable.partition.eof": True})
        try:
            question = [TopicPartition(self.topic, partition, since_ms) for partition in range(PARTITIONS)]
            places = self.connection.carry_out(lambda: consumer.offsets_for_times(question, timeout=10))
            consumer.assign(places)
            replayed = _read_to_the_ends(consumer, self.connection, PARTITIONS)
        finally:
            consumer.close()
        took = time.monotonic() - started
        moment = time.strftime("%H:%M:%S", time.localtime(since_ms / 1000)) + f".{since_ms % 1000:03}"
        tell("replay", f"{len(replayed):,} orders since {moment} read again in {took:.1f} s")
        self.findings.append(check_replay(expected, replayed))


def _read_to_the_ends(consumer: Any, connection: Connection, partitions: int) -> list[int]:
    """The sequence numbers of everything from where the consumer stands to the end of every partition."""
    from confluent_kafka import KafkaError

    sequences: list[int] = []
    ended: set[int] = set()
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while len(ended) < partitions:
        for message in connection.carry_out(lambda: consumer.consume(1000, 0.2)):
            error = message.error()
            if error is None:
                sequences.append(sequence_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                ended.add(message.partition())
            else:
                raise connection.explained(error)
        if time.monotonic() > deadline:
            raise TimedOutError(f"the replay reached the end of {len(ended)} of {partitions} partitions only")
    return sequences
