"""Avro schemas are read, refused with the place of the mistake, and written as Java's library writes them."""

from __future__ import annotations

import json

import pytest

from moldau.registry.languages import LANGUAGES, ResolvedReference, SchemaError

AVRO = LANGUAGES["AVRO"]


def canonical(text: str, *references: tuple[str, str]) -> str:
    return AVRO.parse(text, [ResolvedReference(*each) for each in references], strict=True).canonical()


WRITTEN = [
    ('"string"', '"string"'),
    ("string", '"string"'),
    ('{"type": "string"}', '"string"'),
    ('{"type": "string", "avro.java.string": "String"}', '{"type":"string","avro.java.string":"String"}'),
    ('{"logicalType": "uuid", "type": "string"}', '{"type":"string","logicalType":"uuid"}'),
    ('["null", {"type": "int"}]', '["null","int"]'),
    ('{"items": "int", "type": "array"}', '{"type":"array","items":"int"}'),
    (
        '{"fields": [{"type": "int", "name": "a", "default": 1, "doc": "d"}], "name": "x.y.R", "type": "record"}',
        '{"type":"record","name":"R","namespace":"x.y","fields":[{"name":"a","type":"int","doc":"d","default":1}]}',
    ),
    (
        (
            '{"type": "record", "name": "R", "namespace": "x", "fields": [{"name": "e", "type": {"type": "enum", '
            '"name": "E", "symbols": ["A"]}}, {"name": "f", "type": "x.E"}, {"name": "g", "type": ["null", "R"]}]}'
        ),
        (
            '{"type":"record","name":"R","namespace":"x","fields":[{"name":"e","type":{"type":"enum","name":"E",'
            '"symbols":["A"]}},{"name":"f","type":"E"},{"name":"g","type":["null","R"]}]}'
        ),
    ),
    (
        '{"type": "fixed", "name": "F", "size": 4, "aliases": ["G", "z.H"]}',
        '{"type":"fixed","name":"F","size":4,"aliases":["G","z.H"]}',
    ),
    ('{"type":"enum","name":"E","symbols":["Ä"]}'.replace("Ä", "B"), '{"type":"enum","name":"E","symbols":["B"]}'),
    (
        '{"type":"record","name":"R","doc":"größer","fields":[],"my.tag":{"b":1,"a":2}}',
        '{"type":"record","name":"R","doc":"größer","fields":[],"my.tag":{"b":1,"a":2}}',
    ),
]


@pytest.mark.parametrize(("text", "written"), WRITTEN)
def test_white_space_and_order_go_and_everything_said_stays(text, written):
    assert canonical(text) == written
    assert canonical(written) == written


BROKEN = [
    ("", "not JSON", ""),
    ("{", "not JSON", ""),
    ("17", "a type is", ""),
    ('{"type": "strnig"}', "there is no type 'strnig'", "/type"),
    ('{"fields": []}', 'needs a "type"', ""),
    ('{"type": "record", "name": "R"}', 'list of "fields"', ""),
    ('{"type": "record", "name": "R", "fields": [{"name": "a"}]}', '"name" and a "type"', "/fields/0"),
    ('{"type": "record", "name": "1R", "fields": []}', "is no name", ""),
    (
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}',
        "twice",
        "/fields/1",
    ),
    (
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]}',
        "the default",
        "/fields/0/default",
    ),
    (
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]}',
        "there is no type 'Unknown'",
        "/fields/0/type",
    ),
    ('["null", "null"]', "twice", "/1"),
    ('["null", ["int"]]', "directly in a union", "/1"),
    ('{"type": "enum", "name": "E", "symbols": ["A", "A"]}', "a symbol twice", "/symbols"),
    ('{"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}', "is no symbol", "/default"),
    ('{"type": "fixed", "name": "F", "size": -1}', '"size"', ""),
    ('{"type": "array"}', 'needs "items"', ""),
    (
        '[{"type": "fixed", "name": "F", "size": 1}, {"type": "enum", "name": "F", "symbols": []}]',
        "is defined twice",
        "/1",
    ),
    ("[" * 100_000 + "]" * 100_000, "too deep", ""),
    ('{"type":"array","items":' * 300 + '"int"' + "}" * 300, "nested deeper than", None),
]


