"""How a conversation with a broker can fail, by what can be done about it."""

from __future__ import annotations

from moldau.errors import MoldauError


class ProtocolError(MoldauError):
    """The root of what goes wrong between us and a broker."""


class ConnectionLostError(ProtocolError):
    """No connection, or it ended, or no answer came in time. Another try, or another broker, may do better."""


class UnreachableError(ConnectionLostError):
    """Nobody accepts a connection at the address."""


class UnansweredError(ConnectionLostError):
    """Somebody is there and has not answered in time."""


class ForeignAnswerError(ProtocolError):
    """What came back is no answer of a Kafka broker. The connection is of no more use."""


class AnswerTooLargeError(ProtocolError):
    """An answer has more bytes than somebody wants to take. Another try would bring as many."""


class UnservedError(ProtocolError):
    """The broker does not serve this question in a version that is known here."""


class AuthenticationError(ProtocolError):
    """The broker does not believe us who we are, or we do not believe the broker."""


class SecuritySettingError(ProtocolError, ValueError):
    """A setting asks for security that is not known here, or that cannot be used."""


def passes(failure: Exception) -> bool:
    """Whether another try may do better."""
    return isinstance(failure, (ConnectionLostError, ForeignAnswerError, OSError)) or not isinstance(
        failure, MoldauError
    )
