"""The samples as a Markdown page: median of each broker, the ratio of each round, its median and its range."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from bench.versus import peers
from bench.versus.sample import Results, Sample

INTRODUCTION = """# Benchmarks: Moldau beside Apache Kafka

Written by `{command}`; do not edit. {moldau} and {kafka}, on one machine ({machine}),
{date}. The client programs run on the same cores as the brokers.

Both brokers run with the settings of Kafka's own `server.properties` and keep records in the page cache, as Kafka does
by default. Kafka has the heap and the collector of its start script (`-Xmx1G -Xms1G`, G1). Every row is measured on
both within seconds, in {rounds} counted rounds. A ratio over 1 says that
Moldau is better, whatever the unit; the range is over the rounds. `MB` is a million bytes of record values. The load
average of the machine was {load_before:.1f} before the run and {load_after:.1f} after it;
what is over 1 before the run is the work of others, and then the broker CPU tells more than the rates.

"""

CLIENTS = """
A first round is thrown away, and the brokers stay up from round to round.

Clients: `wire` sends batches of 16 KiB that were encoded before the clock started, five requests in flight, acks=all,
and walks what it fetches batch by batch: it leaves the machine to the broker. `librdkafka` is the library inside
confluent-kafka (`rd_kafka_produce_batch`; `consume()` in lots of 10,000). `java` is `kafka-producer-perf-test` and
`kafka-consumer-perf-test`. The last two work harder than either broker, so on few cores they measure themselves: there,
the column of broker CPU tells the brokers apart.
"""


def machine() -> str:
    """What the numbers were taken on."""
    return f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB of memory, {platform.system()} {platform.release()}"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratios(results: Results, row: str) -> list[float]:
    """One per round, over 1 where Moldau is better; none for what was measured on Moldau alone."""
    pairs = zip(results.values("moldau", row), results.values("kafka", row), strict=False)
    return [kafka.value / ours.value if ours.lower_is_better else ours.value / kafka.value for ours, kafka in pairs]


def _median_value(samples: Sequence[Sample]) -> str:
    return _number(median(sample.value for sample in samples)) if samples else ""


def _row(results: Results, row: str) -> str:
    ours, kafka = results.values("moldau", row), results.values("kafka", row)
    ratios = _ratios(results, row)
    ratio = f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
    cells = [row, ours[0].unit, _median_value(ours), _median_value(kafka), ratio]
    cpu = [[sample.cpu for sample in samples if sample.cpu is not None] for samples in (ours, kafka)]
    cells.append(ours[0].cpu_unit if any(cpu) else "")
    cells += [_number(median(used)) if used else "" for used in cpu]
    return "| " + " | ".join(cells) + " |"


def table(results: Results) -> str:
    """Every row, those about starts and memory last, and the rows in which Moldau is behind."""
    rows = results.rows()
    once = [row for row in rows if row.startswith(("start", "resident"))]
    lost = [row for row in rows if (ratios := _ratios(results, row)) and round(median(ratios), 2) < 1]
    title = "| row | unit | Moldau | Apache Kafka | ratio | unit of broker CPU | Moldau | Apache Kafka |"
    parts = [title, "| --- | --- | --: | --: | --: | --- | --: | --: |"]
    parts += [_row(results, row) for row in rows if row not in once]
    parts += [_row(results, row) for row in once]
    parts += ["", "Rows in which Moldau is behind: " + ("; ".join(lost) + "." if lost else "none.")]
    return "\n".join(parts)


def introduction(command: str, rounds: int, load_before: float) -> str:
    """What was run, on what, and how to read the table."""
    return INTRODUCTION.format(
        command=command,
        moldau=peers.version_of("moldau"),
        kafka=peers.version_of("kafka"),
        machine=machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        rounds=rounds,
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )


def throughput_page(results: Results, rounds: int, command: str, load_before: float) -> str:
    """The page of Produce and Fetch."""
    return "\n".join([introduction(command, rounds, load_before) + CLIENTS, table(results), ""])


def workloads_page(results: Results, rounds: int, command: str, load_before: float, about: Mapping[str, str]) -> str:
    """The page of the workloads: what each does (its name to its description), their rows, what went wrong."""
    told = "\n".join(f"- `{name}`: {' '.join(text.split())}" for name, text in about.items())
    notes = "\n".join(f"- {note}" for note in results.notes)
    return "\n".join([introduction(command, rounds, load_before), told, "", table(results), "", notes]).rstrip() + "\n"
