"""One request, as its handler sees it: parameters with their types, the body, and the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from moldau.registry.data_contract import read_metadata, read_rule_set
from moldau.registry.decisions import Decision
from moldau.registry.decisions.registration import Registration
from moldau.registry.errors import (
    invalid_request,
    invalid_schema,
    invalid_subject,
    invalid_version,
    malformed,
    schema_too_large,
)
from moldau.registry.languages import DEFAULT_LANGUAGE
from moldau.registry.names import DEFAULT_CONTEXT, is_valid_subject, parse_subject, within
from moldau.registry.registry import Registry
from moldau.registry.schema import Reference, Schema

T = TypeVar("T")

VERSION_MAX: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Call:
    """`path` are the variables of the route, `query` all values of each parameter."""

    registry: Registry
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    content: bytes = b""

    def text(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return self.query[name][0] if self.query.get(name) else default

    def texts(self, name: str) -> list[str]:
        """All values of a parameter."""
        return list(self.query.get(name, ()))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean: `true` in any case is true, as Python's clients write `True`."""
        value = self.text(name)
        return default if not value else value.lower() == "true"

    def number(self, name: str, default: int) -> int:
        """An integer. Raises RegistryError (422)."""
        value = self.text(name)
        try:
            return int(value) if value else default
        except ValueError:
            raise invalid_request(f"{name} is a number, not {value!r}") from None

    def page(self, items: Sequence[T]) -> Sequence[T]:
        """What `offset` and `limit` leave of a list."""
        offset, limit = max(self.number("offset", 0), 0), self.number("limit", -1)
        return items[offset : offset + limit if limit >= 0 else None]

    def subject(self) -> str:
        """The subject of the path, as it stands in records; an alias is replaced by what it stands for."""
        written = parse_subject(self.path["subject"]).written
        alias = (self.registry.state.config(written) or {}).get("alias")
        return within(written, alias) if alias else written

    def settings_subject(self) -> str | None:
        """The subject or context that a config or mode is of; None for everything."""
        given = self.path.get("subject")
        if given is None:
            return None
        subject = parse_subject(given)
        if not is_valid_subject(given, for_settings=True):
            raise invalid_subject(given)
        return None if subject.name == "" and subject.context == DEFAULT_CONTEXT else subject.written

    def version(self) -> int | None:
        """The version of the path; None for the latest. Raises RegistryError (42202)."""
        given = self.path["version"].strip()
        if given.lower() in ("latest", "-1"):
            return None
        if not given.isascii() or not given.isdecimal() or not 1 <= int(given[:12]) <= VERSION_MAX:
            raise invalid_version(given)
        return int(given)

    def json(self) -> dict[str, Any]:
        """The body, an object. Raises RegistryError (400, 422)."""
        try:
            body = json.loads(self.content)
            # A lone surrogate is no text; found here, it is the sender's mistake and not ours later.
            json.dumps(body, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise malformed(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise invalid_request("the body is an object")
        return body

    def registration(self) -> Registration:
        """The body as a schema that is brought. Raises RegistryError."""
        subject = self.subject()
        if not is_valid_subject(subject):
            raise invalid_subject(subject)
        body = self.json()
        schema = read_schema(body, self.registry.settings.schema_bytes_max)
        version, schema_id = (_number(body, key) for key in ("version", "id"))
        return Registration(
            subject,
            schema,
            version or 0,
            schema_id if schema_id is not None and schema_id >= 0 else None,
            normalize=self.flag("normalize"),
            force=self.flag("force"),
        )

    async def write(self, decide: Callable[[], Decision[T]]) -> T:
        """Have a decision carried out."""
        return await self.registry.write(decide)


def read_schema(body: Mapping[str, Any], bytes_max: int) -> Schema:
    """The schema in a body. Raises RegistryError."""
    text = body.get("schema")
    if text is not None and not isinstance(text, str):
        raise invalid_request("schema is a text: a schema in JSON is sent as a string")
    text = text or ""
    size = len(text.encode())
    if size > bytes_max:
        raise schema_too_large(size, bytes_max)
    language = body.get("schemaType") or DEFAULT_LANGUAGE
    if not isinstance(language, str):
        raise invalid_schema(f"unknown schema type {language!r}")
    references = body.get("references") or []
    if not isinstance(references, list):
        raise invalid_request("references is a list")
    return Schema(
        text,
        language.upper(),
        tuple(_reference(each) for each in references),
        read_metadata(body.get("metadata")),
        read_rule_set(body.get("ruleSet")),
    )


def _reference(given: Any) -> Reference:
    if not isinstance(given, dict) or not all(isinstance(given.get(key), str) for key in ("name", "subject")):
        raise invalid_request('a reference is an object with "name", "subject" and "version"')
    version = _number(given, "version")
    return Reference(given["name"], given["subject"], -1 if version is None else version)


def _number(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or abs(value) > VERSION_MAX):
        raise invalid_request(f"{key} is a number")
    return value
