"""InsertField: where a record comes from, or a text that never changes, as fields of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from moldau.connect.config_def import ConfigDef, Importance, Type, invalid
from moldau.connect.data import Schema, SchemaBuilder, Timestamp
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import ConnectRecord, SinkRecord
from moldau.connect.transforms.base import (
    REPLACE_NULL,
    Changed,
    OfKey,
    OfStructs,
    OfValue,
    Values,
    copy_basics,
    require_map,
    whole,
    with_replace_null,
)
from moldau.connect.transforms.layout import Column, Constant, Layout, OfRecord

OPTIONALITY: Final = "Its name; `!` behind it makes it required, `?` optional, as it is without either."
OPTIONAL_TIMESTAMP: Final = Timestamp.builder().optional().build()


class Insertion(NamedTuple):
    """A field to insert; `raw` takes its value from a record, `logical` the same where there is a schema."""

    name: str
    schema: Schema
    raw: Callable[[ConnectRecord], Any]
    logical: Callable[[ConnectRecord], Any]
    column: Column


def _timestamp(record: ConnectRecord) -> Any:
    return None if record.timestamp is None else Timestamp.to_logical(record.timestamp)


def _offset(record: ConnectRecord) -> Any:
    if not isinstance(record, SinkRecord):
        raise DataError("offset.field is for sink connectors: a record of a source has no offset yet")
    return record.kafka_offset


class InsertField(OfStructs):
    """See the module. What a record does not have (a partition before it is written) is left out."""

    PURPOSE = "field insertion"
    CONFIG = with_replace_null(
        ConfigDef()
        .define("topic.field", Type.STRING, None, importance=Importance.MEDIUM, doc=f"For the topic. {OPTIONALITY}")
        .define("partition.field", Type.STRING, None, doc=f"For the partition. {OPTIONALITY}")
        .define("offset.field", Type.STRING, None, doc=f"For the offset, in sink connectors. {OPTIONALITY}")
        .define("timestamp.field", Type.STRING, None, doc=f"For the timestamp. {OPTIONALITY}")
        .define("static.field", Type.STRING, None, doc=f"For the text of `static.value`. {OPTIONALITY}")
        .define("static.value", Type.STRING, None, doc="The text of `static.field`.")
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        static = settings["static.value"]
        if settings["static.field"] is not None and static is None:
            raise invalid("static.value", None, f"No value specified for static field: {settings['static.field']}")
        string, integer, long = ("STRING", "INT32", "INT64")
        found = [
            _insertion(settings["topic.field"], string, lambda record: record.topic),
            _insertion(settings["partition.field"], integer, lambda record: record.kafka_partition),
            _insertion(settings["offset.field"], long, _offset),
            _insertion(settings["timestamp.field"], "TIMESTAMP", lambda record: record.timestamp, _timestamp),
            _insertion(settings["static.field"], string, lambda _: static, column=Constant(static)),
        ]
        self._insertions = [each for each in found if each is not None]
        if not self._insertions:
            raise ConfigError("No field insertion configured")
        self._replace_null: bool = settings[REPLACE_NULL]

    def changed(self, schema: Schema) -> Changed:
        builder = copy_basics(schema, SchemaBuilder.struct())
        for field in schema.fields:
            builder.field(field.name, field.schema)
        for each in self._insertions:
            builder.field(each.name, each.schema)
        inserted, replace_null = [each.logical for each in self._insertions], self._replace_null

        def longer(values: Values, record: ConnectRecord) -> Values:
            values = whole(schema, values, replace_null=replace_null)
            for value_of in inserted:
                values.append(value_of(record))
            return values

        made = builder.build()
        columns = [each.column for each in self._insertions]

        def lay_out(layout: Layout) -> None:
            layout.become(made, [*layout.columns, *columns])

        return Changed(made, longer, lay_out)

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        updated = dict(require_map(value, self.PURPOSE))
        for each in self._insertions:
            found = each.raw(record)
            if found is not None:
                updated[each.name] = found
        return updated


def _insertion(
    name: str | None,
    kind: str,
    raw: Callable[[ConnectRecord], Any],
    logical: Callable[[ConnectRecord], Any] | None = None,
    column: Column | None = None,
) -> Insertion | None:
    if name is None:
        return None
    required = name.endswith("!")
    plain = name[:-1] if name.endswith(("!", "?")) else name
    if kind == "TIMESTAMP":
        schema = Timestamp.SCHEMA if required else OPTIONAL_TIMESTAMP
    else:
        schema = getattr(Schema, f"{kind}_SCHEMA" if required else f"OPTIONAL_{kind}_SCHEMA")
    return Insertion(plain, schema, raw, logical or raw, column or OfRecord(logical or raw))


class InsertFieldKey(OfKey, InsertField):
    """`InsertField$Key`."""


class InsertFieldValue(OfValue, InsertField):
    """`InsertField$Value`."""
