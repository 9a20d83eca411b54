"""Protobuf as the registry takes it: text and descriptors, what is stored, what is refused and where it is wrong."""

from __future__ import annotations

import base64
import importlib
from itertools import pairwise

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from moldau.registry.languages import LANGUAGES, ResolvedReference, SchemaError
from moldau.registry.languages.protobuf import ProtobufSchema
from moldau.registry.protobuf import known

PROTOBUF = LANGUAGES["PROTOBUF"]

# Everything that a file may hold, in an order of its own.
ORDER = """
syntax = 'proto3'; /* a comment */
package shop.v1; // another
import "google/protobuf/timestamp.proto"; import "confluent/meta.proto";
option java_package = "shop" ".v1";
option (confluent.file_meta).doc = "it's";
message Order {
  enum State { NEW = 0; PAID = 0x1 [deprecated = true]; option allow_alias = true; reserved 5 to max; OLD = 1; }
  message Line { repeated sint64 counts = 1; Line next = 2; }
  string id = 1 [json_name = "ID", (confluent.field_meta) = {doc: "a\\tb" params {key: "k" value: "v"} tags: ["x"]}];
  map<string, Line> lines = 2;
  optional int32 total = 3;
  oneof paid { string card = 4; Cash cash = 5 [(confluent.field_meta).doc = "d", deprecated = true]; }
  google.protobuf.Timestamp at = 6;
  reserved 7, 10 to 12, "old";
  option deprecated = true;
}
message Cash { .shop.v1.Order.State state = 1; }
service Shop { rpc Buy (Order) returns (stream Cash) { option deprecated = true; } rpc Look (Cash) returns (Order); }
"""

# As Confluent's registry stores it: two spaces in the empty lines of what is nested included.
CANONICAL = """syntax = "proto3";
package shop.v1;

import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";

option java_package = "shop.v1";
option (confluent.file_meta).doc = "it\\'s";

message Order {
  reserved 7, 10 to 12, "old";

  option deprecated = true;

  string id = 1 [
    (confluent.field_meta) = {
      doc: "a\\tb",
      params: {
        key: "k",
        value: "v"
      },
      tags: [
        "x"
      ]
    },
    json_name = "ID"
  ];
  map<string, Line> lines = 2;
  optional int32 total = 3;
  google.protobuf.Timestamp at = 6;

  oneof paid {
    string card = 4;
    Cash cash = 5 [
      (confluent.field_meta).doc = "d",
      deprecated = true
    ];
  }

  message Line {
    repeated sint64 counts = 1;
    Line next = 2;
  }
  enum State {
    reserved 5 to max;
    option allow_alias = true;
    NEW = 0;
    PAID = 1 [deprecated = true];
    OLD = 1;
  }
}
message Cash {
  .shop.v1.Order.State state = 1;
}

service Shop {
  rpc Buy (Order) returns (stream Cash) {
    option deprecated = true;
  };
  rpc Look (Cash) returns (Order);
}
"""

LEGACY = """
package old;
message A {
  required int32 id = 1;
  optional string name = 2 [default = "a\\"b"];
  optional bytes raw = 3 [default = "\\377\\0"];
  optional double ratio = 4 [default = -1.50];
  optional Kind kind = 5 [default = SECOND];
  repeated group Item = 6 { optional int32 count = 1; }
  oneof choice { int32 left = 7; group Right = 8 { optional A a = 1; } }
  enum Kind { FIRST = -1; SECOND = 2; }
  extensions 100 to 199, 500 to max;
  extend B { optional A inner = 1000; }
}
message B { extensions 1000 to max; }
extend A { repeated int32 more = 100 [packed = true]; optional Kind2 kind2 = 101; }
enum Kind2 { ONE = 1; }
"""


def parse(text: str, **references: str) -> ProtobufSchema:
    named = [ResolvedReference(f"{name}.proto", content) for name, content in references.items()]
    parsed = PROTOBUF.parse(text, named, strict=True)
    assert isinstance(parsed, ProtobufSchema)
    return parsed


