"""Whether a record may go into a file that began with another schema: `schema.compatibility`.

NONE wants equal schemas. BACKWARD, FORWARD and FULL want a version in both schemas and shapes that one can be turned
into the other; the record is then written with the file's schema. Where they do not fit, another file begins.
Reference: `StorageSchemaCompatibility` of kafka-connect-storage-common. Like there, a name that is none of the four
(`FULL_TRANSITIVE` is one of the registry, not of this setting) means NONE.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from moldau.connect.data import Schema, Struct, Type
from moldau.connect.errors import SchemaProjectorError
from moldau.connect.records import SinkRecord

_WIDTH = {
    Type.INT8: 0,
    Type.INT16: 1,
    Type.INT32: 2,
    Type.INT64: 3,
    Type.FLOAT32: 4,
    Type.FLOAT64: 5,
}
# What says something about a record, not about its shape.
_REMARKS = frozenset({"connect.record.doc", "connect.record.aliases", "connect.record.namespace"})
_REMARKS_PREFIX = "io.confluent.connect.avro.field.doc."
_ENUMERATIONS = frozenset({
    "org.apache.kafka.connect.data.Enum",
    "io.confluent.connect.avro.Enum",
    "io.confluent.connect.protobuf.Enum",
})  # fmt: skip

Projection = Callable[[Any], Any]


class Compatibility(enum.Enum):
    """The four rules."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"

    @classmethod
    def named(cls, name: str) -> Compatibility:
        """Return the rule of that name, NONE for a name that there is not."""
        return cls.__members__.get(name, cls.NONE)

    def must_change(self, schema: Schema | None, current: Schema | None) -> bool:
        """Whether a record with `schema` needs a file of its own, beside one with `current`.

        Raises `SchemaProjectorError` when one of the two has no schema, or no version where the rule needs one.
        """
        if schema is current:
            return False
        if schema is None or current is None:
            raise SchemaProjectorError("records with a schema and records without one cannot be in one file")
        if self is Compatibility.NONE:
            return schema != current
        if schema.version is None or current.version is None:
            raise SchemaProjectorError(
                f"schema.compatibility={self.value} compares versions, and a schema has none\n"
                "hint: records of a schema registry have versions; SetSchemaMetadata sets one; NONE needs none"
            )
        if not fits(schema, current):
            return True
        newer = schema.version > current.version
        return schema.version < current.version if self is Compatibility.FORWARD else newer


class Projector:
    """Writes records with the schema of their file; keeps what it found out about the last pair of schemas."""

    __slots__ = ("_convert", "_source", "_target")

    def __init__(self) -> None:
        self._source: Schema | None = None
        self._target: Schema | None = None
        self._convert: Projection | None = None

    def project(self, record: SinkRecord, target: Schema | None) -> SinkRecord:
        """Return the record as one of `target`; the record itself when its schema is equal."""
        source = record.value_schema
        if source is target or source is None or target is None:
            return record
        if source is not self._source or target is not self._target:
            self._source, self._target = source, target
            self._convert = None if source == target else projection(source, target)
        return record if self._convert is None else record.with_value(target, self._convert(record.value))


def fits(source: Schema, target: Schema) -> bool:
    """Whether every value of `source` can be written as one of `target`; versions are not looked at."""
    if source.type is not target.type and not _widens(source.type, target.type):
        return False
    if source.name != target.name or not _parameters_fit(source, target):
        return False
    if source.optional and not target.optional and target.default_value is None:
        return False
    if source.type is Type.STRUCT:
        known = source.by_name
        return all(
            fits(known[field.name].schema, field.schema) if field.name in known else _may_be_missing(field.schema)
            for field in target.fields
        )
    pairs = [(source.key_schema, target.key_schema), (source.value_schema, target.value_schema)]
    return all(fits(one, other) for one, other in pairs if one is not None and other is not None)


def projection(source: Schema, target: Schema) -> Projection:
    """Compile the way from values of `source` to values of `target`, which `fits`.

    Raises `SchemaProjectorError` for schemas that do not.
    """
    if not fits(source, target):
        raise SchemaProjectorError(f"values of {source} cannot be written as {target}")
    convert = _inner_projection(source, target)
    default = target.default_value if source.optional and not target.optional else None
    return lambda value: default if value is None else convert(value)


def _inner_projection(source: Schema, target: Schema) -> Projection:
    if source == target:
        return lambda value: value
    if target.type is Type.STRUCT:
        return _struct_projection(source, target)
    if target.type is Type.ARRAY:
        assert source.value_schema is not None
        assert target.value_schema is not None
        element = projection(source.value_schema, target.value_schema)
        return lambda value: [element(entry) for entry in value]
    if target.type is Type.MAP:
        assert source.key_schema is not None
        assert target.key_schema is not None
        assert source.value_schema is not None
        assert target.value_schema is not None
        key = projection(source.key_schema, target.key_schema)
        item = projection(source.value_schema, target.value_schema)
        return lambda value: {key(name): item(entry) for name, entry in value.items()}
    if target.type in {Type.FLOAT32, Type.FLOAT64} and source.name is None:
        return float
    return lambda value: value


def _struct_projection(source: Schema, target: Schema) -> Projection:
    steps: list[tuple[int | None, Projection, Any]] = []
    for field in target.fields:
        known = source.by_name.get(field.name)
        if known is None:
            steps.append((None, _unchanged, None if field.schema.optional else field.schema.default_value))
        else:
            steps.append((known.index, projection(known.schema, field.schema), known.schema.default_value))

    def convert(value: Struct) -> Struct:
        values: list[Any] = []
        for index, step, default in steps:
            found = None if index is None else value.values[index]
            values.append(default if index is None else step(default if found is None else found))
        return Struct.of(target, values)

    return convert


def _unchanged(value: Any) -> Any:
    return value


def _widens(source: Type, target: Type) -> bool:
    return source in _WIDTH and target in _WIDTH and _WIDTH[source] <= _WIDTH[target]


def _may_be_missing(schema: Schema) -> bool:
    return schema.optional or schema.default_value is not None


def _parameters_fit(source: Schema, target: Schema) -> bool:
    if source.parameters is None and target.parameters is None:
        return True
    ours, theirs = _telling(source), _telling(target)
    if not _ENUMERATIONS.isdisjoint(ours) and not _ENUMERATIONS.isdisjoint(theirs):
        return ours.items() <= theirs.items()
    return ours == theirs


def _telling(schema: Schema) -> dict[str, str]:
    return {
        name: value
        for name, value in (schema.parameters or {}).items()
        if name not in _REMARKS and not name.startswith(_REMARKS_PREFIX)
    }
