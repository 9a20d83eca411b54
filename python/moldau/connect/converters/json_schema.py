"""`JsonSchemaConverter`: JSON whose schema is in a registry, as Confluent's converter and serializers have it.

Schemas are Confluent's to the letter (`json_schema_from_connect`, `json_schema_to_connect`).
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import CaseInsensitiveValidString
from moldau.connect.converters.json_schema_from_connect import json_schema
from moldau.connect.converters.json_schema_names import JsonSchemaSettings
from moldau.connect.converters.json_schema_to_connect import JsonSchemaReading
from moldau.connect.converters.json_schema_values import reader_of, writer_of
from moldau.connect.converters.json_values import has_decimal
from moldau.connect.converters.registry import Declared, Decode, Encode, Registered, RegistryConverter
from moldau.connect.converters.registry_settings import check_refused, data_settings, registry_config
from moldau.connect.data import Schema
from moldau.connect.errors import DataError

# name, default, the attribute of JsonSchemaSettings, doc
DATA: Final = (
    ("object.additional.properties", True, "additional_properties", "Whether objects may have more than their fields."),
    (
        "use.optional.for.nonrequired",
        False,
        "optional_unless_required",
        "Whether fields are optional that a JSON Schema does not require.",
    ),
    ("flatten.singleton.unions", True, "flatten_singletons", "Whether a choice of one schema is that schema."),
    ("ignore.default.for.nullables", False, "ignore_defaults", "Whether null stays null where there is a default."),
)
REFUSED: Final = (
    ("ignore.modern.dialects", Type.BOOLEAN, False, "newer dialects are read as they are"),
    ("preserve.additional.properties", Type.BOOLEAN, False, "what a schema does not name is left out"),
    ("json.fail.invalid.schema", Type.BOOLEAN, False, "values are checked against the schema of Connect"),
)


def _decimal_format() -> ConfigDef:
    return ConfigDef().define(
        "decimal.format",
        Type.STRING,
        "BASE64",
        CaseInsensitiveValidString("BASE64", "NUMERIC"),
        Importance.LOW,
        "How decimals are written: BASE64 of their bytes, or NUMERIC.",
    )


class JsonSchemaConverter(RegistryConverter):
    """See the module."""

    FORMAT = "JSON"
    LANGUAGE = "JSON with a schema"
    CONFIG: ClassVar[ConfigDef] = registry_config(DATA, REFUSED, more=_decimal_format())

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        super().configure(configs, is_key)
        check_refused(self._settings, REFUSED)
        self._json = JsonSchemaSettings(
            numeric=self._settings["decimal.format"].upper() == "NUMERIC",
            **data_settings(self._settings, DATA),
        )

    def _declared(self, schema: Schema | None) -> Declared:
        if schema is None:
            raise DataError(
                "a value without a schema has no JSON Schema\n"
                "hint: use org.apache.kafka.connect.json.JsonConverter with schemas.enable=false"
            )
        return Declared(json_schema(schema, self._json), schema.name or "")

    def _encoder(self, schema: Schema | None, registered: Registered) -> Encode:
        write = writer_of(schema, self._json)
        encode = msgspec.json.Encoder(decimal_format="number").encode
        return lambda value, prefix: prefix + encode(write(value))

    def _decoder(self, registered: Registered, version: int | None, place: bytes = b"") -> tuple[Schema | None, Decode]:
        schema = self._reading(registered).connect_schema(version)
        read = reader_of(schema)
        decode = msgspec.json.Decoder(float_hook=decimal.Decimal if has_decimal(schema) else None).decode
        return schema, lambda data, start: read(decode(memoryview(data)[start:]))

    def _name_in(self, registered: Registered, place: bytes = b"") -> str:
        return self._reading(registered).title()

    def _reading(self, registered: Registered) -> JsonSchemaReading:
        return JsonSchemaReading(registered.text, registered.references, self._json)
