"""Where the stream goes on after a restart: at every event of a transaction, of which some share a place in the WAL."""

from __future__ import annotations

import dataclasses
from struct import pack
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.connect.connectors.postgres.pgoutput_messages import begin, commit, insert, truncate

from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.offsets import Position, Resume, Stored
from moldau.connect.connectors.postgres.streaming import Streaming

TIME_US = 1_800_000_000_000_000


def wal(lsn: int, payload: bytes) -> bytes:
    return b"w" + pack(">qqq", lsn, lsn, 0) + payload


def transaction(xid: int, final_lsn: int, *rows: tuple[int, bytes]) -> list[bytes]:
    """BEGIN has the LSN of the first event, as pgoutput sends it."""
    events = [wal(lsn, insert(1, [value])) for lsn, value in rows]
    end = wal(final_lsn, commit(final_lsn, final_lsn + 8, TIME_US))
    return [wal(rows[0][0], begin(final_lsn, TIME_US, xid)), *events, end]


# The second begins before the first commits; three of its rows were written in one piece.
STREAM = [
    *transaction(7, 130, (100, b"a"), (100, b"b")),
    *transaction(8, 150, (110, b"c"), (120, b"d"), (120, b"e"), (120, b"f")),
    *transaction(9, 170, (160, b"g")),
]


class Rows:
    """What `Events` is here: rows and their offsets."""

    def __init__(self) -> None:
        self.origin: tuple[str, int] | None = None
        self.out: list[Any] = []

    def insert(self, _table: Any, new: Any, _position: Any, step: Any) -> None:
        self.out.append((new[0], step()[1]))

    def truncate(self, _table: Any, _position: Any, offset: Any, _block: Any) -> None:
        self.out.append((b"truncate", offset))

    def take(self) -> list[Any]:
        taken, self.out = self.out, []
        return taken


class Onlooker:
    """Sees tables that are emptied."""

    is_watching = True
    watched_from = None

    def __init__(self) -> None:
        self.emptied: list[Any] = []

    def on_row(self, *_change: Any) -> None:
        pass

    def on_truncate(self, table: Any) -> None:
        self.emptied.append(table.id)


def streaming_from(position: Position, **more: Any) -> Streaming:
    tables = SimpleNamespace(get=lambda _oid: SimpleNamespace(id="t"))
    acknowledged = SimpleNamespace(sent=lambda _records: None, passed=lambda _lsn: None)
    still = SimpleNamespace(enabled=False, begin=lambda _position: None, end=lambda _position: None)
    return Streaming(
        cast("Any", None),
        cast("Any", tables),
        cast("Any", Rows()),
        cast("Any", still),
        position,
        Resume(dataclasses.replace(position)),
        cast("Acknowledged", acknowledged),
        **more,
    )


def read(streaming: Streaming, messages: list[bytes]) -> list[Any]:
    return [record for message in messages for record in streaming.take([message])]


@pytest.mark.parametrize("place", range(1, len(STREAM) + 1))
def test_a_restart_at_any_message_neither_loses_nor_repeats_a_row(place):
    everything = read(streaming_from(Position()), STREAM)
    first = streaming_from(Position())
    before = read(first, STREAM[:place])
    stored = Stored.read(first.position.to_map()).position
    after = read(streaming_from(stored), STREAM)
    assert [row for row, _ in before + after] == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]
    # Nor does the next restart: each offset is what it had been without the first.
    assert before + after == everything


@pytest.mark.parametrize("place", range(1, len(STREAM) + 1))
def test_what_comes_again_does_not_lead_the_position_back(place):
    first = streaming_from(Position())
    read(first, STREAM[:place])
    stored = first.position.to_map()
    again = streaming_from(Stored.read(stored).position)
    read(again, STREAM[:place])
    assert again.position.to_map() == stored


EMPTIED = [
    *transaction(7, 130, (100, b"a")),
    wal(140, begin(180, TIME_US, 8)),
    wal(140, insert(1, [b"b"])),
    wal(150, truncate([1, 2], 0)),
    wal(160, insert(1, [b"c"])),
    wal(180, commit(180, 188, TIME_US)),
]
ROW_BEHIND_THE_TRUNCATE = 7


@pytest.mark.parametrize("skipped", ["", "t"])
def test_who_looks_on_is_told_of_each_table_that_is_emptied_once(skipped):
    onlooker = Onlooker()
    first = streaming_from(Position(), onlooker=onlooker, skipped=frozenset(skipped))
    rows = [row for row, _ in read(first, EMPTIED)]
    assert rows == ([b"a", b"b", b"c"] if skipped else [b"a", b"b", b"truncate", b"truncate", b"c"])
    assert onlooker.emptied == ["t", "t"]


@pytest.mark.parametrize("skipped", ["", "t"])
@pytest.mark.parametrize("place", [ROW_BEHIND_THE_TRUNCATE, len(EMPTIED)])
def test_who_looks_on_is_not_told_again_behind_a_restart_of_what_was_emptied_before(place, skipped):
    first = streaming_from(Position(), onlooker=Onlooker(), skipped=frozenset(skipped))
    read(first, EMPTIED[:place])
    onlooker = Onlooker()
    stored = Stored.read(first.position.to_map()).position
    again = streaming_from(stored, onlooker=onlooker, skipped=frozenset(skipped))
    read(again, EMPTIED)
    assert onlooker.emptied == []


def test_who_looks_on_is_told_of_the_tables_of_a_truncate_that_were_not_handed_on_before():
    first = streaming_from(Position(), skipped=frozenset())
    ((_, one_of_two), _) = read(first, EMPTIED[:6])[-2:]
    onlooker = Onlooker()
    again = streaming_from(Stored.read(one_of_two).position, onlooker=onlooker, skipped=frozenset())
    assert [row for row, _ in read(again, EMPTIED)] == [b"truncate", b"c"]
    assert onlooker.emptied == ["t"]
