"""The key with which workers sign what they ask of each other (KIP-507). Pure: no client, no clock.

The leader writes one into the config topic, and another one when that has been used long enough; so who may read the
topic may ask. Headers and algorithm are Kafka's: a Java worker's requests are judged and answered as ours.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final

from moldau.connect.runtime.config_records import SessionKey
from moldau.connect.runtime.refusals import BadRequestError, RefusedError

ALGORITHM: Final = "HmacSHA256"
KEY_BYTES: Final = 32
SIGNATURE: Final = "X-Connect-Authorization"
SIGNED_BY: Final = "X-Connect-Request-Signature-Algorithm"


class NoKeyYetError(RefusedError):
    """No key was read."""

    status = 503


class WrongSignatureError(RefusedError):
    """Whoever asks does not have the key."""

    status = 403


def new_key(now_ms: int, randomness: bytes) -> SessionKey:
    """`randomness` is `KEY_BYTES` of it."""
    assert len(randomness) == KEY_BYTES
    return SessionKey(base64.b64encode(randomness).decode(), ALGORITHM, now_ms)


def is_due(key: SessionKey | None, now_ms: int, ttl_ms: int) -> bool:
    """Whether the leader has to write another one; a `ttl_ms` of 0 or less keeps one for ever."""
    if key is None or key.algorithm != ALGORITHM or len(_secret(key)) != KEY_BYTES:
        return True
    return 0 < ttl_ms <= now_ms - key.created_ms


def _secret(key: SessionKey) -> bytes:
    try:
        return base64.b64decode(key.key, validate=True)
    except (binascii.Error, ValueError):
        return b""


def signed(body: bytes, key: SessionKey) -> dict[str, str]:
    """The headers that go with a body."""
    signature = hmac.digest(_secret(key), body, "sha256")
    return {SIGNATURE: base64.b64encode(signature).decode(), SIGNED_BY: ALGORITHM}


def check(body: bytes, headers: Mapping[str, str], key: SessionKey | None) -> None:
    """See that a request is another worker's; names in `headers` are in lower case.

    Raises:
        RefusedError: it is not, in Kafka's words.
    """
    signature, algorithm = headers.get(SIGNATURE.lower()), headers.get(SIGNED_BY.lower())
    if signature is None or algorithm is None:
        raise BadRequestError("Internal request missing required signature")
    if algorithm != ALGORITHM:
        raise BadRequestError(
            f"This worker does not support the '{algorithm}' key signing algorithm used by other workers. This worker "
            f"is currently configured to use: [{ALGORITHM}]. Check that all workers' configuration files permit the "
            "same set of signature algorithms, and correct any misconfigured worker and restart it."
        )
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(str(error)) from error
    if key is None:
        raise NoKeyYetError(
            "This worker is still starting up and has not been able to read a session key from the config topic yet"
        )
    if not hmac.compare_digest(given, hmac.digest(_secret(key), body, "sha256")):
        raise WrongSignatureError("Internal request contained invalid signature.")