def descriptor(schema: ProtobufSchema) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(base64.b64decode(schema.formatted("serialized")))


def encoded(proto: FileDescriptorProto) -> str:
    return base64.b64encode(proto.SerializeToString()).decode()


def test_what_is_stored_is_the_text_that_confluents_registry_stores():
    assert parse(ORDER).canonical() == CANONICAL


@pytest.mark.parametrize("text", [ORDER, LEGACY])
def test_the_canonical_text_says_the_same_and_is_its_own(text):
    schema = parse(text)
    again = parse(schema.canonical())
    assert again.canonical() == schema.canonical()
    assert again.linked.file == schema.linked.file
    assert again.meaning() == schema.meaning()


@pytest.mark.parametrize("text", [ORDER, LEGACY])
def test_a_descriptor_and_a_text_are_the_same_schema(text):
    schema = parse(text)
    from_descriptor = parse(schema.formatted("serialized"))
    assert from_descriptor.meaning() == schema.meaning()
    assert from_descriptor.normalized().canonical() == schema.normalized().canonical()
    assert from_descriptor.formatted("serialized") == schema.formatted("serialized")


def test_a_normal_form_is_the_same_for_everything_that_means_the_same():
    head = 'syntax = "proto3"; package p; '
    one = head + 'message A { B b = 2; map<string, B> m = 3; int32 a = 1 [json_name = "a"]; } message B {}'
    two = head + "message A { int32 a = 0x1; p.B b = 2; map<string, .p.B> m = 3; } message B {}"
    assert parse(one).canonical() != parse(two).canonical()
    assert parse(one).normalized().canonical() == parse(two).normalized().canonical()
    assert parse(one).meaning() == parse(two).meaning()
    assert parse(one).meaning() != parse(two.replace("int32", "int64")).meaning()


def test_the_order_of_messages_counts_since_it_is_in_the_bytes_before_a_record():
    assert parse("message A {} message B {}").meaning() != parse("message B {} message A {}").meaning()


