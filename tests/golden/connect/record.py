"""Records what Kafka makes of the cases: `python -m tests.golden.connect.record` (Java 17, Maven)."""

from __future__ import annotations

from pathlib import Path

from bench.versus.jars import kafka_jars
from tests.golden.connect.cases import named
from tests.golden.connect.recordings import record

GOLDEN = Path(__file__).parent / "transforms.jsonl"

if __name__ == "__main__":
    record(GOLDEN, f"{kafka_jars()}/*", named())
