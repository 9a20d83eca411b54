"""Headers put in, taken out and made of fields: InsertHeader, DropHeaders, HeaderFrom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import NonEmptyList, NonNull, ValidList, ValidString
from moldau.connect.data import Field, Schema, SchemaBuilder, Struct
from moldau.connect.data.values import parse_string
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    REPLACE_NULL,
    KafkaTransformation,
    Plans,
    copy_basics,
    filled,
    require_map,
    require_struct,
    with_replace_null,
)


class InsertHeader(KafkaTransformation):
    """Adds a header that never changes; the type of its value is guessed from the text."""

    CONFIG = (
        ConfigDef()
        .define("header", Type.STRING, validator=NonNull(), importance=Importance.HIGH, doc="Its name.")
        .define("value.literal", Type.STRING, validator=NonNull(), importance=Importance.HIGH, doc="Its value.")
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._header: str = settings["header"]
        self._value = parse_string(settings["value.literal"])

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        return record.with_headers(record.headers.duplicate().add_schema_and_value(self._header, self._value))


class DropHeaders(KafkaTransformation):
    """Removes headers by name."""

    CONFIG = ConfigDef().define(
        "headers",
        Type.LIST,
        validator=ValidList(empty_allowed=False),
        importance=Importance.HIGH,
        doc="The names of the headers to remove.",
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._names = set(settings["headers"])

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        return record.with_headers([header for header in record.headers if header.key not in self._names])


class HeaderFrom(KafkaTransformation):
    """Copies or moves fields into headers. Extended by one class for the key and one for the value."""

    CONFIG = with_replace_null(
        ConfigDef()
        .define("fields", Type.LIST, validator=NonEmptyList(), importance=Importance.HIGH, doc="The fields.")
        .define(
            "headers",
            Type.LIST,
            validator=NonEmptyList(),
            importance=Importance.HIGH,
            doc="The names of the headers, in the order of the fields.",
        )
        .define(
            "operation",
            Type.STRING,
            validator=ValidString("move", "copy"),
            importance=Importance.HIGH,
            doc="`move` takes the fields away, `copy` leaves them.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._fields: list[str] = settings["fields"]
        self._headers: list[str] = settings["headers"]
        if len(self._fields) != len(self._headers):
            raise ConfigError("'fields' config must have the same number of elements as 'headers' config.")
        self._moves = settings["operation"] == "move"
        self._purpose = f"header {settings['operation']}"
        self._replace_null: bool = settings[REPLACE_NULL]
        self._plans = Plans(self._plan)

    def _plan(self, schema: Schema) -> tuple[Schema, list[Field], list[Field]]:
        """The schema of what stays, the fields that stay, and those that become headers."""
        builder = copy_basics(schema, SchemaBuilder.struct())
        kept = [field for field in schema.fields if field.name not in self._fields]
        for field in kept:
            builder.field(field.name, field.schema)
        missing = [name for name in self._fields if name not in schema.by_name]
        if missing:
            raise DataError(f"{schema} has no field {missing[0]!r}; it has: {', '.join(schema.by_name)}")
        return builder.build(), kept, [schema.by_name[name] for name in self._fields]

    def changed(
        self, schema: Schema | None, value: Any, record: ConnectRecord
    ) -> tuple[ConnectRecord, Schema | None, Any]:
        """A record with more headers, and what is to become of the key or value."""
        headers = record.headers.duplicate()
        if schema is None:
            found = require_map(value, self._purpose)
            for name, header in zip(self._fields, self._headers, strict=True):
                headers.add(header, found.get(name))
            left = {name: each for name, each in found.items() if name not in self._fields} if self._moves else value
            return record.with_headers(headers), None, left
        struct = require_struct(value, self._purpose)
        left_schema, kept, taken = self._plans.of(schema)
        for field, header in zip(taken, self._headers, strict=True):
            each = struct.values[field.index]
            if each is None and self._replace_null:
                each = field.schema.default_value
            headers.add(header, each, field.schema)
        if not self._moves:
            return record.with_headers(headers), schema, value
        values = [filled(field, struct.values[field.index], replace_null=self._replace_null) for field in kept]
        return record.with_headers(headers), left_schema, Struct.of(left_schema, values)


class HeaderFromKey(HeaderFrom):
    """`HeaderFrom$Key`."""

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        made, schema, key = self.changed(record.key_schema, record.key, record)
        return made.with_key(schema, key)


class HeaderFromValue(HeaderFrom):
    """`HeaderFrom$Value`."""

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        made, schema, value = self.changed(record.value_schema, record.value, record)
        return made.with_value(schema, value)
