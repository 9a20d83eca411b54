"""Kafka's own performance tools: `ProducerPerformance` and `ConsumerPerformance`, with their default settings.

They measure themselves from the first record on, so the start of the JVM is not in the figure; its compiler is.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess

from bench.versus.apache_kafka import java

TIMEOUT_S = 600
HEAP = ["-Xmx512m"]


def _run(main_class: str, *arguments: str) -> str:
    command = java(main_class, *arguments, jvm_options=HEAP)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{main_class}:\n{done.stdout}{done.stderr}")
    return done.stdout


def produce(bootstrap_servers: str, topic: str, records: int, record_bytes: int) -> float:
    """Seconds for `records` records, from the tool's own records per second."""
    shown = _run(
        "org.apache.kafka.tools.ProducerPerformance",
        *("--bootstrap-server", bootstrap_servers, "--topic", topic, "--throughput", "-1"),
        *("--num-records", str(records), "--record-size", str(record_bytes)),
    )
    total = re.findall(rf"^{records} records sent, ([\d.,]+) records/sec", shown, re.MULTILINE)
    if not total:
        raise RuntimeError(f"ProducerPerformance did not send everything:\n{shown}")
    return records / float(total[-1].replace(",", "."))


def consume(bootstrap_servers: str, topic: str, records: int) -> float:
    """Seconds spent fetching, without the time in which the group came together."""
    shown = _run(
        "org.apache.kafka.tools.ConsumerPerformance",
        *("--bootstrap-server", bootstrap_servers, "--topic", topic, "--num-records", str(records)),
        *("--hide-header", "--timeout", "60000"),
    )
    columns = shown.strip().splitlines()[-1].split(",")
    fetched, fetch_ms = int(columns[4]), int(columns[7])
    if fetched < records:
        raise RuntimeError(f"ConsumerPerformance read {fetched} of {records} records:\n{shown}")
    return fetch_ms / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["produce", "consume"])
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--record-bytes", type=int, required=True)
    given = parser.parse_args()
    if given.what == "produce":
        taken_s = produce(given.bootstrap_servers, given.topic, given.records, given.record_bytes)
    else:
        taken_s = consume(given.bootstrap_servers, given.topic, given.records)
    print(json.dumps({"seconds": taken_s, "records": given.records}))


if __name__ == "__main__":
    main()
