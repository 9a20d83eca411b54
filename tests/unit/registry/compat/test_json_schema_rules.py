"""Each rule of JSON Schema, with what breaks it and what does not, where it breaks, and under which policy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moldau.registry.compat.json_schema import RULES, comparison
from moldau.registry.compat.json_schema import check as compare
from moldau.registry.languages import LANGUAGES, Policy, ResolvedReference, SchemaError

JSON = LANGUAGES["JSON"]
STRING, INTEGER, NUMBER, NULL = ({"type": name} for name in ("string", "integer", "number", "null"))
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def check(reader: Any, writer: Any, policy: Policy = Policy.STRICT) -> list[tuple[str, str]]:
    parsed = [JSON.parse(json.dumps(schema), [], strict=True) for schema in (reader, writer)]
    return [(reason.rule, reason.path) for reason in JSON.check(*parsed, policy)]


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def closed(**properties: Any) -> dict[str, Any]:
    return {**thing(**properties), "additionalProperties": False}


def partly(**properties: Any) -> dict[str, Any]:
    return {**thing(**properties), "additionalProperties": STRING}


def array(**more: Any) -> dict[str, Any]:
    return {"type": "array", **more}


def tree(kind: Any) -> dict[str, Any]:
    node = thing(value=kind, children=array(items={"$ref": "#/definitions/Tree"}))
    return {"$ref": "#/definitions/Tree", "definitions": {"Tree": node}}


DOG = {**closed(kind={"const": "dog"}, bark=STRING), "required": ["kind"]}
CAT = {**closed(kind={"const": "cat"}, meow=STRING), "required": ["kind"]}

CASES: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    # reader, writer, what breaks
    *[({"type": name}, {"type": name}, []) for name in ("null", "boolean", "string", "number", "array", "object")],
    # Types.
    (NUMBER, INTEGER, []),
    (INTEGER, NUMBER, [("TYPE_NARROWED", "/type")]),
    (STRING, INTEGER, [("TYPE_CHANGED", "/type")]),
    ({"type": ["string", "null"]}, STRING, []),
    (STRING, {"type": ["string", "null"]}, [("TYPE_NARROWED", "/type")]),
    ({}, STRING, []),
    (True, STRING, []),
    (STRING, {}, [("TYPE_NARROWED", "/type")]),
    (False, STRING, [("TYPE_CHANGED", "/")]),
    (STRING, False, []),
    ({**STRING, "title": "a", "description": "b", "default": "c", "examples": ["d"]}, STRING, []),
    # Values.
    ({"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}, []),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}, [("ENUM_ARRAY_NARROWED", "/enum")]),
    ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, [("ENUM_ARRAY_CHANGED", "/enum")]),
    ({"enum": ["a", "b"]}, STRING, [("ENUM_ARRAY_ADDED", "/enum")]),
    (STRING, {"enum": ["a", "b"]}, []),
    ({"enum": [1]}, {"const": 1.0}, []),
    ({"enum": [1]}, {"const": True}, [("ENUM_ARRAY_CHANGED", "/enum")]),
    ({"const": "a"}, {"const": "b"}, [("ENUM_ARRAY_CHANGED", "/const")]),
    ({**STRING, "maxLength": 3}, {"enum": ["abc", "de"]}, []),
    ({**STRING, "maxLength": 2}, {"enum": ["abc", "de"]}, [("MAX_LENGTH_ADDED", "/maxLength")]),
    # Numbers.
    ({**NUMBER, "minimum": 0}, {**NUMBER, "minimum": 1}, []),
    ({**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 0}, [("MINIMUM_INCREASED", "/minimum")]),
    ({**NUMBER, "minimum": 1}, NUMBER, [("MINIMUM_ADDED", "/minimum")]),
    ({**NUMBER, "maximum": 1}, {**NUMBER, "maximum": 2}, [("MAXIMUM_DECREASED", "/maximum")]),
    ({**NUMBER, "maximum": 1}, NUMBER, [("MAXIMUM_ADDED", "/maximum")]),
    (
        {**NUMBER, "exclusiveMinimum": 0},
        {**NUMBER, "minimum": 0},
        [("EXCLUSIVE_MINIMUM_INCREASED", "/exclusiveMinimum")],
    ),
    ({**NUMBER, "minimum": 0}, {**NUMBER, "exclusiveMinimum": 0}, []),
    ({**NUMBER, "exclusiveMaximum": 9}, NUMBER, [("EXCLUSIVE_MAXIMUM_ADDED", "/exclusiveMaximum")]),
    ({**INTEGER, "minimum": 1}, {**INTEGER, "exclusiveMinimum": 0}, []),
    ({**NUMBER, "minimum": 1}, {**NUMBER, "exclusiveMinimum": 0}, [("MINIMUM_INCREASED", "/minimum")]),
    ({**INTEGER, "maximum": 8}, {**INTEGER, "exclusiveMaximum": 9}, []),
    (
        {"$schema": DRAFT_4, "minimum": 0, "exclusiveMinimum": True},
        {"$schema": DRAFT_4, "minimum": 0},
        [("EXCLUSIVE_MINIMUM_INCREASED", "/exclusiveMinimum")],
    ),
    (
        {"$schema": DRAFT_4, "type": "number", "minimum": 0, "exclusiveMinimum": True},
        {**NUMBER, "exclusiveMinimum": 0},
        [],
    ),
    ({**NUMBER, "multipleOf": 2}, {**NUMBER, "multipleOf": 4}, []),
    ({**NUMBER, "multipleOf": 4}, {**NUMBER, "multipleOf": 2}, [("MULTIPLE_OF_EXPANDED", "/multipleOf")]),
    ({**NUMBER, "multipleOf": 3}, {**NUMBER, "multipleOf": 2}, [("MULTIPLE_OF_CHANGED", "/multipleOf")]),
    ({**NUMBER, "multipleOf": 3}, NUMBER, [("MULTIPLE_OF_ADDED", "/multipleOf")]),
    ({**NUMBER, "multipleOf": 0.1}, {**NUMBER, "multipleOf": 0.3}, []),
    ({**NUMBER, "multipleOf": 0.5}, INTEGER, []),
    # Strings.
    ({**STRING, "minLength": 2}, {**STRING, "minLength": 1}, [("MIN_LENGTH_INCREASED", "/minLength")]),
    ({**STRING, "minLength": 2}, STRING, [("MIN_LENGTH_ADDED", "/minLength")]),
    ({**STRING, "minLength": 0}, STRING, []),
    ({**STRING, "maxLength": 2}, {**STRING, "maxLength": 3}, [("MAX_LENGTH_DECREASED", "/maxLength")]),
    ({**STRING, "maxLength": 2}, STRING, [("MAX_LENGTH_ADDED", "/maxLength")]),
    ({**STRING, "maxLength": 3}, {**STRING, "maxLength": 2}, []),
    ({"type": ["string", "integer"], "maxLength": 2}, INTEGER, []),
    ({**STRING, "pattern": "a"}, {**STRING, "pattern": "a"}, []),
    ({**STRING, "pattern": "a"}, {**STRING, "pattern": "b"}, [("PATTERN_CHANGED", "/pattern")]),
    ({**STRING, "pattern": "a"}, STRING, [("PATTERN_ADDED", "/pattern")]),
    # Arrays.
    (array(minItems=2), array(minItems=1), [("MIN_ITEMS_INCREASED", "/minItems")]),
    (array(minItems=2), array(), [("MIN_ITEMS_ADDED", "/minItems")]),
    (array(maxItems=2), array(maxItems=3), [("MAX_ITEMS_DECREASED", "/maxItems")]),
    (array(maxItems=2), array(), [("MAX_ITEMS_ADDED", "/maxItems")]),
    (array(uniqueItems=True), array(), [("UNIQUE_ITEMS_ADDED", "/uniqueItems")]),
    (array(uniqueItems=True), array(maxItems=1), []),
    (array(), array(uniqueItems=True), []),
    (array(items=NUMBER), array(items=INTEGER), []),
    (array(items=INTEGER), array(items=NUMBER), [("TYPE_NARROWED", "/items/type")]),
    (array(items=INTEGER), array(), [("ADDITIONAL_ITEMS_NARROWED", "/items")]),
    (
        array(items=[STRING], additionalItems=False),
        array(items=[STRING]),
        [("ADDITIONAL_ITEMS_REMOVED", "/additionalItems")],
    ),
    (array(items=[STRING, STRING]), array(items=[STRING]), [("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", "/items/1")]),
    (array(items=[STRING, {}]), array(items=[STRING]), []),
    (
        array(items=[STRING, INTEGER]),
        array(items=[STRING], additionalItems=STRING),
        [("ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "/items/1")],
    ),
    (array(items=[STRING, STRING], additionalItems=False), array(items=[STRING], additionalItems=False), []),
    (array(items=[STRING]), array(items=[STRING, INTEGER]), []),
    (
        array(items=[STRING], additionalItems=False),
        array(items=[STRING, INTEGER], additionalItems=False),
        [("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", "/items/1")],
    ),
    (
        array(items=[STRING], additionalItems=STRING),
        array(items=[STRING, INTEGER], additionalItems=False),
        [("ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "/items/1")],
    ),
    (
        {"$schema": DRAFT_2020, **array(prefixItems=[INTEGER], items=False)},
        {"$schema": DRAFT_2020, **array(prefixItems=[STRING], items=False)},
        [("TYPE_CHANGED", "/prefixItems/0/type")],
    ),
    (
        {"$schema": DRAFT_2020, **array(prefixItems=[NUMBER], items=STRING)},
        array(items=[INTEGER], additionalItems=STRING),
        [],
    ),
    (array(contains=STRING), array(contains={**STRING, "maxLength": 1}), []),
    (array(contains=STRING), array(), [("CONTAINS_CHANGED", "/contains")]),
    (
        {"$schema": DRAFT_2019, **array(contains=STRING, minContains=2)},
        array(contains=STRING),
        [("CONTAINS_CHANGED", "/contains")],
    ),
    # Objects: how many properties, and which are required.
    ({"minProperties": 1, **thing()}, thing(), [("MIN_PROPERTIES_ADDED", "/minProperties")]),
    (
        {"minProperties": 2, **thing()},
        {"minProperties": 1, **thing()},
        [("MIN_PROPERTIES_INCREASED", "/minProperties")],
    ),
    ({"minProperties": 1, **thing()}, {"required": ["a"], **thing()}, []),
    ({"maxProperties": 1, **thing()}, thing(), [("MAX_PROPERTIES_ADDED", "/maxProperties")]),
    (
        {"maxProperties": 1, **thing()},
        {"maxProperties": 2, **thing()},
        [("MAX_PROPERTIES_DECREASED", "/maxProperties")],
    ),
    ({**thing(a=STRING), "required": ["a"]}, thing(a=STRING), [("REQUIRED_ATTRIBUTE_ADDED", "/required")]),
    ({**thing(a={**STRING, "default": ""}), "required": ["a"]}, thing(a=STRING), []),
    (thing(a=STRING), {**thing(a=STRING), "required": ["a"]}, []),
    (
        {**closed(a=STRING), "required": ["a"]},
        closed(),
        [("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", "/required")],
    ),
    ({**closed(a={**STRING, "default": ""}), "required": ["a"]}, closed(), []),
    # Content models.
    (thing(a=STRING, b=STRING), thing(a=STRING), [("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "/properties/b")]),
    (thing(a=STRING, b={}), thing(a=STRING), []),
    (closed(a=STRING, b=STRING), closed(a=STRING), []),
    (thing(a=STRING), thing(a=STRING, b=STRING), []),
    (closed(a=STRING), closed(a=STRING, b=STRING), [("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "/properties/b")]),
    (closed(a=STRING), closed(a=STRING, b=False), []),
    (partly(a=STRING), partly(), []),
    (
        partly(a=INTEGER),
        partly(),
        [("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "/properties/a")],
    ),
    (partly(), partly(a=STRING), []),
    (
        partly(),
        partly(a=INTEGER),
        [("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "/properties/a")],
    ),
    (thing(), closed(), []),
    (closed(), thing(), [("ADDITIONAL_PROPERTIES_REMOVED", "/additionalProperties")]),
    (partly(), thing(), [("ADDITIONAL_PROPERTIES_NARROWED", "/additionalProperties")]),
    (thing(a=thing(b=NUMBER)), thing(a=thing(b=INTEGER)), []),
    (thing(a=thing(b=INTEGER)), thing(a=thing(b=NUMBER)), [("TYPE_NARROWED", "/properties/a/properties/b/type")]),
    (thing(**{"a/b~": STRING}), thing(**{"a/b~": INTEGER}), [("TYPE_CHANGED", "/properties/a~1b~0/type")]),
    # Patterns of names.
    ({**closed(), "patternProperties": {"^x": NUMBER}}, {**closed(), "patternProperties": {"^x": INTEGER}}, []),
    (
        {**closed(), "patternProperties": {"^x": INTEGER}},
        {**closed(), "patternProperties": {"^x": NUMBER}},
        [("TYPE_NARROWED", "/patternProperties/^x/type")],
    ),
    (
        {**thing(), "patternProperties": {"^x": INTEGER}},
        thing(),
        [("PATTERN_PROPERTY_ADDED", "/patternProperties/^x")],
    ),
    (
        closed(),
        {**closed(), "patternProperties": {"^x": INTEGER}},
        [("PATTERN_PROPERTY_REMOVED", "/patternProperties/^x")],
    ),
    (closed(), {"allOf": [closed(), {**thing(), "patternProperties": {"^x": INTEGER}}]}, []),
    (partly(), {"allOf": [partly(), {**thing(), "patternProperties": {"^x": {}}}]}, []),
    ({**closed(), "patternProperties": {"^x": STRING}}, closed(x1=STRING), []),
    (
        {**closed(), "patternProperties": {"^x": STRING}},
        closed(x1=INTEGER),
        [("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "/properties/x1")],
    ),
    ({**thing(), "propertyNames": {"maxLength": 3}}, {**thing(), "propertyNames": {"maxLength": 2}}, []),
    ({**thing(), "propertyNames": {"maxLength": 3}}, thing(), [("PROPERTY_NAMES_ADDED", "/propertyNames")]),
    (
        {**thing(), "propertyNames": {"maxLength": 3}},
        {**thing(), "propertyNames": {"maxLength": 4}},
        [("MAX_LENGTH_DECREASED", "/propertyNames/maxLength")],
    ),
    # What depends on a property.
    ({**thing(), "dependencies": {"a": ["b"]}}, thing(), [("DEPENDENCY_ARRAY_ADDED", "/dependencies/a")]),
    (thing(), {**thing(), "dependencies": {"a": ["b"]}}, []),
    (
        {**thing(), "dependencies": {"a": ["b", "c"]}},
        {**thing(), "dependencies": {"a": ["b"]}},
        [("DEPENDENCY_ARRAY_EXTENDED", "/dependencies/a")],
    ),
    (
        {"$schema": DRAFT_2019, **thing(), "dependentRequired": {"a": ["c"]}},
        {**thing(), "dependencies": {"a": ["b"]}},
        [("DEPENDENCY_ARRAY_CHANGED", "/dependentRequired/a")],
    ),
    ({"$schema": DRAFT_2019, **thing(), "dependentRequired": {"a": ["b"]}}, {**thing(), "required": ["b"]}, []),
    ({**thing(), "dependencies": {"a": ["b"]}}, closed(b=STRING), []),
    (
        {**thing(), "dependencies": {"a": {"required": ["b"]}}},
        thing(),
        [("DEPENDENCY_SCHEMA_ADDED", "/dependencies/a")],
    ),
    (
        {"$schema": DRAFT_2020, **thing(), "dependentSchemas": {"a": {"required": ["b"]}}},
        {**thing(), "dependencies": {"a": {"required": ["b", "c"]}}},
        [],
    ),
    # Alternatives.
    ({"anyOf": [STRING, INTEGER]}, STRING, []),
    ({"anyOf": [STRING, NULL]}, {"type": ["string", "null"]}, []),
    ({"type": ["string", "null"]}, {"oneOf": [STRING, NULL]}, []),
    ({"oneOf": [STRING, NULL, INTEGER]}, {"oneOf": [STRING, NULL]}, []),
    ({"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING, NULL]}, [("SUM_TYPE_NARROWED", "/oneOf")]),
    ({"anyOf": [STRING, INTEGER]}, NULL, [("COMBINED_TYPE_SUBSCHEMAS_CHANGED", "/anyOf")]),
    ({"anyOf": [{**STRING, "maxLength": 2}, NULL]}, STRING, [("MAX_LENGTH_ADDED", "/anyOf/0/maxLength")]),
    ({"oneOf": [INTEGER, NUMBER]}, INTEGER, [("ONE_OF_OVERLAPS", "/oneOf")]),
    ({"oneOf": [INTEGER, NUMBER, STRING]}, {"oneOf": [INTEGER, NUMBER]}, []),
    ({"oneOf": [DOG, CAT]}, {"oneOf": [DOG]}, []),
    ({"anyOf": [DOG, CAT]}, {"oneOf": [CAT, DOG]}, []),
    (
        {"oneOf": [DOG]},
        {"oneOf": [DOG, CAT]},
        [
            ("ENUM_ARRAY_CHANGED", "/oneOf/0/properties/kind/const"),
            ("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "/oneOf/0/properties/meow"),
        ],
    ),
    (thing(a=STRING), {"allOf": [thing(a=STRING), {"required": ["a"]}]}, []),
    ({"allOf": [thing(a=STRING), {"required": ["a"]}]}, {**thing(a=STRING), "required": ["a"]}, []),
    ({"allOf": [thing(), {"required": ["a"]}]}, thing(), [("REQUIRED_ATTRIBUTE_ADDED", "/allOf/1/required")]),
    ({"not": STRING}, INTEGER, []),
    ({"not": STRING}, {}, [("NOT_TYPE_ADDED", "/not")]),
    ({"not": {**STRING, "maxLength": 2}}, {"not": STRING}, []),
    ({"not": STRING}, {"not": {**STRING, "maxLength": 2}}, [("NOT_TYPE_EXTENDED", "/not")]),
    ({"if": STRING, "then": {"maxLength": 2}}, {"if": STRING, "then": {"maxLength": 1}}, []),
    ({"if": STRING, "then": {"maxLength": 2}}, {}, [("MAX_LENGTH_ADDED", "/then/maxLength")]),
    ({"if": STRING, "else": {"minimum": 2}}, STRING, []),
    (
        {"$schema": DRAFT_2020, "allOf": [thing(a=STRING)], "unevaluatedProperties": False},
        {"$schema": DRAFT_2020, "allOf": [thing(a=STRING)]},
        [("UNEVALUATED_CHANGED", "/unevaluatedProperties")],
    ),
    ({"$schema": DRAFT_2020, **thing(a=STRING), "unevaluatedProperties": False}, closed(a=STRING), []),
    # References, and recursion, which ends.
    (tree(NUMBER), tree(INTEGER), []),
    (tree(INTEGER), tree(NUMBER), [("TYPE_NARROWED", "/properties/value/type")]),
    ({"$ref": "#/definitions/a", "definitions": {"a": NUMBER}}, INTEGER, []),
    ({"$schema": DRAFT_2020, "$ref": "#/$defs/a", "$defs": {"a": NUMBER}, "minimum": 1}, {**INTEGER, "minimum": 1}, []),
    ({"$ref": "#"}, STRING, []),
    ({"$ref": "#named", "definitions": {"a": {"$id": "#named", **STRING}}}, INTEGER, [("TYPE_CHANGED", "/type")]),
    # What a draft does not know says nothing.
    ({"$schema": DRAFT_4, "type": "string", "const": "a"}, STRING, []),
    ({"$ref": "#/definitions/a", "definitions": {"a": {}}, "type": "string"}, INTEGER, []),
]


@pytest.mark.parametrize(("reader", "writer", "expected"), CASES)
def test_a_reader_is_told_each_rule_that_keeps_it_from_reading_and_where(reader, writer, expected):
    assert check(reader, writer) == expected


def test_every_rule_has_a_sentence():
    assert len(set(RULES)) == 28
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_broken_by_one_of_the_cases(rule, monkeypatch):
    monkeypatch.setattr(comparison, "RULES", tuple(each for each in RULES if each is not rule))
    assert any(check(reader, writer) != expected for reader, writer, expected in CASES)


@pytest.mark.parametrize("schema", [each for case in CASES for each in case[:2] if "unevaluated" not in str(each)])
def test_a_schema_reads_itself(schema):
    reader, writer = (JSON.parse(json.dumps(schema), [], strict=True).root() for _ in range(2))
    assert compare(reader, writer, Policy.STRICT) == []


LENIENT_CASES = [
    (thing(a=STRING, b=STRING), thing(a=STRING), []),
    ({**thing(a=STRING, b=STRING), "required": ["b"]}, thing(a=STRING), [("REQUIRED_ATTRIBUTE_ADDED", "/required")]),
    (closed(), thing(), []),
    (partly(), thing(), []),
    (partly(a=INTEGER), partly(), []),
    (partly(), partly(a=INTEGER), []),
    (closed(), closed(a=STRING), [("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "/properties/a")]),
    (thing(a=STRING), thing(a=INTEGER), [("TYPE_CHANGED", "/properties/a/type")]),
]


@pytest.mark.parametrize(("reader", "writer", "expected"), LENIENT_CASES)
def test_the_lenient_policy_trusts_that_unknown_properties_were_not_written(reader, writer, expected):
    assert check(reader, writer, Policy.LENIENT) == expected


def parse(schema: Any, **references: Any) -> Any:
    resolved = [ResolvedReference(f"{name}.json", json.dumps(text)) for name, text in references.items()]
    return JSON.parse(json.dumps(schema), resolved, strict=True)


def test_references_to_other_schemas_are_followed_by_name_and_by_id():
    order = {"$id": "http://shop/order.json", **thing(customer={"$ref": "customer.json"})}
    narrow = parse(order, customer=thing(id=INTEGER))
    wide = parse(order, customer={"$schema": DRAFT_2020, "$id": "http://shop/customer.json", **thing(id=NUMBER)})
    assert JSON.check(wide, narrow, Policy.STRICT) == []
    found = JSON.check(narrow, wide, Policy.STRICT)
    assert [(each.rule, each.path) for each in found] == [("TYPE_NARROWED", "/properties/customer/properties/id/type")]


@pytest.mark.parametrize("reference", ["#/definitions/none", "other.json", "http://example.com/schema.json", "#none"])
def test_a_reference_that_leads_nowhere_is_refused_with_its_path(reference):
    with pytest.raises(SchemaError, match="/properties/a") as refusal:
        parse(thing(a={"$ref": reference}))
    assert reference in str(refusal.value)


def test_schemas_that_take_too_long_are_refused_instead_of_compared():
    def many(kind: Any) -> dict[str, Any]:
        return {"allOf": [{"anyOf": [{"minLength": n}, {"maxLength": n}, kind]} for n in range(40)]}

    reader, writer = (JSON.parse(json.dumps(many(kind)), [], strict=True) for kind in (STRING, INTEGER))
    with pytest.raises(SchemaError, match="comparisons"):
        JSON.check(reader, writer, Policy.STRICT)


def test_schemas_that_are_nested_too_deeply_are_refused():
    def nested(innermost: str) -> str:
        return '{"items":' * 400 + innermost + "}" * 400

    with pytest.raises(SchemaError, match="too deeply"):
        JSON.parse(nested("{}"), [], strict=True)
    reader, writer = (JSON.parse(nested(each), [], strict=False) for each in ('{"type":"string"}', '{"type":"null"}'))
    with pytest.raises(SchemaError, match="too deeply"):
        JSON.check(reader, writer, Policy.STRICT)


def test_a_large_union_is_compared():
    kinds = [{**closed(kind={"const": f"k{n}"}, a=STRING, b=INTEGER), "required": ["kind"]} for n in range(30)]
    assert check({"oneOf": [*kinds, NULL]}, {"oneOf": kinds}) == []


@pytest.mark.parametrize("text", ['{"minimum": NaN}', '{"minimum": 1e999}', "[]", "{", '"string"'])
def test_what_is_no_json_schema_is_refused(text):
    with pytest.raises(SchemaError):
        JSON.parse(text, [], strict=True)
