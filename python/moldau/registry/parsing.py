"""From stored text to schemas that can be compared: references are looked up, and what was parsed is remembered.

A schema may refer to others, those to others again. Each is looked up once, whatever the shape of the graph, so a
bomb of references is as large as the number of its schemas, and that number has a limit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from moldau.registry.errors import invalid_schema
from moldau.registry.languages import LANGUAGES, Language, ParsedSchema, ResolvedReference, SchemaError
from moldau.registry.names import within
from moldau.registry.records import SchemaValue
from moldau.registry.schema import Reference, Schema
from moldau.registry.state import RegistryState

REFERENCES_MAX: Final = 1000
REFERENCE_DEPTH_MAX: Final = 100
CACHE_SIZE: Final = 1000
CACHED_TEXT_MAX: Final = 100_000
"""Larger schemas are parsed again each time: the cache has a number of entries, not of bytes."""

LATEST: Final = -1


def language_of(schema: Schema) -> Language:
    """Raises RegistryError if there is no such language."""
    language = LANGUAGES.get(schema.language)
    if language is None:
        raise invalid_schema(f"unknown schema type {schema.language!r}; there are {', '.join(LANGUAGES)}")
    return language


class Parser:
    """Parses the schemas of one registry."""

    def __init__(self, state: RegistryState) -> None:
        self._state = state
        self._parsed: OrderedDict[tuple[str, str, tuple[ResolvedReference, ...], bool], ParsedSchema] = OrderedDict()

    def parse(self, subject: str, schema: Schema, *, strict: bool = False) -> ParsedSchema:
        """A schema as one of `subject`. Raises RegistryError (42201) if it is none."""
        language = language_of(schema)
        references = self.resolve(subject, schema.references)
        key = (schema.language, schema.text, references, strict)
        parsed = self._parsed.get(key)
        if parsed is not None:
            self._parsed.move_to_end(key)
            return parsed
        try:
            parsed = language.parse(schema.text, references, strict=strict)
        except SchemaError as error:
            raise invalid_schema(str(error)) from error
        if len(schema.text) <= CACHED_TEXT_MAX:
            self._parsed[key] = parsed
            while len(self._parsed) > CACHE_SIZE:
                self._parsed.popitem(last=False)
        return parsed

    def parse_value(self, value: SchemaValue) -> ParsedSchema:
        """A version that is stored."""
        return self.parse(value.subject, value.schema)

    def pinned(self, subject: str, references: Iterable[Reference]) -> tuple[Reference, ...]:
        """The references with the number of the version in place of "latest"."""
        pinned = []
        for reference in references:
            version = reference.version
            if version == LATEST:
                latest = self._state.latest(within(subject, reference.subject))
                version = latest.version if latest is not None else LATEST
            pinned.append(Reference(reference.name, reference.subject, version))
        return tuple(pinned)

    def resolve(self, subject: str, references: Iterable[Reference]) -> tuple[ResolvedReference, ...]:
        """Everything that is referred to, directly or not, dependencies first."""
        found: dict[str, ResolvedReference] = {}
        self._collect(subject, references, found, set(), 0)
        return tuple(found.values())

    def _collect(
        self,
        subject: str,
        references: Iterable[Reference],
        found: dict[str, ResolvedReference],
        seen: set[tuple[str, int]],
        depth: int,
    ) -> None:
        if depth > REFERENCE_DEPTH_MAX:
            raise invalid_schema(f"the references are nested deeper than {REFERENCE_DEPTH_MAX}")
        for reference in self.pinned(subject, references):
            target = within(subject, reference.subject)
            if (target, reference.version) in seen:
                continue
            seen.add((target, reference.version))
            if len(seen) > REFERENCES_MAX:
                raise invalid_schema(f"there are more than {REFERENCES_MAX} schemas referred to")
            value = self._state.version(target, reference.version)
            if value is None:
                raise invalid_schema(
                    f"the reference {reference.name!r} is to {target} version {reference.version}, which does not exist"
                )
            self._collect(target, value.schema.references, found, seen, depth + 1)
            if reference.name not in found:
                found[reference.name] = ResolvedReference(reference.name, value.schema.text)
