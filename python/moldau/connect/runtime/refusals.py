"""Why a request is refused, with the HTTP status that Kafka Connect answers it with."""

from __future__ import annotations

from typing import ClassVar

from moldau.connect.errors import ConnectError


class RefusedError(ConnectError):
    """The message is what the client reads."""

    status: ClassVar[int] = 500


class BadRequestError(RefusedError):
    """What was asked contradicts itself, or a rule."""

    status = 400


class ForbiddenError(RefusedError):
    """The worker was told not to do it."""

    status = 403


class NotFoundError(RefusedError):
    """There is no such connector, task, plugin or logger."""

    status = 404


class AlreadyExistsError(RefusedError):
    """There is one of this name."""

    status = 409


class RebalancingError(RefusedError):
    """Who does what is being settled; ask again in a moment."""

    status = 409


class ElsewhereError(RefusedError):
    """Another worker has to do it; `url` None: it is not known yet which one."""

    status = 409

    def __init__(self, message: str, url: str | None) -> None:
        super().__init__(message)
        self.url = url
