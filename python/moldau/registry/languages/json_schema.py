"""JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12, as `$schema` says; without it draft 7."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from moldau.registry.compat import uncompared
from moldau.registry.languages.language import (
    Incompatibility,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)


@dataclass(frozen=True, slots=True)
class JsonSchemaDocument:
    """One document, and those that it may refer to by name."""

    document: Mapping[str, Any] | bool
    references: Mapping[str, str]
    in_order: bool = False

    def canonical(self) -> str:
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"), sort_keys=self.in_order)

    def formatted(self, name: str) -> str:
        return self.canonical()

    def normalized(self) -> JsonSchemaDocument:
        return JsonSchemaDocument(self.document, self.references, in_order=True)

    def equivalent(self, other: ParsedSchema) -> bool:
        # Python takes 1, 1.0 and True for equal; text does not.
        return isinstance(other, JsonSchemaDocument) and self.normalized().canonical() == other.normalized().canonical()

    def top_level_fields(self) -> frozenset[str]:
        if isinstance(self.document, bool):
            return frozenset()
        properties = self.document.get("properties")
        return frozenset(properties) if isinstance(properties, dict) else frozenset()


class JsonSchema:
    """JSON Schema."""

    name: Final = "JSON"

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> JsonSchemaDocument:
        try:
            document = json.loads(text)
            if not isinstance(document, dict | bool):
                raise SchemaError("a JSON schema is an object, or true or false")
            if strict:
                _check_against_its_draft(document)
        except RecursionError:
            raise SchemaError("the schema is nested too deeply") from None
        except ValueError as error:
            raise SchemaError(f"not JSON: {error}") from None
        return JsonSchemaDocument(document, {reference.name: reference.text for reference in references})

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        return uncompared.check(self.name, reader, writer)


def _check_against_its_draft(document: dict[str, Any] | bool) -> None:
    if isinstance(document, bool):
        return
    from jsonschema.exceptions import SchemaError as NotASchemaError
    from jsonschema.validators import Draft7Validator, validator_for

    try:
        validator_for(document, default=Draft7Validator).check_schema(document)
    except NotASchemaError as error:
        path = "/".join(map(str, error.absolute_path))
        raise SchemaError(error.message, f"/{path}" if path else "") from None