@pytest.mark.parametrize(("text", "message", "path"), BROKEN, ids=[message for _, message, _ in BROKEN])
def test_a_mistake_is_told_with_its_place(text, message, path):
    with pytest.raises(SchemaError, match=message) as refusal:
        canonical(text)
    assert path is None or refusal.value.path == path


def test_what_was_once_accepted_is_read_even_if_its_default_is_wrong():
    text = '{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}'
    assert AVRO.parse(text, [], strict=False).canonical() == text


def test_a_reference_is_written_as_a_name_and_resolved_it_is_written_out():
    customer = '{"type":"record","name":"Customer","namespace":"x","fields":[{"name":"id","type":"long"}]}'
    order = '{"type":"record","name":"Order","namespace":"x","fields":[{"name":"by","type":"x.Customer"}]}'
    parsed = AVRO.parse(order, [ResolvedReference("x.Customer", customer)], strict=True)
    assert parsed.canonical() == order.replace("x.Customer", "Customer")
    assert json.loads(parsed.formatted("resolved"))["fields"][0]["type"]["fields"] == [{"name": "id", "type": "long"}]
    whole = AVRO.parse(parsed.formatted("resolved"), [], strict=True)
    assert whole.meaning() == parsed.meaning()


def test_normalized_schemas_are_the_same_whatever_the_order_of_their_attributes():
    one = '{"type":"fixed","name":"F","size":4,"b":1,"a":2,"aliases":["Z","A"]}'
    other = '{"type":"fixed","name":"F","size":4,"a":2,"b":1,"aliases":["A","Z"]}'
    parsed = [AVRO.parse(text, [], strict=True) for text in (one, other)]
    assert parsed[0].canonical() != parsed[1].canonical()
    assert parsed[0].normalized().canonical() == parsed[1].normalized().canonical()


@pytest.mark.parametrize(
    ("kind", "default", "fits"),
    [
        ("null", None, True),
        ("boolean", True, True),
        ("boolean", 0, False),
        ("int", 2**31 - 1, True),
        ("int", 2**31, False),
        ("int", True, False),
        ("long", 2**63 - 1, True),
        ("long", 2**63, False),
        ("float", 1, True),
        ("double", "NaN", True),
        ("double", "x", False),
        ("bytes", "\u00ff", True),
        ("bytes", "\u0100", False),
        (["null", "int"], None, True),
        (["null", "int"], 1, True),
        (["null", "int"], "1", False),
        ({"type": "array", "items": "int"}, [1, 2], True),
        ({"type": "array", "items": "int"}, [1, "2"], False),
        ({"type": "map", "values": "int"}, {"a": 1}, True),
        ({"type": "fixed", "name": "F", "size": 2}, "ab", True),
        ({"type": "fixed", "name": "F", "size": 2}, "abc", False),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "A", True),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B", False),
        ({"type": "record", "name": "I", "fields": [{"name": "a", "type": "int"}]}, {"a": 1}, True),
        ({"type": "record", "name": "I", "fields": [{"name": "a", "type": "int"}]}, {}, False),
        ({"type": "record", "name": "I", "fields": [{"name": "a", "type": "int", "default": 1}]}, {}, True),
        (["null", "R"], None, True),
    ],
)
def test_a_default_is_a_value_of_its_type(kind, default, fits):
    text = json.dumps({"type": "record", "name": "R", "fields": [{"name": "f", "type": kind, "default": default}]})
    if fits:
        canonical(text)
    else:
        with pytest.raises(SchemaError, match="the default"):
            canonical(text)
