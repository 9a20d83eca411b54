"""`provide.transaction.metadata`: what a transaction held, on its own topic, and each event's place in it."""

from __future__ import annotations

from typing import Any

from moldau.connect.connectors.postgres import source_info
from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.events import Events
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.data import Struct


def _id(position: Position) -> str:
    """With the position of the moment, as Debezium's: only the transaction's number is the same in all its events."""
    return f"{position.xid}:{position.lsn}"


class Transactions:
    """Counts the events of the transaction that is being read; does nothing unless `enabled`."""

    def __init__(self, events: Events, topics: Topics, *, enabled: bool) -> None:
        self.enabled = enabled
        self._events = events
        self._topic = topics.transactions
        self._total = 0
        self._counts: dict[str, int] = {}

    def begin(self, position: Position) -> None:
        self._total = 0
        self._counts = {}
        if self.enabled:
            position.transaction = {"transaction_id": str(position.xid)}
            self._emit("BEGIN", position)

    def step(self, collection: TableId | str, position: Position) -> tuple[Struct, dict[str, Any]]:
        """The place of the next event, and the offset that knows the counts with it."""
        name = str(collection)
        self._total += 1
        count = self._counts[name] = self._counts.get(name, 0) + 1
        position.transaction = {**position.transaction, f"transaction_data_collection_order_{name}": count}
        return Struct.of(source_info.TRANSACTION_SCHEMA, [_id(position), self._total, count]), position.to_map()

    def end(self, position: Position) -> None:
        if not self.enabled:
            return
        self._emit("END", position)
        position.transaction = {}

    def _emit(self, status: str, position: Position) -> None:
        id_ = _id(position)
        count, collections = None, None
        if status == "END":
            count = self._total
            schema = source_info.COLLECTION_SCHEMA
            collections = [Struct.of(schema, [name, number]) for name, number in self._counts.items()]
        key = Struct.of(source_info.TRANSACTION_KEY_SCHEMA, [id_])
        fields = [status, id_, count, collections, position.time_us // 1000]
        schema = source_info.TRANSACTION_VALUE_SCHEMA
        value = Struct.of(schema, fields)
        offset = position.to_map()
        self._events.add(self._topic, source_info.TRANSACTION_KEY_SCHEMA, key, schema, value, offset, position)
