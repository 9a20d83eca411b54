"""`JsonSchemaConverter`: schemas to the letter, values there and back, and what others wrote."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry import SchemaReference
from hypothesis import given
from tests.unit.connect.converters.registries import Registry, connected
from tests.unit.connect.converters.shapes import schemas_and_values

from moldau.connect.converters.json_schema import JsonSchemaConverter
from moldau.connect.converters.json_schema_names import ENUM, ONE_OF
from moldau.connect.data import NULL, Date, Decimal, Schema, SchemaAndValue, SchemaBuilder, Struct, Timestamp
from moldau.connect.data.schema_copies import changed
from moldau.connect.errors import ConfigError, DataError

POINT = SchemaBuilder.struct().name("geo.Point").field("x", Schema.INT32_SCHEMA).field("y", Schema.INT32_SCHEMA).build()

# A Connect schema, and the very text that Confluent's JsonSchemaData registers for it.
TEXTS = {
    "int8": (Schema.INT8_SCHEMA, '{"type":"integer","connect.type":"int8"}'),
    "int64": (Schema.INT64_SCHEMA, '{"type":"integer","connect.type":"int64"}'),
    "float32": (Schema.FLOAT32_SCHEMA, '{"type":"number","connect.type":"float32"}'),
    "boolean": (
        SchemaBuilder.boolean().name("b").default_value(True).build(),
        '{"title":"b","default":true,"type":"boolean"}',
    ),
    "bytes": (Schema.BYTES_SCHEMA, '{"type":"string","connect.type":"bytes"}'),
    "optional": (
        Schema.OPTIONAL_STRING_SCHEMA,
        '{"oneOf":[{"type":"null"},{"type":"string"}]}',
    ),
    "a number as a default": (
        SchemaBuilder.float64().default_value(2.0).build(),
        '{"type":"number","default":2,"connect.type":"float64"}',
    ),
    "documented": (
        SchemaBuilder.int32().doc("d").version(4).name("n.x").parameter("p", "q").build(),
        (
            '{"type":"integer","title":"n.x","description":"d","connect.version":4,"connect.type":"int32",'
            '"connect.parameters":{"p":"q"}}'
        ),
    ),
    "date": (
        Date.SCHEMA,
        '{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.version":1,"connect.type":"int32"}',
    ),
    "decimal": (
        Decimal.schema(2),
        (
            '{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes",'
            '"connect.parameters":{"scale":"2"}}'
        ),
    ),
    "array": (
        SchemaBuilder.array(Schema.OPTIONAL_BOOLEAN_SCHEMA).build(),
        '{"type":"array","items":{"oneOf":[{"type":"null"},{"type":"boolean"}]}}',
    ),
    "map": (
        SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.BOOLEAN_SCHEMA).build(),
        '{"type":"object","connect.type":"map","additionalProperties":{"type":"boolean"}}',
    ),
    "map of other keys": (
        SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.STRING_SCHEMA).build(),
        (
            '{"type":"array","connect.type":"map","items":{"type":"object","properties":{'
            '"value":{"type":"string","connect.index":1},'
            '"key":{"type":"integer","connect.index":0,"connect.type":"int32"}}}}'
        ),
    ),
    "struct": (
        POINT,
        (
            '{"type":"object","title":"geo.Point","properties":{'
            '"x":{"type":"integer","connect.index":0,"connect.type":"int32"},'
            '"y":{"type":"integer","connect.index":1,"connect.type":"int32"}}}'
        ),
    ),
    "optional struct in a struct": (
        SchemaBuilder.struct().field("p", changed(POINT, optional=True, fields=POINT.fields[:1])).build(),
        (
            '{"type":"object","properties":{"p":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"object",'
            '"title":"geo.Point","properties":{"x":{"type":"integer","connect.index":0,"connect.type":"int32"}}}]}}}'
        ),
    ),
    "enum": (
        SchemaBuilder.string().parameter(ENUM, "").parameter(f"{ENUM}.red", "red").build(),
        '{"enum":["red"]}',
    ),
    "choice": (
        SchemaBuilder.struct()
        .name(ONE_OF)
        .optional()
        .field(f"{ONE_OF}.field.0", Schema.OPTIONAL_STRING_SCHEMA)
        .field(f"{ONE_OF}.field.1", Schema.OPTIONAL_BOOLEAN_SCHEMA)
        .build(),
        '{"oneOf":[{"type":"null"},{"type":"string","connect.index":0},{"connect.index":1,"type":"boolean"}]}',
    ),
}


def there_and_back(schema: Schema, value: Any, **settings: Any) -> SchemaAndValue:
    registry = Registry()
    written = connected(JsonSchemaConverter, registry, **settings).from_connect_data("t", schema, value)
    return connected(JsonSchemaConverter, registry, **settings).to_connect_data("t", written)


def read(text: Any, value: Any, references: dict[str, Any] | None = None, **settings: Any) -> SchemaAndValue:
    """What becomes of a value that another program wrote, with a schema of its own."""
    registry = Registry()
    pointers = []
    for at, (name, other) in enumerate((references or {}).items(), 1):
        registry.register_schema_full_response(f"r{at}", RegistrySchema(json.dumps(other), "JSON"))
        pointers.append(SchemaReference(name, f"r{at}", 1))
    registry.register_schema_full_response("e-value", RegistrySchema(json.dumps(text), "JSON", pointers))
    content = b"\0\0\0\0" + bytes([len(pointers) + 1]) + json.dumps(value).encode()
    return connected(JsonSchemaConverter, registry, **settings).to_connect_data("e", content)


@pytest.mark.parametrize("name", TEXTS)
def test_schemas_are_written_to_the_letter(name):
    schema, text = TEXTS[name]
    assert connected(JsonSchemaConverter, Registry())._declared(schema).text == text


@pytest.mark.parametrize("name", TEXTS)
def test_schemas_come_back(name):
    schema, text = TEXTS[name]
    registry = Registry()
    registry.register_schema_full_response("t-value", RegistrySchema(text, "JSON"))
    found, _ = connected(JsonSchemaConverter, registry)._new_decoder("t", b"\0\0\0\0\1")
    assert found == changed(schema, version=1 if schema.version is None else schema.version) or name == "choice"
    assert found.fields == schema.fields


@given(schemas_and_values())
def test_values_come_back(pair):
    schema, value = pair
    holder = SchemaBuilder.struct().name("h").version(1).field("f", schema).build()
    struct = Struct.of(holder, [value])
    assert there_and_back(holder, struct) == SchemaAndValue(holder, struct)


def test_null_is_a_tombstone():
    converter = connected(JsonSchemaConverter, Registry())
    assert converter.from_connect_data("t", None, None) is None
    assert converter.to_connect_data("t", None) == NULL


def test_bytes_are_those_of_confluent():
    converter = connected(JsonSchemaConverter, Registry())
    schema = (
        SchemaBuilder.struct()
        .field("d", Decimal.schema(2))
        .field("m", SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.STRING_SCHEMA))
        .field("o", Schema.OPTIONAL_STRING_SCHEMA)
        .field("t", Timestamp.SCHEMA)
        .build()
    )
    value = Struct(schema, d=decimal.Decimal("1.50"), m={1: "a"}, t=dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC))
    written = converter.from_connect_data("t", schema, value)
    assert written == b'\0\0\0\0\1{"d":"AJY=","m":[{"key":1,"value":"a"}],"o":null,"t":1000}'
    numeric = connected(JsonSchemaConverter, Registry(), decimal_format="numeric")
    assert b'"d":1.50' in numeric.from_connect_data("t", schema, value)
    assert there_and_back(schema, value, decimal_format="numeric").value["d"] == decimal.Decimal("1.50")


def test_a_value_without_a_schema_is_refused():
    with pytest.raises(DataError, match=r"schemas\.enable=false"):
        connected(JsonSchemaConverter, Registry()).from_connect_data("t", None, {"a": 1})


def test_null_is_the_default_unless_nullables_keep_it():
    text = SchemaBuilder.string().optional().default_value("d").build()
    schema = SchemaBuilder.struct().name("s").version(1).field("a", text).build()
    assert there_and_back(schema, Struct(schema)).value.values == ["d"]
    converter = connected(JsonSchemaConverter, Registry(), ignore_default_for_nullables="true")
    assert converter.from_connect_data("t", schema, Struct(schema)).endswith(b'{"a":null}')


OTHERS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "description": "of the order"},
        "price": {"type": "number", "minimum": 0},
        "color": {"type": "string", "enum": ["red", "blue"]},
        "note": {"type": ["null", "string"]},
        "at": {"$ref": "#/definitions/place"},
        "lines": {"type": "array", "items": {"$ref": "line.json"}},
    },
    "definitions": {"place": {"properties": {"x": {"type": "integer"}}}},
}
LINE = {"type": "object", "properties": {"n": {"$ref": "#/$defs/count"}}, "$defs": {"count": {"type": "integer"}}}


def test_what_others_write_is_read():
    value = {"id": 7, "price": 2, "color": "red", "at": {"x": 1}, "lines": [{"n": 3}], "more": "left out"}
    found = read(OTHERS, value, {"line.json": LINE})
    schema = found.schema
    assert (schema.name, schema.version, list(schema.by_name)) == ("Order", 1, list(OTHERS["properties"]))
    assert schema.field("id").schema == SchemaBuilder.int64().doc("of the order").build()
    assert schema.field("price").schema == Schema.FLOAT64_SCHEMA
    assert schema.field("color").schema.parameters == {ENUM: "", f"{ENUM}.red": "red", f"{ENUM}.blue": "blue"}
    assert schema.field("note").schema == Schema.OPTIONAL_STRING_SCHEMA
    assert found.value["at"]["x"] == 1
    assert found.value["lines"][0]["n"] == 3
    assert found.value["note"] is None
    assert found.value["price"] == 2.0
    optional = read(OTHERS, value, {"line.json": LINE}, use_optional_for_nonrequired="true").schema
    assert [name for name, field in optional.by_name.items() if not field.schema.optional] == ["id"]


def test_a_choice_is_a_struct_that_knows_which_branch_it_was():
    circle = {"type": "object", "properties": {"radius": {"type": "number"}, "name": {"type": "string"}}}
    square = {"type": "object", "properties": {"side": {"type": "number"}, "name": {"type": "string"}}}
    shape = {"type": "object", "properties": {"s": {"oneOf": [circle, square, {"type": "string"}]}}}
    for value, index in (({"radius": 1, "name": "c"}, 0), ({"side": 1, "name": "s"}, 1), ("none", 2)):
        found = read(shape, {"s": value})
        choice = found.value["s"]
        assert [at for at, each in enumerate(choice.values) if each is not None] == [index]
        assert there_and_back(found.schema, found.value).value["s"].values == choice.values
    with pytest.raises(DataError, match="none of the branches"):
        read(shape, {"s": 7})


def test_properties_of_several_schemas_are_those_of_one_struct():
    base = {"type": "object", "properties": {"id": {"type": "integer"}}}
    text = {"allOf": [{"$ref": "#/definitions/base"}, {"properties": {"n": {"type": "string"}}}],
            "definitions": {"base": base}}  # fmt: skip
    assert dict(read(text, {"id": 1, "n": "a"}).value.items()) == {"id": 1, "n": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({}, "without a type"),
        ({"type": "array"}, "items"),
        ({"$ref": "#/definitions/none"}, "there is nothing"),
        ({"$ref": "other.json"}, "none of its references"),
        ({"$ref": "#"}, "circle"),
        ({"type": "object", "title": "T", "properties": {"next": {"$ref": "#"}}}, "T contains itself"),
        ({"type": "integer", "connect.type": "int7"}, "int7"),
        ({"type": "object", "connect.type": "map"}, "says nothing"),
    ],
)
def test_schemas_that_connect_does_not_have_are_refused(text, said):
    with pytest.raises(DataError, match=said):
        read(text, {})


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"x":"a","y":1}', b'{"x":null,"y":1}', b'{"x":2147483648,"y":1}', b"[]"]
)
def test_content_that_is_no_value_of_its_schema_is_refused(content):
    registry = Registry()
    converter = connected(JsonSchemaConverter, registry)
    converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    with pytest.raises(DataError):
        converter.to_connect_data("t", b"\0\0\0\0\1" + content)


def test_a_schema_of_another_language_is_refused():
    registry = Registry()
    registry.register_schema_full_response("t-value", RegistrySchema('"int"', "AVRO"))
    with pytest.raises(DataError, match="use the converter of that language"):
        connected(JsonSchemaConverter, registry).to_connect_data("t", b"\0\0\0\0\1{}")


def test_subjects_named_after_records_need_a_name():
    nameless = SchemaBuilder.struct().field("x", Schema.INT32_SCHEMA).build()
    converter = connected(JsonSchemaConverter, Registry(), value_subject_name_strategy="RecordNameStrategy")
    with pytest.raises(DataError, match="has no name"):
        converter.from_connect_data("t", nameless, Struct(nameless, x=1))
    assert converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2)) is not None


@pytest.mark.parametrize("setting", ["preserve.additional.properties", "json.fail.invalid.schema"])
def test_settings_that_cannot_be_used_are_explained(setting):
    with pytest.raises(ConfigError, match=setting):
        JsonSchemaConverter().configure({"schema.registry.url": "http://127.0.0.1:1", setting: "true"})
