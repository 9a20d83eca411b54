"""What a record asks of a table: a row that is to be there, or a key that is to be gone."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.connectors.jdbc.settings import KAFKA_FIELDS, SinkSettings
from moldau.connect.data import Field, Schema, Struct, Type
from moldau.connect.errors import DataError
from moldau.connect.records import SinkRecord

UNAVAILABLE: Final = "__debezium_unavailable_value"
ABSENT: Final = (UNAVAILABLE, UNAVAILABLE.encode())
DELETED: Final = "__deleted"
KAFKA_SCHEMAS: Final = (Schema.STRING_SCHEMA, Schema.INT32_SCHEMA, Schema.INT64_SCHEMA)


class Kind(enum.Enum):
    """What becomes of a record."""

    WRITE = "write"
    DELETE = "delete"
    TRUNCATE = "truncate"
    NOTHING = "nothing"


class _Absent:
    """Stands for a value that did not come with the record: a column keeps what it has."""

    def __repr__(self) -> str:
        return "ABSENT"


MISSING: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a row, as the schemas of its record have them: first those of the key."""

    keys: tuple[Field, ...]
    values: tuple[Field, ...]


@dataclass(slots=True)
class Row:
    """`values` are None for a key that is to be gone; `earlier` is what the same key had before in its batch."""

    record: SinkRecord
    key: tuple[Any, ...]
    values: list[Any] | None
    earlier: Row | None = None


class Mapping:
    """Finds the shape for each pair of schemas once."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._shapes: dict[tuple[Schema | None, Schema | None], Shape] = {}
        self._last: tuple[Any, Any, Shape] | None = None

    def kind(self, record: SinkRecord) -> tuple[Kind, Schema | None, Any]:
        """What is asked, with the schema and the value of the row. Raises `DataError` for what can be no row."""
        schema, value = record.value_schema, record.value
        if value is None:
            return (Kind.DELETE if self._settings.delete else self._no_delete(record)), None, None
        if schema is None or schema.type is not Type.STRUCT:
            raise DataError(
                "a row needs a struct with a schema\nhint: set value.converter to one that has schemas (JsonConverter "
                "with schemas.enable=true, AvroConverter), or make a struct with HoistField"
            )
        if not self._settings.envelopes:
            return Kind.WRITE, schema, value
        if "op" in schema.by_name and "after" in schema.by_name:
            return self._of_envelope(schema, value)
        if DELETED in schema.by_name and str(value.get(DELETED)).lower() == "true":
            return (Kind.DELETE if self._settings.delete else Kind.NOTHING), None, None
        return Kind.WRITE, schema, value

    def _no_delete(self, record: SinkRecord) -> Kind:
        if self._settings.envelopes:
            return Kind.NOTHING
        raise DataError(
            "a tombstone says that a row is to be deleted, and delete.enabled is false\n"
            "hint: set delete.enabled=true with pk.mode=record_key, or leave tombstones out with the Filter transform"
        )

    def _of_envelope(self, schema: Schema, value: Struct) -> tuple[Kind, Schema | None, Any]:
        operation = value.get("op")
        if operation == "d":
            return (Kind.DELETE if self._settings.delete else Kind.NOTHING), None, None
        if operation == "t":
            return (Kind.TRUNCATE if self._settings.truncate else Kind.NOTHING), None, None
        after = value.get("after")
        if operation not in {"c", "r", "u"} or after is None:
            return Kind.NOTHING, None, None
        return Kind.WRITE, schema.by_name["after"].schema, after

    def shape(self, record: SinkRecord, schema: Schema | None) -> Shape:
        """The columns. Raises `DataError` when the settings and the schemas do not go together."""
        known = self._last
        if known is not None and known[0] is record.key_schema and known[1] is schema:
            return known[2]
        pair = (record.key_schema, schema)
        found = self._shapes.get(pair)
        if found is None:
            keys = self._keys(record.key_schema, schema)
            names = {field.name for field in keys}
            fields = schema.fields if schema is not None else ()
            found = Shape(keys, tuple(field for field in fields if field.name not in names and self._wanted(field)))
            if len(self._shapes) > 1000:
                self._shapes.clear()
            self._shapes[pair] = found
        self._last = (record.key_schema, schema, found)
        return found

    def _wanted(self, field: Field) -> bool:
        only = self._settings.only_fields
        excluded = field.name in self._settings.without_fields or (self._settings.envelopes and field.name == DELETED)
        return (not only or field.name in only) and not excluded

    def _keys(self, key: Schema | None, value: Schema | None) -> tuple[Field, ...]:
        mode, names = self._settings.key_mode, self._settings.key_fields
        if mode == "none":
            return ()
        if mode == "kafka":
            return tuple(
                Field(n, at, s) for at, (n, s) in enumerate(zip(names or KAFKA_FIELDS, KAFKA_SCHEMAS, strict=True))
            )
        if mode == "record_value":
            if value is None:
                raise DataError("the key is among the fields of the value, and there is no value")
            return _named(value, names, "value")
        if key is None:
            raise DataError("the record has no key with a schema, and the primary key is to be made of it")
        if key.type is Type.STRUCT:
            return _named(key, names, "key")
        if not key.type.is_primitive:
            raise DataError(f"a key that is {key} cannot be columns")
        if len(names) != 1:
            raise DataError(f"the key is {key}: name its column, one, in pk.fields (primary.key.fields)")
        return (Field(names[0], 0, key),)

    def row(self, record: SinkRecord, shape: Shape, value: Struct | None) -> Row:
        """The row, or the key alone when there is no value. Raises `DataError` for a key with null in it."""
        key = self._key(record, shape, value)
        if None in key:
            raise DataError(f"the primary key {tuple(field.name for field in shape.keys)} has null in it: {key}")
        if value is None:
            return Row(record, key, None)
        if self._settings.null_is_default:
            values = [value.get(field.name) for field in shape.values]
        else:
            values = [value.values[field.index] for field in shape.values]
        if self._settings.envelopes:
            values = [MISSING if _is_absent(each) else each for each in values]
        return Row(record, key, values)

    def _key(self, record: SinkRecord, shape: Shape, value: Struct | None) -> tuple[Any, ...]:
        mode = self._settings.key_mode
        if mode == "none":
            return ()
        if mode == "kafka":
            return (record.original_topic, record.original_kafka_partition, record.original_kafka_offset)
        holder = value if mode == "record_value" else record.key
        if isinstance(holder, Struct):
            return tuple(holder.get(field.name) for field in shape.keys)
        return (holder,)


def _named(schema: Schema, names: tuple[str, ...], where: str) -> tuple[Field, ...]:
    missing = [name for name in names if name not in schema.by_name]
    if missing:
        raise DataError(f"the {where} has no field {', '.join(missing)}, only {', '.join(schema.by_name)}")
    return tuple(schema.by_name[name] for name in names) if names else schema.fields


def _is_absent(value: Any) -> bool:
    if value.__class__ is list:
        return len(value) == 1 and _is_absent(value[0])
    return isinstance(value, str | bytes) and value in ABSENT
