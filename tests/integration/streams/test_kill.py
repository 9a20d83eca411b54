"""`kill -9` of an application, again and again: under exactly-once nobody can tell from what came out."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import T0

ROOT = Path(__file__).resolve().parents[3]
KILLS = 6
RECORDS = 3000


def spawn(cluster, source, sink, application_id, folder, where, **more):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.integration.streams.counting_process", cluster.bootstrap),
            *(source, sink, application_id, str(folder), where, json.dumps(more)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def outputs(cluster, sink):
    counts: dict[bytes, list[int]] = {}
    for message in cluster.read(sink):
        counts.setdefault(message.key(), []).append(struct.unpack(">q", message.value())[0])
    return counts


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["in-memory", "on-disk", "functions"])
def test_each_record_counts_once_however_often_the_process_is_killed(cluster, tmp_path, where):
    more = {"columns_enabled": where != "functions"}
    source, sink, application_id = f"kill-{where}", f"killed-{where}", f"kill-app-{where}"
    cluster.create(3, source, sink)
    chance = random.Random(7)
    keys: list[bytes] = []
    for _ in range(KILLS):
        process = spawn(cluster, source, sink, application_id, tmp_path / "state", where, **more)
        try:
            assert process.stdout.readline() == b"running\n"
            fresh = [f"k{chance.randrange(50)}".encode() for _ in range(RECORDS)]
            keys += fresh
            # Killed somewhere in the middle of the work, and of a transaction.
            enough = len(cluster.read(sink)) + chance.randrange(RECORDS)
            cluster.write(source, [(key, b"x", T0) for key in fresh])
            eventually(lambda enough=enough: len(cluster.read(sink)) >= enough)
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()
    process = spawn(cluster, source, sink, application_id, tmp_path / "state", where, **more)
    try:
        eventually(lambda: len(cluster.read(sink)) >= len(keys), 60)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    expected = Counter(keys)
    assert outputs(cluster, sink) == {key: list(range(1, count + 1)) for key, count in expected.items()}
    changelog = {message.key(): message.value() for message in cluster.read(f"{application_id}-counts-changelog")}
    assert changelog == {key: struct.pack(">q", count) for key, count in expected.items()}
