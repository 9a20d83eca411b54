"""Avro: `parse` reads a schema into the tree of `types`, `write` is the way back, `defaults` knows what fits a type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from moldau.registry.compat import avro as compat
from moldau.registry.languages.avro.parse import Parser
from moldau.registry.languages.avro.types import AvroType, Record
from moldau.registry.languages.avro.write import Writer
from moldau.registry.languages.language import Incompatibility, ParsedSchema, Policy, ResolvedReference, SchemaError


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A schema and the names that the schemas it refers to define."""

    root: AvroType
    referenced: frozenset[str]
    in_order: bool = False

    def canonical(self) -> str:
        return Writer(self.referenced, in_order=self.in_order).text(self.root)

    def formatted(self, name: str) -> str:
        if name == "resolved":
            return Writer(in_order=self.in_order).text(self.root)
        return self.canonical()

    def normalized(self) -> AvroSchema:
        return AvroSchema(self.root, self.referenced, in_order=True)

    def meaning(self) -> str:
        return self.formatted("resolved")

    def top_level_fields(self) -> frozenset[str]:
        return frozenset(field.name for field in self.root.fields) if isinstance(self.root, Record) else frozenset()


class Avro:
    """Apache Avro 1.12."""

    name: Final = "AVRO"

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> AvroSchema:
        parser = Parser(strict=strict)
        for reference in references:
            try:
                parser.parse(reference.text)
            except SchemaError as error:
                raise SchemaError(f"in the reference {reference.name!r}: {error}") from error
        referenced = frozenset(parser.names)
        return AvroSchema(parser.parse(text), referenced)

    def format_of(self, text: str) -> str:
        return ""

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        return compat.check(cast("AvroSchema", reader).root, cast("AvroSchema", writer).root)
