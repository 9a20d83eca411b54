"""Schemas of Connect as schemas of Avro, and values to go with them, as Confluent's `AvroData` makes them.

What Avro cannot say (small integers, versions, parameters) is kept in `connect.` properties, unless `connect.meta.data`
is off. A struct without a name is `io.confluent.connect.avro.ConnectDefault`; a map whose keys are no strings is a list
of `MapEntry`.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.errors import DataError

NAMESPACE = "io.confluent.connect.avro"
ENUM = f"{NAMESPACE}.Enum"
PRECISION = "connect.decimal.precision"
LARGEST_PRECISION = 64

_PLAIN = {
    Type.INT8: "int",
    Type.INT16: "int",
    Type.INT32: "int",
    Type.INT64: "long",
    Type.FLOAT32: "float",
    Type.FLOAT64: "double",
    Type.BOOLEAN: "boolean",
    Type.STRING: "string",
    Type.BYTES: "bytes",
}
_LOGICAL = {
    Date.LOGICAL_NAME: "date",
    Time.LOGICAL_NAME: "time-millis",
    Timestamp.LOGICAL_NAME: "timestamp-millis",
}

Convert = Callable[[Any], Any]


@dataclass
class AvroSchemas:
    """Makes schemas by the settings `enhanced.avro.schema.support`, `connect.meta.data`, `allow.optional.map.keys`."""

    enumerations: bool = True
    remarks: bool = True
    optional_map_keys: bool = False
    _named: dict[str, Schema] = field(default_factory=dict)

    def make(self, schema: Schema) -> Any:
        """Return the schema of Avro as JSON has it. Raises `DataError` for one that cannot be said."""
        self._named = {}
        return self._any(schema)

    def _any(self, schema: Schema) -> Any:
        inner = self._inner(schema)
        if not schema.optional:
            return inner
        return [inner, "null"] if schema.default_value is not None else ["null", inner]

    def _inner(self, schema: Schema) -> Any:
        if schema.type is Type.STRUCT:
            return self._record(schema)
        if self.enumerations and ENUM in (schema.parameters or {}):
            return self._enumeration(schema)
        properties = self._properties(schema)
        if schema.type is Type.ARRAY:
            return {"type": "array", "items": self._any(_known(schema.value_schema)), **properties}
        if schema.type is Type.MAP:
            key, value = _known(schema.key_schema), _known(schema.value_schema)
            if _is_map(schema, optional_keys=self.optional_map_keys):
                return {"type": "map", "values": self._any(value), **properties}
            name = schema.name or f"{NAMESPACE}.MapEntry"
            fields = [{"name": "key", "type": self._any(key)}, {"name": "value", "type": self._any(value)}]
            return {"type": "array", "items": {"type": "record", **_name(self._free(name, schema)), "fields": fields}}
        kind = _PLAIN[schema.type]
        if schema.name == Decimal.LOGICAL_NAME:
            precision = int((schema.parameters or {}).get(PRECISION, LARGEST_PRECISION))
            properties |= {"logicalType": "decimal", "precision": precision, "scale": Decimal.scale(schema)}
        elif schema.name in _LOGICAL:
            properties["logicalType"] = _LOGICAL[schema.name]
        elif self.remarks and schema.type in {Type.INT8, Type.INT16}:
            properties["connect.type"] = schema.type.value
        return {"type": kind, **properties} if properties else kind

    def _record(self, schema: Schema) -> Any:
        name = schema.name or f"{NAMESPACE}.ConnectDefault"
        if self._named.get(name) == schema:
            return name
        record: dict[str, Any] = {"type": "record", **_name(self._free(name, schema))}
        if schema.doc:
            record["doc"] = schema.doc
        record["fields"] = [self._field(each.name, each.schema) for each in schema.fields]
        if self.remarks and schema.version is not None:
            record["connect.version"] = schema.version
        if self.remarks and schema.name:
            record["connect.name"] = schema.name
        return record

    def _field(self, name: str, schema: Schema) -> dict[str, Any]:
        made = {"name": name, "type": self._any(schema)}
        if schema.doc:
            made["doc"] = schema.doc
        if schema.optional and schema.default_value is None:
            made["default"] = None
        return made

    def _enumeration(self, schema: Schema) -> Any:
        parameters = schema.parameters or {}
        name = parameters[ENUM]
        if self._named.get(name) == schema:
            return name
        symbols = [text for key, text in parameters.items() if key.startswith(f"{ENUM}.")]
        return {"type": "enum", **_name(self._free(name, schema)), "symbols": symbols}

    def _free(self, name: str, schema: Schema) -> str:
        """Take a name; where another schema has it, a number behind it tells them apart, since Avro has one of each."""
        free, count = name, 1
        while free in self._named:
            count += 1
            free = f"{name}{count}"
        self._named[free] = schema
        return free

    def _properties(self, schema: Schema) -> dict[str, Any]:
        if not self.remarks:
            return {}
        properties: dict[str, Any] = {}
        if schema.version is not None:
            properties["connect.version"] = schema.version
        if schema.parameters:
            properties["connect.parameters"] = dict(schema.parameters)
        if schema.name:
            properties["connect.name"] = schema.name
        return properties


def conversion(schema: Schema, *, optional_map_keys: bool = False) -> Convert:
    """Compile the way from values of Connect to what the encoder of Avro takes; defaults are put in."""
    convert = _conversion(schema, optional_map_keys=optional_map_keys)
    default = schema.default_value

    def converted(value: Any) -> Any:
        if value is None:
            value = default
        return None if value is None else convert(value)

    return converted


def _conversion(schema: Schema, *, optional_map_keys: bool) -> Convert:
    if schema.type is Type.STRUCT:
        fields = [(each.name, conversion(each.schema, optional_map_keys=optional_map_keys)) for each in schema.fields]

        def record(value: Struct) -> dict[str, Any]:
            pairs = zip(fields, value.values, strict=True)
            return {name: convert(inner) for (name, convert), inner in pairs}

        return record
    if schema.type is Type.ARRAY:
        element = conversion(_known(schema.value_schema), optional_map_keys=optional_map_keys)
        return lambda value: [element(entry) for entry in value]
    if schema.type is Type.MAP:
        key = conversion(_known(schema.key_schema), optional_map_keys=optional_map_keys)
        item = conversion(_known(schema.value_schema), optional_map_keys=optional_map_keys)
        if _is_map(schema, optional_keys=optional_map_keys):
            return lambda value: {name: item(entry) for name, entry in value.items()}
        return lambda value: [{"key": key(name), "value": item(entry)} for name, entry in value.items()]
    if schema.name == Decimal.LOGICAL_NAME:
        scale = Decimal.scale(schema)

        def exact(value: decimal.Decimal) -> decimal.Decimal:
            if value.as_tuple().exponent != -scale:
                raise DataError(f"{value} has not the scale {scale} of its schema")
            return value

        return exact
    if schema.type is Type.BYTES:
        return bytes
    return lambda value: value


def _is_map(schema: Schema, *, optional_keys: bool) -> bool:
    key = _known(schema.key_schema)
    return key.type is Type.STRING and (not key.optional or optional_keys)


def _name(name: str) -> dict[str, str]:
    namespace, _, simple = name.rpartition(".")
    return {"name": simple, "namespace": namespace} if namespace else {"name": simple}


def _known(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("a list or a map has no schema for what is in it")
    return schema
