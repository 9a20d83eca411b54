"""The topologies of the scenarios that hold updates back, by name; `Topologies.java` has them in Java."""

from __future__ import annotations

from tests.unit.streams.topologies import LATE, Make, adding_to, both, out, text

from moldau.streams import BufferConfig, SessionWindows, StreamsBuilder, Suppressed

MADE: dict[str, Make] = {}
topology = adding_to(MADE)

UNTIL_CLOSED = Suppressed.until_window_closes(BufferConfig.unbounded())
FOR_A_WHILE = Suppressed.until_time_limit(10, BufferConfig.unbounded())


@topology
def suppress_close(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(LATE).count().suppress(UNTIL_CLOSED), int)


@topology
def suppress_close_session(b: StreamsBuilder) -> None:
    sessions = SessionWindows.of_inactivity_gap_and_grace(10, 5)
    out(text(b, "in").group_by_key().windowed_by(sessions).count().suppress(UNTIL_CLOSED), int)


@topology
def suppress_time(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count().suppress(FOR_A_WHILE).to_stream().to("out")


@topology
def suppress_named(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count().suppress(FOR_A_WHILE.with_name("calm")).to_stream().to("out")


@topology
def suppress_records(b: StreamsBuilder) -> None:
    two = BufferConfig.max_records(2).emit_early_when_full()
    b.table("in", value=str).suppress(Suppressed.until_time_limit(1000, two)).to_stream().to("out")


@topology
def suppress_bytes(b: StreamsBuilder) -> None:
    small = BufferConfig.max_bytes(100)
    b.table("in", value=str).suppress(Suppressed.until_time_limit(1000, small)).to_stream().to("out")


@topology
def suppress_joined(b: StreamsBuilder) -> None:
    left = text(b, "left")
    left.left_join(b.table("right", value=str).suppress(FOR_A_WHILE), both).to("out")
