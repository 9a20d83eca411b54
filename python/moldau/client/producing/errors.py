"""Why something is not written, by what can be done about it. (KIP-1050)"""

from __future__ import annotations

from moldau.errors import ErrorCode, MoldauError


class ProduceError(MoldauError):
    """Something cannot be written; `code` is Kafka's, None if nobody has said no within the time there was."""

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class NoRoomError(ProduceError):
    """There is more here than there may be; wait with `wait_for_room`."""


class TooLargeError(ProduceError):
    """A record is larger than a record may be."""


class UnfinishedError(ProduceError):
    """It is not known yet. The producer goes on asking; call again to wait for longer."""


class AbortableError(ProduceError):
    """This transaction cannot be committed. Abort it; the next one may do better."""


class FatalError(ProduceError):
    """This producer cannot go on, and nothing that it began will be committed by it. Close it and make another.

    Fenced is who has the code PRODUCER_FENCED or INVALID_PRODUCER_EPOCH: another has come with the transactional id,
    or the cluster has ended a transaction that took too long.
    """
