"""The languages of schemas, by the name that stands in `schemaType`.

`language` is what the registry asks of one; a new language is a module here and a line in `HOMES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from moldau.registry.languages.language import (
    Incompatibility,
    Language,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)

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

HOMES: Final = {
    "JSON": ("json_schema", "JsonSchema"),
    "PROTOBUF": ("protobuf", "Protobuf"),
    "AVRO": ("avro", "Avro"),
}


class _Languages(Mapping[str, Language]):
    """A language is loaded when it is first asked for: a registry starts without any, and most only ever need one."""

    def __init__(self) -> None:
        self._loaded: dict[str, Language] = {}

    def __getitem__(self, name: str) -> Language:
        language = self._loaded.get(name)
        if language is None:
            module, kind = HOMES[name]
            language = self._loaded[name] = getattr(import_module(f"{__name__}.{module}"), kind)()
        return language

    def __iter__(self) -> Iterator[str]:
        return iter(HOMES)

    def __len__(self) -> int:
        return len(HOMES)


LANGUAGES: Final[Mapping[str, Language]] = _Languages()
