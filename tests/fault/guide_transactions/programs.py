"""The guide's two transactional programs, run as they are written: what they read, what they write, how they live.

The text of a program is the file in `examples/guide`, executed as `__main__` in a process of its own. The clients that
it imports are confluent-kafka's and `moldau.client`'s own, derived from here so that they write down what the program
does before it does it; they add nothing to it and take nothing away.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException, Message, Producer, TopicPartition
from tests.fault.history.operations import Assign, Seek, partition_name
from tests.fault.warm import WarmProcess
from tests.fault.workloads.recording import Journal, Recorder, raised_by_the_next_call

import moldau.client

GUIDE = Path(__file__).resolve().parents[3] / "examples" / "guide"
STUCK_S = 60
"""Longer than any call of a program takes while there is a node, also where the machine has much else to do."""
SENDING_OFFSETS = "sends offsets"


@dataclass(frozen=True, slots=True)
class Program:
    """One of the guide's programs. `outputs` has for each topic what an input becomes there."""

    name: str
    group: str
    source: str
    outputs: dict[str, Callable[[str], str]]
    hangs_by_itself: bool = False
    """Whether its client is one that is known to hang (docs/internals/faults.md): it is killed then, and counted."""

    @property
    def file(self) -> Path:
        return GUIDE / f"{self.name}.py"


PROGRAMS = (
    Program(
        name="checkout",
        group="checkout",
        source="carts",
        outputs={"orders": "order {}".format, "inventory": "reserve {}".format, "notifications": "email {}".format},
        hangs_by_itself=True,
    ),
    Program(
        name="eos_processor",
        group="eos-processor",
        source="raw-orders",
        outputs={"processed-orders": str.upper},
    ),
)
PARTITIONS = {"carts": 2, "orders": 2, "inventory": 3, "notifications": 1, "raw-orders": 3, "processed-orders": 3}


class RunningProgram:
    """A program and the processes that it has had."""

    def __init__(self, program: Program, bootstrap_servers: str, folder: Path) -> None:
        self.program = program
        self.file = folder / f"{program.name}.jsonl"
        self.log = folder / f"{program.name}.log"
        self.lives = 0
        self._bootstrap_servers = bootstrap_servers
        self._began_at = 0.0
        self.start()

    def start(self) -> None:
        self.lives += 1
        self._began_at = time.time()
        name = f"{self.program.name}.{self.lives}"
        self.process = WarmProcess(self.log, run, self.program, self._bootstrap_servers, self.file, name)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def written_bytes(self) -> int:
        """How much it has done, as far as it shows."""
        return self.file.stat().st_size if self.file.exists() else 0

    def is_stuck(self, node_since: float) -> bool:
        """Whether one call into the client library has not returned for too long; `node_since` as of `time.time`."""
        last = self.file.stat().st_mtime if self.file.exists() else 0.0
        return time.time() - max(last, self._began_at, node_since) > STUCK_S

    def last_line(self) -> str:
        return self.file.read_text().splitlines()[-1] if self.file.exists() else ""


def run(program: Program, bootstrap_servers: str, file: Path, process: str) -> None:
    """The program, from its first line to its last; in a process of its own."""
    recorder = Recorder(file, process)
    # A process that was killed in the middle of a line has left half of one, which no one can have acted upon.
    journal = Journal(recorder)
    # Ours are made of the other's, and made when they are first asked for: that must not be one that is recorded.
    of_libraries = [(library, library.Producer, library.Consumer) for library in (confluent_kafka, moldau.client)]
    for library, producer, consumer in of_libraries:
        library.Producer = recorded_producer(producer, recorder, journal)
        library.Consumer = recorded_consumer(consumer, recorder, journal, program.group)
    sys.argv = [str(program.file), bootstrap_servers]
    try:
        runpy.run_path(str(program.file), run_name="__main__")
    except Exception as error:  # noqa: BLE001 - whatever ends it is written down
        recorder.note(f"ended by {type(error).__name__}: {error}")
        # What a client says ends a program as the guide writes it; anything else would be a mistake in it.
        sys.exit(1 if isinstance(error, KafkaException) else 2)


def recorded_producer(base: type[Producer], recorder: Recorder, journal: Journal) -> type[Producer]:
    class RecordedProducer(base):  # type: ignore[misc, valid-type]
        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__({**config, "error_cb": raised_by_the_next_call})

        def init_transactions(self) -> None:
            recorder.note("initialises")
            super().init_transactions()

        def begin_transaction(self) -> None:
            super().begin_transaction()
            journal.begins()

        def produce(self, topic: str, value: bytes, key: bytes | None = None) -> None:
            # Which partition it will be is for the client to say.
            delivered = journal.send(f"{topic}-?", value.decode())
            super().produce(topic, value, key, on_delivery=delivered)

        def send_offsets_to_transaction(self, *arguments: Any) -> None:
            recorder.note(SENDING_OFFSETS)
            super().send_offsets_to_transaction(*arguments)

        def commit_transaction(self) -> None:
            journal.asks_to_commit()
            super().commit_transaction()
            journal.is_over("committed")

        def abort_transaction(self) -> None:
            super().abort_transaction()
            journal.is_over("aborted")

    return RecordedProducer


def recorded_consumer(
    base: type[confluent_kafka.Consumer], recorder: Recorder, journal: Journal, group: str
) -> type[confluent_kafka.Consumer]:
    class RecordedConsumer(base):  # type: ignore[misc, valid-type]
        def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
            recorder.is_alive()
            messages: list[Message] = super().consume(num_messages, timeout)
            found = [message for message in messages if message.error() is None]
            if found:
                # The program does not ask to be told of assignments. There may have been one before any call.
                assigned = sorted({partition_name(each.topic(), each.partition()) for each in found})
                recorder.write(Assign(at=recorder.now(), process=recorder.process, partitions=tuple(assigned)))
                recorder.polled(group, "read_committed", found, journal.next_name())
            return messages

        def seek(self, partition: TopicPartition) -> None:
            super().seek(partition)
            name = partition_name(partition.topic, partition.partition)
            recorder.write(Seek(at=recorder.now(), process=recorder.process, partition=name, offset=partition.offset))

    return RecordedConsumer
