"""A schema registry as the commands need it: Confluent's REST interface over the standard library, any registry of it.

Nothing of the registry itself is needed to ask one; `compared` is what needs the rules, and they are pure.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.json_request import json_request
from moldau.cli.outcome import NoConnectionError, RefusedError, TimedOutError

Kind = Literal["AVRO", "JSON", "PROTOBUF"]
BY_SUFFIX: Final[Mapping[str, Kind]] = {".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"}
"""The language of a file with a schema."""
CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"


class AnswerError(RefusedError):
    """The registry said no; `code` is its error code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@Parameter(name="*")
@dataclass(frozen=True)
class RegistryConnection:
    """Where the schema registry is."""

    registry: Annotated[str, Parameter(name=["--registry", "-r"], env_var="MOLDAU_REGISTRY_URL")] = (
        "http://localhost:8081"
    )
    """URL of the schema registry, with user:password@ if it asks for them."""
    timeout_s: Annotated[float, Parameter(name="--timeout")] = 15.0
    """Seconds to wait for an answer."""

    def ask(
        self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """One request; `path` are segments, quoted here.

        Raises:
            AnswerError: the registry refused.
            NoConnectionError, TimedOutError: it did not answer.
        """
        request = json_request(self.registry, method, path, query or {}, body, CONTENT_TYPE)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 (checked by json_request)
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise TimedOutError(f"no answer from {self.registry} within {self.timeout_s:g} s") from error
        except (urllib.error.URLError, OSError) as error:
            raise NoConnectionError(
                f"no schema registry answers at {self.registry} ({getattr(error, 'reason', error)})",
                "`moldau up` and `moldau registry` run one; --registry says where another one is",
            ) from error
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise RefusedError(f"{self.registry} does not answer as a schema registry does") from error

    def versions(self, subject: str) -> list[int]:
        """The numbers of a subject's versions; none if there is no such subject."""
        try:
            return list(self.ask("GET", "subjects", subject, "versions"))
        except AnswerError as error:
            if error.code == 40401:
                return []
            raise

    def version(self, subject: str, version: int | str) -> dict[str, Any]:
        """One version of a subject."""
        return dict(self.ask("GET", "subjects", subject, "versions", str(version)))

    def level(self, subject: str) -> str:
        """The compatibility level that holds for a subject."""
        config = self.ask("GET", "config", subject, query={"defaultToGlobal": "true"})
        return str(config["compatibilityLevel"])

    def resolved(self, references: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Everything that is referred to, directly or not, dependencies first: names and texts."""
        found: dict[str, str] = {}
        self._collect(references, found, set())
        return list(found.items())

    def _collect(
        self, references: Sequence[Mapping[str, Any]], found: dict[str, str], seen: set[tuple[str, Any]]
    ) -> None:
        for reference in references:
            place = str(reference["subject"]), reference["version"]
            if place in seen:
                continue
            seen.add(place)
            target = self.version(*place)
            self._collect(target.get("references", ()), found, seen)
            found.setdefault(str(reference["name"]), str(target["schema"]))


def _refusal(error: urllib.error.HTTPError) -> AnswerError:
    try:
        body = json.loads(error.read())
        return AnswerError(str(body["message"]), int(body["error_code"]))
    except (ValueError, KeyError, TypeError):
        return AnswerError(f"HTTP {error.code} {HTTPStatus(error.code).phrase}", error.code)
