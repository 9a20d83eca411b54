"""Change data capture into a lake under kill -9 of all its parts: nothing is lost, and the lake has each offset once.

`make test-faults-connect DURATION=3600` goes on for longer: `python -m tests.fault.connect --help`.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from tests.fault.connect import silence
from tests.fault.connect.numbers import JUNK, judge_numbers
from tests.fault.connect.planted import BUGS
from tests.fault.connect.run import Run
from tests.fault.connect.shop import Change
from tests.fault.connect.verdict import TOMBSTONE, Event, Row, Verdict, judge_lake, judge_topics
from tests.postgres_under_test import postgres_under_test

TOPIC = "shop.public.orders"


@pytest.mark.timeout(400)
def test_rows_reach_the_lake_once_over_kills_of_everything(tmp_path: Path):
    run = Run(tmp_path / "run", seed=3, store="bucket", once=False)
    verdict = run.judged(0, ("kill worker", "kill postgres", "store busy", "kill node", "kill store"))
    assert not verdict.anomalies, f"{verdict.report()}\n{run.folder}"
    assert verdict.counts["changes committed"] > 200, verdict.report()
    assert verdict.counts["rows in the lake"] > 100, verdict.report()


@pytest.mark.timeout(600)
def test_each_record_of_sources_in_transactions_is_there_once_over_kills_of_everything(tmp_path: Path):
    run = Run(tmp_path / "run", seed=12, store="folder", once=True)
    faults = ("kill worker", "kill node", "kill both workers", "kill postgres", "kill worker", "kill everything")
    verdict = run.judged(0, faults)
    assert not verdict.anomalies, f"{verdict.report()}\n{run.folder}"
    assert verdict.counts["changes committed"] > 200, verdict.report()
    assert verdict.counts["numbers"] > 1000, verdict.report()


IN_TRANSACTIONS = ("keep-offsets-behind-the-transaction", "send-two-of-a-key-in-the-wrong-order")
PLANTED = {
    "send-two-of-a-key-in-the-wrong-order": ("kill worker", "numbers out of order"),
    "keep-offsets-behind-the-transaction": ("kill both workers", "number twice"),
    "commit-before-the-upload": ("kill both workers", "lost offset"),
    "keep-offsets-of-what-is-on-its-way": ("kill node and workers", "skipped change"),
    "begin-again-at-the-open-file": ("store busy", "offset twice"),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "bug", [name if name == "commit-before-the-upload" else pytest.param(name, marks=pytest.mark.slow) for name in BUGS]
)
def test_a_bug_that_was_planted_in_the_workers_is_found_and_named(bug: str, tmp_path: Path):
    fault, anomaly = PLANTED[bug]
    store = "bucket" if fault == "store busy" else "folder"
    # With this seed a partition of a topic has several files open, each of which is full soon.
    several = bug == "begin-again-at-the-open-file"
    run = Run(tmp_path / "run", seed=34 if several else 7, bug=bug, store=store, once=bug in IN_TRANSACTIONS)
    faults = [fault] * (2 if bug == "commit-before-the-upload" else 6)
    waits = several or bug == "keep-offsets-of-what-is-on-its-way"
    verdict = run.judged(0, faults, between=60 if waits else 0)
    assert anomaly in verdict.anomalies, f"{verdict.report()}\n{run.folder}"


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_rows_reach_the_lake_for_as_long_as_is_asked(tmp_path: Path):
    """`MOLDAU_TEST_FAULTS_DURATION_S` seconds, from the seed `MOLDAU_TEST_FAULTS_SEED` or a new one."""
    from tests.fault.connect.__main__ import marathon

    duration_s = float(os.environ.get("MOLDAU_TEST_FAULTS_DURATION_S") or "300")
    seed = int(os.environ.get("MOLDAU_TEST_FAULTS_SEED") or random.SystemRandom().randrange(1 << 30))
    assert marathon(tmp_path, duration_s, seed) == 0


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="processes are looked at in Linux's /proc")
def test_a_database_that_stands_still_is_written_down_as_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "silence.log"
    with postgres_under_test() as postgres:
        silence.write_down(file, "PUT a is not answered", postgres)
        assert "pg_stat_activity" in file.read_text()
        assert postgres.process is not None
        pid = postgres.process.pid
        postgres.process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(silence, "WITHIN_S", 1)
        try:
            silence.write_down(file, "PUT b is not answered", postgres)
        finally:
            postgres.process.send_signal(signal.SIGCONT)
    told = file.read_text().partition("PUT b is not answered")[2]
    assert "does not tell its sessions" in told
    assert f"\n{pid} T " in told


# The verdict.

IN_ORDER = [("0-0", "0"), ("0-1", "1"), ("0-2", "2"), ("0-3", "3"), ("0-4", "4"), ("0-0", "5")]
STORED = [{"partition": {"task": "0"}, "offset": {"n": 5}}]


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (IN_ORDER, []),
        ([*IN_ORDER[1:5], IN_ORDER[0], IN_ORDER[5]], []),
        ([*IN_ORDER, ("0-0", "5")], ["number twice"]),
        ([*IN_ORDER[1:5], IN_ORDER[5], IN_ORDER[0]], ["numbers out of order", "numbers out of order"]),
        (IN_ORDER[:5], ["lost number"]),
        ([*IN_ORDER, ("0-1", "6")], ["number without its offset"]),
        ([*IN_ORDER, ("0-1", JUNK)], ["aborted record"]),
        ([], ["lost number"]),
    ],
)
def test_numbers_are_judged_by_what_is_stored(records: list[tuple[str, str]], found: list[str]):
    anomalies = judge_numbers(records, STORED).anomalies
    assert [name for name, cases in anomalies.items() for _ in cases] == found


def changes(*ops: str, key: int = 1) -> list[Change]:
    """Changes of one row, in transactions 1, 2, ...: their place in the WAL is ten times that."""
    return [
        Change("orders", key, op, xid, 10 * xid, None if op == "d" else f"tag-{xid}") for xid, op in enumerate(ops, 1)
    ]


def events(*what: str, key: int = 1) -> list[Event]:
    """`c1` is the create of transaction 1, `r2` the row as it was after transaction 2, `t` a tombstone."""
    found = []
    for offset, each in enumerate(what):
        op, xid = each[0], int(each[1:] or 0)
        place = (TOPIC, 0, offset, "orders", key)
        if op == "t":
            found.append(Event(*place, TOMBSTONE))
        else:
            lsn = 10 * xid + 5 if op == "r" else 10 * xid
            found.append(Event(*place, op, xid, lsn, None if op == "d" else f"tag-{xid}"))
    return found


CUDC = ("c", "u", "d", "c")


@pytest.mark.parametrize(
    "what",
    [
        "c1 u2 d3 t c4",
        "c1 u2 u2 d3 t c4",
        "c1 u2 d3 d3 t c4",
        "c1 u2 d3 t d3 t c4",
        "c1 u2 d3 t c1 u2 d3 t c4",
        "c1 u2 d3 t u2 c1 u2 d3 t c4",
        "r1 u2 d3 t c4",
        "r1 r2 d3 t c4",
        "r4",
        "r2 d3 t c4 r4",
        "r2 u2 d3 t c4",
    ],
)
def test_every_change_in_order_perhaps_sent_again_is_what_at_least_once_allows(what: str):
    verdict = judge_topics(changes(*CUDC), events(*what.split()))
    assert not verdict.anomalies, verdict.report()


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("c1 u2 d3 t", "lost change"),
        ("", "lost change"),
        ("c1 u2", "lost change"),
        ("c1 d3 t c4", "skipped change"),
        ("c1 u2 c4", "skipped change"),
        ("c1 u2 d3 c4", "skipped change"),
        ("r1 d3 t c4", "skipped change"),
        ("u2 d3 t c4", "skipped change"),
        ("c1 u2 d3 t c1 d3 t c4", "out of order"),
        ("c1 u2 d3 t c1 c4", "out of order"),
        ("c1 u2 t d3 t c4", "event from nowhere"),
        ("c1 u2 u9 d3 t c4", "event from nowhere"),
        ("c1 r9 u2 d3 t c4", "event from nowhere"),
    ],
)
def test_a_change_that_is_missing_or_comes_at_the_wrong_time_is_named(what: str, name: str):
    verdict = judge_topics(changes(*CUDC), events(*what.split()))
    assert name in verdict.anomalies, verdict.report()


def test_what_happened_before_a_snapshot_need_not_come_one_by_one():
    gone_before = changes("c", "d", key=2)
    seen = events("r4")
    assert not judge_topics([*changes(*CUDC), *gone_before], seen).anomalies


def test_nothing_may_come_twice_where_once_is_promised():
    verdict = judge_topics(changes(*CUDC), events("c1", "u2", "u2", "d3", "t", "c4"), once=True)
    assert verdict.anomalies.keys() == {"event twice"}
    assert verdict.counts["events sent again"] == 1


def test_a_second_snapshot_and_a_key_in_two_partitions_are_named():
    seen = events("c1", "u2", "r2")
    verdict = judge_topics(changes("c", "u"), seen, settled={(TOPIC, 0): 2})
    assert verdict.anomalies.keys() == {"another snapshot"}
    scattered = [seen[0], Event(TOPIC, 1, 0, "orders", 1, "u", 2, 20, "tag-2")]
    assert judge_topics(changes("c", "u"), scattered).anomalies.keys() == {"scattered key"}


def rows(*offsets: int, op: str = "c") -> list[Row]:
    return [Row(TOPIC, 0, offset, op, 1, f"object-{number}") for number, offset in enumerate(offsets)]


@pytest.mark.parametrize(
    ("found", "committed", "name"),
    [
        (rows(0), 1, None),
        (rows(0), 2, "lost offset"),
        (rows(0, 0), 1, "offset twice"),
        (rows(0, 1), 1, "row before its commit"),
        (rows(0, 7), 1, "row from nowhere"),
        (rows(0, op="u"), 1, "another row"),
    ],
)
def test_each_offset_is_in_the_lake_once_when_it_is_committed(found: list[Row], committed: int, name: str | None):
    verdict: Verdict = judge_lake(events("c1", "c2"), found, {(TOPIC, 0): committed})
    assert verdict.anomalies.keys() == ({name} if name else set()), verdict.report()


def test_a_tombstone_is_in_no_object():
    seen = events("c1", "d2", "t")
    lake = [*rows(0), Row(TOPIC, 0, 1, "d", 1, "object-9")]
    assert not judge_lake(seen, lake, {(TOPIC, 0): 3}).anomalies
    assert "row from nowhere" in judge_lake(seen, [*lake, *rows(2)], {(TOPIC, 0): 3}).anomalies
