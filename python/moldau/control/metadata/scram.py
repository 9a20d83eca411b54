"""SCRAM credentials: kept in the metadata log like everything else about the cluster, never told to anybody.

A request brings the salted password; what is kept are the two keys that are derived from it, with which a password
can be checked and from which it cannot be computed (RFC 5802, section 3).

Source: KIP-554, Kafka's `ScramControlManager` and `ScramImage`.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from moldau.control.machine import Decision
from moldau.control.metadata.records import RemoveUserScramCredentialRecord, UserScramCredentialRecord
from moldau.control.metadata.situation import DONE, Outcome, Situation, check_request_size, outcome_of
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode

ITERATIONS_MIN: Final = 4096
ITERATIONS_MAX: Final = 16384


class Mechanism(enum.IntEnum):
    """The numbers are the protocol's."""

    SHA_256 = 1
    SHA_512 = 2


_DIGESTS: Final = {Mechanism.SHA_256: hashlib.sha256, Mechanism.SHA_512: hashlib.sha512}


@dataclass(frozen=True, slots=True)
class SetCredential:
    """A user's new password for one mechanism; `mechanism` may be a number that we do not know, that is answered."""

    user: str
    mechanism: int
    iterations: int
    salt: bytes
    salted_password: bytes


@dataclass(frozen=True, slots=True)
class RemoveCredential:
    """A user can no longer use one mechanism."""

    user: str
    mechanism: int


@dataclass(frozen=True, slots=True)
class AlterCredentials:
    """Change credentials; no user twice. Answered by an outcome for each user."""

    changes: tuple[SetCredential | RemoveCredential, ...]


@dataclass(frozen=True, slots=True)
class DescribedUser:
    """A user's mechanisms with their iterations, or why there are none to tell."""

    user: str
    credentials: tuple[tuple[int, int], ...] = ()
    outcome: Outcome = DONE


def alter_credentials(
    situation: Situation, request: AlterCredentials
) -> Decision[Message, tuple[tuple[str, Outcome], ...]]:
    """Decide about `request`.

    Raises:
        ApiError: POLICY_VIOLATION, too many changes in one request.
    """
    check_request_size(len(request.changes), "changes of credentials")
    times = Counter(change.user for change in request.changes)
    outcomes: dict[str, Outcome] = {}
    records: list[Message] = []
    for change in request.changes:
        if change.user in outcomes:
            continue
        if times[change.user] > 1:
            message = "the credentials of a user can be changed once in a request"
            outcomes[change.user] = Outcome(ErrorCode.DUPLICATE_RESOURCE, message)
            continue
        outcomes[change.user] = outcome_of(_check, situation, change)
        if not outcomes[change.user].code:
            records.append(_record(change))
    return Decision(tuple(outcomes.items()), tuple(records))


def _check(situation: Situation, change: SetCredential | RemoveCredential) -> None:
    if not change.user:
        raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "a credential needs the name of a user")
    if change.mechanism not in Mechanism.__members__.values():
        raise ApiError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"SCRAM mechanism {change.mechanism} is unknown")
    if isinstance(change, SetCredential):
        if not ITERATIONS_MIN <= change.iterations <= ITERATIONS_MAX:
            problem = f"{ITERATIONS_MIN} to {ITERATIONS_MAX} iterations are possible, not {change.iterations}"
            raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, problem)
    elif (change.user, change.mechanism) not in situation.image.scram_credentials:
        problem = f"user {change.user!r} has no credential for {Mechanism(change.mechanism).name}"
        raise ApiError(ErrorCode.RESOURCE_NOT_FOUND, problem)


def _record(change: SetCredential | RemoveCredential) -> Message:
    if isinstance(change, RemoveCredential):
        return RemoveUserScramCredentialRecord(change.user, change.mechanism)
    digest = _DIGESTS[Mechanism(change.mechanism)]
    client_key = hmac.digest(change.salted_password, b"Client Key", digest)
    return UserScramCredentialRecord(
        name=change.user,
        mechanism=change.mechanism,
        salt=change.salt,
        stored_key=digest(client_key).digest(),
        server_key=hmac.digest(change.salted_password, b"Server Key", digest),
        iterations=change.iterations,
    )


def describe_credentials(situation: Situation, users: Collection[str] | None) -> list[DescribedUser]:
    """Which mechanisms these users have; of everybody, when nobody is named."""
    kept: dict[str, list[tuple[int, int]]] = {}
    for (user, mechanism), credential in sorted(situation.image.scram_credentials.items()):
        kept.setdefault(user, []).append((mechanism, credential.iterations))
    described = []
    for user, times in Counter(users or list(kept)).items():
        if times > 1:
            message = f"user {user!r} is named twice in the request"
            described.append(DescribedUser(user, outcome=Outcome(ErrorCode.DUPLICATE_RESOURCE, message)))
        elif user not in kept:
            message = f"user {user!r} has no SCRAM credentials"
            described.append(DescribedUser(user, outcome=Outcome(ErrorCode.RESOURCE_NOT_FOUND, message)))
        else:
            described.append(DescribedUser(user, tuple(kept[user])))
    return described
