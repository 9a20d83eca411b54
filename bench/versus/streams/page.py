"""The samples as a Markdown page: each row with all of its clients."""

from __future__ import annotations

import os
import platform
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
{moldau}, on {machine}, Python {python}, {date}; broker: {broker}.
The client, the broker and what writes the records share the cores, so records per second of *processor* tell the
clients apart better than those by the wall; the load average was {load_before:.1f} before the run and {load_after:.1f}
after it.

Every client gets the same records on one partition, first {records:,} to warm up (in Java the compiler needs them),
then {records:,} that count, encoded beforehand; median of {rounds}. Its output is read afterwards and held against what
must come of the records: a client with other results has no number here. Commits are at most a second apart, with
exactly-once a tenth. Processor time is that of the whole client process until the commit after the last record, less
what it uses with nothing to do: stores and changelogs, garbage collection, compilers and the threads of its Kafka
client are in it. A peer that is marked with ÷ got so many times fewer records.

One process each, one worker in it, written as the client's own documentation has it, with the faster of the stores and
decoders that it offers: Faust on RocksDB, orjson and uvloop; Bytewax with its state snapshotted every second; Pathway
in its own expressions, what it read persisted every second (to persist its state wants a licence key). It gives one
result per key and second, as a record cache does too: where Moldau has such a cache, Pathway is held against that.

What a record cache holds comes out at a commit, the last of it up to a second (or a tenth) after the last record was
worked on. By the wall that is counted: there those rows say how long one waits for results, not how much goes through.
"""


Case = tuple[str, str, str]
"""Row, guarantee and peer."""


@dataclass(slots=True)
class Results:
    """What was to be measured, the samples, and why there are none."""

    cases: list[Case] = field(default_factory=list)
    samples: dict[Case, list[Sample]] = field(default_factory=dict)
    failures: dict[Case, list[str]] = field(default_factory=dict)

    def add(self, case: Case, sample: Sample) -> None:
        self.samples.setdefault(case, []).append(sample)

    def failed(self, case: Case, reason: str) -> None:
        self.failures.setdefault(case, []).append(reason)


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
    return "\n".join([*lines, *(_line(results, case) for case in results.cases)])


def _line(results: Results, case: Case) -> str:
    row, guarantee, name = case
    peer = PEERS[name]
    divisor = peer.divisor_of(row)
    title = peer.title + (f" (÷{divisor})" if divisor > 1 else "")
    samples, failures = results.samples.get(case, []), results.failures.get(case, [])
    if not samples:
        reason = failures[-1].replace("|", "/") if failures else "not run"
        return f"| {row} | {guarantee} | {title} | failed: {reason} |  |  |  |"
    rate = per_cpu_second(samples)
    ours = results.samples.get((row, guarantee, peer.beside)) or results.samples.get((row, guarantee, "moldau"))
    ratio = "" if ours is None or name.startswith("moldau") else f"{per_cpu_second(ours) / rate:.2f} times"
    memory = max(sample.resident_bytes for sample in samples) / 2**20
    failed = f", failed {len(failures)} of {len(failures) + len(samples)}" if failures else ""
    cells = (f"{rate:,.0f}{failed}", f"{per_second(samples):,.0f}", f"{memory:,.0f}", ratio)
    return f"| {row} | {guarantee} | {title} | {' | '.join(cells)} |"


def cannot(results: Results) -> str:
    """Each client's rows and guarantees among those that were run which it has not, with the reason."""
    asked = {name for case in results.cases for name in case[:2]}
    lines = []
    for name in dict.fromkeys(case[2] for case in results.cases):
        peer = PEERS[name]
        reasons = [f"`{what}`: {reason}" for what, reason in peer.cannot.items() if what in asked]
        lines += [f"- {peer.title} has not {'; '.join(reasons)}."] if reasons else []
    return "\n".join(lines)


def page(results: Results, facts: Mapping[str, object]) -> str:
    """The whole page; `facts` are command, broker, records, rounds and load_before."""
    introduction = INTRODUCTION.format(
        **facts,
        moldau=version_of("moldau"),
        machine=machine(),
        python=platform.python_version(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        load_after=os.getloadavg()[0],
    )
    told = "\n".join(f"- `{row}`: {ROWS[row].about}." for row in dict.fromkeys(case[0] for case in results.cases))
    return "\n".join([introduction, told, "", table(results), "", cannot(results)]).rstrip() + "\n"
