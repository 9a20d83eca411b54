"""Fields taken out, wrapped, chosen and masked: ExtractField, HoistField, ReplaceField, MaskField, ValueToKey."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from moldau.connect.config_def import ConfigDef, Importance, Type, invalid
from moldau.connect.config_validators import NonEmptyString, Rule, ValidList
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.data import Type as DataType
from moldau.connect.data.java_text import to_float32
from moldau.connect.data.logical import EPOCH, EPOCH_DAY, scale_of
from moldau.connect.errors import DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    REPLACE_NULL,
    Changed,
    KafkaTransformation,
    OfKey,
    OfStructs,
    OfValue,
    OneSide,
    Plans,
    Values,
    copy_basics,
    filled,
    require_map,
    require_struct,
    whole,
    with_replace_null,
)
from moldau.connect.transforms.field_paths import FIELD_SYNTAX_VERSION, FieldPath, with_field_syntax
from moldau.connect.transforms.layout import Constant, Converted, Layout


class ExtractField(OneSide):
    """Puts one field in the place of the whole; null stays null."""

    PURPOSE = "field extraction"
    PASSES_NULL = False
    CONFIG = with_field_syntax(
        with_replace_null(
            ConfigDef().define("field", Type.STRING, importance=Importance.MEDIUM, doc="The field to take.")
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._path = FieldPath(settings["field"], settings[FIELD_SYNTAX_VERSION])
        self._replace_null = settings[REPLACE_NULL]

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        struct = None if value is None else require_struct(value, self.PURPOSE)
        field = self._path.field_of(schema)
        if field is None:
            raise DataError(f"{schema} has no field {self._path.path!r}; it has: {', '.join(schema.by_name)}")
        found = None if struct is None else self._path.value_of(struct, replace_null=self._replace_null)
        return field.schema, found

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        return None if value is None else self._path.value_in(require_map(value, self.PURPOSE))


class ExtractFieldKey(OfKey, ExtractField):
    """`ExtractField$Key`."""


class ExtractFieldValue(OfValue, ExtractField):
    """`ExtractField$Value`."""


class HoistField(OneSide):
    """Puts the whole into a field of a new struct or map."""

    PURPOSE = "hoisting"
    PASSES_NULL = False
    CONFIG = ConfigDef().define("field", Type.STRING, importance=Importance.MEDIUM, doc="The name of the only field.")

    def take(self, settings: Mapping[str, Any]) -> None:
        self._field: str = settings["field"]
        self._plans = Plans(lambda schema: SchemaBuilder.struct().field(self._field, schema).build())

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        hoisted = self._plans.of(schema)
        return hoisted, Struct.of(hoisted, [filled(hoisted.fields[0], value, replace_null=False)])

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        return {self._field: value}


class HoistFieldKey(OfKey, HoistField):
    """`HoistField$Key`."""


class HoistFieldValue(OfValue, HoistField):
    """`HoistField$Value`."""


def _renames(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        parts = pair.split(":")
        if len(parts) != 2 or not parts[1]:
            raise invalid("renames", pairs, f"Invalid rename mapping: {pair}")
        found[parts[0]] = parts[1]
    return found


def _check_renames(_: str, pairs: Sequence[str]) -> None:
    _renames(pairs)


class ReplaceField(OfStructs):
    """Leaves fields out and gives others new names."""

    PURPOSE = "field replacement"
    CONFIG = with_replace_null(
        ConfigDef()
        .define("exclude", Type.LIST, [], ValidList(), doc="Fields to leave out; stronger than `include`.")
        .define("include", Type.LIST, [], ValidList(), doc="The only fields to keep, if any is named.")
        .define(
            "renames",
            Type.LIST,
            [],
            Rule(_check_renames, "list of colon-delimited pairs, e.g. foo:bar,abc:xyz"),
            doc="New names, as old:new.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._exclude = set(settings["exclude"])
        self._include = set(settings["include"])
        self._renames = _renames(settings["renames"])
        self._replace_null: bool = settings[REPLACE_NULL]

    def _keeps(self, name: str) -> bool:
        return name not in self._exclude and (not self._include or name in self._include)

    def changed(self, schema: Schema) -> Changed:
        kept = [field for field in schema.fields if self._keeps(field.name)]
        builder = copy_basics(schema, SchemaBuilder.struct())
        for field in kept:
            builder.field(self._renames.get(field.name, field.name), field.schema)
        made, indexes, replace_null = builder.build(), [field.index for field in kept], self._replace_null

        def chosen(values: Values, record: ConnectRecord) -> Values:
            return whole(made, [values[index] for index in indexes], replace_null=replace_null)

        def lay_out(layout: Layout) -> None:
            layout.become(made, [layout.columns[index] for index in indexes])

        return Changed(made, chosen, lay_out)

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        names = self._renames
        return {
            names.get(name, name): each for name, each in require_map(value, self.PURPOSE).items() if self._keeps(name)
        }


class ReplaceFieldKey(OfKey, ReplaceField):
    """`ReplaceField$Key`."""


class ReplaceFieldValue(OfValue, ReplaceField):
    """`ReplaceField$Value`."""


class MaskField(OfStructs):
    """Puts nothing (0, an empty text, the epoch), or a replacement, in the place of what must not be seen."""

    PURPOSE = "mask fields"
    PASSES_NULL = False
    CONFIG = with_replace_null(
        ConfigDef()
        .define(
            "fields",
            Type.LIST,
            validator=ValidList(empty_allowed=False),
            importance=Importance.HIGH,
            doc="What to mask.",
        )
        .define(
            "replacement",
            Type.STRING,
            None,
            NonEmptyString(),
            Importance.LOW,
            "What to put there instead, read as the type of the field; for numbers and text only.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._fields: list[str] = settings["fields"]
        self._replacement: str | None = settings["replacement"]
        self._replace_null: bool = settings[REPLACE_NULL]

    def changed(self, schema: Schema) -> Changed:
        fields = [(field.index, field.schema) for field in schema.fields if field.name in self._fields]
        masked, replacement, replace_null = self._masked, self._replacement, self._replace_null

        def hidden(values: Values, record: ConnectRecord) -> Values:
            values = whole(schema, values, replace_null=replace_null)
            for index, each in fields:
                value = values[index]
                if value.__class__ is str and replacement is not None:
                    values[index] = replacement
                elif value is not None:
                    values[index] = masked(value, each)
            return values

        def lay_out(layout: Layout) -> None:
            columns = layout.columns.copy()
            for index, each in fields:
                if replacement is not None and each.type is DataType.STRING and not each.optional:
                    columns[index] = Constant(replacement)
                elif replacement is not None and each.type is DataType.STRING:
                    columns[index] = Converted(columns[index], lambda _: replacement)
                else:
                    columns[index] = Converted(columns[index], partial(masked, schema=each))
            layout.become(schema, columns)

        return Changed(schema, hidden, lay_out)

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        masked = dict(require_map(value, self.PURPOSE))
        for name in self._fields:
            found = masked.get(name)
            masked[name] = None if found is None else self._masked(found, None)
        return masked

    def _masked(self, value: Any, schema: Schema | None) -> Any:
        if self._replacement is None:
            return _nothing_like(value)
        if isinstance(value, str):
            return self._replacement
        try:
            return _read_as(value, self._replacement, schema)
        except (ValueError, OverflowError, decimal.InvalidOperation):
            raise DataError(f"the replacement {self._replacement!r} is not a number, as the masked field is") from None


BITS: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}


def _read_as(value: Any, text: str, schema: Schema | None) -> Any:
    if isinstance(value, bool):
        raise DataError("a boolean cannot be masked with a replacement")
    if isinstance(value, int):
        # As Java narrows: the part before the point, of which the lowest bits are kept.
        bits = BITS[schema.type] if schema is not None else 64
        kept = int(decimal.Decimal(text)) & ((1 << bits) - 1)
        return kept - (1 << bits) if kept >> (bits - 1) else kept
    if isinstance(value, float):
        narrow = schema is not None and schema.type is DataType.FLOAT32
        return to_float32(float(text)) if narrow else float(text)
    if isinstance(value, decimal.Decimal):
        return decimal.Decimal(text)
    raise DataError(f"{type(value).__name__} cannot be masked with a replacement")


def _nothing_like(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        # Java puts a zero without digits there, which no Decimal schema but that of scale 0 can then write.
        return decimal.Decimal(0).scaleb(-scale_of(value))
    for kind, nothing in NOTHING:
        if isinstance(value, kind):
            return nothing() if isinstance(nothing, type) else nothing
    raise DataError(f"{type(value).__name__} cannot be masked")


NOTHING: Final[tuple[tuple[type, Any], ...]] = (
    (bool, False),
    (int, 0),
    (float, 0.0),
    (str, ""),
    (dt.datetime, EPOCH),
    (dt.date, EPOCH_DAY),
    (dt.time, dt.time()),
    (list, list),
    (dict, dict),
)


class MaskFieldKey(OfKey, MaskField):
    """`MaskField$Key`."""


class MaskFieldValue(OfValue, MaskField):
    """`MaskField$Value`."""


class ValueToKey(KafkaTransformation):
    """Makes a key of some fields of the value. A value that is null fails, as in Kafka."""

    PURPOSE = "copying fields from value to key"
    CONFIG = with_replace_null(
        ConfigDef().define(
            "fields",
            Type.LIST,
            validator=ValidList(empty_allowed=False),
            importance=Importance.HIGH,
            doc="The fields of the value that become the key.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._fields: list[str] = settings["fields"]
        self._replace_null: bool = settings[REPLACE_NULL]
        self._plans = Plans(self._plan)

    def _plan(self, schema: Schema) -> tuple[Schema, Callable[[Values], Values]]:
        builder, indexes = SchemaBuilder.struct(), []
        for name in self._fields:
            field = schema.by_name.get(name)
            if field is None:
                raise DataError(f"the value has no field {name!r}; it has: {', '.join(schema.by_name)}")
            builder.field(name, field.schema)
            indexes.append(field.index)
        made, replace_null = builder.build(), self._replace_null

        def key_of(values: Values) -> Values:
            return whole(made, [values[index] for index in indexes], replace_null=replace_null)

        return made, key_of

    def changed_values(self, schema: Schema) -> Changed:
        """As `apply`, for who makes several changes at once: the record is another's copy."""
        key_schema, key_of = self._plans.of(schema)

        def keyed(values: Values, record: ConnectRecord) -> Values:
            record.key_schema = key_schema
            record.key = Struct.of(key_schema, key_of(values))
            return values

        def lay_out(layout: Layout) -> None:
            layout.key = (key_schema, [layout.columns[schema.by_name[name].index] for name in self._fields])
            layout.become(schema, layout.columns)

        return Changed(schema, keyed, lay_out)

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        if record.value_schema is None:
            value = require_map(record.value, self.PURPOSE)
            return record.with_key(None, {name: value.get(name) for name in self._fields})
        struct = require_struct(record.value, self.PURPOSE)
        schema, key_of = self._plans.of(struct.schema)
        return record.with_key(schema, Struct.of(schema, key_of(struct.values)))
