"""What signals make of incremental snapshots, one behind the other. The chunks themselves are not read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.incremental import Incremental

TABLE, OTHER = TableId("public", "orders"), TableId("public", "customers")


class Driven(Incremental):
    """Each chunk is the last one of its table, and is on its way until `close`."""

    def __init__(self, position=None):
        self.told: list[str] = []
        self.reads: list[TableId] = []
        self.kept = position or SimpleNamespace(incremental={}, to_map=dict)
        super().__init__(
            None,
            SimpleNamespace(read=lambda table: SimpleNamespace(id=table, key_indexes=(0,))),
            None,
            self.kept,
            TableId("public", "signals"),
            lambda _signal: None,
            SimpleNamespace(send=lambda _subject, kind, *_more: self.told.append(kind)),
            chunk_rows=1,
        )

    def _read_chunk(self, work, table):
        self.reads.append(work.id)
        self._chunk_id = str(len(self.reads))
        self._waiting = True

    def close(self):
        self._closed(SimpleNamespace(id=f"{self._chunk_id}-close"))
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
