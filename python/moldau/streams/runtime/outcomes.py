"""How work can end other than well: the errors that the threads tell apart."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from moldau.streams.errors import StreamsError

_MIGRATION: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.INVALID_TXN_STATE,
        KafkaError.PRODUCER_FENCED,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.UNKNOWN_PRODUCER_ID,
        # A client that was fenced is told so once; everything that it is asked for afterwards has this code.
        KafkaError._FATAL,  # noqa: SLF001 (its name)
        KafkaError._FENCED,  # noqa: SLF001 (its name)
    }
)


class TaskMigratedError(StreamsError):
    """Another instance may be working on our tasks: give them up without a commit, and join the group again."""


class FencedInstanceError(StreamsError):
    """Another process has come with our `group.instance.id`. To join again would only throw that one out."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"another process runs as the same static member, this one ends: {said}\n"
            "hint: give each instance a group.instance.id of its own; of a restart, only one may be left"
        )


def is_migration(error: KafkaError) -> bool:
    """Whether the cluster says that this thread's tasks are no longer its own."""
    return error.code() in _MIGRATION
