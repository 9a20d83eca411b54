"""What suppress refuses, and that its buffer comes back from its changelog as it was."""

from __future__ import annotations

import pytest

from moldau.streams import (
    BufferConfig,
    Serdes,
    StreamsBuilder,
    StreamsError,
    Suppressed,
    TopologyError,
    TopologyTestDriver,
    tumbling,
)
from moldau.streams.context import TaskContext
from moldau.streams.operators.origin import Origin
from moldau.streams.operators.suppress import NOT_WAITING
from moldau.streams.state.suppress_buffer import MemorySuppressBuffer
from moldau.streams.topology.nodes import StoreSpec

ORIGIN = Origin(5, 7, "in", 3, (("a", b"1"), ("b", None)))
Record = tuple[bytes, bytes | None, int]


def buffer() -> MemorySuppressBuffer:
    spec = StoreSpec("calm", "suppress", Serdes.String(), Serdes.json(dict))
    return MemorySuppressBuffer(spec, TaskContext("app", "0_3", lambda: 0))


def flushed(store: MemorySuppressBuffer) -> list[Record]:
    records: list[Record] = []
    store.flush(lambda *record: records.append(record))
    return records


def filled() -> MemorySuppressBuffer:
    store = buffer()
    store.put(9, "B", ({"n": 1}, None, True), ORIGIN)
    store.put(8, "A", (None, {"n": 0}, True), ORIGIN)
    store.put(20, "B", ({"n": 2}, {"n": 1}, True), ORIGIN)
    return store


def evicted(store: MemorySuppressBuffer) -> list[object]:
    out: list[object] = []
    while len(store):
        store.evict(lambda *row: out.append(row))
    return out


def test_what_waits_comes_back_from_the_changelog_as_it_was():
    store, other = filled(), buffer()
    for key, value, timestamp in flushed(store):
        other.restore(key, value, timestamp)
    assert other.earliest == store.earliest == 8
    assert other.prior("A") == {"n": 0}
    assert other.prior("B") is None
    assert other.prior("C") is NOT_WAITING
    assert flushed(other) == []
    expected = [("A", (None, {"n": 0}, True), ORIGIN), ("B", ({"n": 2}, {"n": 1}, True), ORIGIN)]
    assert evicted(store) == evicted(other) == expected
    assert flushed(other) == [(b"A", None, -1), (b"B", None, -1)]


def test_a_row_that_was_let_out_is_gone_after_its_tombstone():
    store = filled()
    store.restore(b"A", None, 0)
    assert (len(store), store.earliest) == (1, 9)
    store.restore(b"B", None, 0)
    assert (len(store), store.earliest) == (0, 2**63 - 1)


@pytest.mark.parametrize("cut", [0, 1, 7, 20, 40, 60])
def test_a_torn_record_of_the_changelog_is_refused(cut: int):
    key, value, _ = flushed(filled())[0]
    assert value is not None
    assert cut < len(value)
    with pytest.raises(ValueError, match="are needed"):
        buffer().restore(key, value[:cut], 0)


@pytest.mark.parametrize("config", [BufferConfig.max_records(1), BufferConfig.max_bytes(40)])
def test_a_full_buffer_that_may_not_emit_stops_the_application(config: BufferConfig):
    builder = StreamsBuilder()
    strict = Suppressed.until_time_limit("1h", config.shut_down_when_full())
    builder.table("in", value=str).suppress(strict).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe("in", b"A", b"1", 0)
        with pytest.raises(StreamsError, match=r"buffer of KTABLE-SUPPRESS-\d+ is full"):
            driver.pipe("in", b"B", b"2", 1)


def test_final_results_are_those_of_closed_windows():
    builder = StreamsBuilder()
    counts = builder.stream("in", value=str).group_by_key().windowed_by(tumbling(10)).count()
    counts.final().to_stream(lambda window, _: window.key).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        for timestamp in (1, 2, 9):
            driver.pipe("in", b"A", b"", timestamp)
        assert not driver.produced("out")
        driver.pipe("in", b"B", b"", 10)
        assert [(one.key, one.value) for one in driver.produced("out")] == [(b"A", bytes([0] * 7 + [3]))]


def test_a_table_without_windows_cannot_wait_until_they_close():
    with pytest.raises(TopologyError, match="only a table of windows"):
        StreamsBuilder().table("in", value=str).final()


def test_a_buffer_that_emits_early_cannot_wait_for_windows():
    with pytest.raises(ValueError, match="emits early"):
        Suppressed.until_window_closes(BufferConfig.max_records(5))
