"""Each rule of Protobuf, with what breaks it and what does not, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from moldau.registry.compat import protobuf as rules
from moldau.registry.languages import LANGUAGES, Policy, ResolvedReference

PROTOBUF = LANGUAGES["PROTOBUF"]
SCALARS = (
    *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
    *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
)


def parse(text: str, **references: str):
    named = [ResolvedReference(f"{name}.proto", content) for name, content in references.items()]
    return PROTOBUF.parse(text, named, strict=True)


def check(reader: str, writer: str) -> list[tuple[str, str]]:
    found = PROTOBUF.check(parse(reader), parse(writer), Policy.STRICT)
    return [(reason.rule, reason.path) for reason in found]


def proto3(body: str) -> str:
    return f'syntax = "proto3"; package p; {body}'


def a(*fields: str) -> str:
    """A message A of proto3."""
    return proto3(f"message A {{ {' '.join(fields)} }} message B {{ int32 x = 1; }} enum E {{ NONE = 0; }}")


def a2(*fields: str) -> str:
    """A message A of proto2."""
    return f"message A {{ {' '.join(fields)} }} message B {{ optional int32 x = 1; }}"


NAME, NUMBER = "string name = 1;", "int32 n = 2;"
KIND, SCALAR = "FIELD_KIND_CHANGED", "FIELD_SCALAR_KIND_CHANGED"
NAMED, LABEL = "FIELD_NAMED_TYPE_CHANGED", "FIELD_NUMERIC_LABEL_CHANGED"

NAMES = {
    "PACKAGE_CHANGED",
    "MESSAGE_REMOVED",
    "FIELD_KIND_CHANGED",
    "FIELD_SCALAR_KIND_CHANGED",
    "FIELD_NAMED_TYPE_CHANGED",
    "FIELD_NUMERIC_LABEL_CHANGED",
    "REQUIRED_FIELD_ADDED",
    "REQUIRED_FIELD_REMOVED",
    "ONEOF_FIELD_REMOVED",
    "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
    "FIELD_MOVED_TO_EXISTING_ONEOF",
}

CASES = [
    # reader, writer, what breaks
    *[(a(f"{kind} f = 1;"), a(f"{kind} f = 1;"), []) for kind in SCALARS],
    # What may change.
    (a(NAME, NUMBER), a(NAME), []),
    (a(NAME), a(NAME, NUMBER), []),
    (a("string title = 1;"), a(NAME), []),
    (a("string name = 2;"), a(NAME), []),
    (a("int64 n = 2;"), a(NUMBER), []),
    (a("uint32 n = 2;"), a("bool n = 2;"), []),
    (a("E n = 2;"), a(NUMBER), []),
    (a(NUMBER), a("E n = 2;"), []),
    (a("sint64 n = 2;"), a("sint32 n = 2;"), []),
    (a("sfixed32 n = 2;"), a("fixed32 n = 2;"), []),
    (a("bytes name = 1;"), a(NAME), []),
    (a("repeated string name = 1;"), a("optional string name = 1;"), []),
    (a("repeated B b = 1;"), a("B b = 1;"), []),
    (a("B b = 1;"), a(".p.B b = 1;"), []),
    (a("repeated int32 n = 2;"), a(NUMBER), []),
    (proto3("message A {} message C {}"), proto3("message A {}"), []),
    (proto3("message C {} message A {}"), proto3("message A {} message C {}"), []),
    (proto3("message A {}"), proto3("message A {} enum E { NONE = 0; }"), []),
    (proto3("enum E { NONE = 0; }"), proto3("enum E { NONE = 0; SOME = 1; }"), []),
    (proto3("enum E { NOTHING = 0; }"), proto3("enum E { NONE = 0; }"), []),
    # The package and its messages.
    ('syntax = "proto3"; package q; message A {}', proto3("message A {}"), [("PACKAGE_CHANGED", "/")]),
    (proto3("message C {}"), proto3("message A {}"), [("MESSAGE_REMOVED", "/A")]),
    (a(), a("message C {}"), [("MESSAGE_REMOVED", "/A/C")]),
    (a("string m = 1;"), a("map<string, string> m = 1;"), [(KIND, "/A/1")]),
    # Kinds.
    (a("B n = 2;"), a(NUMBER), [(KIND, "/A/2")]),
    (a(NUMBER), a("B n = 2;"), [(KIND, "/A/2")]),
    (a2("optional group G = 1 {}"), a2("optional B g = 1;"), [(KIND, "/A/1")]),
    (a2("optional group G = 1 {}"), a2("optional group H = 1 {}"), []),
    (
        a2("optional group G = 1 { optional int32 x = 2; }"),
        a2("optional group G = 1 { optional string x = 2; }"),
        [(SCALAR, "/A/G/2"), (NAMED, "/A/1")],
    ),
    (a("map<string, B> m = 1;"), a("map<string, string> m = 1;"), [(KIND, "/A/1")]),
    # Scalars.
    (a("string n = 2;"), a(NUMBER), [(SCALAR, "/A/2")]),
    (a("sint32 n = 2;"), a(NUMBER), [(SCALAR, "/A/2")]),
    (a("fixed32 n = 2;"), a(NUMBER), [(SCALAR, "/A/2")]),
    (a("float n = 2;"), a("fixed32 n = 2;"), [(SCALAR, "/A/2")]),
    (a("double n = 2;"), a("float n = 2;"), [(SCALAR, "/A/2")]),
    (a("fixed64 n = 2;"), a("fixed32 n = 2;"), [(SCALAR, "/A/2")]),
    (a("map<string, int32> m = 1;"), a("map<string, string> m = 1;"), [(SCALAR, "/A/1")]),
    (a("map<int32, string> m = 1;"), a("map<string, string> m = 1;"), [(SCALAR, "/A/1")]),
    (a("map<int64, bytes> m = 1;"), a("map<int32, string> m = 1;"), []),
    # Messages.
    (a("A b = 1;"), a("B b = 1;"), [(NAMED, "/A/1")]),
    (a("map<string, A> m = 1;"), a("map<string, B> m = 1;"), [(NAMED, "/A/1")]),
    (
        proto3("message A { A next = 1; string v = 2; }"),
        proto3("message A { A next = 1; int32 v = 2; }"),
        [(SCALAR, "/A/2")],
    ),
    # Labels.
    (a("repeated int32 n = 2;"), a("optional int32 n = 2;"), [(LABEL, "/A/2")]),
    (a(NUMBER), a("repeated int32 n = 2;"), [(LABEL, "/A/2")]),
    (a("int32 n = 2;"), a("repeated int32 n = 2 [packed = false];"), []),
    (a2("optional int32 n = 2;"), a2("required int32 n = 2;"), [(LABEL, "/A/2")]),
    (a2("optional string s = 1;"), a2("required string s = 1;"), []),
    # Required.
    (a2("required string s = 1;"), a2(), [("REQUIRED_FIELD_ADDED", "/A/1")]),
    (a2("required string s = 1;"), a2("optional string s = 1;"), [("REQUIRED_FIELD_ADDED", "/A/1")]),
    (a2(), a2("required string s = 1;"), [("REQUIRED_FIELD_REMOVED", "/A/1")]),
    (a2("required string s = 1;"), a2("required string s = 1;"), []),
    # Oneofs.
    (a("oneof o { string name = 1; }"), a(NAME), []),
    (a("oneof o { string name = 1; int32 n = 2; }"), a(NAME), []),
    (a("oneof o { string name = 1; int32 n = 2; }"), a("oneof o { string name = 1; }"), []),
    (a("oneof q { string name = 1; }"), a("oneof o { string name = 1; }"), []),
    (a(NAME, "oneof o { int32 n = 2; }"), a("oneof o { string name = 1; int32 n = 2; }"), []),
    (a(NAME), a(NAME, "oneof o { int32 n = 2; int32 m = 3; }"), []),
    (
        a("oneof o { string name = 1; }"),
        a("oneof o { string name = 1; int32 n = 2; }"),
        [("ONEOF_FIELD_REMOVED", "/A/o/2")],
    ),
    (a(NAME), a("oneof o { string name = 1; int32 n = 2; }"), [("ONEOF_FIELD_REMOVED", "/A/o/2")]),
    (a("oneof o { string name = 1; int32 n = 2; }"), a(NAME, NUMBER), [("MULTIPLE_FIELDS_MOVED_TO_ONEOF", "/A/o")]),
    (
        a("oneof o { string name = 1; int32 n = 2; }"),
        a(NAME, "oneof o { int32 n = 2; }"),
        [("FIELD_MOVED_TO_EXISTING_ONEOF", "/A/o")],
    ),
    (
        a("oneof o { string name = 1; int32 n = 2; }"),
        a("oneof q { string name = 1; } oneof r { int32 n = 2; }"),
        [("FIELD_MOVED_TO_EXISTING_ONEOF", "/A/o")],
    ),
    (a("oneof o { string n = 2; }"), a("oneof q { int32 n = 2; }"), [(SCALAR, "/A/o/2")]),
    # Extensions.
    (
        "message A { extensions 100; } extend A { optional string x = 100; }",
        "message A { extensions 100; } extend A { optional int32 x = 100; }",
        [(SCALAR, "/A/100")],
    ),
]


@pytest.mark.parametrize(("reader", "writer", "broken"), CASES)
def test_a_reader_is_told_each_rule_that_keeps_it_from_reading_and_where(reader, writer, broken):
    assert check(reader, writer) == broken


@pytest.mark.parametrize(("reader", "writer", "broken"), CASES)
def test_the_verdict_is_the_same_for_descriptors(reader, writer, broken):
    parsed = [PROTOBUF.parse(parse(text).formatted("serialized"), [], strict=True) for text in (reader, writer)]
    found = PROTOBUF.check(*parsed, Policy.STRICT)
    assert [(reason.rule, reason.path) for reason in found] == broken


def test_every_rule_has_a_sentence_and_every_name_a_case():
    assert all(rule.__doc__ for rule in (*rules.MESSAGE_RULES, *rules.FIELD_RULES))
    assert {rule for _, _, found in CASES for rule, _ in found} == NAMES


IMPORTING = 'syntax = "proto3"; import "c.proto"; message A { c.C c = 1; }'
C = 'syntax = "proto3"; package c; message C { string name = 1; C next = 2; }'


def test_a_message_that_is_imported_is_compared_with_what_is_imported_now():
    changed = C.replace("string", "int32")
    found = PROTOBUF.check(parse(IMPORTING, c=changed), parse(IMPORTING, c=C), Policy.STRICT)
    assert [(each.rule, each.path) for each in found] == [(SCALAR, "/C/1"), (NAMED, "/A/1")]
    assert PROTOBUF.check(parse(IMPORTING, c=C + " message D {}"), parse(IMPORTING, c=C), Policy.STRICT) == []


def test_a_message_that_is_declared_elsewhere_now_is_found_by_its_name():
    inside = 'syntax = "proto3"; message A { C c = 1; } message C { string name = 1; C next = 2; }'
    assert PROTOBUF.check(parse(inside), parse(IMPORTING, c=C), Policy.STRICT) == []
    found = PROTOBUF.check(parse(IMPORTING, c=C), parse(inside), Policy.STRICT)
    assert [(each.rule, each.path) for each in found] == [("MESSAGE_REMOVED", "/C")]


def test_the_message_names_the_field_and_both_types():
    (reason,) = PROTOBUF.check(parse(a("string n = 2;")), parse(a(NUMBER)), Policy.STRICT)
    assert reason.message == (
        "the field 'n' was written as int32 (a whole number), and is read as string (text or bytes)"
    )
    assert reason.facts == "n"


def test_the_guide_has_a_row_for_every_rule():
    guide = (Path(__file__).parents[4] / "docs" / "guides" / "schemas.md").read_text()
    assert [rule for rule in NAMES if f"| `{rule}` |" not in guide] == []
