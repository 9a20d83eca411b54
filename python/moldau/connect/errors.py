"""What can go wrong in Connect; the tree is that of Kafka Connect's `org.apache.kafka.connect.errors`.

`RetriableError` is the one with a meaning of its own: a task that raises it is called again with the same records.
"""

from __future__ import annotations

from moldau.errors import MoldauError


class ConnectError(MoldauError):
    """Anything that stops a connector, a task or a record; the message says where and what to do."""


class ConfigError(ConnectError):
    """A setting that cannot be used. `name` is the setting, `value` what was given, if anything was."""

    def __init__(self, message: str, *, name: str | None = None, value: object = None) -> None:
        super().__init__(message)
        self.name = name
        self.value = value


class DataError(ConnectError):
    """A value that does not fit its schema, or bytes that cannot be read."""


class SchemaBuilderError(DataError):
    """A schema that contradicts itself."""


class SchemaProjectorError(DataError):
    """A value that cannot be carried over to another schema."""


class RetriableError(ConnectError):
    """A failure that may pass: the same call is made again, with the same records."""


class NotFoundError(ConnectError):
    """There is no such connector, task or plugin."""


class AlreadyExistsError(ConnectError):
    """There is such a connector already."""


class IllegalWorkerStateError(ConnectError):
    """A call that the worker or the task cannot answer in the state it is in."""
