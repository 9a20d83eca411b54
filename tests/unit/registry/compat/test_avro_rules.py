"""Each rule of Avro's schema resolution, with what breaks it and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moldau.registry.compat import avro as rules
from moldau.registry.languages import LANGUAGES, Policy

AVRO = LANGUAGES["AVRO"]


def check(reader: Any, writer: Any) -> list[tuple[str, str]]:
    parsed = [AVRO.parse(json.dumps(schema), [], strict=True) for schema in (reader, writer)]
    return [(reason.rule, reason.path) for reason in AVRO.check(*parsed, Policy.STRICT)]


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **more}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


LIST = record(field("next", ["null", "R"], default=None), field("value", "int"))
LONG_LIST = record(field("next", ["null", "R"], default=None), field("value", "long"))

CASES = [
    # reader, writer, what breaks
    *[(kind, kind, []) for kind in ("null", "boolean", "int", "long", "float", "double", "bytes", "string")],
    ("long", "int", []),
    ("float", "int", []),
    ("double", "int", []),
    ("float", "long", []),
    ("double", "long", []),
    ("double", "float", []),
    ("bytes", "string", []),
    ("string", "bytes", []),
    ("int", "long", [("TYPE_MISMATCH", "/")]),
    ("long", "float", [("TYPE_MISMATCH", "/")]),
    ("string", "int", [("TYPE_MISMATCH", "/")]),
    ("boolean", "null", [("TYPE_MISMATCH", "/")]),
    ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}, []),
    ({"type": "array", "items": "int"}, {"type": "array", "items": "long"}, [("TYPE_MISMATCH", "/items")]),
    ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}, [("TYPE_MISMATCH", "/values")]),
    ({"type": "map", "values": "int"}, {"type": "array", "items": "int"}, [("TYPE_MISMATCH", "/")]),
    # Fields.
    (record(field("a", "int"), field("b", "int", default=1)), record(field("a", "int")), []),
    (record(field("a", "int"), field("b", ["null", "int"], default=None)), record(field("a", "int")), []),
    (
        record(field("a", "int"), field("b", "int")),
        record(field("a", "int")),
        [("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/1")],
    ),
    (record(field("a", "int")), record(field("a", "int"), field("b", "int")), []),
    (record(field("a", "string")), record(field("a", "int")), [("TYPE_MISMATCH", "/fields/0/type")]),
    (record(field("b", "int", aliases=["a"])), record(field("a", "int")), []),
    (record(field("b", "int")), record(field("a", "int")), [("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/0")]),
    (record(field("b", "int"), field("a", "int")), record(field("a", "int"), field("b", "int")), []),
    # Names.
    (record(field("a", "int"), name="Q"), record(field("a", "int")), [("NAME_MISMATCH", "/name")]),
    (record(field("a", "int"), name="Q", aliases=["R"]), record(field("a", "int")), []),
    (record(field("a", "int"), namespace="x"), record(field("a", "int"), namespace="y"), []),
    # Enums.
    (enum("A", "B", "C"), enum("A", "B"), []),
    (enum("A", "B"), enum("A", "B", "C"), [("MISSING_ENUM_SYMBOLS", "/symbols")]),
    (enum("A", "B", default="A"), enum("A", "B", "C"), []),
    # Fixed.
    (fixed(4), fixed(4), []),
    (fixed(4), fixed(8), [("FIXED_SIZE_MISMATCH", "/size")]),
    # Unions.
    (["null", "int"], "int", []),
    (["null", "long"], "int", []),
    (["null", "string"], "int", [("MISSING_UNION_BRANCH", "/")]),
    ("int", ["int"], []),
    ("int", ["null", "int"], [("MISSING_UNION_BRANCH", "/")]),
    (["null", "int", "string"], ["null", "int"], []),
    (["null", "int"], ["null", "int", "string"], [("MISSING_UNION_BRANCH", "/")]),
    (["null", record(field("a", "int"))], record(field("a", "string")), [("TYPE_MISMATCH", "/1/fields/0/type")]),
    # Recursion ends.
    (LIST, LIST, []),
    (LONG_LIST, LIST, []),
    (LIST, LONG_LIST, [("TYPE_MISMATCH", "/fields/1/type")]),
    # Decimals.
    (decimal(9, 2), decimal(9, 2), []),
    (decimal(9, 3), decimal(9, 2), [("DECIMAL_MISMATCH", "/")]),
    (decimal(10, 2), decimal(9, 2), [("DECIMAL_MISMATCH", "/")]),
    ("bytes", decimal(9, 2), []),
    ({"type": "long", "logicalType": "timestamp-millis"}, "long", []),
]


@pytest.mark.parametrize(("reader", "writer", "broken"), CASES)
def test_a_reader_is_told_each_rule_that_keeps_it_from_reading_and_where(reader, writer, broken):
    assert check(reader, writer) == broken


def test_a_verdict_that_relied_on_another_does_not_outlive_it():
    """`b` holds a W, and W cannot be read: an alternative that reads W elsewhere does not help it."""

    def top(z: str, other: list[Any]) -> dict[str, Any]:
        inner = record(field("w", "n.W"), name="Y", namespace="n")
        return record(
            field("a", [record(field("y", inner), field("z", z), name="W", namespace="n"), *other]), field("b", "n.Y")
        )

    written = top("string", [])
    reader = top("int", [record(field("z", "string"), name="W", namespace="m")])
    found = check(reader, written)
    assert found == [("TYPE_MISMATCH", "/fields/0/type/0/fields/1/type")]


def test_every_rule_has_a_sentence_and_a_case():
    functions = [each for each in vars(rules).values() if getattr(each, "__annotations__", {}).get("return") == "Found"]
    assert len(functions) == 8
    assert all(rule.__doc__ for rule in functions)
    broken = {rule for _, _, found in CASES for rule, _ in found}
    assert broken == {
        "TYPE_MISMATCH",
        "READER_FIELD_MISSING_DEFAULT_VALUE",
        "NAME_MISMATCH",
        "MISSING_ENUM_SYMBOLS",
        "FIXED_SIZE_MISMATCH",
        "MISSING_UNION_BRANCH",
        "DECIMAL_MISMATCH",
    }


def test_the_message_names_the_field():
    reader, writer = (
        AVRO.parse(json.dumps(schema), [], strict=True)
        for schema in (record(field("a", "int"), field("region", "string")), record(field("a", "int")))
    )
    (reason,) = AVRO.check(reader, writer, Policy.STRICT)
    assert "'region'" in reason.message
    assert reason.facts == "region"
