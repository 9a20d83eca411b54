"""What codes in answers mean to everybody who asks leaders. No sockets here."""

from __future__ import annotations

from typing import Final

from moldau.errors import ErrorCode

ELSEWHERE: Final = frozenset(
    {
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)
"""What a broker says that may not lead the partition any more: who does has to be asked."""
