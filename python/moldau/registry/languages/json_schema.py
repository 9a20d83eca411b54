"""JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12, as `$schema` says; without it draft 7."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from moldau.registry.languages.language import (
    DEPTH_MAX,
    Incompatibility,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)

if TYPE_CHECKING:
    from moldau.registry.compat.json_schema.node import Node


@dataclass(frozen=True, slots=True)
class JsonSchemaDocument:
    """One document, and the texts of those that it may refer to by name."""

    document: Mapping[str, Any] | bool
    references: Mapping[str, str]
    in_order: bool = False

    def canonical(self) -> str:
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"), sort_keys=self.in_order)

    def formatted(self, name: str) -> str:
        return self.canonical()

    def normalized(self) -> JsonSchemaDocument:
        return replace(self, in_order=True)

    def meaning(self) -> str:
        # Python takes 1, 1.0 and True for equal; text does not.
        return self.normalized().canonical()

    def top_level_fields(self) -> frozenset[str]:
        if isinstance(self.document, bool):
            return frozenset()
        properties = self.document.get("properties")
        return frozenset(properties) if isinstance(properties, dict) else frozenset()

    def root(self) -> Node:
        """The document as the comparison reads it."""
        from moldau.registry.compat.json_schema.node import root

        return root(self.document, {name: _read(text) for name, text in self.references.items()})


class JsonSchema:
    """JSON Schema."""

    name: Final = "JSON"

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> JsonSchemaDocument:
        parsed = JsonSchemaDocument(_read(text), {reference.name: reference.text for reference in references})
        if strict:
            try:
                _check_against_its_draft(parsed.document)
                _check_references(parsed.root())
            except RecursionError:
                raise _too_deep() from None
        return parsed

    def format_of(self, text: str) -> str:
        return ""

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        assert isinstance(reader, JsonSchemaDocument)
        assert isinstance(writer, JsonSchemaDocument)
        from moldau.registry.compat import json_schema

        if reader.meaning() == writer.meaning() and reader.references == writer.references:
            return []
        return json_schema.check(reader.root(), writer.root(), policy)


def _read(text: str) -> Mapping[str, Any] | bool:
    try:
        document = json.loads(text, parse_constant=_not_a_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise SchemaError(f"not JSON: {error}") from None
    if not isinstance(document, dict | bool):
        raise SchemaError("a JSON schema is an object, or true or false")
    return document


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is larger than any double")
    return value


def _too_deep() -> SchemaError:
    return SchemaError("the schema is nested too deeply")


def _check_against_its_draft(document: Mapping[str, Any] | bool) -> None:
    if isinstance(document, bool):
        return
    from jsonschema.exceptions import SchemaError as NotASchemaError
    from jsonschema.validators import Draft7Validator, validator_for

    try:
        validator_for(document, default=Draft7Validator).check_schema(dict(document))
    except NotASchemaError as error:
        path = "/".join(map(str, error.absolute_path))
        raise SchemaError(error.message, f"/{path}" if path else "") from None


def _check_references(root: Node) -> None:
    """Every `$ref` that holds leads somewhere."""
    waiting: list[tuple[Node, str, int]] = [(root, "", 0)]
    while waiting:
        node, path, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise _too_deep()
        try:
            list(node.targets())
        except SchemaError as error:
            raise SchemaError(str(error), path) from None
        waiting += [(child, f"{path}{place}", depth + 1) for child, place in node.subschemas()]
