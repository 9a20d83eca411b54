"""Records what Debezium's transforms make of the cases: `python -m tests.golden.debezium.record_transforms`.

Java 17 and Maven; the settings that Debezium has given up are asked of the last version that knows them.
"""

from __future__ import annotations

from pathlib import Path

from bench.versus.jars import jars_of
from tests.golden.connect.recordings import record
from tests.golden.debezium.transform_cases import named

HERE = Path(__file__).parent
GOLDEN = HERE / "transforms.jsonl"
GOLDEN_OF_2 = HERE / "transforms_of_2.jsonl"

if __name__ == "__main__":
    for file, pom, cases in ((GOLDEN, "pom.xml", named()), (GOLDEN_OF_2, "pom_of_2.xml", named(legacy=True))):
        record(file, f"{jars_of(HERE / pom, 'debezium-jars')}/*", cases)