def test_map_entries_of_a_descriptor_keep_their_place_among_messages():
    file = FileDescriptorProto(name="a.proto", syntax="proto3")
    outer = file.message_type.add(name="Outer")
    entry = outer.nested_type.add(name="MEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=9, label=1)
    outer.nested_type.add(name="Inner")
    outer.field.add(name="m", number=1, type=11, type_name=".Outer.MEntry", label=3)
    schema = parse(encoded(file))
    assert [each.name for each in descriptor(schema).message_type[0].nested_type] == ["MEntry", "Inner"]
    assert [each.name for each in descriptor(parse(schema.canonical())).message_type[0].nested_type] == [
        "MEntry",
        "Inner",
    ]
    text = 'syntax = "proto3"; message Outer { map<string, string> m = 1; message Inner {} }'
    assert schema.meaning() == parse(text).meaning()
    assert [each.name for each in descriptor(parse(text)).message_type[0].nested_type] == ["Inner", "MEntry"]


def test_a_descriptor_has_what_a_compiler_would_write():
    (order, cash) = descriptor(parse(ORDER)).message_type
    fields = {field.name: field for field in order.field}
    assert fields["lines"].type_name == ".shop.v1.Order.LinesEntry"
    assert fields["total"].proto3_optional
    assert order.oneof_decl[fields["total"].oneof_index].name == "_total"
    assert order.oneof_decl[fields["card"].oneof_index].name == "paid"
    assert cash.field[0].type == FieldDescriptorProto.TYPE_ENUM
    legacy = {field.name: field for field in descriptor(parse(LEGACY)).message_type[0].field}
    assert legacy["name"].default_value == 'a"b'
    assert legacy["raw"].default_value == "\\377\\000"
    assert legacy["ratio"].default_value == "-1.5"
    assert legacy["item"].type == FieldDescriptorProto.TYPE_GROUP


def test_options_of_extensions_are_in_the_descriptor_and_come_back():
    options = (
        'syntax = "proto3"; package o; import "google/protobuf/descriptor.proto"; '
        "message Rule { int32 least = 1; repeated string words = 2; Rule deeper = 3; } "
        "extend google.protobuf.FieldOptions { Rule rule = 50000; repeated string tag = 50001; }"
    )
    text = 'syntax = "proto3"; import "options.proto"; message A { string a = 1 [%s]; }'
    written = "(o.rule).least = 3, (o.rule).words = 'x', (o.rule).deeper.least = -1, (o.tag) = 'p', (o.tag) = 'q'"
    schema = parse(text % written, options=options)
    again = parse(schema.formatted("serialized"), options=options)
    assert again.meaning() == schema.meaning()
    assert "least: -1" in again.canonical()
    assert schema.meaning() != parse(text % "(o.tag) = 'p'", options=options).meaning()


def test_an_import_is_a_reference_or_well_known():
    customer = 'syntax = "proto3"; package people; message Customer { string name = 1; }'
    text = 'syntax = "proto3"; import "customer.proto"; message Order { people.Customer by = 1; }'
    assert descriptor(parse(text, customer=customer)).dependency == ["customer.proto"]
    assert (
        parse(text, customer=parse(customer).formatted("serialized")).meaning()
        == parse(text, customer=customer).meaning()
    )
    with pytest.raises(SchemaError) as refusal:
        parse(text)
    assert str(refusal.value) == (
        "line 1, column 61: there is no message or enum people.Customer; "
        'it imports "customer.proto", and there is no reference of that name'
    )


def test_an_import_that_only_defines_options_may_be_missing_as_with_confluents_registry():
    schema = parse('syntax = "proto3"; import "rules.proto"; message A { string a = 1 [(rules.not_empty) = true]; }')
    assert "(rules.not_empty) = true" in schema.canonical()
    assert descriptor(schema).dependency == []


def test_an_import_reaches_through_public_imports():
    inner = 'syntax = "proto3"; message Inner {}'
    outer = 'syntax = "proto3"; import public "inner.proto";'
    assert parse('import "outer.proto"; message A { optional Inner i = 1; }', outer=outer, inner=inner)


@pytest.mark.parametrize("path", sorted(known.PATHS))
def test_well_known_files_are_what_is_published(path):
    text = f'syntax = "proto3"; import "{path}"; message A {{}}'
    assert descriptor(parse(text)).dependency == [path]
    package = {"confluent": "confluent_kafka.schema_registry.confluent"}.get(path.split("/")[0])
    name = path.removesuffix(".proto").replace("/", ".") + "_pb2"
    module = importlib.import_module(name if package is None else name.replace("confluent", package, 1))
    published = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    assert declared(published) == declared(descriptor_of(path))


def descriptor_of(path: str) -> FileDescriptorProto:
    from moldau.registry.protobuf.linking import link
    from moldau.registry.protobuf.write_descriptor import write

    file = known.file(path)
    assert file is not None
    return write(link(file, {}))


def declared(file: FileDescriptorProto) -> list[tuple[str, ...]]:
    """What data depends on."""

    def fields(scope: str, message: DescriptorProto) -> list[tuple[str, ...]]:
        found = [
            (scope, each.name, str((each.number, each.type, each.type_name, each.label))) for each in message.field
        ]
        for nested in message.nested_type:
            found += fields(f"{scope}.{nested.name}", nested)
        return found

    found = [(each.name, value.name, str(value.number)) for each in file.enum_type for value in each.value]
    found += [(each.extendee, each.name, str(each.number)) for each in file.extension]
    for message in file.message_type:
        found += fields(f"{file.package}.{message.name}", message)
    return sorted(found)


WRONG = [
    (
        "message A { optional int32 a = 1 }",
        "line 1, column 34: expected ';' or '[' after the number of the field, found '}'",
    ),
    ("message A {\n  int32 a = 1;\n}", "line 2, column 3: expected optional, required or repeated"),
    (
        "message A { optional int32 a = 1;",
        "expected the type of a field, a declaration or '}', found the end of the file",
    ),
    ("message 1 {}", "expected message, enum, extend, service, import, option or package, found 'message'"),
    ('syntax = "proto4";', 'expected "proto3" or "proto2", found "proto4"'),
    ('edition = "2023"; message A {}', "editions are not understood yet"),
    ('import "a.proto', "line 1, column 8: the string that begins here has no end"),
    ("/* message A {}", "the comment that begins here has no end"),
    ("message A { optional int32 a = 1; } §", "'§' belongs to no word or sign"),
    ("message A { optional B b = 1; }", "there is no message or enum B"),
    ("message A { optional int32 a = 1; optional int32 b = 1; }", "line 1, column 35: b has the number 1 of a"),
    ("message A { optional int32 a = 1; optional int32 a = 2; }", "'a' is declared twice"),
    ("message A {} enum A { X = 0; }", "A is declared twice"),
    ("message A { optional int32 a = 0; }", "the number of a field is 1 to 536870911, found 0"),
    ("message A { optional int32 a = 19005; }", "19000 to 19999 belong to Protobuf"),
    (f"message A {{ optional int32 a = {'9' * 5000}; }}", "expected the number of the field"),
    ("message A { reserved 1; optional int32 a = 1; }", "the number 1 of a is reserved"),
    ('message A { reserved "a"; optional int32 a = 1; }', "the name 'a' is reserved"),
    ("message A { reserved 1 to 5, 3; }", "3 is reserved twice"),
    ("message A { option map_entry = true; optional string key = 1; }", "A is no entry of a map"),
    ("message A { oneof o {} }", "the oneof o has no fields"),
    ("message A { oneof o { optional int32 a = 1; } }", "a field of a oneof has no label"),
    ("message A { map<double, string> m = 1; }", "the key of a map is a whole number, bool or string, not double"),
    ("message A { repeated map<string, string> m = 1; }", "a map has no label"),
    ('message A { optional int32 a = 1 [default = "x"]; }', "the default of a is no int32"),
    ("enum E { A = 1; B = 1; }", "option allow_alias = true allows it"),
    ("enum E {}", "the enum E has no values"),
    ('syntax = "proto3"; enum E { A = 1; }', "the first value of an enum has the number 0 in proto3"),
    ('syntax = "proto3"; message A { required int32 a = 1; }', "proto3 has no required fields"),
    ('syntax = "proto3"; message A { int32 a = 1 [default = 5]; }', "fields of proto3 have no default"),
    ('syntax = "proto3"; message A { int32 a = 1 [nonsense = 5]; }', "line 1, column 45: the option nonsense: "),
    ('syntax = "proto3"; message A { int32 a = 1 [packed = 5]; }', "the option packed is true or false"),
    (
        'syntax = "proto3"; option optimize_for = 1;',
        "is the name of a value of OptimizeMode",
    ),
    ("message A { extensions 5; } extend A { optional int32 a = 6; }", "leaves the number 6 of a to no extension"),
    ("service S { rpc R (E) returns (E); } enum E { A = 0; }", "a method takes and returns messages"),
    ('{"type": "record"}', "line 1, column 1: expected message"),
    ('import "\ud800.proto";', "characters that no encoding of Unicode has"),
    ("hello", "neither the text of a .proto file nor a file descriptor in base64"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(SchemaError) as refusal:
        parse(text)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [
        "editions",
        "a name with a dot",
        "a type that is not there",
        "a oneof that is not there",
        "bytes",
        "a name that is no text",
    ],
)
def test_a_descriptor_that_is_none_is_refused(change):
    file = FileDescriptorProto(name="a.proto", syntax="proto3")
    field = file.message_type.add(name="A").field.add(name="a", number=1, type=9, label=1)
    if change == "editions":
        file.syntax = "editions"
    elif change == "a type that is not there":
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, ".B"
    elif change == "a name with a dot":
        file.message_type[0].name = "A.B"
    elif change == "a oneof that is not there":
        field.oneof_index = 3
    text = encoded(file)
    if change == "bytes":
        text = "AAAA"
    elif change == "a name that is no text":
        text = base64.b64encode(base64.b64decode(text).replace(b"a.proto", b"a.pr\xfft")).decode()
    with pytest.raises(SchemaError):
        parse(text)


def nested(depth: int) -> FileDescriptorProto:
    file = FileDescriptorProto(name="a.proto", syntax="proto3")
    message = file.message_type.add(name="A")
    for _ in range(depth):
        message = message.nested_type.add(name="A")
    return file


BOMBS = {
    "nested messages": "message A {" * 10_000,
    "nested groups": "message A {" + "optional group G = 1 {" * 10_000,
    "nested values": 'syntax = "proto3"; option (a) = ' + "{a:" * 10_000,
    "nested lists": 'syntax = "proto3"; option (a) = ' + "[" * 10_000,
    "nested descriptors": encoded(nested(60)),
    "a million words": "message A { optional int32 a = 1; } " * 100_000,
    "a string of escapes": 'option java_package = "' + "\\\\" * 1_000_001,
    "a package of a hundred thousand parts": "package a" + ".a" * 100_000 + "; message A { optional A a = 1; }",
    "a package of a hundred thousand parts in a descriptor": encoded(FileDescriptorProto(package="a" + ".a" * 100_000)),
    "a message whose name is looked through by every field": (
        f"message {'A' * 1_000_000} {{ {'optional B b = 1; ' * 50_000} }} enum B {{ X = 0; }}"
    ),
    "a million empty lines": "\n" * 1_000_000 + "§",
    "a million empty lines of base64": "A" + "\n" * 1_000_000 + "=;",
    "a million comments": "/**/" * 250_000 + "/*",
    "a number of a million digits": f"enum E {{ A = {'9' * 1_000_000}; }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name):
    with pytest.raises(SchemaError):
        parse(BOMBS[name])


def test_many_of_everything_are_read_in_one_pass():
    head = (
        'syntax = "proto2"; import "google/protobuf/descriptor.proto"; '
        "message O { optional O o = 1; extensions 2 to max; }"
    )
    schema = PROTOBUF.parse(
        f"{head} extend google.protobuf.FileOptions {{ optional O opt = 50000; }}"
        + "".join(f'import "{number}.proto";' for number in range(15_000))
        + "".join(f"option (opt).f{number} = 1;" for number in range(15_000))
        + "".join(f"extend O {{ optional int32 e{number} = {number}; }}" for number in range(30_000, 38_000)),
        [],
        strict=False,
    )
    assert schema.meaning() == schema.normalized().meaning()


def test_many_reserved_numbers_and_many_fields_are_compared_in_one_pass():
    fields = " ".join(f"optional int32 f{number} = {number};" for number in range(20_001, 30_000))
    reserved = ", ".join(map(str, range(40_000, 60_000)))
    assert parse(f"message A {{ reserved {reserved}; {fields} }}").top_level_fields() >= {"f20001", "f29999"}


def test_imports_that_go_round_in_a_circle_are_refused():
    names = ["a", "b", "c", "a"]
    files = {one: f'syntax = "proto3"; import "{other}.proto";' for one, other in pairwise(names)}
    with pytest.raises(SchemaError) as refusal:
        parse('syntax = "proto3"; import "a.proto";', **files)
    assert "a.proto imports b.proto imports c.proto imports a.proto" in str(refusal.value).replace("'", "")


def test_top_level_fields_are_those_of_the_first_message():
    assert parse(ORDER).top_level_fields() == {"id", "lines", "total", "at", "card", "cash"}
