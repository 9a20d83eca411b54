"""Chains that are worked out as columns give what their steps give one by one, whatever is null."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.errors import DataError
from moldau.connect.records import SinkRecord, SourceRecord
from moldau.connect.runtime.pipeline import Run, Step
from moldau.connect.transforms.cast import CastValue
from moldau.connect.transforms.fields import MaskFieldValue, ReplaceFieldValue, ValueToKey
from moldau.connect.transforms.flatten import FlattenValue
from moldau.connect.transforms.insert_field import InsertFieldValue
from moldau.connect.transforms.timestamps import TimestampConverterValue

AT = dt.datetime(2024, 5, 6, 7, 8, 9, 7999, dt.UTC)
FLATTEN = (FlattenValue, {"delimiter": "_"})
KEY = (ValueToKey, {"fields": "id,name"})
STEPS: tuple[tuple[Any, dict[str, str]], ...] = (
    FLATTEN,
    KEY,
    (ValueToKey, {"fields": "at"}),
    (MaskFieldValue, {"fields": "name,a_city,nothing", "replacement": "***"}),
    (MaskFieldValue, {"fields": "id,name,at,a_id", "replace.null.with.default": "false"}),
    (MaskFieldValue, {"fields": "flag", "replacement": "no number"}),
    (InsertFieldValue, {"static.field": "_from", "static.value": "shop", "topic.field": "_topic!"}),
    (InsertFieldValue, {"partition.field": "_partition", "timestamp.field": "_at!"}),
    (TimestampConverterValue, {"field": "at", "target.type": "unix"}),
    (TimestampConverterValue, {"field": "at", "target.type": "string", "format": "yyyy-MM-dd HH:mm:ss.SSS"}),
    (ReplaceFieldValue, {"exclude": "id,a", "renames": "name:id"}),
    (ReplaceFieldValue, {"include": "id,name,at,_from", "replace.null.with.default": "false"}),
    (ReplaceFieldValue, {"exclude": "_at,flag,at"}),
    (CastValue, {"spec": "id:string,a_id:int8"}),
    (CastValue, {"spec": "id:int32,flag:string"}),
)
# By type: a schema's builder, and values of it.
LEAVES: dict[str, tuple[Any, st.SearchStrategy[Any], Any]] = {
    "id": (SchemaBuilder.int64, st.integers(-5, 300), 7),
    "name": (SchemaBuilder.string, st.sampled_from(["", "Ada"]), "nobody"),
    "flag": (SchemaBuilder.boolean, st.booleans(), True),
    "at": (Timestamp.builder, st.just(AT), AT),
}


@st.composite
def structs(draw: Any, depth: int = 2) -> tuple[Schema, st.SearchStrategy[Any]]:
    """A schema of a struct, and values of it, among them some that are not: null where it is required."""
    builder, values = SchemaBuilder.struct(), []
    for name in draw(st.lists(st.sampled_from(["id", "name", "flag", "at"]), min_size=1, unique=True)):
        made, some, default = LEAVES[name]
        field = made()
        if draw(st.booleans()):
            field.optional()
        if draw(st.booleans()):
            field.default_value(default)
        builder.field(name, field.build())
        values.append(some | some | some | st.none())
    if depth and draw(st.booleans()):
        inner, of_it = draw(structs(depth=depth - 1))
        builder.field("a", inner)
        values.append(of_it)
    if draw(st.booleans()):
        builder.optional()
    schema = builder.build()
    whole = st.tuples(*values).map(lambda each: Struct.of(schema, list(each)))
    return schema, (whole | whole | whole | st.none() if schema.optional else whole)


def steps_of(chain: Any) -> list[Step]:
    made = []
    for kind, settings in chain:
        transformation = kind()
        transformation.configure(settings)
        made.append(Step(transformation))
    return made


def outcome(call: Any, record: Any) -> Any:
    try:
        return call(record)
    except DataError as error:
        return str(error)


@given(st.data())
def test_a_chain_gives_what_its_steps_give_one_by_one(data):
    schema, values = data.draw(structs())
    chain = data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))
    steps, run = steps_of(chain), Run(steps_of(chain))
    for _ in range(3):
        value = data.draw(values.filter(lambda each: each is not None))
        if data.draw(st.booleans()):
            record: Any = SourceRecord({}, {}, "orders", value_schema=schema, value=value, timestamp=5)
        else:
            record = SinkRecord("orders", 3, None, None, schema, value, 7)
        before = record.copy()

        def one_by_one(given: Any) -> Any:
            for step in steps:
                given = step(given)
            return given

        expected, made = outcome(one_by_one, record), outcome(run.at_once, record)
        # What no chain can be worked out for goes one by one, and so does what fails: only the steps say which one.
        assert made is None or made == expected or (isinstance(made, str) and isinstance(expected, str))
        assert record == before
        if made is not None and not isinstance(made, str):
            assert made.value.values is not value.values


def laid_out(schema: Schema, *chain: Any) -> Any:
    run = Run(steps_of(chain))
    run._turn_to(schema)
    return run._quick


INNER = SchemaBuilder.struct().optional().field("city", Schema.OPTIONAL_STRING_SCHEMA).build()
ROW = (
    SchemaBuilder.struct()
    .field("id", Schema.INT64_SCHEMA)
    .field("name", Schema.OPTIONAL_STRING_SCHEMA)
    .field("a", INNER)
    .build()
)


def row(*values: Any) -> SourceRecord:
    return SourceRecord({}, {}, "t", value_schema=ROW, value=Struct.of(ROW, list(values)))


def test_null_that_is_no_more_than_null_goes_the_quick_way():
    chain = (FLATTEN, KEY, (MaskFieldValue, {"fields": "name,a_city", "replacement": "***"}))
    quick = laid_out(ROW, *chain)
    made = quick(row(1, None, Struct.of(INNER, [None])))
    assert (made.key.values, made.value.values) == ([1, None], [1, None, None])
    made = quick(row(1, "Ada", Struct.of(INNER, ["Praha"])))
    assert (made.key.values, made.value.values) == ([1, "Ada"], [1, "***", "***"])


@pytest.mark.parametrize("values", [(None, "Ada", Struct.of(INNER, ["x"])), (1, "Ada", None)])
def test_null_that_may_be_an_error_or_a_default_goes_the_long_way(values):
    assert laid_out(ROW, FLATTEN, KEY)(row(*values)) is None


def test_what_may_fail_is_not_left_out_because_a_later_step_leaves_it_out():
    cast, without = (CastValue, {"spec": "name:int8"}), (ReplaceFieldValue, {"exclude": "name"})
    assert laid_out(ROW, cast, without) is None
    assert laid_out(ROW, (MaskFieldValue, {"fields": "name", "replacement": "x"}), without) is None
    assert laid_out(ROW, without) is not None


def test_null_in_a_struct_that_is_taken_apart_counts_though_the_field_is_not_kept():
    inner = SchemaBuilder.struct().optional().field("id", Schema.INT64_SCHEMA).build()
    schema = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).field("a", inner).build()
    quick = laid_out(schema, FLATTEN, (ReplaceFieldValue, {"exclude": "a_id"}))
    for values, goes in (
        ([1, Struct.of(inner, [2])], True),
        ([1, Struct.of(inner, [None])], False),
        ([1, None], False),
    ):
        made = quick(SourceRecord({}, {}, "t", value_schema=schema, value=Struct.of(schema, values)))
        assert (made is not None) is goes
