"""A connection that speaks the protocol itself, for what librdkafka has no call for: features, the quorum, quotas.

    with connection.channel() as channel:
        answer = channel.ask(DESCRIBE_QUORUM, lambda version: {"topics": [...]})

It is that of `moldau.client.protocol`, with its versions and its security; here its errors become a command's. Loading
it takes kio and the extension, so this module, which the help of every command imports, does so at the last moment.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from moldau.cli.outcome import CommandError, NoConnectionError, RefusedError, TimedOutError, UsageError

if TYPE_CHECKING:
    from moldau.client.protocol.connection import BrokerConnection
    from moldau.client.protocol.errors import ProtocolError
    from moldau.client.protocol.questions import Build

HINT: Final = "\nhint: "


class Channel:
    """One connection to one broker that has greeted and believed us."""

    def __init__(self, connection: BrokerConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def served(self) -> Any:
        """What the broker says that it serves, APIs and features: its answer to ApiVersions."""
        return self._connection.served

    def ask(self, api_key: int, build: Build) -> Any:
        """Send one request and return its answer.

        Args:
            api_key: one of `moldau.client.protocol.questions`.
            build: makes the fields of the request in the version that is spoken.

        Raises:
            CommandError: the broker does not serve it, or no good answer came.
        """
        from moldau.client.protocol.errors import ProtocolError

        try:
            return self._connection.ask(api_key, build, self._timeout_s)
        except ProtocolError as error:
            raise as_outcome(error) from error


def as_outcome(error: ProtocolError) -> CommandError:
    """How a command ends when a conversation with a broker went wrong so."""
    from moldau.client.protocol.errors import SecuritySettingError, UnansweredError, UnreachableError, UnservedError

    message, _, hint = str(error).partition(HINT)
    if isinstance(error, UnservedError):
        return RefusedError(message, hint or "`moldau api-versions` shows what it serves")
    kind = {SecuritySettingError: UsageError, UnansweredError: TimedOutError, UnreachableError: NoConnectionError}
    return kind.get(type(error), RefusedError)(message, hint or None)


def require_no_error(answer: Any) -> None:
    """Raise what an answer, or a part of one, says is wrong.

    Raises:
        RefusedError: its error code is not 0.
    """
    error = error_of(answer)
    if error is not None:
        raise error


def error_of(part: Any) -> CommandError | None:
    """What a part of an answer says is wrong, or `None`."""
    if int(part.error_code.value) == 0:
        return None
    message = getattr(part, "error_message", None)
    name = str(part.error_code.name).upper()
    return RefusedError(f"{message} ({name})" if message else name)
