"""What a record costs between a fetched batch and a produced one, in one thread and without a cluster.

`python -m bench.streams_batches [--records 1000000] [--rounds 5]`: records of 100 bytes of JSON in lz4 batches are
decoded, three of four pass `filter`, `map_values` writes another object of each, and lz4 batches are made of those:
the path of an application whose topology is made of expressions, but for the sockets. Best of the rounds, for the parts
and for the whole, in records that were read per second of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Final

from bench.streams import expressions
from moldau._core import RecordAccumulator, RecordBlock
from moldau.streams.columns import compile_columns

BLOCK_RECORDS: Final = 10_000
STATUSES: Final = ("COMPLETED", "COMPLETED", "COMPLETED", "CANCELLED")


def batches_of(made: RecordAccumulator, topic: int) -> list[bytes]:
    """Everything that was given for a partition, as it would be sent."""
    batches = []
    while (batch := made.take(topic, 0)) is not None:
        batches.append(batch.encode("lz4", None, 7, 0, 0))
        batch.release()
    return batches


def accumulator() -> tuple[RecordAccumulator, int]:
    """With one topic of one partition."""
    made = RecordAccumulator(1_000_000, 2**31 - 1, 1_000_000, 1 << 40)
    topic = made.add_topic()
    made.set_partitions(topic, 1)
    return made, topic


def answers(records: int) -> list[bytes]:
    """Orders, as a broker hands them out."""
    found = []
    for start in range(0, records, BLOCK_RECORDS):
        made, topic = accumulator()
        for number in range(start, start + BLOCK_RECORDS):
            order = {"order_id": f"o{number:07}", "amount": float(number % 100), "status": STATUSES[number % 4]}
            value = json.dumps({**order, "note": "x" * (100 - len(json.dumps({**order, "note": ""})))}).encode()
            assert len(value) == 100
            made.append(topic, 0, f"c{number % 10_000}".encode(), value, 1_700_000_000_000 + number, None, 0.0)
        found.append(b"".join(batches_of(made, topic)))
    return found


def measure(records: int, rounds: int) -> None:
    """Decoding alone, with the topology, and with the batches that go out."""
    given = answers(records)
    (sub,) = expressions().sub_topologies()
    program = compile_columns(sub.nodes).program
    best = [float("inf")] * 4
    for _ in range(rounds):
        spent = [0.0] * 3
        made, topic = accumulator()
        for answer in given:
            begun = time.thread_time()
            block = RecordBlock(answer, 0, None)
            decoded = time.thread_time()
            run = program.run(block, 0, BLOCK_RECORDS)
            evaluated = time.thread_time()
            assert run.stop == BLOCK_RECORDS
            assert made.append_run(topic, run, 0, 0.0) == []
            batches_of(made, topic)
            ended = time.thread_time()
            for part, took in enumerate((decoded - begun, evaluated - decoded, ended - evaluated)):
                spent[part] += took
        best = [min(pair) for pair in zip(best, (*spent, sum(spent)), strict=True)]
    for name, took in zip(("decode", "filter, map_values", "batches, lz4", "all of it"), best, strict=True):
        print(
            f"{name:20} | {took / records * 1e9:6.0f} ns | {records / took:12,.0f} records per second of the processor"
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams_batches", description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    measure(given.records // BLOCK_RECORDS * BLOCK_RECORDS, given.rounds)


if __name__ == "__main__":
    main()
