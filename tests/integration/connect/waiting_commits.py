"""Commits that stand in the WAL and are streamed, and that no other session sees: they wait for a standby."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.postgres_under_test import Postgres

PATIENCE_S = 30


def commits_stay_local(postgres: Postgres, dbname: str) -> None:
    """Nobody but who says so waits for a standby."""
    postgres.execute(f'ALTER DATABASE "{dbname}" SET synchronous_commit = local')


@contextlib.contextmanager
def a_standby_is_gone(postgres: Postgres) -> Iterator[None]:
    """Commits wait for it until the block ends; those begin to that the server has told of it."""
    postgres.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        postgres.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def a_slot_that_knows_a_commit_that_nobody_sees(postgres: Postgres, dbname: str) -> Iterator[None]:
    """Whoever creates a slot in another thread gets it when row 7 of `t` says `new`, which until the block ends only
    the slot's snapshot shows: the transaction began late enough for the slot not to wait for it.
    """

    def until(query: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while postgres.execute(query) == []:
            assert time.monotonic() < deadline, query

    def under_way(connection: Any) -> str:
        """A transaction with a number begins; a row comes of the query once another session waits for its end."""
        connection.execute(b"BEGIN")
        ((xid,),) = connection.execute(b"SELECT txid_current()").fetchall()
        return f"SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid::text = '{xid}'"

    def stage() -> None:
        try:
            until(slot_waits_for_first)
            slot_waits_for_second = under_way(second)
            first.execute(b"ROLLBACK")
            until(slot_waits_for_second)
            writes.start()
            until(f"SELECT 1 FROM pg_stat_activity WHERE pid = {writer.info.backend_pid} AND wait_event = 'SyncRep'")
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            failed.append(error)
        finally:
            # The slot waits for these no longer, whatever has gone wrong.
            first.close()
            second.close()

    with contextlib.ExitStack() as stack:
        first, second, writer = (stack.enter_context(postgres.connect(dbname)) for _ in range(3))
        writer.execute(b"SET synchronous_commit = on")
        writes = threading.Thread(target=writer.execute, args=(b"UPDATE t SET note = 'new' WHERE id = 7",))
        slot_waits_for_first = under_way(first)
        with a_standby_is_gone(postgres):
            failed: list[BaseException] = []
            staged = threading.Thread(target=stage)
            staged.start()
            try:
                yield
            finally:
                staged.join()
                if failed:
                    raise failed[0]
        writes.join()


@contextlib.contextmanager
def commit_that_nobody_sees(postgres: Postgres, dbname: str, key: str = "a") -> Iterator[str]:
    """The row of `t` whose `key` is 7 is updated, and until the block ends only the stream shows its new `note`."""
    written = [0]

    def write() -> None:
        while not stopped.is_set():
            written[0] += 1
            writer.execute(f"UPDATE t SET note = 'new {written[0]}' WHERE {key} = 7".encode())

    def wait_event() -> list[object]:
        return postgres.execute(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {writer.info.backend_pid}")

    stopped = threading.Event()
    thread = threading.Thread(target=write)
    with postgres.connect(dbname) as writer:
        writer.execute(b"SET synchronous_commit = on")
        try:
            with a_standby_is_gone(postgres):
                try:
                    # Until the server has taken that over, commits do not wait.
                    thread.start()
                    while wait_event() != [("SyncRep",)]:
                        assert thread.is_alive()
                    yield f"new {written[0]}"
                finally:
                    stopped.set()
        finally:
            thread.join()
