"""What can go wrong with a topology, before and while it runs."""

from __future__ import annotations


class StreamsError(Exception):
    """Anything that stops a streams application; the message says where and what to do."""


class TopologyError(StreamsError):
    """The topology cannot be built: a name that is taken, a parent that is not there, a store nobody added."""


class CopartitionError(TopologyError):
    """Two sides of a join have different numbers of partitions; `counts` has them by topic."""

    def __init__(self, counts: dict[str, int]) -> None:
        listed = ", ".join(f"{topic} has {count}" for topic, count in sorted(counts.items()))
        super().__init__(
            f"joined topics must have equally many partitions: {listed}\n"
            "hint: create the topics anew, or put `.repartition()` before the join"
        )
        self.counts = counts


class RecordError(StreamsError):
    """A record that could not be read or processed; the cause, if it was another error, is chained."""

    def __init__(self, what: str, topic: str | None, partition: int, offset: int, *, hint: str | None = None) -> None:
        said = f"{what} (record {topic}-{partition} at offset {offset})"
        super().__init__(said if hint is None else f"{said}\nhint: {hint}")
        self.topic = topic
        self.partition = partition
        self.offset = offset


class TimestampError(RecordError):
    """A record has no time that can be used: no handler goes on after it, as in Kafka Streams."""


class UnwritableError(StreamsError):
    """A sink cannot write a key or a value as its serde wants; the serde's error is chained."""

    def __init__(self, topic: str, node: str, cause: Exception) -> None:
        super().__init__(
            f"a record cannot be written to {topic} by {node}: {cause}\n"
            "hint: give the sink the serdes of what is forwarded to it: `.to(topic, key=..., value=...)`"
        )
        self.topic = topic
        self.node = node


class CallbackExitError(StreamsError):
    """A callback called `sys.exit()`, or raised something else that is no error, in a thread of the application."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"a callback has ended its thread with {cause!r}\n"
            "hint: raise an error that says what is wrong, or end the application where it was started: app.close()"
        )
