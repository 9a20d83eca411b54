"""The config topic: what its records say, in whatever order and however much of it compaction has left."""

import json

import pytest

from moldau.connect.runtime.config_records import (
    Change,
    ConfigState,
    RestartRequest,
    SessionKey,
    connector_records,
    fencing_record,
    logger_record,
    removal_records,
    restart_record,
    session_key_record,
    target_state_record,
    task_records,
)
from moldau.connect.runtime.names import TargetState, TaskId

CONFIG = {"connector.class": "FileStreamSource", "file": "/in"}
TASKS = [{"task": "0"}, {"task": "1"}]


def after(*pairs):
    state = ConfigState()
    events = [state.apply(key, value, offset) for offset, (key, value) in enumerate(pairs)]
    return state, [event for event in events if event is not None]


def test_a_connector_and_its_tasks_come_back_as_they_were_written():
    state, events = after(*connector_records("files", CONFIG), *task_records("files", TASKS))

    assert state.connectors == {"files": CONFIG}
    assert state.task_configs("files") == TASKS
    assert state.target_state("files") is TargetState.STARTED
    assert state.applied["files"] == CONFIG
    assert [event.change for event in events] == [Change.CONNECTOR, Change.TASKS]


def test_values_are_the_bytes_that_kafka_writes():
    (key, value), *rest = connector_records("files", {"a": "b", "ü": None})
    assert (key, value) == ("connector-files", '{"properties":{"a":"b","ü":null}}'.encode())
    assert rest == []
    assert task_records("files", [{"a": "b"}]) == [
        ("task-files-0", b'{"properties":{"a":"b"}}'),
        ("commit-files", b'{"tasks":1}'),
    ]
    assert target_state_record("files", TargetState.STOPPED) == (
        "target-state-files",
        b'{"state":"PAUSED","state.v2":"STOPPED"}',
    )
    assert restart_record(RestartRequest("files", include_tasks=True)) == (
        "restart-connector-files",
        b'{"include-tasks":true,"only-failed":false}',
    )
    assert fencing_record("files", 2) == ("tasks-fencing-files", b'{"task-count":2}')
    assert logger_record("moldau", "DEBUG") == ("logger-cluster-moldau", b'{"level":"DEBUG"}')


def test_task_configurations_count_only_with_their_commit():
    state, _ = after(*connector_records("files", CONFIG), *task_records("files", TASKS))
    for pair in task_records("files", [{"task": "new"}])[:-1]:
        assert state.apply(*pair, 99) is None

    assert state.task_configs("files") == TASKS

    state.apply("commit-files", b'{"tasks":1}', 100)
    assert state.task_configs("files") == [{"task": "new"}]
    assert TaskId("files", 1) not in state.tasks


def test_a_set_of_which_compaction_took_a_part_is_inconsistent_until_a_whole_one_comes():
    records = task_records("files", TASKS)
    state, _ = after(*connector_records("files", CONFIG), *records[1:])

    assert state.inconsistent == {"files"}
    assert state.task_ids("files") == []

    for pair in records:
        state.apply(*pair, 9)
    assert state.inconsistent == set()
    assert state.task_configs("files") == TASKS


def test_half_a_set_of_a_leader_that_died_is_not_mixed_into_the_next_one():
    state, _ = after(*connector_records("files", CONFIG), *task_records("files", TASKS))
    state.apply("task-files-0", b'{"properties":{"task":"torn"}}', 5)
    for pair in task_records("files", [{"task": "whole"}, {"task": "too"}]):
        state.apply(*pair, 6)

    assert state.task_configs("files") == [{"task": "whole"}, {"task": "too"}]


def test_each_applied_set_is_a_generation_of_its_own():
    state, _ = after(*connector_records("files", CONFIG), *task_records("files", TASKS))
    first = state.generations["files"]
    for pair in task_records("files", TASKS):
        state.apply(*pair, 9)

    assert state.generations["files"] == first + 1

    state.apply("connector-files", None, 20)
    for key, value in [*connector_records("files", CONFIG), *task_records("files", TASKS)]:
        state.apply(key, value, 21)
    # Another connector with the same name: its tasks are not those of the first.
    assert state.generations["files"] == first + 2


def test_a_deleted_connector_takes_its_tasks_and_target_state_with_it():
    state, events = after(
        *connector_records("files", CONFIG, TargetState.PAUSED),
        *task_records("files", TASKS),
        *removal_records("files"),
    )

    assert (state.connectors, state.tasks, state.task_counts, state.target_states) == ({}, {}, {}, {})
    assert events[-1].change is Change.CONNECTOR_REMOVED


def test_a_commit_whose_connector_compaction_has_taken_is_ignored():
    state, events = after(*task_records("gone", TASKS))

    assert (state.tasks, state.task_counts, events) == ({}, {}, [])


def test_a_stopped_connector_is_read_from_the_second_field_and_a_paused_one_of_an_old_worker_from_the_first():
    state, _ = after(
        ("target-state-a", b'{"state":"PAUSED","state.v2":"STOPPED"}'), ("target-state-b", b'{"state":"PAUSED"}')
    )

    assert state.target_state("a") is TargetState.STOPPED
    assert state.target_state("b") is TargetState.PAUSED


def test_the_target_state_of_a_new_connector_stands_before_its_configuration():
    keys = [key for key, _ in connector_records("files", CONFIG, TargetState.STOPPED)]

    assert keys == ["target-state-files", "connector-files"]


def test_a_name_with_dashes_and_digits_is_not_taken_for_the_number_of_a_task():
    state, _ = after(*connector_records("a-1", CONFIG), *task_records("a-1", TASKS))

    assert state.task_ids("a-1") == [TaskId("a-1", 0), TaskId("a-1", 1)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connector-x", b"{"),
        ("connector-x", b"[]"),
        ("connector-x", b'{"properties":1}'),
        ("task-x", b'{"properties":{}}'),
        ("task-x-y", b'{"properties":{}}'),
        ("commit-x", b'{"tasks":"2"}'),
        ("commit-x", b'{"tasks":-1}'),
        ("target-state-x", b'{"state":"FLYING"}'),
        ("session-key", b'{"key":1}'),
        ("something-else", b"{}"),
        (None, b"{}"),
        ("connector-x", b"\xff\xfe"),
        ("restart-connector-x", None),
    ],
)
def test_a_record_that_makes_no_sense_changes_nothing(key, value):
    state, events = after((key, value))

    assert (state.connectors, state.tasks, state.target_states, events) == ({}, {}, {}, [])


def test_a_value_that_a_worker_with_schemas_has_wrapped_is_unwrapped():
    wrapped = json.dumps({"schema": {"type": "struct"}, "payload": {"properties": CONFIG}}).encode()
    state, _ = after(("connector-files", wrapped))

    assert state.connectors["files"] == CONFIG


def test_a_snapshot_is_not_changed_by_what_comes_after_it():
    state, _ = after(*connector_records("files", CONFIG))
    before = state.snapshot()
    for pair in removal_records("files"):
        state.apply(*pair, 9)

    assert before.connectors == {"files": CONFIG}


def test_session_keys_and_fencing_counts_are_kept():
    key = SessionKey("c2VjcmV0", "HmacSHA256", 17)
    state, _ = after(session_key_record(key), *connector_records("f", CONFIG), *task_records("f", TASKS))
    assert state.session_key == key
    assert state.pending_fencing == {"f"}

    state.apply(*fencing_record("f", 2), 9)
    assert (state.fenced_counts, state.pending_fencing) == ({"f": 2}, set())
