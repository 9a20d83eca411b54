"""`ProtobufConverter`: descriptors as Confluent makes them, values there and back, and what others wrote."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as RegistrySchema
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.connect.converters.registries import Registry, connected
from tests.unit.connect.converters.shapes import SIMPLE

from moldau.connect.converters.protobuf import ProtobufConverter
from moldau.connect.converters.protobuf_names import ENUM, TAG, TYPE, UNION, from_entry, to_entry
from moldau.connect.data import NULL, Date, Decimal, Schema, SchemaAndValue, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.data.schema_copies import changed
from moldau.connect.errors import ConfigError, DataError
from moldau.registry.languages import LANGUAGES

POINT = SchemaBuilder.struct().name("geo.Point").field("x", Schema.INT32_SCHEMA).field("y", Schema.INT32_SCHEMA).build()
HEAD = 'syntax = "proto3";\n'


def field_meta(**params: str) -> str:
    """The option as registries print it, on a field of a message of the file."""
    pairs = ",\n".join(
        f'      {{\n        key: "{key.replace("_", ".")}",\n        value: "{value}"\n      }}'
        for key, value in params.items()
    )
    return f"[(confluent.field_meta) = {{\n    params: [\n{pairs}\n    ]\n  }}]"


# A Connect schema, and the very text that a registry makes of what Confluent's ProtobufData registers for it.
TEXTS = {
    "struct": (POINT, f"{HEAD}package geo;\n\nmessage Point {{\n  int32 x = 1;\n  int32 y = 2;\n}}\n"),
    "primitives": (
        SchemaBuilder.struct()
        .field("a", Schema.INT64_SCHEMA)
        .field("b", Schema.FLOAT32_SCHEMA)
        .field("c", Schema.FLOAT64_SCHEMA)
        .field("d", Schema.BOOLEAN_SCHEMA)
        .field("e", Schema.OPTIONAL_STRING_SCHEMA)
        .field("f", Schema.BYTES_SCHEMA)
        .build(),
        (
            f"{HEAD}\nmessage ConnectDefault1 {{\n  int64 a = 1;\n  float b = 2;\n  double c = 3;\n  bool d = 4;\n"
            "  string e = 5;\n  bytes f = 6;\n}\n"
        ),
    ),
    "small integers": (
        SchemaBuilder.struct().name("S").field("a", Schema.INT8_SCHEMA).build(),
        f"{HEAD}\nmessage S {{\n  int32 a = 1 {field_meta(connect_type='int8')};\n}}\n",
    ),
    "logical types": (
        SchemaBuilder.struct()
        .name("L")
        .field("d", Decimal.builder(2).parameter("connect.decimal.precision", "9").build())
        .field("e", Date.SCHEMA)
        .field("f", Time.SCHEMA)
        .field("g", Timestamp.SCHEMA)
        .build(),
        (
            f'{HEAD}\nimport "confluent/type/decimal.proto";\nimport "google/type/date.proto";\n'
            'import "google/type/timeofday.proto";\nimport "google/protobuf/timestamp.proto";\n\nmessage L {\n'
            f"  confluent.type.Decimal d = 1 {field_meta(precision='9', scale='2')};\n  google.type.Date e = 2;\n"
            "  google.type.TimeOfDay f = 3;\n  google.protobuf.Timestamp g = 4;\n}\n"
        ),
    ),
    "arrays and maps": (
        SchemaBuilder.struct()
        .name("C")
        .field("a", SchemaBuilder.array(Schema.INT32_SCHEMA))
        .field("m", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT64_SCHEMA).name("line_items"))
        .build(),
        (
            f"{HEAD}\nmessage C {{\n  repeated int32 a = 1;\n  repeated LineItemsEntry m = 2;\n\n"
            "  message LineItemsEntry {\n    string key = 1;\n    int64 value = 2;\n  }\n}\n"
        ),
    ),
    "structs in structs": (
        SchemaBuilder.struct()
        .name("shop.Move")
        .field("from", POINT)
        .field("Point", changed(POINT, optional=True))
        .field("unnamed", SchemaBuilder.struct().field("a", Schema.STRING_SCHEMA))
        .build(),
        (
            f"{HEAD}package shop;\n\nmessage Move {{\n  Point from = 1;\n  PointMessage Point = 2;\n"
            "  ConnectDefault1 unnamed = 3;\n\n  message Point {\n    int32 x = 1;\n    int32 y = 2;\n  }\n"
            "  message PointMessage {\n    int32 x = 1;\n    int32 y = 2;\n  }\n"
            "  message ConnectDefault1 {\n    string a = 1;\n  }\n}\n"
        ),
    ),
    "enum and oneof": (
        SchemaBuilder.struct()
        .name("U")
        .field(
            "e",
            SchemaBuilder.string()
            .name("Color")
            .parameter(ENUM, "Color")
            .parameter(f"{ENUM}.RED", "0")
            .parameter(TAG, "4"),
        )
        .field(
            "choice_0",
            SchemaBuilder.struct()
            .name(f"{UNION}.choice")
            .optional()
            .field("text", SchemaBuilder.string().optional().parameter(TAG, "2"))
            .field("number", SchemaBuilder.int64().optional().parameter(TAG, "3").parameter(TYPE, "sint64")),
        )
        .build(),
        (
            f"{HEAD}\nmessage U {{\n  oneof choice {{\n    string text = 2;\n    sint64 number = 3;\n  }}\n"
            "  Color e = 4;\n\n  enum Color {\n    RED = 0;\n  }\n}\n"
        ),
    ),
}


def registered_text(schema: Schema, **settings: Any) -> str:
    """The text that a registry makes of what is registered."""
    text = connected(ProtobufConverter, Registry(), **settings)._declared(schema).text
    return LANGUAGES["PROTOBUF"].parse(text, [], strict=True).canonical()


def lines(text: str) -> list[str]:
    """The lines that say something: where a declaration stands among others is a matter of the registry."""
    return sorted(line for line in text.splitlines() if line.strip())


def descriptor_of(text: str) -> str:
    """A `.proto` file as a registry hands it out to who asks for the serialized form."""
    return LANGUAGES["PROTOBUF"].parse(text, [], strict=True).formatted("serialized")


def there_and_back(schema: Schema, value: Any, **settings: Any) -> SchemaAndValue:
    registry = Registry()
    written = connected(ProtobufConverter, registry, **settings).from_connect_data("t", schema, value)
    return connected(ProtobufConverter, registry, **settings).to_connect_data("t", written)


def read(text: str, content: bytes, **settings: Any) -> SchemaAndValue:
    """What becomes of a message that another program wrote, with a file of its own; `content` begins with its place."""
    registry = Registry()
    registry.register_schema_full_response("e-value", RegistrySchema(descriptor_of(text), "PROTOBUF"))
    return connected(ProtobufConverter, registry, **settings).to_connect_data("e", b"\0\0\0\0\1" + content)


@pytest.mark.parametrize("name", TEXTS)
def test_schemas_are_registered_as_confluent_registers_them(name):
    schema, text = TEXTS[name]
    assert lines(registered_text(schema)) == lines(text)


def test_a_value_alone_is_a_wrapper():
    registry = Registry()
    converter = connected(ProtobufConverter, registry)
    written = converter.from_connect_data("t", Schema.INT32_SCHEMA, 7)
    # Int32Value is the fifth message of wrappers.proto: one index, 4, both zigzag.
    assert written == b"\0\0\0\0\1\x02\x08\x08\x07"
    assert converter.to_connect_data("t", written) == SchemaAndValue(SchemaBuilder.int32().version(1).build(), 7)
    file = FileDescriptorProto.FromString(base64.b64decode(registry.text))
    assert (file.package, file.message_type[4].name) == ("google.protobuf", "Int32Value")
    assert there_and_back(Schema.STRING_SCHEMA, "a", wrapper_for_raw_primitives="false").value["value"] == "a"


def test_bytes_are_those_of_confluent():
    converter = connected(ProtobufConverter, Registry())
    written = converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=-1))
    assert written == b"\0\0\0\0\1\0\x08\1\x10" + b"\xff" * 9 + b"\1"


@st.composite
def structs(draw: st.DrawFn) -> Struct:
    builder, values = SchemaBuilder.struct().name("p.S"), []
    for index in range(draw(st.integers(1, 4))):
        schema, each = draw(st.sampled_from(SIMPLE))
        optional = draw(st.booleans())
        form = draw(st.sampled_from(["alone", "array", "map", "struct"]))
        if form == "array":
            values.append(draw(st.lists(each, max_size=3)))
            schema = SchemaBuilder.array(schema).build()
        elif form == "map":
            values.append(draw(st.dictionaries(st.text(), each, max_size=3)))
            schema = SchemaBuilder.map(Schema.STRING_SCHEMA, schema).build()
        elif form == "struct":
            schema = SchemaBuilder.struct().field("v", schema).build()
            values.append(Struct.of(schema, [draw(each)]))
        else:
            values.append(None if optional and draw(st.booleans()) else draw(each))
            schema = changed(schema, optional=optional)
        builder.field(f"f{index}", schema)
    return Struct.of(builder.build(), values)


def plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: plain(each) for name, each in value.items()}
    return value


@pytest.mark.parametrize("setting", ["optional_for_nullables", "wrapper_for_nullables"])
@given(struct=structs())
def test_values_come_back(struct, setting):
    found = there_and_back(struct.schema, struct, **{setting: "true"})
    assert plain(found.value) == plain(struct)
    again = there_and_back(found.schema, found.value, **{setting: "true"})
    assert plain(again.value) == plain(struct)


def test_null_is_zero_unless_the_schema_says_that_it_may_be_null():
    schema = SchemaBuilder.struct().name("s").field("a", Schema.OPTIONAL_INT32_SCHEMA).build()
    assert there_and_back(schema, Struct(schema)).value["a"] == 0
    assert there_and_back(schema, Struct(schema), optional_for_nullables="true").value["a"] is None
    assert there_and_back(schema, Struct(schema), wrapper_for_nullables="true").value["a"] is None
    assert "optional int32 a = 1;" in registered_text(schema, optional_for_nullables="true")
    assert "google.protobuf.Int32Value a = 1;" in registered_text(schema, wrapper_for_nullables="true")


def test_null_is_a_tombstone():
    converter = connected(ProtobufConverter, Registry())
    assert converter.from_connect_data("t", None, None) is None
    assert converter.to_connect_data("t", None) == NULL


ORDER = """syntax = "proto3";
package shop;
import "google/protobuf/wrappers.proto";
message Other { string a = 1; }
message Order {
  message Line { uint32 n = 1; fixed64 big = 2; }
  enum State { NEW = 0; PAID = 5; }
  string id = 1;
  repeated Line lines = 2;
  map<string, int64> totals = 3;
  map<string, Line> named = 9;
  State state = 4;
  optional int32 rank = 5;
  google.protobuf.StringValue note = 6;
  oneof paid { string card = 7; Line cash = 8; }
}
"""
# id "o", a line of n = 2^32-1 and big = 2^64-1, totals {"a": 1}, named {"b": n 1}, state 5, note "hi", cash n = 3.
MESSAGE = (
    b"\x0a\x01o\x12\x0f\x08\xff\xff\xff\xff\x0f\x11" + b"\xff" * 8 + b"\x1a\x05\x0a\x01a\x10\x01"
    b"\x4a\x07\x0a\x01b\x12\x02\x08\x01\x20\x05\x32\x04\x0a\x02hi\x42\x02\x08\x03"
)


def test_what_others_write_is_read():
    found = read(ORDER, b"\x02\x02" + MESSAGE)
    value, schema = found.value, found.schema
    assert (schema.name, schema.version) == ("Order", 1)
    assert list(schema.by_name) == ["paid_0", "id", "lines", "totals", "named", "state", "rank", "note"]
    assert schema.field("paid_0").schema.name == f"{UNION}.paid"
    assert [plain(each) for each in value["paid_0"].values] == [None, {"n": 3, "big": 0}]
    assert plain(value["lines"][0]) == {"n": 2**32 - 1, "big": -1}
    assert value["totals"] == {"a": 1}
    assert plain(value["named"]["b"]) == {"n": 1, "big": 0}
    assert (value["state"], value["rank"], value["note"]) == ("PAID", None, "hi")
    assert schema.field("state").schema.parameters == {ENUM: "State", f"{ENUM}.NEW": "0", f"{ENUM}.PAID": "5", TAG: "4"}
    assert schema.field("lines").schema.value_schema.field("n").schema.parameters == {TYPE: "uint32", TAG: "1"}
    again = there_and_back(schema, value)
    assert plain(again.value["paid_0"]) == plain(value["paid_0"])
    assert plain(again.value["lines"][0]) == plain(value["lines"][0])


def test_settings_say_what_becomes_of_names_unions_enums_and_nulls():
    found = read(
        ORDER, b"\x02\x02" + MESSAGE, enhanced_protobuf_schema_support="true", generate_index_for_unions="false"
    )
    assert found.schema.name == "shop.Order"
    assert found.schema.field("paid").schema.name == f"{UNION}.shop.Order.paid"
    assert found.schema.field("state").schema.name == "shop.Order.State"
    assert found.schema.field("totals").schema.name == "shop.Order.totals"
    flat = read(ORDER, b"\x02\x02" + MESSAGE, flatten_unions="true", int_for_enums="true").value
    assert (flat["card"], plain(flat["cash"]), flat["state"]) == (None, {"n": 3, "big": 0}, 5)
    text = 'syntax = "proto3"; message M { message N { string a = 1; } N n = 1; }'
    assert read(text, b"\0").value["n"] is None
    assert plain(read(text, b"\0", generate_struct_for_nulls="true").value) == {"n": {"a": ""}}


def test_an_optional_field_of_proto2_is_null_without_a_value():
    text = 'syntax = "proto2"; message M { optional int32 a = 1; required int32 b = 2; }'
    assert plain(read(text, b"\0\x10\1").value) == {"a": None, "b": 1}
    assert plain(read(text, b"\0\x10\1", optional_for_proto2="false").value) == {"a": 0, "b": 1}


def test_small_integers_and_scales_come_back_from_what_java_writes():
    schema, _ = TEXTS["small integers"]
    text = f"{HEAD}message S {{ int32 a = 1 {field_meta(connect_type='int8')}; }}"
    assert read(text, b"\0\x08\x05").schema.field("a").schema == (
        SchemaBuilder.int8().optional().parameter(TAG, "1").build()
    )
    assert there_and_back(schema, Struct(schema, a=5)).schema.field("a").schema.type is Schema.INT8_SCHEMA.type
    logical = TEXTS["logical types"][0]
    value = Struct(
        logical,
        d=decimal.Decimal("-1.50"),
        e=dt.date(2024, 2, 29),
        f=dt.time(23, 59, 59, 999_000),
        g=dt.datetime(1969, 12, 31, 23, 59, 59, 1000, tzinfo=dt.UTC),
    )
    found = there_and_back(logical, value)
    assert plain(found.value) == plain(value)
    assert found.schema.field("d").schema.parameters == {"scale": "2", "connect.decimal.precision": "9", TAG: "1"}


def test_a_guid_in_a_header_says_which_schema_and_which_message():
    registry = Registry()
    registry.register_schema_full_response("e-value", RegistrySchema(descriptor_of(ORDER), "PROTOBUF"))
    converter = connected(ProtobufConverter, registry)
    header = ("__value_schema_id", b"\1" + (1).to_bytes(16, "big") + b"\x02\x02")
    assert converter.to_connect_data("e", MESSAGE, [header]).value["id"] == "o"
    with pytest.raises(DataError, match="begins with 02"):
        converter.to_connect_data("e", MESSAGE, [("__value_schema_id", b"\2")])


@pytest.mark.parametrize("content", [b"", b"\x02", b"\x02\x09", b"\0\x0a\x05o", b"\xff" * 11])
def test_torn_content_is_refused(content):
    with pytest.raises(DataError, match="a record of e"):
        read(ORDER, content)


ARRAY = SchemaBuilder.array(Schema.INT32_SCHEMA).build()


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (ARRAY, "HoistField"),
        (SchemaBuilder.struct().field("a", SchemaBuilder.array(ARRAY)).build(), "cannot repeat"),
        (
            SchemaBuilder.struct()
            .field("u", SchemaBuilder.struct().name(f"{UNION}.u").field("a", Schema.OPTIONAL_INT32_SCHEMA))
            .build(),
            "its number in Protobuf",
        ),
    ],
)
def test_schemas_that_protobuf_does_not_have_are_refused(schema, said):
    with pytest.raises(DataError, match=said):
        registered_text(schema)


def test_a_message_that_contains_itself_is_refused():
    with pytest.raises(DataError, match="Tree contains itself"):
        read('syntax = "proto3"; message Tree { Tree left = 1; }', b"\0")


def test_values_that_do_not_fit_say_what_is_wrong():
    converter = connected(ProtobufConverter, Registry())
    for value in ("a", 1.5, 2**31, True):
        with pytest.raises(DataError, match=r"cannot be written as Protobuf|whole number"):
            converter.from_connect_data("t", POINT, Struct.of(POINT, [value, 1]))
    with pytest.raises(DataError, match="is not of"):
        converter.from_connect_data("t", POINT, {"x": 1})


def test_the_newest_version_says_where_its_message_stands():
    registry = Registry()
    newest = f"{HEAD}package geo; message First {{ }} message Point {{ int32 x = 1; int32 y = 2; int32 z = 3; }}"
    registry.register_schema_full_response("t-value", RegistrySchema(descriptor_of(newest), "PROTOBUF"))
    settings = {"use_latest_version": "true", "auto_register_schemas": "false", "latest_compatibility_strict": "false"}
    converter = connected(ProtobufConverter, registry, **settings)
    written = converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    assert written[:7] == b"\0\0\0\0\1\x02\x02"
    assert plain(converter.to_connect_data("t", written).value) == {"x": 1, "y": 2, "z": 0}


def test_names_are_made_valid_where_that_is_wanted():
    schema = (
        SchemaBuilder.struct()
        .name("a-b.c d")
        .field("1 x", Schema.INT32_SCHEMA)
        .field("_y", Schema.INT32_SCHEMA)
        .build()
    )
    text = registered_text(schema, scrub_invalid_names="true")
    assert "package a_b;" in text
    assert "int32 x1_x = 1;" in text
    assert "int32 x_y = 2;" in text
    assert there_and_back(schema, Struct.of(schema, [3, 4]), scrub_invalid_names="true").value.values == [3, 4]


@pytest.mark.parametrize(
    ("name", "entry"),
    [("line_items", "LineItemsEntry"), ("ConnectDefault2", "ConnectDefault2Entry"), ("a.b", "a.bEntry")],
)
def test_maps_and_their_entries_have_names_of_two_kinds(name, entry):
    assert to_entry(name) == entry
    assert from_entry("p.LineItemsEntry") == "p.line_items"


def test_settings_that_cannot_be_used_are_explained():
    with pytest.raises(ConfigError, match=r"skip\.known\.types"):
        ProtobufConverter().configure({"schema.registry.url": "http://127.0.0.1:1", "skip.known.types": "false"})
