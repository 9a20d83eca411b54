"""What has to stand before a row can be captured: publication, replica identities, slot; and whether to read rows.

The publication is made before the slot: a slot decodes with the catalog of its time, and would not find it otherwise.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moldau.connect.connectors.postgres.catalog import TableId, publication_exists, publication_tables
from moldau.connect.connectors.postgres.connection import Connection, identifier, rows, run
from moldau.connect.connectors.postgres.errors import PostgresError, SlotLostError
from moldau.connect.connectors.postgres.filters import any_of, split_list
from moldau.connect.connectors.postgres.offsets import Stored
from moldau.connect.connectors.postgres.replication import NewSlot, Slot, create_slot, drop_slot
from moldau.connect.connectors.postgres.settings import Settings, replica_identities
from moldau.connect.errors import ConfigError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """Whether rows are read, whether changes follow, and what the snapshot is called in offsets."""

    snapshot: bool
    stream: bool


def course(settings: Settings, stored: Stored | None, slot: Slot | None) -> Course:
    """What `snapshot.mode` means now. Raises `SlotLostError` when changes are missing that no snapshot replaces."""
    mode = settings.choice("snapshot.mode")
    fresh = stored is None or stored.snapshot_running
    lost = not fresh and (slot is None or slot.lost)
    if mode == "custom":
        raise ConfigError("snapshot.mode=custom names a Java class", name="snapshot.mode", value=mode)
    if mode == "configuration_based":
        key = "snapshot.mode.configuration.based"
        wanted = settings.flag(f"{key}.snapshot.data") and fresh
        again = lost and settings.flag(f"{key}.snapshot.on.data.error")
        chosen = Course(wanted or again, settings.flag(f"{key}.start.stream"))
    else:
        snapshot = {
            "always": True,
            "initial": fresh,
            "initial_only": fresh,
            "when_needed": fresh or lost,
        }.get(mode, False)
        chosen = Course(snapshot, mode != "initial_only")
    if lost and chosen.stream and not chosen.snapshot:
        why = "is gone" if slot is None else "has lost WAL that it needs (max_slot_wal_keep_size)"
        raise SlotLostError(
            f"the replication slot {settings.required('slot.name')!r} {why}: changes since"
            f" {stored.position.lsn if stored else 0} are missing",
            hint="snapshot.mode=when_needed drops it, takes a new snapshot and goes on; or reset the offsets",
        )
    return chosen


def prepare_publication(connection: Connection, settings: Settings, captured: Sequence[TableId]) -> None:
    name = settings.required("publication.name")
    mode = settings.choice("publication.autocreate.mode")
    exists = publication_exists(connection, name)
    quoted = identifier(name)
    doing = f"creating the publication {name!r}"
    root = " WITH (publish_via_partition_root = true)" if settings.flag("publish.via.partition.root") else ""
    if mode == "filtered":
        if not captured:
            raise PostgresError(
                f"no table to publish in {name!r}: the filters name none of the database's tables",
                hint="check table.include.list and its like: names are schema.table",
            )
        tables = ", ".join(f"{identifier(table.schema)}.{identifier(table.name)}" for table in captured)
        if not exists:
            run(connection, f"CREATE PUBLICATION {quoted} FOR TABLE {tables}{root}", doing)
        elif publication_tables(connection, name) != set(captured):
            run(connection, f"ALTER PUBLICATION {quoted} SET TABLE {tables}", f"changing the publication {name!r}")
        return
    if exists:
        missing = set(captured) - publication_tables(connection, name)
        if missing:
            told = ", ".join(sorted(map(str, missing)))
            _LOG.warning("The publication %s does not hold %s: changes of these are not sent", name, told)
        return
    if mode == "disabled":
        raise PostgresError(
            f"there is no publication {name!r}, and publication.autocreate.mode is disabled",
            hint=f"CREATE PUBLICATION {quoted} FOR TABLE ..., or set publication.autocreate.mode=filtered",
        )
    kind = " FOR ALL TABLES" if mode == "all_tables" else ""
    run(connection, f"CREATE PUBLICATION {quoted}{kind}{root}", doing)


def prepare_identities(connection: Connection, settings: Settings, captured: Sequence[TableId]) -> None:
    """`replica.identity.autoset.values`."""
    for identity in replica_identities(settings.text("replica.identity.autoset.values")):
        for table in captured:
            if identity.matches(str(table)):
                name = f"{identifier(table.schema)}.{identifier(table.name)}"
                doing = f"setting the replica identity of {table}"
                run(connection, f"ALTER TABLE {name} REPLICA IDENTITY {identity.clause}", doing)


def make_slot(
    connection: Connection,
    exporting: Connection,
    settings: Settings,
    slot: Slot | None,
    *,
    stream: bool,
    given_up: Callable[[], bool],
) -> NewSlot | None:
    """The slot itself, or beside the one that there is a temporary one for an exact snapshot.

    None, with a word in the log, when the server has no room for that one. Waits as `create_slot` does.
    """
    name = settings.required("slot.name")
    if slot is not None and slot.lost:
        drop_slot(connection, name)
        slot = None
    if slot is None and stream:
        return create_slot(exporting, name, failover=settings.flag("slot.failover"), given_up=given_up)
    try:
        beside = f"{name[:40]}_snapshot_{time.time_ns() % 1_000_000:06d}"
        return create_slot(exporting, beside, temporary=True, given_up=given_up)
    except PostgresError as error:
        if error.retriable:
            raise
        _LOG.warning("The snapshot is not tied to the stream, so changes meanwhile may come twice: %s", error)
        return None


def in_order(connection: Connection, settings: Settings, captured: Sequence[TableId]) -> list[TableId]:
    """The tables as a snapshot takes them: as `table.include.list` names them, else by name, or by their size."""
    named = [any_of([expression]) for expression in split_list(settings.text("table.include.list"))]
    places = {
        table: next((place for place, matches in enumerate(named) if matches(str(table))), len(named))
        for table in captured
    }
    tables = sorted(captured, key=lambda table: (places[table], table))
    order = settings.choice("snapshot.tables.order.by.row.count")
    if order == "disabled":
        return tables
    found = rows(
        connection,
        "SELECT n.nspname, c.relname, c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p')",
    )
    counts = {TableId(schema, name): count for schema, name, count in found}
    return sorted(tables, key=lambda table: counts.get(table, 0), reverse=order == "descending")


def within_guardrail(settings: Settings, captured: Sequence[TableId]) -> None:
    most = settings.number("guardrail.collections.max")
    if not 0 < most < len(captured):
        return
    said = f"{len(captured)} tables are captured, more than guardrail.collections.max={most}"
    if settings.choice("guardrail.collections.limit.action") == "fail":
        raise ConfigError(f"{said}; narrow table.include.list or raise the limit", name="guardrail.collections.max")
    _LOG.warning("%s", said)
