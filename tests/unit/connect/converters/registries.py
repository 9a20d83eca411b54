"""A schema registry in memory, in the place of the converters' client."""

from __future__ import annotations

from typing import Any, TypeVar
from unittest import mock

from confluent_kafka.schema_registry import RegisteredSchema, Schema
from confluent_kafka.schema_registry.error import SchemaRegistryError

from moldau.connect.converters.registry import RegistryConverter

Kind = TypeVar("Kind", bound=RegistryConverter)


class Registry:
    """Every schema is compatible; `refusal`, when set, is raised instead of any answer."""

    def __init__(self) -> None:
        self.schemas: list[Schema] = []
        self.subjects: dict[str, list[int]] = {}
        self.refusal: Exception | None = None
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal

    def register_schema_full_response(
        self, subject: str, schema: Schema, *, normalize_schemas: bool = False
    ) -> RegisteredSchema:
        self._ask()
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema) + 1
        known = self.subjects.setdefault(subject, [])
        if number not in known:
            known.append(number)
        return self._registered(subject, number)

    def lookup_schema(
        self, subject: str, schema: Schema, *, normalize_schemas: bool = False, deleted: bool = False
    ) -> RegisteredSchema:
        self._ask()
        for number in self.subjects.get(subject, ()):
            if self.schemas[number - 1] == schema:
                return self._registered(subject, number)
        raise SchemaRegistryError(404, 40403, "Schema not found")

    def get_schema(self, number: int, subject: str | None = None, **_format: Any) -> Schema:
        self._ask()
        if not 1 <= number <= len(self.schemas):
            raise SchemaRegistryError(404, 40403, "Schema not found")
        return self.schemas[number - 1]

    def get_schema_by_guid(self, guid: str, **_format: Any) -> Schema:
        """The GUID of a schema here is its id."""
        return self.get_schema(int(guid.replace("-", ""), 16))

    def get_latest_version(self, subject: str, **_format: Any) -> RegisteredSchema:
        self._ask()
        return self._registered(subject, self.subjects[subject][-1])

    def get_version(self, subject: str, version: int, **_more: Any) -> RegisteredSchema:
        self._ask()
        return self._registered(subject, self.subjects[subject][version - 1])

    def clear_latest_caches(self) -> None: ...

    def close(self) -> None: ...

    def _registered(self, subject: str, number: int) -> RegisteredSchema:
        version = self.subjects[subject].index(number) + 1
        schema = self.schemas[number - 1]
        return RegisteredSchema(schema_id=number, schema=schema, subject=subject, version=version, guid=None)

    @property
    def text(self) -> str:
        """The schema that was registered last."""
        return str(self.schemas[-1].schema_str)


def connected(kind: type[Kind], registry: Any, *, is_key: bool = False, **settings: Any) -> Kind:
    """A converter that asks `registry`; settings with `_` for `.`."""
    made = kind()
    named = {name.replace("_", "."): value for name, value in settings.items()}
    # confluent-kafka's client reads every certificate of the machine when it is made.
    with mock.patch("moldau.connect.converters.registry.client_of", return_value=registry):
        made.configure({"schema.registry.url": "http://127.0.0.1:1", **named}, is_key)
    return made
