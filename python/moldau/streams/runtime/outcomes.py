"""How work can end other than well: the errors that the threads tell apart."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from moldau.streams.errors import StreamsError

_MIGRATION: Final = frozenset(
    {
        KafkaError.FENCED_INSTANCE_ID,
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


def is_migration(error: KafkaError) -> bool:
    """Whether the cluster says that this thread's tasks are no longer its own."""
    return error.code() in _MIGRATION
