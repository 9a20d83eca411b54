"""What can go wrong between the connector and PostgreSQL, each with what to do next."""

from __future__ import annotations

import psycopg

from moldau.connect.errors import ConnectError


class PostgresError(ConnectError):
    """`hint` is the next step for whoever reads it; `retriable`: the same may succeed later, without a change."""

    retriable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.hint = hint


class ConnectionLostError(PostgresError):
    """The server is not reachable, or went away."""

    retriable = True


class SlotBusyError(PostgresError):
    """Another process reads from the replication slot."""

    retriable = True


class GivenUpError(PostgresError):
    """Nobody waits any more for what the server was asked."""

    retriable = True


class SlotLostError(PostgresError):
    """The replication slot is gone, or the server has removed WAL that it needs: changes are missing."""


_RIGHTS = (
    "give database.user the REPLICATION attribute, SELECT on the captured tables and, when the connector is to create"
    " the publication, CREATE on the database and ownership of the tables"
)
# What a statement can fail with, and what helps: by SQLSTATE (manual, appendix A), and a part of the message.
_HINTS: tuple[tuple[str, str, type[PostgresError], str], ...] = (
    ("28", "", PostgresError, "check database.user, database.password and the server's pg_hba.conf"),
    ("3D000", "", PostgresError, "check database.dbname"),
    (
        "55000",
        "wal_level",
        PostgresError,
        "set wal_level=logical in postgresql.conf (rds.logical_replication=1 on RDS) and restart the server",
    ),
    ("55006", "", SlotBusyError, "another connector reads from this slot: give each its own slot.name"),
    (
        "53400",
        "replication slots",
        PostgresError,
        "raise max_replication_slots, or drop a slot that nobody uses (SELECT * FROM pg_replication_slots)",
    ),
    ("53300", "", ConnectionLostError, "raise max_connections or max_wal_senders on the server"),
    (
        "55000",
        "can no longer",
        SlotLostError,
        "the server has removed WAL that the slot needs (max_slot_wal_keep_size): set snapshot.mode=when_needed",
    ),
    (
        "42501",
        "",
        PostgresError,
        _RIGHTS,
    ),
    (
        "42704",
        "publication",
        PostgresError,
        "the publication was dropped: create it again for the captured tables, or set publication.autocreate.mode",
    ),
    (
        "42704",
        "replication slot",
        SlotLostError,
        "the slot was dropped, and changes since then are missing: take a new snapshot (snapshot.mode=when_needed)",
    ),
    ("57P", "", ConnectionLostError, ""),
    ("08", "", ConnectionLostError, ""),
)


def explained(error: psycopg.Error, doing: str) -> PostgresError:
    """The same failure in terms of the connector's settings; `doing` says what was tried, as "connecting to ..."."""
    state = error.sqlstate or ""
    said = str(error).strip().splitlines()
    text = said[0] if said else type(error).__name__
    for prefix, part, kind, hint in _HINTS:
        if state.startswith(prefix) and part in text:
            return kind(f"{doing}: {text}", hint=hint)
    if not state or isinstance(error, psycopg.OperationalError):
        return _without_state(doing, text, said)
    return PostgresError(f"{doing}: {text}")


def _without_state(doing: str, text: str, said: list[str]) -> PostgresError:
    whole = " ".join(said)
    if "authentication" in whole or "no pg_hba.conf entry" in whole:
        return PostgresError(f"{doing}: {text}", hint=_HINTS[0][3])
    if "does not exist" in whole and "database" in whole:
        return PostgresError(f"{doing}: {text}", hint=_HINTS[1][3])
    return ConnectionLostError(
        f"{doing}: {text}", hint="is the server running, and do the database.* settings lead to it?"
    )
