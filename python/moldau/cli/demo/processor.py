"""One processor of orders, a process of its own: `python -m moldau.cli.demo.processor`, with its settings as JSON.

It is the guide's consumer: a static member of its group, automatic commits off, a synchronous commit after each batch
that was processed. SIGTERM ends it between two batches. A static member does not say goodbye when it closes, so its
partitions wait for it until `session.timeout.ms` is over; a process with the same `group.instance.id` takes them on.

It tells its story on stdout, one JSON object per line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from array import array
from pathlib import Path
from typing import Any, BinaryIO

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from moldau.cli.demo.processed import checksum

SEQUENCE_HEADER = "X-Sequence"
GROUP_METADATA_PREFIX = b"CGMDv2:"


class Processor:
    """Reads orders, processes them, commits."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, instance: str, ledger: Path) -> None:
        self.running = True
        self.processed = 0
        self.ledger: BinaryIO = ledger.open("ab")
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group,
                "group.instance.id": instance,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 45000,
                "heartbeat.interval.ms": 1000,
                "max.poll.interval.ms": 300000,
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "partition.assignment.strategy": "cooperative-sticky",
            }
        )
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)

    def run(self) -> None:
        """Process until told to stop."""
        parent = os.getppid()
        try:
            # Nobody reads the story of a processor whose demo is gone.
            while self.running and os.getppid() == parent:
                messages = self.consumer.consume(num_messages=500, timeout=0.2)
                for message in messages:
                    error = message.error()
                    if error is not None:
                        raise KafkaException(error)
                if messages:
                    self.process(messages)
                    self.consumer.commit(asynchronous=False)
        finally:
            tell("stopped", processed=self.processed, generation=self.generation())
            self.consumer.close()
            self.ledger.close()

    def process(self, messages: list[Message]) -> None:
        """The work: write down what arrived. It is on its way to the disk before its offsets are committed."""
        entries = array("I")
        for message in messages:
            value = message.value() or b""
            assert isinstance(value, bytes)
            entries.extend((sequence_of(message), checksum(value), message.partition() or 0, message.offset() or 0))
        self.ledger.write(entries.tobytes())
        self.ledger.flush()
        self.processed += len(messages)

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions were given to us."""
        consumer.incremental_assign(partitions)
        self.tell_assignment("assigned", partitions)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions go to another member; what we processed of them is committed already."""
        if self.running:
            self.tell_assignment("revoked", partitions)
        consumer.incremental_unassign(partitions)

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions were taken away because the group gave us up."""
        self.tell_assignment("lost", partitions)
        consumer.incremental_unassign(partitions)

    def tell_assignment(self, event: str, changed: list[TopicPartition]) -> None:
        """Say which partitions we have now."""
        owned = sorted(place.partition for place in self.consumer.assignment())
        tell(
            event,
            changed=sorted(place.partition for place in changed),
            partitions=owned,
            generation=self.generation(),
        )

    def generation(self) -> int | None:
        """The group's generation as this member knows it; librdkafka hands it out only inside of a blob."""
        blob: Any = self.consumer.consumer_group_metadata()
        if not isinstance(blob, bytes) or not blob.startswith(GROUP_METADATA_PREFIX):
            return None
        start = len(GROUP_METADATA_PREFIX)
        return int.from_bytes(blob[start : start + 4], "little", signed=True)


def sequence_of(message: Message) -> int:
    """The sequence number that the producer put into a header."""
    headers: Any = message.headers()
    return next((int(value) for name, value in headers or () if name == SEQUENCE_HEADER), 0xFFFFFFFF)


def tell(event: str, **facts: object) -> None:
    """One line of our story."""
    print(json.dumps({"event": event, **facts}), flush=True)


def main() -> None:
    """Run one processor until SIGTERM."""
    settings = json.loads(sys.argv[1])
    processor = Processor(**{**settings, "ledger": Path(settings["ledger"])})
    signal.signal(signal.SIGTERM, lambda *_: setattr(processor, "running", False))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processor.run()


if __name__ == "__main__":
    main()
