"""Whatever comes as a Protobuf schema is taken whole, or refused with a sentence: there is no other error."""

from __future__ import annotations

import base64
import re
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moldau.registry.languages import LANGUAGES, Policy, SchemaError

PROTOBUF = LANGUAGES["PROTOBUF"]

WORDS = (
    *(
        "syntax",
        "=",
        '"proto3"',
        '"proto2"',
        ";",
        "message",
        "enum",
        "oneof",
        "extend",
        "extensions",
        "reserved",
        "option",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "<",
        ">",
        ",",
        ".",
        "-",
        ":",
        "/",
        "optional",
        "required",
        "repeated",
        "group",
        "map",
    ),
    *(
        "int32",
        "string",
        "bytes",
        "double",
        "A",
        "B",
        "a",
        "b",
        "0",
        "1",
        "2",
        "100",
        "to",
        "max",
        "default",
        "json_name",
    ),
    *("packed", "true", "rpc", "returns", "stream", "service", "package", "import", "public", "weak", '"x"', "'\\377'"),
    *(
        '"google/protobuf/descriptor.proto"',
        "google.protobuf.FieldOptions",
        "1.5",
        "0x1F",
        "// c\n",
        "/* c */",
        "\u00e9",
    ),
)

WHOLE = """syntax = "proto2"; package p; import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional B mine = 50000; repeated string many = 50001; }
message A { optional int32 a = 1 [(mine).x = 1, (many) = "u", default = 5]; repeated group G = 2 { optional B b = 1; }
 oneof o { string s = 3; bytes t = 4; } map<string, B> m = 5; reserved 9, 10 to 12, "z"; extensions 100 to max; }
message B { optional int32 x = 1; extend A { optional E e = 100; } } enum E { X = 0; Y = -1; }
service S { rpc R (A) returns (stream B) { option deprecated = true; } }"""
TOKENS = (
    WHOLE.replace("(", " ( ").replace(")", " ) ").replace(";", " ; ").replace("[", " [ ").replace("]", " ] ").split()
)


def taken(text: str) -> Any:
    """The schema, or None if it is refused."""
    try:
        return PROTOBUF.parse(text, [], strict=True)
    except SchemaError as error:
        assert str(error)
        return None


def is_whole(schema: Any) -> None:
    """It can be written in each form, and each form is the same schema."""
    for form in (schema.canonical(), schema.normalized().canonical(), schema.formatted("serialized")):
        again = PROTOBUF.parse(form, [], strict=True) if form else schema
        assert again.meaning() == schema.meaning() or loses_something(schema)
        assert PROTOBUF.check(again, schema, Policy.STRICT) == PROTOBUF.check(schema, again, Policy.STRICT) == []


def loses_something(schema: Any) -> bool:
    """Imports that lead nowhere, and options of extensions that nothing declares, are in no descriptor."""
    names = re.findall(r"\(([a-z.]+)\) = ", schema.normalized().canonical(), re.IGNORECASE)
    return bool(schema.linked.missing) or not schema.linked.types.extensions.keys() >= set(names)


QUIET = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(st.text(max_size=60))
def test_any_text(text):
    taken(text)


@QUIET
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_words_of_the_language(words):
    schema = taken(" ".join(words))
    if schema is not None:
        is_whole(schema)


@QUIET
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.sampled_from((*WORDS, ""))), max_size=4))
def test_a_file_with_some_words_changed(changes):
    tokens = list(TOKENS)
    for index, word in changes:
        tokens[index] = word
    schema = taken(" ".join(tokens))
    if schema is not None:
        is_whole(schema)


@QUIET
@given(st.data())
def test_a_descriptor_with_some_bytes_changed(data):
    content = bytearray(base64.b64decode(PROTOBUF.parse(WHOLE, [], strict=True).formatted("serialized")))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    schema = taken(base64.b64encode(bytes(content)).decode())
    if schema is not None:
        assert FileDescriptorProto.FromString(base64.b64decode(schema.formatted("serialized")))
        is_whole(schema)
