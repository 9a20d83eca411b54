"""The guide to a lake, as it stands: its JSON makes the files, its Python reads them back."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.unit.connect.connectors.s3.lake import Context, structured, version

from moldau.connect.connectors.s3.sink import S3SinkTask

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "lake.md").read_text()
EVERY_S = 7 * 3600


def block(language: str, title: str) -> str:
    return re.search(rf'```{language} title="{title}"\n(.*?)```', GUIDE, re.DOTALL)[1]


@pytest.fixture
def lake(tmp_path: Path) -> tuple[Path, Counter[tuple[int, int]]]:
    """A lake of the guide's, and how many of its orders are of which month."""
    config = json.loads(re.sub(r" //.*", "", block("json", "lake.json")))["config"]
    config |= {"store.url": (tmp_path / "lake").as_uri(), "flush.size": "30"}
    task, schema = S3SinkTask(), version(1, "note")
    task.initialize(Context())
    task.start(config)
    start = dt.datetime(2023, 11, 14, tzinfo=dt.UTC)
    times = [start + dt.timedelta(seconds=EVERY_S * number) for number in range(300)]
    task.put([structured(schema, at, int(time.timestamp() * 1000), note="n") for at, time in enumerate(times)])
    (committed,) = task.pre_commit({}).values()
    task.stop()
    assert committed == len(times) - 1, "each record is later than the last by more than rotate.interval.ms"
    return tmp_path / "lake", Counter((time.year, time.month) for time in times[:committed])


@pytest.mark.parametrize("reader", ["Polars", "DuckDB"])
def test_the_guides_lines_read_what_the_guides_configuration_has_written(
    reader: str, lake: tuple[Path, Counter[tuple[int, int]]]
) -> None:
    folder, orders_by_month = lake
    names: dict[str, Any] = {}
    exec(block("python", f"with {reader}").replace("/tmp/lake", str(folder)), names)
    found = names["by_month"].rows() if reader == "Polars" else names["by_month"].fetchall()
    assert [(int(month), count) for month, count in found] == sorted(
        (month, count) for (year, month), count in orders_by_month.items() if year == 2023
    )
    everything = names["orders"].collect() if reader == "Polars" else names["orders"].pl()
    assert sorted(everything["id"]) == list(range(orders_by_month.total()))
    assert {"year", "month", "day", "note"} <= set(everything.columns)
