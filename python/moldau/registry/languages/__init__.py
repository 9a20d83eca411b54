"""The languages of schemas, by the name that stands in `schemaType`.

`language` is what the registry asks of one; a new language is a module here and a line in `LANGUAGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from moldau.registry.languages.avro import Avro
from moldau.registry.languages.json_schema import JsonSchema
from moldau.registry.languages.language import (
    Incompatibility,
    Language,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)
from moldau.registry.languages.protobuf import Protobuf

__all__ = [
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "Incompatibility",
    "Language",
    "ParsedSchema",
    "Policy",
    "ResolvedReference",
    "SchemaError",
]

DEFAULT_LANGUAGE: Final = "AVRO"
"""The language of a schema that names none."""

LANGUAGES: Final[Mapping[str, Language]] = {language.name: language for language in (JsonSchema(), Protobuf(), Avro())}
