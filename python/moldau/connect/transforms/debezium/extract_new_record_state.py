"""ExtractNewRecordState: the row as it is after a change, out of its envelope; what is no envelope passes as it is.

What becomes of deletes, and of the tombstones that follow them, `delete.tombstone.handling.mode` says. The two
settings it has replaced, `drop.tombstones` and `delete.handling.mode`, work as in Debezium 2, where they are given
and the new one is not. A truncate is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from moldau.connect.config_def import ConfigDef, Importance
from moldau.connect.config_def import Type as Kind
from moldau.connect.config_validators import NonNull
from moldau.connect.data import Schema, SchemaBuilder, Struct, Type
from moldau.connect.errors import DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import Plans, copy_basics, values_of
from moldau.connect.transforms.debezium.added import Found, find, references
from moldau.connect.transforms.debezium.base import (
    DebeziumTransformation,
    OneOf,
    is_envelope,
    part,
    row_of,
    typed,
    word,
)

MODE: Final = "delete.tombstone.handling.mode"
OLD_DELETES: Final = "delete.handling.mode"
OLD_TOMBSTONES: Final = "drop.tombstones"
DELETED: Final = "__deleted"
DROPS_MAX: Final = 1000


class Deletes(NamedTuple):
    """What a delete becomes (`drop`, `null` of the row's schema, `rewrite`, `tombstone`), and if tombstones stay."""

    become: str
    keep_tombstones: bool


MODES: Final = {
    "drop": Deletes("drop", False),
    "tombstone": Deletes("null", False),
    "rewrite": Deletes("rewrite", False),
    "rewrite-with-tombstone": Deletes("rewrite", True),
    "delete-to-tombstone": Deletes("tombstone", False),
}
OLD_MODES: Final = {"drop": "drop", "none": "null", "rewrite": "rewrite"}


class Side(NamedTuple):
    """How the row of one side (`before`, `after`) leaves envelopes of a schema."""

    schema: Schema
    added: tuple[Found, ...]


def _settings() -> ConfigDef:
    definition = ConfigDef()

    def define(name: str, kind: Kind, default: Any, doc: str, validator: Any = None) -> None:
        importance = Importance.MEDIUM if name == MODE else Importance.LOW
        definition.define(name, kind, default, validator, importance, doc)

    define(
        MODE,
        Kind.STRING,
        "tombstone",
        "What becomes of deletes and of the tombstones behind them: drop leaves both out; tombstone makes one record "
        "of them, with the row's schema and no value; rewrite keeps the row of a delete and says in every row whether "
        "it is deleted, in the field __deleted; rewrite-with-tombstone keeps the tombstone as well; "
        "delete-to-tombstone makes a tombstone without a schema of the delete.",
        OneOf(*MODES),
    )
    define("route.by.field", Kind.STRING, "", "The field of the row that says the topic; none leaves it as it is.")
    for what, place in (("fields", "the row"), ("headers", "the headers")):
        define(f"add.{what}.prefix", Kind.STRING, "__", f"What names in add.{what} begin with outside.", NonNull())
        define(
            f"add.{what}",
            Kind.LIST,
            "",
            f"Parts of the envelope to put into {place}: op, ts_ms, a field of the source (table) or of a struct that "
            "is named (transaction.id), each with another name if wanted (source.db:origin).",
        )
    define("drop.fields.header.name", Kind.STRING, None, "The header that lists fields to leave out of the row.")
    define("drop.fields.from.key", Kind.BOOLEAN, False, "Whether to leave them out of the key as well.")
    define(
        "drop.fields.keep.schema.compatible",
        Kind.BOOLEAN,
        True,
        "Whether only optional fields are left out, so that readers of older schemas can go on.",
    )
    define(
        "replace.null.with.default",
        Kind.BOOLEAN,
        True,
        "Whether a field that is null and has a default gets the default, where rows are rewritten.",
    )
    define(OLD_TOMBSTONES, Kind.BOOLEAN, None, f"Of Debezium 2, in favour of {MODE}: whether tombstones are left out.")
    define(
        OLD_DELETES,
        Kind.STRING,
        None,
        f"Of Debezium 2, in favour of {MODE}: what becomes of deletes.",
        OneOf(*OLD_MODES),
    )
    return definition


def _deletes(settings: Mapping[str, Any], given: Mapping[str, Any]) -> Deletes:
    old = settings[OLD_DELETES], settings[OLD_TOMBSTONES]
    if MODE in given or old == (None, None):
        return MODES[word(settings[MODE])]
    return Deletes(OLD_MODES[word(old[0] or "drop")], keep_tombstones=old[1] is False)


class ExtractNewRecordState(DebeziumTransformation):
    """Takes rows out of their envelopes."""

    CONFIG = _settings()

    def configure(self, configs: Mapping[str, Any]) -> None:
        settings = self.CONFIG.parse(configs)
        self._become, self._keep_tombstones = _deletes(settings, configs)
        self._rewrites = self._become == "rewrite"
        self._route_by: str = settings["route.by.field"]
        self._fields = references("add.fields", settings["add.fields.prefix"], settings["add.fields"])
        self._headers = references("add.headers", settings["add.headers.prefix"], settings["add.headers"])
        self._drop_header = (settings["drop.fields.header.name"] or "").strip()
        self._drops_from_key: bool = settings["drop.fields.from.key"]
        self._only_optional: bool = settings["drop.fields.keep.schema.compatible"]
        self._replace_null: bool = settings["replace.null.with.default"]
        self._after = Plans(lambda envelope: self._side(envelope, "after"))
        self._before = Plans(lambda envelope: self._side(envelope, "before"))
        self._for_headers = Plans(
            lambda envelope: tuple(filter(None, (find(each, envelope) for each in self._headers)))
        )
        self._dropped: dict[tuple[Schema, tuple[str, ...]], tuple[Schema, list[int]] | None] = {}

    def apply(self, record: ConnectRecord) -> ConnectRecord | None:
        if record.value is None:
            return self._tombstone(record) if self._keep_tombstones else None
        schema = record.value_schema
        if schema is None or not is_envelope(schema):
            return record
        envelope = row_of(record.value, "Detect Debezium Operation")
        after = envelope.values[part(schema, "after", "field").index]
        before_field = schema.by_name.get("before")
        before = None if before_field is None else envelope.values[before_field.index]
        if after is None and (before is None or self._become == "drop"):
            return None
        if self._headers:
            record = self._with_headers(record, schema, envelope)
        if after is None:
            return self._deleted(record, schema, envelope, row_of(before, "the row that was deleted"))
        return self._changed(record, schema, envelope, row_of(after, "the row that was changed"))

    def _tombstone(self, record: ConnectRecord) -> ConnectRecord:
        names = [each.new_name for each in self._headers if each.field == "op"]
        if not names:
            return record
        headers = record.headers.duplicate()
        for name in names:
            headers.add_string(name, "d")
        return record.with_headers(headers)

    def _with_headers(self, record: ConnectRecord, schema: Schema, envelope: Struct) -> ConnectRecord:
        headers = record.headers.duplicate()
        for each in self._for_headers.of(schema):
            headers.add(each.name, each.of(envelope), each.schema)
        return record.with_headers(headers)

    def _changed(self, record: ConnectRecord, schema: Schema, envelope: Struct, row: Struct) -> ConnectRecord:
        side = self._after.of(schema)
        value = self._row(side, envelope, row, deleted="false")
        record = self._routed(record.with_value(side.schema, value), row)
        return self._without_dropped(record) if self._drop_header else record

    def _deleted(self, record: ConnectRecord, schema: Schema, envelope: Struct, row: Struct) -> ConnectRecord:
        if self._become == "rewrite":
            return self._rewritten(record, schema, envelope, row)
        value_schema = part(schema, "after", "field").schema if self._become == "null" else None
        return self._routed(record.with_value(value_schema, None), row)

    def _rewritten(self, record: ConnectRecord, schema: Schema, envelope: Struct, row: Struct) -> ConnectRecord:
        """The row of a delete: fields are left out first, and added then."""
        side = self._before.of(schema)
        if not self._drop_header:
            return self._routed(record.with_value(side.schema, self._row(side, envelope, row, deleted="true")), row)
        bare = Side(self._schema(row.schema, ()), ())
        record = record.with_value(bare.schema, self._row(bare, envelope, row, deleted="true"))
        record = self._without_dropped(self._routed(record, row))
        added_schema = self._added(record.value.schema, side.added)
        return record.with_value(
            added_schema, self._with_added(added_schema, record.value.values, side.added, envelope)
        )

    def _side(self, envelope: Schema, name: str) -> Side:
        row = part(envelope, name, "field").schema
        added = tuple(filter(None, (find(each, envelope) for each in self._fields)))
        return Side(self._schema(row, added), added)

    def _schema(self, row: Schema, added: Sequence[Found]) -> Schema:
        builder = copy_basics(row, SchemaBuilder.struct())
        for field in row.fields:
            builder.field(field.name, field.schema)
        if self._rewrites:
            builder.field(DELETED, Schema.OPTIONAL_STRING_SCHEMA)
        return self._added(builder.build(), added)

    @staticmethod
    def _added(schema: Schema, added: Sequence[Found]) -> Schema:
        if not added:
            return schema
        builder = copy_basics(schema, SchemaBuilder.struct())
        for field in schema.fields:
            builder.field(field.name, field.schema)
        for each in added:
            builder.field(each.name, each.schema)
        return builder.build()

    def _row(self, side: Side, envelope: Struct, row: Struct, *, deleted: str) -> Struct:
        values = values_of(row, replace_null=self._rewrites and self._replace_null)
        if self._rewrites:
            values.append(deleted)
        return self._with_added(side.schema, values, side.added, envelope)

    @staticmethod
    def _with_added(schema: Schema, values: list[Any], added: Sequence[Found], envelope: Struct) -> Struct:
        return Struct.of(schema, [*values, *(each.of(envelope) for each in added)])

    def _routed(self, record: ConnectRecord, row: Struct) -> ConnectRecord:
        if not self._route_by:
            return record
        topic = typed(row, self._route_by, Type.STRING, "field to route by")
        return record.with_topic(topic) if topic and topic.strip() else record

    def _without_dropped(self, record: ConnectRecord) -> ConnectRecord:
        header = next((each for each in record.headers if each.key == self._drop_header), None)
        if header is None or not header.value:
            return record
        if not isinstance(header.value, list):
            raise DataError(
                f"the header {self._drop_header!r} has to be a list of names of fields, not {header.value!r:.80}"
            )
        names = tuple(map(str, header.value))
        if self._drops_from_key and isinstance(record.key, Struct):
            record = record.with_key(*self._less(record.key, names))
        if isinstance(record.value, Struct):
            record = record.with_value(*self._less(record.value, names))
        return record

    def _less(self, struct: Struct, names: tuple[str, ...]) -> tuple[Schema, Struct]:
        asked = (struct.schema, names)
        if asked not in self._dropped:
            if len(self._dropped) >= DROPS_MAX:
                self._dropped.clear()
            self._dropped[asked] = self._less_schema(*asked)
        found = self._dropped[asked]
        if found is None:
            return struct.schema, struct
        schema, kept = found
        values = values_of(struct, replace_null=True)
        return schema, Struct.of(schema, [values[at] for at in kept])

    def _less_schema(self, schema: Schema, names: tuple[str, ...]) -> tuple[Schema, list[int]] | None:
        """The schema without these fields, and the places of those that stay; None when all of them do."""
        gone = {name for name in names if not self._only_optional or _is_optional(schema, name)}
        if not gone:
            return None
        kept = [field for field in schema.fields if field.name not in gone]
        builder = copy_basics(schema, SchemaBuilder.struct())
        for field in kept:
            builder.field(field.name, field.schema)
        return builder.build(), [field.index for field in kept]


def _is_optional(schema: Schema, name: str) -> bool:
    field = schema.by_name.get(name)
    return field is not None and field.schema.optional
