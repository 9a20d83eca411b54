"""One client of a workload, as a process of its own: `python -m tests.fault.workloads.worker TASK`.

TASK is a `Task` in JSON. SIGTERM lets a client end what it has begun and leave; a client that a fault has made useless
(fenced, fatal) ends with status 3, and is started again under another name.
"""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from confluent_kafka import KafkaException, TopicPartition
from tests.fault.history.books import Entry
from tests.fault.workloads.recording import RecordedConsumer, RecordedProducer, Recorder

USELESS = 3
IN_FLIGHT_MAX = 200
PACE_S = 0.02
ACCOUNTS = 4
OPENING_BALANCE = 100


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is to do."""

    role: str
    process: str
    slot: int
    """Stays when the client is started again: its transactional id, and what belongs to it."""
    file: str
    bootstrap_servers: str
    topic: str
    partitions: int
    seed: int
    output: str = ""
    group_protocol: str = "classic"
    aborts: float = 0.1
    """Of all transactions that could be committed, how many the client aborts for no reason."""

    def consumer(self, recorder: Recorder) -> RecordedConsumer:
        settings: dict[str, object] = {"group.protocol": self.group_protocol}
        if self.group_protocol == "classic":
            settings |= {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500}
        return RecordedConsumer(recorder, self.bootstrap_servers, f"{self.topic}-group", **settings)


class Stopping:
    """Whether somebody has asked the process to leave."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def send(task: Task, recorder: Recorder, stopping: Stopping) -> None:
    """Number records and send them to the partitions in turn, with retries until each is acknowledged."""
    producer = RecordedProducer(recorder, task.bootstrap_servers)
    number = 0
    while not stopping.asked:
        recorder.is_alive()
        if len(producer.client) < IN_FLIGHT_MAX:
            for _ in range(10):
                producer.send(task.topic, number % task.partitions, f"{task.process}:{number}")
                number += 1
        producer.client.poll(0)
        time.sleep(PACE_S)
    producer.client.flush(90)


def consume(task: Task, recorder: Recorder, stopping: Stopping) -> None:
    """A member of a group: read, and then commit what was read."""
    consumer = task.consumer(recorder)
    consumer.subscribe(task.topic)
    while not stopping.asked:
        recorder.is_alive()
        if consumer.poll(100):
            try:
                consumer.client.commit(asynchronous=False)
            except KafkaException as error:
                recorder.note(f"commit: {error.args[0].name()}")
    consumer.client.close()


def copy(task: Task, recorder: Recorder, stopping: Stopping) -> None:
    """Copy `topic` to `output`, record and offset in one transaction; alone, or as one of a group."""
    consumer = task.consumer(recorder)
    producer = RecordedProducer(recorder, task.bootstrap_servers, f"{task.output}-{task.slot}")
    producer.client.init_transactions(60)
    if task.role == "copy":
        consumer.assign([TopicPartition(task.topic, number) for number in range(task.partitions)])
    else:
        consumer.subscribe(task.topic)
    chance = random.Random(task.seed)
    while not stopping.asked:
        recorder.is_alive()
        messages = consumer.poll(50, transaction=producer.next_name())
        if not messages:
            continue
        producer.begin()
        next_offsets: dict[tuple[str, int], int] = {}
        for message in messages:
            producer.send(task.output, chance.randrange(task.partitions), f"copy:{message.value().decode()}")
            next_offsets[message.topic(), message.partition()] = message.offset() + 1
        offsets = [TopicPartition(*at, offset) for at, offset in next_offsets.items()]

        def commit_offsets(offsets: list[TopicPartition] = offsets) -> None:
            producer.client.send_offsets_to_transaction(offsets, consumer.client.consumer_group_metadata(), 5)

        if not ended_well(recorder, producer, commit_offsets, wanted=chance.random() >= task.aborts):
            consumer.back_to_committed()
    consumer.client.close()


def transfer(task: Task, recorder: Recorder, stopping: Stopping) -> None:
    """Move money between accounts: two entries in two partitions, one transaction. The books are the topic itself."""
    topic = f"{task.topic}-{task.slot}"
    producer = RecordedProducer(recorder, task.bootstrap_servers, topic)
    # When this returns, whatever a killed predecessor had open is over, and its entries are there or are not.
    producer.client.init_transactions(60)
    chance = random.Random(task.seed)
    number, balances = read_books(task, recorder, topic)
    while not stopping.asked:
        recorder.is_alive()
        if number < 0:
            changes = dict.fromkeys(range(ACCOUNTS), OPENING_BALANCE)
        else:
            taken_from, given_to = chance.sample(range(ACCOUNTS), 2)
            amount = chance.randint(1, 10)
            changes = {taken_from: -amount, given_to: amount}
        producer.begin()
        after = {account: balances[account] + change for account, change in changes.items()}
        for account, change in changes.items():
            entry = Entry(topic, number + 1, account, change, after[account])
            producer.send(topic, account % task.partitions, entry.value(producer.transaction))
        wanted = number < 0 or chance.random() >= task.aborts
        if ended_well(recorder, producer, lambda: None, wanted=wanted):
            balances.update(after)
            number += 1


def read_books(task: Task, recorder: Recorder, topic: str) -> tuple[int, dict[int, int]]:
    """The number of the last transfer (-1 before the first) and every balance, from everything in the topic."""
    reader = RecordedConsumer(recorder, task.bootstrap_servers, **{"enable.partition.eof": True})
    reader.assign([TopicPartition(topic, number, 0) for number in range(task.partitions)])
    number, balances = -1, dict.fromkeys(range(ACCOUNTS), 0)
    while len(reader.ends) < task.partitions:
        for message in reader.poll(1000):
            entry = Entry.of(message.value().decode())
            assert entry is not None
            number = max(number, entry.number)
            balances[entry.account] = entry.balance
    reader.client.close()
    return number, balances


def ended_well(
    recorder: Recorder, producer: RecordedProducer, before_the_end: Callable[[], None], *, wanted: bool
) -> bool:
    """Commit if that is `wanted` and possible, else abort; whether it was committed. Neither ends the process."""
    try:
        before_the_end()
        if wanted:
            producer.commit()
            return True
        # What is still in the client's queue would not be sent; an abort is to find records in the log.
        producer.client.flush(20)
    except KafkaException as error:
        recorder.note(f"{producer.transaction}: {error.args[0].name()}: {error.args[0].str()}")
        if error.args[0].fatal():
            raise
    producer.abort()
    return False


ROLES: dict[str, Callable[[Task, Recorder, Stopping], None]] = {
    "send": send,
    "consume": consume,
    "copy": copy,
    "transform": copy,
    "transfer": transfer,
}


def main() -> None:
    # A client that hangs says where when somebody asks it with SIGUSR1.
    faulthandler.register(signal.SIGUSR1)
    task = msgspec.json.decode(sys.argv[1], type=Task)
    recorder = Recorder(Path(task.file), task.process)
    try:
        ROLES[task.role](task, recorder, Stopping())
    except (KafkaException, SystemError) as error:
        # A fatal error may be raised between two delivery reports all the same: Python meets it inside of the second.
        fatal = error if isinstance(error, KafkaException) else error.__cause__
        if not isinstance(fatal, KafkaException):
            raise
        recorder.note(f"useless: {fatal.args[0].name()}: {fatal.args[0].str()}")
        sys.exit(USELESS)


if __name__ == "__main__":
    main()
