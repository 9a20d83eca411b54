"""One request, as its handler sees it: parameters with their types, the body, and the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moldau.connect.runtime.refusals import BadRequestError, RefusedError

if TYPE_CHECKING:
    from moldau.connect.rest.api import Api

INT_MAX = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that is not 200, or headers."""

    status: int
    body: Any = None
    location: str | None = None
    text: bytes | None = None
    """In place of a body: what is not JSON."""
    content_type: str = "application/json"


class NotForThisAddressError(RefusedError):
    """A value in the path that nothing can have."""

    status = 404


@dataclass(frozen=True, slots=True)
class Call:
    """`path` are the variables of the route, `query` all values of each parameter, `headers` in lower case."""

    api: Api
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def connector(self) -> str:
        """The connector of the path."""
        return self.path["connector"]

    @property
    def task(self) -> int:
        """The task of the path. Raises NotForThisAddressError."""
        given = self.path["task"]
        if not given.isascii() or not given.isdecimal() or int(given[:12]) > INT_MAX:
            raise NotForThisAddressError("HTTP 404 Not Found")
        return int(given)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query."""
        given = self.query.get(name)
        return given[0].lower() == "true" if given else default

    def json(self) -> dict[str, Any]:
        """The body, an object.

        Raises:
            RefusedError: it is none. Kafka Connect answers 500 for what is no JSON.
        """
        body = self.any_json()
        if not isinstance(body, dict):
            raise BadRequestError("the body is a JSON object")
        return body

    def any_json(self) -> Any:
        """The body, whatever it is. Raises RefusedError if it is no JSON."""
        try:
            body = json.loads(self.content)
            # A lone surrogate is no text; found here, it is the sender's mistake and not ours later.
            json.dumps(body, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"the body is not JSON: {error}") from error
        return body

    def config(self) -> dict[str, str | None]:
        """The body, settings of a connector: numbers and booleans become the texts that they are written as."""
        return as_config(self.json())


def as_config(given: Any) -> dict[str, str | None]:
    """Settings as texts. Raises BadRequestError for lists and objects."""
    if not isinstance(given, dict):
        raise BadRequestError("the configuration of a connector is a JSON object")
    found: dict[str, str | None] = {}
    for name, value in given.items():
        if isinstance(value, dict | list):
            raise BadRequestError(f"the value of {name} is a text, a number or a boolean, not {json.dumps(value)}")
        found[name] = value if value is None or isinstance(value, str) else json.dumps(value)
    return found
