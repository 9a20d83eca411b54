"""What our rules call compatible is really readable: written with one schema, read with the other, by fastavro.

Schemas and their changes are made by Hypothesis; some changes keep the promise and some break it, and only the verdict
is ours. fastavro, which reads, knows nothing of our rules.
"""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from moldau.registry.languages import LANGUAGES, Policy

AVRO = LANGUAGES["AVRO"]
PRIMITIVES = ("boolean", "int", "long", "float", "double", "bytes", "string")
DEFAULTS: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 2,
    "float": 0.5,
    "double": 0.25,
    "bytes": "x",
    "string": "y",
}


@st.composite
def types(draw: st.DrawFn, depth: int = 2, counter: list[int] | None = None) -> Any:
    """A type; named types get numbers, so that a name is one type."""
    counter = counter if counter is not None else [0]
    kinds = [*PRIMITIVES, *(["array", "map", "union", "enum", "record"] if depth else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "array":
        return {"type": "array", "items": draw(types(depth - 1, counter))}
    if kind == "map":
        return {"type": "map", "values": draw(types(depth - 1, counter))}
    if kind == "union":
        others = draw(st.lists(st.sampled_from(PRIMITIVES), min_size=1, max_size=3, unique=True))
        return ["null", *others]
    counter[0] += 1
    name = f"{kind.capitalize()}{counter[0]}"
    if kind == "enum":
        size = draw(st.integers(1, 4))
        symbols = draw(st.permutations("ABCD"))[:size]
        default = {"default": symbols[0]} if draw(st.booleans()) else {}
        return {"type": "enum", "name": name, "symbols": list(symbols), **default}
    if kind == "record":
        return draw(records(name, depth - 1, counter))
    return kind


@st.composite
def records(draw: st.DrawFn, name: str, depth: int, counter: list[int]) -> Any:
    fields = []
    for field in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)):
        kind = draw(types(depth, counter))
        default = {}
        if isinstance(kind, list):
            default = {"default": None} if draw(st.booleans()) else {}
        elif isinstance(kind, str) and draw(st.booleans()):
            default = {"default": DEFAULTS[kind]}
        fields.append({"name": field, "type": kind, **default})
    return {"type": "record", "name": name, "fields": fields}


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """The schema with some changes, allowed ones and others."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(PRIMITIVES))
    if isinstance(schema, str):
        return draw(st.sampled_from([schema, schema, "long", "double", "string", "bytes", ["null", schema]]))
    if isinstance(schema, list):
        extra = [kind for kind in PRIMITIVES if kind not in schema]
        return draw(st.sampled_from([schema, schema[1:], [*schema, *extra[:1]], schema[1]]))
    match schema["type"]:
        case "array":
            return {**schema, "items": draw(changed(schema["items"]))}
        case "map":
            return {**schema, "values": draw(changed(schema["values"]))}
        case "enum":
            symbols = draw(st.sampled_from([schema["symbols"], schema["symbols"][:1], [*schema["symbols"], "E"]]))
            without = {key: value for key, value in schema.items() if key != "default"}
            return {**without, "symbols": symbols, **({"default": symbols[0]} if draw(st.booleans()) else {})}
    fields = [{**field, "type": draw(changed(field["type"]))} for field in schema["fields"]]
    for field in fields:
        field.pop("default", None)
        if draw(st.integers(0, 4)) == 0:
            field["name"], field["aliases"] = f"{field['name']}_new", [field["name"]]
    if draw(st.booleans()):
        fields.append({"name": "added", "type": "int", **({"default": 7} if draw(st.booleans()) else {})})
    if len(fields) > 1 and draw(st.booleans()):
        fields.pop(draw(st.integers(0, len(fields) - 1)))
    return {**schema, "fields": fields}


@st.composite
def values(draw: st.DrawFn, schema: Any) -> Any:
    if isinstance(schema, list):
        return draw(st.sampled_from(schema).flatmap(values))
    match schema if isinstance(schema, str) else schema["type"]:
        case "null":
            return None
        case "boolean":
            return draw(st.booleans())
        case "int" | "long":
            return draw(st.integers(-(2**31), 2**31 - 1))
        case "float" | "double":
            return float(draw(st.integers(-1000, 1000)))
        case "bytes":
            # What is written as bytes and read as a string has to be text.
            return draw(st.text("xyz", max_size=5)).encode()
        case "string":
            return draw(st.text("xyz", max_size=5))
        case "array":
            return draw(st.lists(values(schema["items"]), max_size=3))
        case "map":
            return draw(st.dictionaries(st.sampled_from("kl"), values(schema["values"]), max_size=2))
        case "enum":
            return draw(st.sampled_from(schema["symbols"]))
    return {field["name"]: draw(values(field["type"])) for field in schema["fields"]}


@st.composite
def evolutions(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    writer = draw(records("R", 2, [0]))
    return writer, draw(changed(writer)), draw(values(writer))


def verdict(reader: Any, writer: Any) -> list[str]:
    parsed = [AVRO.parse(json.dumps(schema), [], strict=True) for schema in (reader, writer)]
    return [reason.rule for reason in AVRO.check(*parsed, Policy.STRICT)]


def read(reader: Any, writer: Any, value: Any) -> Any:
    stream = io.BytesIO()
    parsed = [fastavro.parse_schema(json.loads(json.dumps(schema))) for schema in (writer, reader)]
    fastavro.schemaless_writer(stream, parsed[0], value)
    stream.seek(0)
    return fastavro.schemaless_reader(stream, *parsed)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(evolutions())
def test_what_backward_allows_is_readable(evolution):
    writer, reader, value = evolution
    assume(not verdict(reader, writer))
    read(reader, writer, value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evolutions())
def test_a_schema_reads_itself_and_survives_being_written(evolution):
    schema, _, value = evolution
    assert verdict(schema, schema) == []
    parsed = AVRO.parse(json.dumps(schema), [], strict=True)
    written = parsed.canonical()
    assert AVRO.parse(written, [], strict=True).canonical() == written
    assert verdict(schema, json.loads(written)) == []
    assert read(json.loads(written), schema, value) == read(schema, schema, value)
