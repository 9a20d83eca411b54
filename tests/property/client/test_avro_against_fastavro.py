"""Random schemas and values of them: the compiled codec and fastavro write the same bytes and read the same values."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import uuid
from decimal import Context, Decimal
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moldau._core import AvroDecoder, AvroEncoder, AvroError

Case = tuple[Any, st.SearchStrategy[Any]]
"""A schema, and a strategy for its values."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SOONER, LATER = dt.datetime(1901, 1, 1), dt.datetime(2200, 1, 1)  # noqa: DTZ001


def of_millis(value: Any) -> Any:
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(
        lambda n: Decimal(n).scaleb(-scale, Context(prec=100))
    )


moments = st.datetimes(SOONER, LATER, timezones=st.just(dt.UTC))
PRIMITIVES: list[Case] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
    ("bytes", st.binary(max_size=20)),
    ("string", st.text(max_size=20)),
    ({"type": "int", "logicalType": "date"}, st.dates()),
    ({"type": "int", "logicalType": "time-millis"}, st.times().map(of_millis)),
    ({"type": "long", "logicalType": "time-micros"}, st.times()),
    ({"type": "long", "logicalType": "timestamp-millis"}, moments.map(of_millis)),
    ({"type": "long", "logicalType": "timestamp-micros"}, moments),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, st.datetimes(SOONER, LATER).map(of_millis)),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, st.datetimes(SOONER, LATER)),
    ({"type": "long", "logicalType": "timestamp-nanos"}, st.integers(-(2**63), 2**63 - 1)),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    ({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}, decimals(12, 3)),
    ({"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 20}, decimals(60, 20)),
]


@st.composite
def cases(draw: Any, depth: int = 0, names: list[str] | None = None, *, union: bool = True) -> Case:
    """A schema and its values; names are counted, so that none is used twice."""
    names = [] if names is None else names
    kinds = ["primitive"] * 4 + ["fixed", "enum", "decimal"]
    if depth < 3:
        kinds += ["array", "map", "record"] + (["union"] if union else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "primitive":
        return draw(st.sampled_from(PRIMITIVES))
    if kind in ("array", "map"):
        schema, values = draw(cases(depth + 1, names))
        if kind == "array":
            return {"type": "array", "items": schema}, st.lists(values, max_size=4)
        return {"type": "map", "values": schema}, st.dictionaries(st.text(max_size=5), values, max_size=4)
    if kind == "union":
        return draw(unions(depth, names))
    names.append(f"N{len(names)}")
    name = {"name": names[-1], "namespace": draw(st.sampled_from(["", "a.b"]))}
    if kind == "fixed":
        size = draw(st.integers(0, 12))
        return {"type": "fixed", "size": size, **name}, st.binary(min_size=size, max_size=size)
    if kind == "decimal":
        logical = {"logicalType": "decimal", "precision": 18, "scale": 4}
        return {"type": "fixed", "size": 9, **name, **logical}, decimals(18, 4)
    if kind == "enum":
        symbols = draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, unique=True))
        return {"type": "enum", "symbols": symbols, **name}, st.sampled_from(symbols)
    fields = [draw(cases(depth + 1, names)) for _ in range(draw(st.integers(0, 4)))]
    declared = [{"name": f"f{i}", "type": schema} for i, (schema, _) in enumerate(fields)]
    values = st.fixed_dictionaries({f"f{i}": value for i, (_, value) in enumerate(fields)})
    return {"type": "record", "fields": declared, **name}, values


@st.composite
def unions(draw: Any, depth: int, names: list[str]) -> Case:
    """A union of types that no value leaves open, with some values as a tuple that says the branch."""
    branches: list[Case] = []
    for schema, values in draw(st.lists(cases(depth + 1, names, union=False), min_size=1, max_size=4)):
        if all(branch_name(schema) != branch_name(other) for other, _ in branches):
            branches.append((schema, values))
    hinted = [st.tuples(st.just(branch_name(schema)), values) for schema, values in branches]
    plain = [values for _, values in branches]
    return [schema for schema, _ in branches], st.one_of(*plain, *hinted)


def branch_name(schema: Any) -> str:
    if isinstance(schema, str):
        return schema
    if "name" in schema:
        return f"{schema['namespace']}.{schema['name']}" if schema["namespace"] else schema["name"]
    return schema["type"]


def theirs(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, schema, value)
    return out.getvalue()


def alike(one: Any, other: Any) -> bool:
    """Equal, of the same type, and with NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dt.datetime):
        return one == other and one.tzinfo is other.tzinfo
    return str(one) == str(other) if isinstance(one, Decimal) else one == other


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_both_write_the_same_bytes_and_read_the_same_value(data):
    schema, values = data.draw(cases())
    value = data.draw(values)
    text = json.dumps(schema)
    parsed = parse_schema(json.loads(text))
    written = AvroEncoder(text).encode(value)
    try:
        expected = theirs(parsed, value)
    except (TypeError, AttributeError, ValueError):
        # Looking for the branch of a union, fastavro fails at the first one whose logical type it cannot prepare (a
        # decimal of fewer digits, a text that is no date), where we go on to the next. What we wrote must be readable.
        AvroDecoder(text).decode(written)
        return
    assert written == expected
    assert alike(AvroDecoder(text).decode(written), schemaless_reader(io.BytesIO(written), parsed))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_both_read_the_same_value_through_a_schema_with_fields_moved_dropped_and_added(data):
    names: list[str] = []
    kept = [data.draw(cases(1, names, union=False)) for _ in range(data.draw(st.integers(1, 4)))]
    dropped = data.draw(st.integers(0, len(kept) - 1))
    fields = [{"name": f"f{i}", "type": schema} for i, (schema, _) in enumerate(kept)]
    writer = {"type": "record", "name": "R", "fields": fields}
    moved = data.draw(st.permutations([each for i, each in enumerate(fields) if i != dropped]))
    promoted = [{**each, "type": widened(each["type"])} for each in moved]
    renamed = [{**each, "name": each["name"] + "x", "aliases": [each["name"]]} for each in promoted]
    added = {"name": "added", "type": ["null", "string"], "default": None}
    reader = {"type": "record", "name": "R", "fields": [*renamed, added]}
    value = data.draw(st.fixed_dictionaries({f"f{i}": values for i, (_, values) in enumerate(kept)}))
    written = theirs(parse_schema(json.loads(json.dumps(writer))), value)
    read = AvroDecoder(json.dumps(writer), reader=json.dumps(reader)).decode(written)
    expected = schemaless_reader(io.BytesIO(written), json.loads(json.dumps(writer)), json.loads(json.dumps(reader)))
    assert alike(read, expected)


def widened(schema: Any) -> Any:
    wider = {"int": "long", "long": "double", "float": "double", "string": "bytes"}
    return wider.get(schema, schema) if isinstance(schema, str) else schema


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.binary(max_size=60))
def test_bytes_of_anybody_are_a_value_or_an_avro_error(data, noise):
    schema, _ = data.draw(cases())
    decoder = AvroDecoder(json.dumps(schema))
    try:
        decoder.decode(noise)
    except AvroError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(noise)


@pytest.mark.parametrize("value", [Decimal("NaN"), uuid.uuid4(), object(), 2**80, "\ud800", float("1e300"), [..., 1]])
def test_a_value_that_fits_nothing_is_an_avro_error(value):
    for schema, _ in PRIMITIVES:
        try:
            AvroEncoder(json.dumps(schema)).encode(value)
        except AvroError as error:
            assert error.offset is None
