"""The samples as a Markdown page: median of each broker, the ratio of each round, its median and its range."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from statistics import median

from bench.versus import peers
from bench.versus.rounds import Plan, Results

INTRODUCTION = """# Benchmarks: Moldau beside Apache Kafka

Written by `{command}`; do not edit. {moldau} and {kafka}, on one machine ({cores} cores, {memory:.0f} GiB of memory,
{system}), {date}. The client programs run on the same cores as the brokers.

Both brokers run with the settings of Kafka's own `server.properties` and keep records in the page cache, as Kafka does
by default. Kafka has the heap and the collector of its start script (`-Xmx1G -Xms1G`, G1). Every row is measured on
both within seconds, {rounds} rounds, after one that is thrown away, on brokers that stay up. A ratio over 1 says that
Moldau is better, whatever the unit; the range is over the rounds. `MB` is a million bytes of record values. The load
average of the machine was {load_before:.1f} before the run and {load_after:.1f} after it;
what is over 1 before the run is the work of others, and then the broker CPU tells more than the rates.

Clients: `wire` sends batches of 16 KiB that were encoded before the clock started, five requests in flight, acks=all,
and walks what it fetches batch by batch: it leaves the machine to the broker. `librdkafka` is the library inside
confluent-kafka (`rd_kafka_produce_batch`; `consume()` in lots of 10,000). `java` is `kafka-producer-perf-test` and
`kafka-consumer-perf-test`. The last two work harder than either broker, so on few cores they measure themselves: there,
the column of broker CPU tells the brokers apart.
"""


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratios(results: Results, row: str) -> list[float]:
    """One per round, over 1 where Moldau is better."""
    pairs = zip(results.values("moldau", row), results.values("kafka", row), strict=True)
    return [kafka.value / ours.value if ours.lower_is_better else ours.value / kafka.value for ours, kafka in pairs]


def _row(results: Results, row: str) -> str:
    ours, kafka = results.values("moldau", row), results.values("kafka", row)
    ratios = _ratios(results, row)
    cells = [
        row,
        ours[0].unit,
        _number(median(sample.value for sample in ours)),
        _number(median(sample.value for sample in kafka)),
        f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
    ]
    for samples in (ours, kafka):
        cpu = [sample.cpu_s_per_gb for sample in samples if sample.cpu_s_per_gb is not None]
        cells.append(f"{median(cpu):.2f}" if cpu else "")
    return "| " + " | ".join(cells) + " |"


def markdown(results: Results, plan: Plan, command: str, load_before: float) -> str:
    """The page."""
    head = INTRODUCTION.format(
        command=command,
        moldau=peers.version_of("moldau"),
        kafka=peers.version_of("kafka"),
        cores=os.cpu_count(),
        memory=_memory_gib(),
        system=f"{platform.system()} {platform.release()}",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        rounds=plan.rounds,
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )
    title = "| row | unit | Moldau | Apache Kafka | ratio | broker CPU s/GB: Moldau | Apache Kafka |"
    rows = results.rows()
    once = [row for row in rows if row.startswith(("start", "resident"))]
    lost = [row for row in rows if median(_ratios(results, row)) < 1]
    parts = [head, title, "| --- | --- | --: | --: | --: | --: | --: |"]
    parts += [_row(results, row) for row in rows if row not in once]
    parts += [_row(results, row) for row in once]
    parts += ["", "Rows in which Moldau is behind: " + ("; ".join(lost) + "." if lost else "none."), ""]
    return "\n".join(parts)
