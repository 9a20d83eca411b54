"""The measurements as a table: Moldau, its peer, the limit, and what each has of the processor for a record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from bench.versus.connect.measured import Measured
from bench.versus.peers import version_of
from bench.versus.report import machine

INTRODUCTION = """# Benchmarks: Connect, Moldau beside Debezium and Kafka Connect

Written by `{command}`; do not edit.
{moldau}, Debezium 3.6.1 in a standalone worker of Kafka Connect 4.3.1 (heap and collector of its start script),
PostgreSQL {postgres}; on {machine}, {date}. PostgreSQL, the node and the worker that is measured
share the cores, and the load average was {load_before:.1f} before the run and {load_after:.1f} after it: microseconds
of *processor* for a record, which are those of the worker's process alone, tell them apart better than records per
second. Median of {rounds}.

- `changes, bulk`: one transaction that inserts {rows:,} rows of nine columns. `changes, pgbench`: transactions of four
  changes, {changes:,} of them. Both are in the WAL before a worker starts; the clock runs from its first record in a
  topic to the last. The limit is `pg_recvlogical`, which writes the same stream to nowhere.
- `snapshot`: the {snapshot:,} rows of the bulk table, by one session or four. The limit is a COPY within the server, of
  one session and to nowhere; its processor time is that session's.
- `S3 sink`: {lake:,} rows of ten columns as zstd Parquet; the limit is pyarrow, which is given whole columns.
- `five transforms`: the guide's chain and both JSON converters, in one thread; Java after the compiler has seen it.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `peer` is what stands beside Moldau in it."""

    name: str
    peer: str
    rounds: Sequence[Mapping[str, Measured]]

    def _of(self, who: str, what: str) -> float | None:
        found = [getattr(each[who], what) for each in self.rounds if who in each]
        return median(found) if found else None

    def line(self) -> str:
        rates = [self._of(who, "rate") for who in ("moldau", self.peer, "limit")]
        cpu = [self._of(who, "cpu_us") for who in ("moldau", self.peer, "limit")]
        cells = [self.name, *map(_rate, rates), _ratio(rates[0], rates[1]), _ratio(rates[0], rates[2])]
        cells += [*map(_cpu, cpu), _ratio(cpu[1], cpu[0])]
        return f"| {' | '.join(cells)} |"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _cpu(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ratio(ours: float | None, other: float | None) -> str:
    return "" if ours is None or not other else f"**{ours / other:.2f}**"


HEAD = (
    "| row | Moldau, records/s | Debezium or Java | limit | to Java | to the limit |"
    " Moldau, µs of CPU | Debezium or Java | limit | Java's to ours |\n| --- |" + " --: |" * 9
)


def page(rows: Sequence[Row], notes: Sequence[str], facts: Mapping[str, object]) -> str:
    """The whole page."""
    text = INTRODUCTION.format(
        moldau=version_of("moldau"),
        machine=machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        load_after=os.getloadavg()[0],
        **facts,
    )
    parts = [text, HEAD, *[row.line() for row in rows]]
    if notes:
        parts += ["", *[f"- {note}" for note in notes]]
    return "\n".join(parts) + "\n"
