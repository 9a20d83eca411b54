"""SCRAM from the client's side: prove to know the password without saying it, and have the broker prove the same.

No sockets: each function takes what came and gives what goes back. (RFC 5802, RFC 7677; the same as Kafka's
`ScramSaslClient`: no channel binding, no SASLprep.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from moldau.client.protocol.errors import AuthenticationError

HASHES: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
ITERATIONS_MIN: Final = 4096
ITERATIONS_MAX: Final = 1 << 20
"""A broker that asks for more would only keep us busy."""
_HEADER: Final = "n,,"
_BINDING: Final = base64.b64encode(_HEADER.encode()).decode()


class ScramExchange:
    """One login: `first`, then `final` of what came, then `verify` of what came after that."""

    def __init__(self, mechanism: str, user: str, password: str, nonce: str) -> None:
        """`nonce` is chance, at least 18 printable bytes of it without a comma."""
        self._hash = HASHES[mechanism]
        self._password = password.encode()
        self._nonce = nonce
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """What the client says first."""
        return (_HEADER + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        """The proof.

        Raises:
            AuthenticationError: the broker does not follow the rules.
        """
        fields = _fields(server_first)
        nonce, iterations = fields.get("r", ""), fields.get("i", "")
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise AuthenticationError("SCRAM: the broker's nonce does not begin with ours")
        if not iterations.isdecimal() or not ITERATIONS_MIN <= int(iterations) <= ITERATIONS_MAX:
            raise AuthenticationError(f"SCRAM: {iterations or 'no number of'} iterations are not acceptable")
        try:
            salt = base64.b64decode(fields.get("s", ""), validate=True)
        except ValueError as error:
            raise AuthenticationError("SCRAM: the broker's salt is not base64") from error
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, int(iterations))
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        without_proof = f"c={_BINDING},r={nonce}"
        message = f"{self._bare},{server_first.decode()},{without_proof}".encode()
        signature = hmac.digest(hashlib.new(self._hash, client_key).digest(), message, self._hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final: bytes) -> None:
        """Believe the broker, or not.

        Raises:
            AuthenticationError: it refused, or it does not know the password either.
        """
        fields = _fields(server_final)
        if "e" in fields:
            raise AuthenticationError(f"SCRAM: the broker says {fields['e']}")
        said = base64.b64encode(self._signature).decode()
        if not hmac.compare_digest(fields.get("v", "").encode(), said.encode()):
            raise AuthenticationError("SCRAM: the broker does not know the password either")


def _fields(message: bytes) -> dict[str, str]:
    try:
        text = message.decode()
    except UnicodeDecodeError as error:
        raise AuthenticationError("SCRAM: the broker's message is not text") from error
    return {part[0]: part[2:] for part in text.split(",") if part[1:2] == "="}
