"""A Connect worker as the commands need it: Kafka Connect's REST interface over the standard library, any worker's.

And the files that people have for it: JSON with `//` comments, or a properties file.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.json_request import json_request
from moldau.cli.outcome import NoConnectionError, RefusedError, TimedOutError, UsageError

_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


class AnswerError(RefusedError):
    """The worker said no; `code` is its error code."""

    def __init__(self, message: str, code: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.code = code


@Parameter(name="*")
@dataclass(frozen=True)
class ConnectConnection:
    """Where the Connect worker is."""

    url: Annotated[str, Parameter(name=["--url", "-u"], env_var="MOLDAU_CONNECT_URL")] = "http://localhost:8083"
    """URL of a Connect worker, with user:password@ if it asks for them."""
    timeout_s: Annotated[float, Parameter(name="--timeout")] = 30.0
    """Seconds to wait for an answer."""

    def ask(
        self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """One request; `path` are segments, quoted here.

        Raises:
            AnswerError: the worker refused.
            NoConnectionError, TimedOutError: it did not answer.
        """
        request = json_request(self.url, method, path, query or {}, body, "application/json")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 (checked by json_request)
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise TimedOutError(f"no answer from {self.url} within {self.timeout_s:g} s") from error
        except (urllib.error.URLError, OSError) as error:
            raise NoConnectionError(
                f"no Connect worker answers at {self.url} ({getattr(error, 'reason', error)})",
                "`moldau up` and `moldau connect run` run one; --url says where another one is",
            ) from error
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise RefusedError(f"{self.url} does not answer as a Connect worker does") from error


def _refusal(error: urllib.error.HTTPError) -> AnswerError:
    try:
        body = json.loads(error.read())
        code, message = int(body["error_code"]), str(body["message"])
    except (ValueError, KeyError, TypeError):
        return AnswerError(f"HTTP {error.code} {HTTPStatus(error.code).phrase}", error.code)
    hint = None
    if code == HTTPStatus.NOT_FOUND:
        hint = "`moldau connect list` shows the connectors that there are"
    elif "contains the following" in message:
        hint = "`moldau connect validate -f FILE` says it setting by setting"
        message = message.rpartition("\nYou can also find")[0] or message
    return AnswerError(message, code, hint)


@dataclass(frozen=True, slots=True)
class ConnectorFile:
    """A connector as a file describes it."""

    name: str | None
    config: dict[str, Any]
    body: dict[str, Any]
    """What else stands beside name and config: `initial_state`, `initial_offsets`."""


def read_connector(file: Path) -> ConnectorFile:
    """Read JSON, commented or not: `{"name": …, "config": {…}}` or the settings alone; or a properties file.

    Raises:
        UsageError: it cannot be read.
    """
    text = _read(file)
    if file.suffix == ".properties":
        return _from_properties(file, text)
    try:
        content = parse_commented(text)
    except ValueError as error:
        raise UsageError(f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} holds no JSON object")
    if isinstance(content.get("config"), dict):
        more = {key: value for key, value in content.items() if key not in ("name", "config")}
        name = content.get("name") or content["config"].get("name")
        return ConnectorFile(name, content["config"], more)
    return ConnectorFile(content.get("name"), content, {})


def _read(file: Path) -> str:
    import sys

    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from error


def _from_properties(file: Path, text: str) -> ConnectorFile:
    from moldau.config.properties import PropertiesError, parse_properties

    try:
        config = {each.name: each.value for each in parse_properties(text)}
    except PropertiesError as error:
        raise UsageError(f"{file}: {error}") from error
    return ConnectorFile(config.get("name"), config, {})


def parse_commented(text: str) -> Any:
    """JSON with `//` and `/* */` comments, and a comma too many at an end. Lines keep their numbers in messages."""

    def without(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return json.loads(_LAST_COMMA.sub(without, _COMMENT.sub(without, text)))
