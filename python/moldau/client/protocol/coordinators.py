"""FindCoordinator, in every version: who coordinates a group, or the transactions of an id."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from moldau.client.protocol.brokers import Address
from moldau.client.protocol.questions import Values
from moldau.errors import ErrorCode


class Coordinates(enum.IntEnum):
    """What is coordinated; the numbers are the protocol's."""

    GROUP = 0
    TRANSACTION = 1


class Coordinator(NamedTuple):
    """Where one is, or why nobody says."""

    error: ErrorCode
    message: str | None = None
    address: Address | None = None


def question(version: int, kind: Coordinates, key: str) -> Values:
    """The fields of the request. Version 0 knows groups only; `key_type` is dropped there."""
    if version >= 4:
        return {"key_type": int(kind), "coordinator_keys": (key,)}
    return {"key": key, "key_type": int(kind)}


def answer_of(raw: Any) -> Coordinator:
    """What an answer says of the one coordinator that was asked for."""
    row = next(iter(getattr(raw, "coordinators", None) or (raw,)))
    if not hasattr(row, "host"):
        return Coordinator(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    error, message = ErrorCode.of(int(row.error_code)), getattr(row, "error_message", None)
    return Coordinator(error, message, None if error else Address(str(row.host), int(row.port)))
