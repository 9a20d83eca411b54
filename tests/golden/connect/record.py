"""Records what Kafka makes of the cases: `python -m tests.golden.connect.record` (Java 17, Maven)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from bench.versus.jars import kafka_jars, require_tool
from tests.golden.connect.cases import named

HERE = Path(__file__).parent
GOLDEN = HERE / "recorded.json"


def main() -> None:
    java = require_tool("java", "openjdk-17-jdk-headless")
    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder, "cases.json")
        cases.write_text(json.dumps(named()))
        done = subprocess.run(
            [java, "-cp", f"{kafka_jars()}/*", str(HERE / "Recorder.java"), str(cases)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    recorded = json.loads(done.stdout)
    lines = [f"{json.dumps(name)}: {json.dumps(outcome)}" for name, outcome in recorded.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
