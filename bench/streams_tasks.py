"""What a record costs a task, without a cluster and in one thread: `python -m bench.streams_tasks [ROW ...]`.

The topologies of `bench.versus.streams`, with their records: what was fetched goes through a task whose stores are on
disk, and what comes out goes into batches that nobody sends. A commit, which writes stores and changelogs, is made
every so many records. `--cache` gives record caches so many bytes, `--profile` says where the time goes.

    row | microseconds of processor per record: work, commits, together

`enriched-expressions` is `enriched` with a joiner that is an expression.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.versus.streams import load
from bench.versus.streams.clients.moldau_streams import ROWS as THERE
from bench.versus.streams.clients.moldau_streams import Customer, Topics, Total
from bench.versus.streams.rows import ROWS
from moldau._core import RecordAccumulator, RecordBlock
from moldau.client.fetching import Fetched
from moldau.streams import left, make, right
from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.columns import compile_columns
from moldau.streams.operators.record_cache import CacheBudget
from moldau.streams.persistent import Room, TaskDatabase, opener
from moldau.streams.runtime.batch_collector import BatchCollector
from moldau.streams.runtime.exception_handlers import log_and_fail
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.session import COLUMN_BATCH, MICRO_BATCH
from moldau.streams.runtime.stream_task import StreamTask, TaskParts

NOT_HERE: Final = frozenset({"hourly-avro"})
"""It asks a registry."""


def enriched_expressions(topics: Topics) -> None:
    """Each order with the row of its customer."""
    customers = topics.builder.table(topics.named("customers"), key=str, value=Customer, store="customers")
    joined = topics.orders().join(customers, make(Total, amount=left.amount, text=right.name))
    joined.to(topics.named("out"), key=str, value=Total)


EXPRESSED: Final = {"enriched-expressions": "enriched"}
"""Topologies that are here only, and the rows whose records they have."""
TOPOLOGIES: Final = {**THERE, "enriched-expressions": enriched_expressions}
SUFFIX: Final = "x"
SHOWN: Final = 30


class Nowhere:
    """A producer whose batches are encoded and dropped."""

    def __init__(self) -> None:
        self._accumulator = RecordAccumulator(1_000_000, 2**31 - 1, 1_000_000, 1 << 40)
        self._numbers: dict[str, int] = {}

    def open(self, topic: str, timeout_s: float) -> int:
        number = self._numbers.get(topic)
        if number is None:
            number = self._numbers[topic] = self._accumulator.add_topic()
            self._accumulator.set_partitions(number, 1)
        return number

    def append(
        self,
        topic: int,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes | None]] | None,
    ) -> None:
        self._accumulator.append(topic, partition, key, value, timestamp_ms, headers, time.monotonic())

    def append_run(self, topic: int, run: Any, output: int) -> list[int]:
        return self._accumulator.append_run(topic, run, output, time.monotonic())

    def reports(self) -> list[Any]:
        return []

    def flush(self, timeout_s: float) -> bool:
        for number in self._numbers.values():
            while (batch := self._accumulator.take(number, 0)) is not None:
                batch.encode("lz4", None, 7, 0, 0)
                batch.release()
        return True


def block_of(batches: Sequence[bytes]) -> RecordBlock:
    """A partition with these batches, as one answer."""
    answer, offset = bytearray(), 0
    for batch in batches:
        answer += struct.pack(">q", offset) + batch[8:]
        (count,) = struct.unpack(">i", batch[57:61])
        offset += count
    return RecordBlock(bytes(answer), 0, None)


class Row:
    """One task of one topology, and the records that it is given."""

    def __init__(self, name: str, records: int, keys: int | None, cache_bytes: int, folder: Path) -> None:
        topics = Topics(SUFFIX)
        TOPOLOGIES[name](topics)
        name = EXPRESSED.get(name, name)
        topology, row = topics.builder.build(), ROWS[name]
        lot = load.Lot(0, records, keys or row.keys)
        self.blocks = {f"{topic}-{SUFFIX}": block_of(lot.encode(topic)) for topic in row.inputs}
        self.records = records * len(row.inputs)
        self.before = {}
        if name == "enriched":
            self.before = {f"customers-{SUFFIX}": block_of(load.customers(keys or row.keys))}
        (sub,) = lay_out(topology, dict.fromkeys([*self.blocks, *self.before], 1), LayoutOptions("app")).sub_topologies
        self.collector = BatchCollector(Nowhere(), handler=log_and_fail, patience_s=1.0)  # type: ignore[arg-type]
        self.database = TaskDatabase(folder / "rocksdb")
        try:
            columns = compile_columns(sub.nodes, caches=cache_bytes > 0)
        except NotColumnarError:
            columns = None
        self.run = MICRO_BATCH if columns is None else COLUMN_BATCH
        room = Room()
        parts = TaskParts(
            topology,
            "app",
            lambda: 0,
            opener(self.database, room),
            self.collector.emitter(str),
            *[log_and_fail] * 3,
            lambda _: None,
            0,
            self.database,
            columns=columns,
            cache=CacheBudget(cache_bytes) if cache_bytes else None,
            room=room,
            emit_columns=self.collector.columns_emitter(str),
        )
        self.task = StreamTask(TaskId(0, 0), sub, parts)
        self.writers = {store: self.collector.changelog(f"app-{store}-changelog", 0, []) for store in self.task.stores}

    def give(self, blocks: dict[str, RecordBlock], commit_every: int) -> tuple[float, float]:
        """Seconds of the processor for the work and for commits."""
        longest = max(len(block) for block in blocks.values())
        began, commits, waiting = time.thread_time(), 0.0, 0
        for start in range(0, longest, self.run):
            for topic, block in blocks.items():
                stop = min(start + self.run, len(block))
                self.task.take(Fetched(topic, 0, block, start, stop, stop, at_end=True))
            for topic in self.task.inputs.keys() - blocks.keys():
                self.task.at_end(topic)
            waiting += self.task.process(0)
            if waiting >= commit_every or stop == longest:
                commit_began, waiting = time.thread_time(), 0
                self.commit()
                commits += time.thread_time() - commit_began
        return time.thread_time() - began - commits, commits

    def commit(self) -> None:
        self.task.flush(self.writers)
        self.collector.flush()
        self.task.committed({})

    def close(self) -> None:
        self.task.close()


def measure(name: str, given: argparse.Namespace) -> None:
    """Print one row."""
    with tempfile.TemporaryDirectory() as folder:
        row = Row(name, given.records, given.keys, given.cache, Path(folder))
        if row.before:
            row.give(row.before, given.commit_every)
        profile = cProfile.Profile() if given.profile else None
        if profile is not None:
            profile.enable()
        work, commits = row.give(row.blocks, given.commit_every)
        if profile is not None:
            profile.disable()
        row.close()
    each = [took / row.records * 1e6 for took in (work, commits, work + commits)]
    print(f"{name:20} | {each[0]:6.2f} | {each[1]:6.2f} | {each[2]:6.2f}", flush=True)
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)


def main() -> None:
    """Measure."""
    known = [name for name in TOPOLOGIES if name not in NOT_HERE]
    parser = argparse.ArgumentParser(prog="python -m bench.streams_tasks", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(known)}; all of them without one")
    parser.add_argument("--records", type=int, default=200_000, help="of each input")
    parser.add_argument("--commit-every", type=int, default=100_000, help="so many records")
    parser.add_argument("--keys", type=int, help="how many, if not as many as the row has")
    parser.add_argument("--cache", type=int, default=0, help="bytes of record caches; 0 for none")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    for name in given.rows or known:
        measure(name, given)


if __name__ == "__main__":
    main()
