"""How work can end other than well: the errors that the threads tell apart."""

from __future__ import annotations

from typing import Final

from moldau.client.producing import AbortableError, ProduceError
from moldau.errors import ErrorCode
from moldau.streams.errors import StreamsError

_MIGRATION: Final = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.UNKNOWN_PRODUCER_ID,
    }
)
"""What ends a producer, and only it; what spoils one transaction comes as an `AbortableError`."""
_NOT_ALLOWED: Final = frozenset({ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.TOPIC_AUTHORIZATION_FAILED})


class TaskMigratedError(StreamsError):
    """Another instance may be working on our tasks: give them up without a commit, and join the group again."""


class ProductionError(StreamsError):
    """A record could not be written; the topic and the cluster's error are in the message."""


class FencedInstanceError(StreamsError):
    """Another process has come with our `group.instance.id`. To join again would only throw that one out."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"another process runs as the same static member, this one ends: {said}\n"
            "hint: give each instance a group.instance.id of its own; of a restart, only one may be left"
        )


def outcome_of(error: Exception) -> StreamsError:
    """What it means for a thread that its producer, or this transaction, cannot go on."""
    said, code = str(error), error.code if isinstance(error, ProduceError) else None
    if code is ErrorCode.FENCED_INSTANCE_ID:
        return FencedInstanceError(said)
    # To begin again helps against all that spoils one transaction, but what nobody has allowed.
    begins_again = isinstance(error, AbortableError) and code not in _NOT_ALLOWED
    return TaskMigratedError(said) if begins_again or code in _MIGRATION else ProductionError(said)
