"""What Confluent's `JsonSchemaData` writes into JSON Schemas so that none of a Connect schema is lost; its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moldau.connect.data import Schema, Type

NAMESPACE: Final = "io.confluent.connect.json"
ENUM: Final = f"{NAMESPACE}.Enum"
ONE_OF: Final = f"{NAMESPACE}.OneOf"
NULL_SYMBOL: Final = "<NULL>"
KEY: Final = "key"
VALUE: Final = "value"

CONNECT_TYPE: Final = "connect.type"
CONNECT_VERSION: Final = "connect.version"
CONNECT_PARAMETERS: Final = "connect.parameters"
CONNECT_INDEX: Final = "connect.index"


@dataclass(frozen=True, slots=True)
class JsonSchemaSettings:
    """Of `JsonSchemaConverter`."""

    numeric: bool = False
    """Decimals are numbers, not base64 of their bytes."""
    additional_properties: bool = True
    optional_unless_required: bool = False
    flatten_singletons: bool = True
    ignore_defaults: bool = False


def is_union(schema: Schema) -> bool:
    """Whether a struct stands for a choice: one field for each branch, of which one has a value."""
    return schema.type is Type.STRUCT and schema.name == ONE_OF


def is_object_map(schema: Schema) -> bool:
    """Whether a map is an object in JSON; others are arrays of entries."""
    key = schema.key_schema
    return key is not None and key.type is Type.STRING and not key.optional
