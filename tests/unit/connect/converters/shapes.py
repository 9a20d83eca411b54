"""Schemas of every shape, each with a value of it, for properties of converters."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

from hypothesis import strategies as st

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp, Type
from moldau.connect.data.schema import INTEGER_RANGES

Pair = tuple[Schema, Any]


def _times() -> st.SearchStrategy[dt.datetime]:
    return st.datetimes(timezones=st.just(dt.UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))


SIMPLE: list[tuple[Schema, st.SearchStrategy[Any]]] = [
    *((Schema(kind), st.integers(*limits)) for kind, limits in INTEGER_RANGES.items()),
    (Schema.FLOAT32_SCHEMA, st.floats(width=32, allow_nan=False)),
    (Schema.FLOAT64_SCHEMA, st.floats(allow_nan=False)),
    (Schema.BOOLEAN_SCHEMA, st.booleans()),
    (Schema.STRING_SCHEMA, st.text()),
    (Schema.BYTES_SCHEMA, st.binary()),
    (Date.SCHEMA, st.dates()),
    (Time.SCHEMA, st.times().map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))),
    (Timestamp.SCHEMA, _times()),
    (Decimal.schema(3), st.integers(-(10**30), 10**30).map(lambda number: decimal.Decimal(number).scaleb(-3))),
]


@st.composite
def _named(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    """The same with a name, documentation, parameters, a default, or as what may be null."""
    schema, value = draw(inner)
    plain = schema.type.is_primitive and schema.name is None
    annotated = Schema(
        schema.type,
        optional=draw(st.booleans()),
        name=draw(st.sampled_from([None, "some.Name"])) if plain else schema.name,
        version=draw(st.sampled_from([None, 3])) if plain else schema.version,
        doc=draw(st.sampled_from([None, "words"])) if plain else schema.doc,
        parameters=draw(st.sampled_from([None, {"p": "q"}])) if plain else schema.parameters,
        default_value=draw(st.sampled_from([None, value])) if plain else None,
        fields=schema.fields,
        key_schema=schema.key_schema,
        value_schema=schema.value_schema,
    )
    if isinstance(value, Struct):
        value = Struct.of(annotated, value.values)
    null = annotated.optional and annotated.default_value is None and draw(st.booleans())
    return annotated, None if null else value


@st.composite
def _array(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    schema, value = draw(inner)
    return SchemaBuilder.array(schema).build(), [value] * draw(st.integers(0, 3))


KEYS = [pair for pair in SIMPLE if pair[0].type in {Type.STRING, Type.INT32, Type.BOOLEAN} and pair[0].name is None]


@st.composite
def _map(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    schema, value = draw(inner)
    key_schema, keys = draw(st.sampled_from(KEYS))
    return SchemaBuilder.map(key_schema, schema).build(), dict.fromkeys(draw(st.lists(keys, max_size=3)), value)


@st.composite
def _struct(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    pairs = draw(st.lists(inner, min_size=1, max_size=3))
    builder = SchemaBuilder.struct()
    for index, (schema, _) in enumerate(pairs):
        builder.field(f"f{index}", schema)
    schema = builder.build()
    return schema, Struct.of(schema, [value for _, value in pairs])


def _simple() -> st.SearchStrategy[Pair]:
    return st.sampled_from(SIMPLE).flatmap(lambda pair: pair[1].map(lambda value: (pair[0], value)))


def schemas_and_values() -> st.SearchStrategy[Pair]:
    """A schema and a value of it."""
    return st.recursive(
        _named(_simple()), lambda inner: _named(_array(inner) | _map(inner) | _struct(inner)), max_leaves=6
    )
