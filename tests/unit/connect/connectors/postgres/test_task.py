"""What a task of PostgreSQL says when it ends."""

from __future__ import annotations

from moldau.connect.connectors.postgres.actions import BlockingSnapshot
from moldau.connect.connectors.postgres.task import PostgresSourceTask


def test_a_task_that_ends_says_which_blocking_snapshots_end_with_it(caplog):
    task = PostgresSourceTask()
    task._wanted.extend(BlockingSnapshot(id_, (), {}) for id_ in ("first", "second"))
    task.stop()
    assert [message for message in caplog.messages if "blocking snapshot" in message] == [
        f"The task ends before the blocking snapshot is complete that the signal {id_} asks for: ask again"
        for id_ in ("first", "second")
    ]
