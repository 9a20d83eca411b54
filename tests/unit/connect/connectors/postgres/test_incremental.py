"""What signals make of incremental snapshots, one behind the other. The chunks themselves are not read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.incremental import Chunk, Incremental
from moldau.connect.connectors.postgres.visibility import HandedOn, Visibility

TABLE, OTHER = TableId("public", "orders"), TableId("public", "customers")


class Driven(Incremental):
    """Each chunk is the last one of its table, and is on its way until `close`; `shows` is what the server shows."""

    def __init__(self, position=None):
        self.shows = Visibility.of("100:100:")
        self.told: list[str] = []
        self.reads: list[TableId] = []
        self.handed_on = HandedOn(lambda _seconds: None)
        self.kept = position or SimpleNamespace(incremental={}, to_map=dict)
        super().__init__(
            None,
            SimpleNamespace(read=lambda table: SimpleNamespace(id=table, key_indexes=(0,))),
            None,
            self.kept,
            TableId("public", "signals"),
            lambda _signal: None,
            SimpleNamespace(send=lambda _subject, kind, *_more: self.told.append(kind)),
            self.handed_on,
            chunk_rows=1,
        )
        self._server = self

    def visibility(self):
        return self.shows

    def _read_chunk(self, work, table, seen):
        self.reads.append(work.id)
        self._chunk = Chunk(str(len(self.reads)), seen)

    def close(self):
        self._closed(SimpleNamespace(id=f"{self._chunk.id}-close"))
        self.step()


@pytest.fixture
def driven():
    return Driven()


def test_a_pause_holds_until_it_is_taken_back_also_when_nothing_is_read_then(driven):
    driven.execute("first", [TABLE], {})
    driven.pause(paused=True)
    driven.close()
    driven.pause(paused=False)
    driven.execute("second", [TABLE], {})
    assert driven.reads == [TABLE, TABLE]


def test_a_table_that_is_asked_for_again_behind_its_stop_is_read_again(driven):
    driven.execute("first", [TABLE], {})
    driven.stop([TABLE])
    driven.execute("second", [TABLE, OTHER], {})
    driven.close()
    assert driven.told == ["STARTED", "ABORTED"]
    driven.close()
    assert driven.reads == [TABLE, TABLE, OTHER]


def test_a_stop_is_kept_until_the_chunk_has_gone_out(driven):
    driven.execute("first", [TABLE, OTHER], {})
    driven.stop(None)
    again = Driven(driven.kept)
    again.step()
    assert again.reads == []
    assert again.told == ["COMPLETED", "ABORTED"]
    assert again.kept.incremental == {}


def test_no_chunk_is_read_while_what_was_handed_on_is_not_visible(driven):
    driven.handed_on.add([98, 99])
    driven.shows = Visibility.of("99:102:99")
    driven.execute("first", [TABLE], {})
    driven.step()
    assert driven.reads == []
    driven.shows = Visibility.of("102:102:")
    driven.step()
    assert driven.reads == [TABLE]


def test_only_transactions_that_a_read_has_not_seen_are_watched(driven):
    driven.kept.xid = 90
    assert not driven.is_watching
    assert driven.watched_from is None
    driven.shows = Visibility.of("95:102:95,99")
    driven.execute("first", [TABLE], {})
    assert driven.watched_from == 95
    watched = []
    for xid in (94, 95, 96, 99, 101, 102, 103, None):
        driven.kept.xid = xid
        if driven.is_watching:
            watched.append(xid)
    assert watched == [95, 99, 102, 103, None]
    driven.close()
    assert not driven.is_watching


def test_a_table_that_is_emptied_behind_the_read_has_nothing_on_its_way(driven):
    driven.shows = Visibility.of("95:102:95,99")
    driven.execute("first", [TABLE], {})
    kept = {(b"1",): [b"1"]}
    driven._chunk.window = dict(kept)
    for table, xid in ((OTHER, 95), (TABLE, 94)):
        driven.kept.xid = xid
        driven.on_truncate(SimpleNamespace(id=table))
        assert driven._chunk.window == kept
    driven.kept.xid = 95
    driven.on_truncate(SimpleNamespace(id=TABLE))
    assert driven._chunk.window == {}
