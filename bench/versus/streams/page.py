"""The samples as a Markdown page: each row with all of its clients."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from bench.versus.peers import version_of
from bench.versus.report import machine
from bench.versus.streams.peers import PEERS
from bench.versus.streams.rows import ROWS
from bench.versus.streams.runs import Sample

INTRODUCTION = """# Benchmarks: stream processing, Moldau beside its peers

Written by `{command}`; do not edit.
{moldau}, on {machine}, {date}; broker: {broker}.
The client, the broker and what writes the records share the cores, so records per second of *processor* tell the
clients apart better than those by the wall; the load average was {load_before:.1f} before the run and {load_after:.1f}
after it.

Every client gets the same records on one partition, first {records:,} to warm up (in Java the compiler needs them),
then {records:,} that count, encoded beforehand; median of {rounds}. Its output is read afterwards and held against what
must come of the records: a client with other results has no number here. Commits are at most a second apart, with
exactly-once a tenth. Processor time is that of the whole client process: garbage collection, compilers and the threads
of its Kafka client are in it. A peer that is marked with ÷ got so many times fewer records.
"""


@dataclass(slots=True)
class Results:
    """Samples by row, guarantee and peer."""

    samples: dict[tuple[str, str, str], list[Sample]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, guarantee: str, peer: str, sample: Sample) -> None:
        self.samples.setdefault((row, guarantee, peer), []).append(sample)


def per_cpu_second(samples: Sequence[Sample]) -> float:
    return median(sample.records / sample.cpu_s for sample in samples)


def per_second(samples: Sequence[Sample]) -> float:
    return median(sample.records / sample.wall_s for sample in samples)


def table(results: Results) -> str:
    """All rows; the last column is how much Moldau does in the same time, with a cache where the peer has one."""
    lines = [
        "| row | guarantee | client | records/s of processor | records/s by the wall | peak MiB | Moldau does |",
        "| --- | --- | --- | --: | --: | --: | --: |",
    ]
    for (row, guarantee, name), samples in results.samples.items():
        rate = per_cpu_second(samples)
        peer = PEERS[name]
        ours = results.samples.get((row, guarantee, peer.beside))
        ratio = "" if ours is None or name == peer.beside else f"{per_cpu_second(ours) / rate:.2f} times"
        title = peer.title + (f" (÷{peer.divisor})" if peer.divisor > 1 else "")
        memory = max(sample.resident_bytes for sample in samples) / 2**20
        lines.append(
            f"| {row} | {guarantee} | {title} | {rate:,.0f} | {per_second(samples):,.0f} | {memory:,.0f} | {ratio} |"
        )
    return "\n".join(lines)


def page(results: Results, facts: Mapping[str, object]) -> str:
    """The whole page; `facts` are command, broker, records, rounds and load_before."""
    introduction = INTRODUCTION.format(
        **facts,
        moldau=version_of("moldau"),
        machine=machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        load_after=os.getloadavg()[0],
    )
    told = "\n".join(f"- `{row}`: {ROWS[row].about}." for row in dict.fromkeys(key[0] for key in results.samples))
    notes = "\n".join(f"- {note}" for note in results.notes)
    return "\n".join([introduction, told, "", table(results), "", notes]).rstrip() + "\n"
