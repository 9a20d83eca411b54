"""`AvroConverter`: schemas to the letter, values there and back, what others wrote, and what a registry says."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry.error import SchemaRegistryError
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.connect.converters.registries import Registry, connected
from tests.unit.connect.converters.shapes import schemas_and_values

from moldau.client.serdes import AvroEncoder
from moldau.connect.converters.avro import AvroConverter
from moldau.connect.converters.json_schemas import from_json_schema
from moldau.connect.converters.json_values import reader_of
from moldau.connect.converters.registry import _transport_error
from moldau.connect.data import (
    NULL,
    Date,
    Decimal,
    Schema,
    SchemaAndValue,
    SchemaBuilder,
    Struct,
    Time,
    Timestamp,
)
from moldau.connect.errors import ConfigError, ConnectError, DataError, RetriableError

TRANSPORT_ERROR = _transport_error()
GOLDEN = Path(__file__).parents[3] / "golden"
POINT = SchemaBuilder.struct().name("geo.Point").field("x", Schema.INT32_SCHEMA).field("y", Schema.INT32_SCHEMA).build()
OPTIONAL_POINT = (
    SchemaBuilder.struct()
    .name("geo.Point")
    .field("x", Schema.INT32_SCHEMA)
    .field("y", Schema.INT32_SCHEMA)
    .optional()
    .build()
)


def text_of(schema: Schema | None, value: Any = None, **settings: Any) -> Any:
    """The Avro schema that is registered for a schema; a value is needed where null is none."""
    registry = Registry()
    converter = connected(AvroConverter, registry, **settings)
    found = converter._declared(schema).text
    return json.loads(found)


def there_and_back(schema: Schema | None, value: Any, **settings: Any) -> SchemaAndValue:
    registry = Registry()
    written = connected(AvroConverter, registry, **settings).from_connect_data("t", schema, value)
    return connected(AvroConverter, registry, **settings).to_connect_data("t", written)


def read(avro: Any, value: Any, **settings: Any) -> SchemaAndValue:
    """What becomes of a value that another program wrote, with a schema of its own."""
    registry = Registry()
    text = json.dumps(avro)
    registry.register_schema_full_response("elsewhere-value", RegistrySchema(text, "AVRO"))
    content = AvroEncoder(text).encode(value, b"\0\0\0\0\1")
    return connected(AvroConverter, registry, **settings).to_connect_data("t", content)


LOGICAL = '{"type":%s,"connect.version":1,"connect.name":"org.apache.kafka.connect.data.%s","logicalType":"%s"}'
# A Connect schema, and the very text that Confluent's AvroData registers for it.
TEXTS = {
    "int8": (Schema.INT8_SCHEMA, '{"type":"int","connect.type":"int8"}'),
    "int16": (Schema.INT16_SCHEMA, '{"type":"int","connect.type":"int16"}'),
    "int32": (Schema.INT32_SCHEMA, '"int"'),
    "optional": (Schema.OPTIONAL_INT64_SCHEMA, '["null","long"]'),
    "default": (SchemaBuilder.string().default_value("a").build(), '{"type":"string","connect.default":"a"}'),
    "optional with a default": (
        SchemaBuilder.int16().optional().default_value(3).build(),
        '[{"type":"int","connect.default":3,"connect.type":"int16"},"null"]',
    ),
    "bytes as a default": (
        SchemaBuilder.bytes().default_value(b"\x00\xff").build(),
        '{"type":"bytes","connect.default":"\\u0000ÿ"}',
    ),
    "documented": (
        SchemaBuilder.float32().doc("d").version(4).name("n.x").parameter("p", "q").build(),
        '{"type":"float","connect.doc":"d","connect.version":4,"connect.parameters":{"p":"q"},"connect.name":"n.x"}',
    ),
    "date": (Date.SCHEMA, LOGICAL % ('"int"', "Date", "date")),
    "time": (Time.SCHEMA, LOGICAL % ('"int"', "Time", "time-millis")),
    "timestamp": (Timestamp.SCHEMA, LOGICAL % ('"long"', "Timestamp", "timestamp-millis")),
    "decimal": (
        Decimal.schema(2),
        (
            '{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},'
            '"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}'
        ),
    ),
    "decimal with a precision": (
        Decimal.builder(1).parameter("connect.decimal.precision", "9").build(),
        (
            '{"type":"bytes","scale":1,"precision":9,"connect.version":1,"connect.parameters":{"scale":"1",'
            '"connect.decimal.precision":"9"},"connect.name":"org.apache.kafka.connect.data.Decimal",'
            '"logicalType":"decimal"}'
        ),
    ),
    "array": (SchemaBuilder.array(Schema.OPTIONAL_STRING_SCHEMA).build(), '{"type":"array","items":["null","string"]}'),
    "map": (
        SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA).name("m").build(),
        '{"type":"map","values":"int","connect.name":"m"}',
    ),
    "map of other keys": (
        SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.OPTIONAL_STRING_SCHEMA).build(),
        (
            '{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":'
            '[{"name":"key","type":"int"},{"name":"value","type":["null","string"],"default":null}]}}'
        ),
    ),
    "named map of other keys": (
        SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.INT32_SCHEMA).name("a.M").build(),
        (
            '{"type":"array","items":{"type":"record","name":"M","namespace":"a","fields":[{"name":"key","type":"int"},'
            '{"name":"value","type":"int"}],"connect.internal.type":"MapEntry"},"connect.name":"a.M"}'
        ),
    ),
    "struct without a name": (
        SchemaBuilder.struct()
        .field("a", SchemaBuilder.struct().field("b", Schema.BOOLEAN_SCHEMA))
        .field("c", Schema.OPTIONAL_FLOAT64_SCHEMA)
        .build(),
        (
            '{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":'
            '{"type":"record","name":"ConnectDefault2","fields":[{"name":"b","type":"boolean"}]}},'
            '{"name":"c","type":["null","double"],"default":null}]}'
        ),
    ),
    "struct in two places": (
        SchemaBuilder.struct().name("shop.Move").field("from", OPTIONAL_POINT).field("to", POINT).build(),
        (
            '{"type":"record","name":"Move","namespace":"shop","fields":[{"name":"from","type":["null",{"type":"record",'
            '"name":"Point","namespace":"geo","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}],'
            '"connect.name":"geo.Point"}],"default":null},{"name":"to","type":"geo.Point"}],"connect.name":"shop.Move"}'
        ),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_schemas_are_written_to_the_letter(name):
    schema, text = TEXTS[name]
    assert connected(AvroConverter, Registry())._declared(schema).text == text


@pytest.mark.parametrize("name", TEXTS)
def test_schemas_come_back(name):
    schema, text = TEXTS[name]
    registry = Registry()
    registry.register_schema_full_response("t-value", RegistrySchema(text, "AVRO"))
    found, _ = connected(AvroConverter, registry)._new_decoder("t", b"\0\0\0\0\1")
    version = 1 if schema.version is None and not schema.optional else schema.version
    assert found == versioned(schema, version)


def versioned(schema: Schema, version: int | None) -> Schema:
    """`schema` with the version that the registry gives to one that has none."""
    return Schema(
        schema.type,
        optional=schema.optional,
        default_value=schema.default_value,
        name=schema.name,
        version=version,
        doc=schema.doc,
        parameters=schema.parameters,
        fields=schema.fields,
        key_schema=schema.key_schema,
        value_schema=schema.value_schema,
    )


@given(schemas_and_values())
def test_values_come_back(pair):
    schema, value = pair
    holder = SchemaBuilder.struct().name("h").version(1).field("f", schema).build()
    struct = Struct.of(holder, [value])
    assert there_and_back(holder, struct) == SchemaAndValue(holder, struct)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_values_without_a_schema_come_back(value):
    assert there_and_back(None, value) == SchemaAndValue(None, value)


def test_null_is_a_tombstone():
    converter = connected(AvroConverter, Registry())
    assert converter.from_connect_data("t", None, None) is None
    assert converter.from_connect_data("t", Schema.OPTIONAL_STRING_SCHEMA, None) is None
    assert converter.to_connect_data("t", None) == NULL


def test_bytes_alone_are_written_without_their_length():
    registry = Registry()
    converter = connected(AvroConverter, registry)
    written = converter.from_connect_data("t", Schema.BYTES_SCHEMA, b"abc")
    assert written == b"\0\0\0\0\1abc"
    assert converter.to_connect_data("t", written).value == b"abc"
    amount = decimal.Decimal("-1.28")
    assert there_and_back(Decimal.schema(2), amount).value == amount


@pytest.mark.parametrize("scale", [-2, 0, 3, 70])
def test_decimals_of_any_scale_come_back(scale):
    amount = decimal.Decimal(12345).scaleb(-scale)
    schema = SchemaBuilder.struct().name("s").version(1).field("d", Decimal.schema(scale)).build()
    assert there_and_back(schema, Struct(schema, d=amount)).value["d"] == amount


def test_a_decimal_with_too_many_digits_behind_the_point_is_refused():
    schema = SchemaBuilder.struct().field("d", Decimal.schema(1)).build()
    with pytest.raises(DataError, match=r"1\.25"):
        there_and_back(schema, Struct.of(schema, [decimal.Decimal("1.25")]))


def test_a_timestamp_without_a_zone_is_refused():
    with pytest.raises(DataError, match="no zone"):
        there_and_back(Timestamp.SCHEMA, dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None))


def test_null_is_the_default_unless_nullables_keep_it():
    text = SchemaBuilder.string().optional().default_value("d").build()
    schema = SchemaBuilder.struct().name("s").version(1).field("a", text).build()
    assert there_and_back(schema, Struct(schema)).value.values == ["d"]
    assert there_and_back(schema, Struct(schema), ignore_default_for_nullables="true").value.values == [None]


def test_a_value_that_is_missing_or_of_another_type_says_where():
    schema = SchemaBuilder.struct().name("s").field("p", POINT).build()
    with pytest.raises(DataError, match=r"p\.y"):
        there_and_back(schema, Struct.of(schema, [Struct.of(POINT, [1, None])]))
    with pytest.raises(DataError, match=r"p\.x.*'a'"):
        there_and_back(schema, Struct.of(schema, [Struct.of(POINT, ["a", 1])]))
    with pytest.raises(DataError, match=r"Schema\{geo.Point:STRUCT\}"):
        there_and_back(schema, Struct.of(schema, [Struct(schema)]))


def test_two_types_with_one_name_are_refused():
    other = SchemaBuilder.struct().name("geo.Point").field("x", Schema.INT64_SCHEMA).build()
    schema = SchemaBuilder.struct().field("a", POINT).field("b", other).build()
    with pytest.raises(DataError, match=r"geo\.Point"):
        text_of(schema)


def test_maps_of_two_types_have_entries_of_two_names():
    ints = SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.INT32_SCHEMA).build()
    texts = SchemaBuilder.map(Schema.INT32_SCHEMA, Schema.STRING_SCHEMA).build()
    schema = SchemaBuilder.struct().name("s").version(1).field("a", ints).field("b", texts).field("c", ints).build()
    struct = Struct(schema, a={1: 2}, b={3: "4"}, c={})
    assert there_and_back(schema, struct) == SchemaAndValue(schema, struct)


UNION = {
    "type": "record",
    "name": "a.R",
    "fields": [
        {
            "name": "u",
            "type": [
                "null",
                "int",
                "long",
                "string",
                {"type": "enum", "name": "E", "symbols": ["x", "y"]},
                {"type": "fixed", "name": "F", "size": 2},
                {"type": "record", "name": "b.P", "fields": [{"name": "v", "type": "int"}]},
                {"type": "record", "name": "b.Q", "fields": [{"name": "v", "type": "int"}]},
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("given_value", "field", "expected"),
    [
        (("int", 5), "int", 5),
        (("long", 5), "long", 5),
        ("x", "string", "x"),
        (("a.E", "x"), "E", "x"),
        (b"ab", "F", b"ab"),
        (("b.Q", {"v": 3}), "Q", {"v": 3}),
        (None, None, None),
    ],
)
def test_a_union_is_a_struct_that_knows_which_branch_it_was(given_value, field, expected):
    found = read(UNION, {"u": given_value})
    union = found.value["u"]
    if field is None:
        assert union is None
        return
    value = union[field]
    assert (dict(value.items()) if isinstance(value, Struct) else value) == expected
    assert [name for name, each in union.items() if each is not None] == [field]
    again = there_and_back(found.schema, found.value, enhanced_avro_schema_support="true")
    assert again.value["u"].values == union.values
    with pytest.raises(DataError, match=r"enhanced\.avro\.schema\.support"):
        there_and_back(found.schema, found.value)


def test_an_enum_is_a_string_that_knows_its_symbols():
    color = {"type": "enum", "name": "paint.Color", "doc": "colors", "symbols": ["red", "blue"], "default": "red"}
    avro = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "c", "type": color}, {"name": "d", "type": "paint.Color"}],
    }
    found = read(avro, {"c": "blue", "d": "red"}, enhanced_avro_schema_support="true")
    schema = found.schema.field("c").schema
    assert schema.name == "paint.Color"
    assert schema.parameters == {
        "io.confluent.connect.avro.enum.doc.Color": "colors",
        "io.confluent.connect.avro.enum.default.Color": "red",
        "io.confluent.connect.avro.Enum": "paint.Color",
        "io.confluent.connect.avro.Enum.red": "red",
        "io.confluent.connect.avro.Enum.blue": "blue",
    }
    back = text_of(found.schema, enhanced_avro_schema_support="true")
    assert {key: back["fields"][0]["type"][key] for key in ("symbols", "doc", "default")} == {
        key: color[key] for key in ("symbols", "doc", "default")
    }
    assert back["fields"][1]["type"] == "paint.Color"
    again = there_and_back(found.schema, found.value, enhanced_avro_schema_support="true")
    assert again.schema.fields == found.schema.fields
    assert again.value.values == found.value.values
    assert text_of(found.schema)["fields"][0]["type"]["type"] == "string"


def test_what_others_write_is_read():
    avro = {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "doc": "an order",
        "fields": [
            {"name": "micros", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}, "doc": "who"},
            {"name": "n", "type": "int", "default": 5},
            {"name": "o", "type": ["null", "string"], "default": None},
            {"name": "price", "type": {"type": "fixed", "name": "Price", "size": 4, "logicalType": "decimal",
                                       "precision": 9, "scale": 2}},
            {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 2}},
        ],
    }  # fmt: skip
    value = {
        "micros": 7,
        "uuid": "00000000-0000-0000-0000-000000000001",
        "n": 1,
        "o": None,
        "price": decimal.Decimal("-1.50"),
        "hash": b"ab",
    }
    found = read(avro, value)
    schema = found.schema
    assert dict(found.value.items()) == value
    assert schema.name == "shop.Order"
    assert schema.version is None
    assert schema.parameters == {
        "io.confluent.connect.avro.record.doc": "an order",
        "io.confluent.connect.avro.field.doc.uuid": "who",
    }
    assert schema.field("micros").schema == Schema.INT64_SCHEMA
    assert schema.field("n").schema.default_value == 5
    assert schema.field("price").schema.name == Decimal.LOGICAL_NAME
    assert schema.field("hash").schema.name == "shop.Hash"
    assert there_and_back(schema, found.value).value.values == found.value.values
    again = text_of(schema)
    assert again["fields"][2] == {"name": "n", "type": "int", "default": 5}
    assert again["doc"] == "an order"
    assert again["fields"][5]["type"]["type"] == "fixed"


def test_meta_data_can_be_left_out():
    schema = SchemaBuilder.struct().name("a.B").version(2).doc("d").field("n", Schema.INT8_SCHEMA).build()
    assert text_of(schema, connect_meta_data="false") == {
        "type": "record",
        "name": "B",
        "namespace": "a",
        "fields": [{"name": "n", "type": "int"}],
    }


def test_names_are_made_valid_where_that_is_wanted():
    schema = SchemaBuilder.struct().name("a-b.c d").version(1).field("1 x", Schema.INT32_SCHEMA).build()
    text = text_of(schema, scrub_invalid_names="true")
    assert (text["namespace"], text["name"], text["fields"][0]["name"]) == ("a_b", "c_d", "x1_x")
    found = there_and_back(schema, Struct.of(schema, [3]), scrub_invalid_names="true")
    assert found.value.values == [3]
    assert found.schema.name == "a-b.c d"


def test_optional_keys_of_maps_can_be_allowed():
    schema = SchemaBuilder.map(Schema.OPTIONAL_STRING_SCHEMA, Schema.INT32_SCHEMA).build()
    assert text_of(schema)["type"] == "array"
    assert text_of(schema, allow_optional_map_keys="true") == {"type": "map", "values": "int"}
    assert there_and_back(schema, {None: 1}).value == {None: 1}
    assert there_and_back(schema, {"a": 1}, allow_optional_map_keys="true").value == {"a": 1}


def test_a_schema_that_contains_itself_is_refused():
    avro = {"type": "record", "name": "Tree", "fields": [{"name": "left", "type": ["null", "Tree"]}]}
    with pytest.raises(DataError, match="Tree contains itself"):
        read(avro, {"left": None})


@pytest.mark.parametrize("recording", ["types", "types_as_connect", "changes", "defaults", "extensions_as_map"])
def test_every_event_of_debezium_comes_back_equal(recording):
    registry = Registry()
    schemas: list[Any] = []
    readers: dict[int, Any] = {}
    events = 0
    key_converter = connected(AvroConverter, registry, is_key=True)
    value_converter = connected(AvroConverter, registry)
    for line in (GOLDEN / "debezium" / f"{recording}.jsonl").read_text().splitlines():
        entry = json.loads(line, parse_float=decimal.Decimal)
        if "topic" not in entry:
            schemas.append(from_json_schema(entry["schema"], replace_null=True))
            continue
        for part, converter in ((entry["key"], key_converter), (entry["value"], value_converter)):
            if not isinstance(part, dict):
                continue  # a tombstone
            number = part["schema"]
            schema = schemas[number]
            if number not in readers:
                readers[number] = reader_of(schema, replace_null=True).read
            value = readers[number](part["payload"])
            written = converter.from_connect_data(entry["topic"], schema, value)
            found = converter.to_connect_data(entry["topic"], written)
            if schema.version is None:
                assert found.schema.version is not None
                schema = versioned(schema, found.schema.version)
            assert found.schema == schema
            assert repr(found.value) == repr(value)  # NaN is not equal to itself
            events += 1
    assert events > 0


def test_the_registry_is_asked_once_for_each_topic_and_schema():
    registry = Registry()
    converter = connected(AvroConverter, registry)
    for _ in range(3):
        for topic in ("t", "u"):
            converter.from_connect_data(topic, POINT, Struct(POINT, x=1, y=2))
    assert registry.asked == 2
    assert list(registry.subjects) == ["t-value", "u-value"]


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        ("io.confluent.kafka.serializers.subject.TopicNameStrategy", "t-value"),
        ("io.confluent.kafka.serializers.subject.RecordNameStrategy", "geo.Point"),
        ("TopicRecordNameStrategy", "t-geo.Point"),
    ],
)
def test_subjects_are_named_as_the_strategy_says(strategy, subject):
    registry = Registry()
    converter = connected(AvroConverter, registry, value_subject_name_strategy=strategy)
    written = converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    assert list(registry.subjects) == [subject]
    assert converter.to_connect_data("t", written).schema.version == 1


def test_the_newest_version_is_written_with():
    registry = Registry()
    fields = [
        {"name": "y", "type": "int"},
        {"name": "z", "type": "int", "default": 9},
        {"name": "x", "type": "long"},
    ]
    newest = {"type": "record", "name": "Point", "namespace": "geo", "fields": fields}
    registry.register_schema_full_response("t-value", RegistrySchema(json.dumps(newest), "AVRO"))
    settings = {"use_latest_version": "true", "auto_register_schemas": "false"}
    converter = connected(AvroConverter, registry, **settings)
    written = converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    assert dict(converter.to_connect_data("t", written).value.items()) == {"y": 2, "z": 9, "x": 1}
    wide = SchemaBuilder.struct().name("geo.Point").field("w", Schema.INT32_SCHEMA).build()
    with pytest.raises(DataError, match="no field w"):
        converter.from_connect_data("t", wide, Struct(wide, w=1))


def test_a_schema_that_is_not_registered_is_looked_up():
    converter = connected(AvroConverter, Registry(), auto_register_schemas="false")
    with pytest.raises(DataError, match="Schema not found"):
        converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (SchemaRegistryError(409, 409, "incompatible"), DataError),
        (SchemaRegistryError(422, 42201, "invalid"), DataError),
        (SchemaRegistryError(404, 40403, "unknown"), DataError),
        (SchemaRegistryError(500, 50001, "store"), RetriableError),
        (SchemaRegistryError(429, 429, "slow down"), RetriableError),
        (SchemaRegistryError(401, 401, "who"), ConnectError),
        (TRANSPORT_ERROR("refused"), RetriableError),
        (TimeoutError("slow"), RetriableError),
    ],
)
def test_refusals_of_the_registry_have_a_meaning(refusal, expected):
    registry = Registry()
    registry.refusal = refusal
    with pytest.raises(ConnectError) as caught:
        connected(AvroConverter, registry).from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    assert type(caught.value) is expected
    with pytest.raises(ConnectError) as caught:
        connected(AvroConverter, registry).to_connect_data("t", b"\0\0\0\0\1abc")
    assert type(caught.value) is expected


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"{}....", b"\1\0\0\0\1abc"])
def test_bytes_without_the_id_of_a_schema_are_refused(data):
    with pytest.raises(DataError, match="hint: it was not written through a schema registry"):
        connected(AvroConverter, Registry()).to_connect_data("t", data)


def test_torn_content_is_refused():
    registry = Registry()
    converter = connected(AvroConverter, registry)
    written = converter.from_connect_data("t", POINT, Struct(POINT, x=1000, y=2))
    with pytest.raises(DataError, match="a record of t is not what the schema 1 wrote"):
        converter.to_connect_data("t", written[:-1])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"generalized.sum.type.support": "true"}, "generalized.sum.type.support"),
        ({"discard.type.doc.default": "true"}, "deprecated"),
        ({"value.subject.name.strategy": "my.Strategy"}, "TopicNameStrategy"),
        ({"basic.auth.credentials.source": "SASL_INHERIT"}, "USER_INFO"),
        ({"basic.auth.credentials.source": "USER_INFO"}, "user:password"),
        ({"schema.registry.url": "nowhere"}, "url"),
        ({"schemas.cache.config": "0"}, "schemas.cache.config"),
    ],
)
def test_settings_that_cannot_be_used_are_explained(settings, said):
    with pytest.raises(ConfigError, match=said):
        AvroConverter().configure({"schema.registry.url": "http://127.0.0.1:1", **settings})
    with pytest.raises(ConfigError, match=r"schema\.registry\.url"):
        AvroConverter().configure({})
