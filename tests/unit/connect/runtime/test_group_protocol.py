"""What workers say to each other, compared with the bytes of Kafka's classes (`tests/golden/connect/group.json`)."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from moldau.connect.runtime.assignors import IncrementalAssignor
from moldau.connect.runtime.group_protocol import (
    COMPATIBLE,
    EAGER,
    SESSIONED,
    Given,
    GroupProtocolError,
    WorkerState,
    read_given,
    read_state,
    write_given,
    write_state,
)
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.work import NOTHING, Work

GOLDEN = Path(__file__).parents[3] / "golden" / "connect" / "group.json"


@cache
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


def work_of(node: Any) -> Work:
    return Work(frozenset(node["connectors"]), frozenset(TaskId(*each) for each in node["tasks"]))


def given_of(node: Any) -> Given:
    return Given(**{**node, "assigned": work_of(node["assigned"]), "revoked": work_of(node["revoked"])})


def test_what_a_worker_brings_has_kafkas_bytes():
    for case in golden()["bytes"]:
        has = None if case["has"] is None else given_of(case["has"])
        state = WorkerState(case["url"], case["offset"], has)
        for protocol in (SESSIONED, COMPATIBLE, EAGER):
            recorded = bytes.fromhex(case["hex"][protocol])
            assert write_state(state, protocol) == recorded
            expected = WorkerState(state.url, state.offset) if protocol == EAGER else state
            assert read_state(recorded) == expected


def test_what_a_leader_answers_has_kafkas_bytes():
    for case in golden()["bytes"]:
        if case["has"] is None:
            continue
        given = given_of(case["has"])
        for protocol in (SESSIONED, COMPATIBLE, EAGER):
            recorded = bytes.fromhex(case["hex"][f"given {protocol}"])
            assert write_given(given, protocol) == recorded
            read = read_given(recorded)
            if protocol == EAGER:
                assert (read.assigned, read.revoked, read.delay_ms) == (given.assigned, NOTHING, 0)
            else:
                assert read == given


@pytest.mark.parametrize("number", range(25))
def test_a_leader_decides_as_kafkas_does(number):
    world = golden()["worlds"][number]
    leader = IncrementalAssignor(world["delay_ms"])
    for at, row in enumerate(world["rounds"]):
        what = Work(
            frozenset(row["connectors"]),
            frozenset(TaskId(name, task) for name, count in row["connectors"].items() for task in range(count)),
        )
        held = {member: work_of(node) for member, node in row["held"].items()}
        found = leader.divide(what, held, row["generation"], row["last"], row["now_ms"])
        decided = {member: (found.assigned[member], found.revoked[member]) for member in held}
        expected = {
            member: (work_of(each["assigned"]), work_of(each["revoked"])) for member, each in row["decided"].items()
        }
        assert (decided, found.delay_ms) == (expected, row["decided_delay_ms"]), f"round {at}"


def test_what_an_old_leader_says_lacks_the_later_fields():
    assert read_given(bytes.fromhex("0000 0000 0001 61 0001 62 0000000000000005")) == Given(0, "a", "b", 5)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "ffff0000",
        "0001 0003 61",
        "0002 0001 61 0000000000000001 7fffffff 00",
        "0002 0001 ff 0000000000000001",
        "0002 8000",
    ],
)
def test_what_is_no_worker_is_refused(data):
    with pytest.raises(GroupProtocolError):
        read_state(bytes.fromhex(data))


@settings(max_examples=300, deadline=None)
@hypothesis_given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data):
    for read in (read_state, read_given):
        with contextlib.suppress(GroupProtocolError):
            read(data)
