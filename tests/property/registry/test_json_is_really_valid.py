"""What our rules call compatible is really valid: under the old schema, then under the new, by the jsonschema library.

Schemas, their changes and values are made by Hypothesis; only the verdict is ours. A property that the reader requires
and that has a default is filled in, as readers do. The alternatives of a oneOf are of different types: of others, the
published rules let pass a new alternative that overlaps with an old one.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from moldau.registry.languages import LANGUAGES, Policy

JSON = LANGUAGES["JSON"]
NAMES = ("a", "b", "x1")
TYPES = ("null", "boolean", "string", "integer", "number", "array", "object")
small = st.integers(0, 3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 4)
    | st.sampled_from([0.5, 1.0, 1.5])
    | st.sampled_from(["", "a", "ab", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*NAMES, "y")), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def schemas(draw: Any, depth: int = 2) -> Any:
    if depth == 0 or draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([True, False, {}, {"enum": ["a", 1]}, *({"type": name} for name in TYPES)]))
    shape = draw(st.sampled_from(("string", "number", "array", "object", "object", "combined", "types")))
    inner = schemas(depth - 1)
    match shape:
        case "string":
            more = {"minLength": small, "maxLength": small, "pattern": st.sampled_from(["a", "^b"])}
            found = {"type": "string", **draw(st.fixed_dictionaries({}, optional=more))}
        case "number":
            bounds = st.integers(-1, 3)
            more = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), bounds)
            more["multipleOf"] = st.sampled_from([0.5, 1, 2])
            kind = draw(st.sampled_from(["integer", "number"]))
            found = {"type": kind, **draw(st.fixed_dictionaries({}, optional=more))}
        case "array":
            more = {
                "items": inner | st.lists(inner, min_size=1, max_size=2),
                "additionalItems": inner,
                "minItems": small,
                "maxItems": small,
                "uniqueItems": st.booleans(),
                "contains": inner,
            }
            found = {"type": "array", **draw(st.fixed_dictionaries({}, optional=more))}
            if isinstance(found.get("items"), bool):
                # It would mean nothing beside them, and jsonschema's validator stumbles over the two together.
                found.pop("additionalItems", None)
        case "object":
            names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
            more = {
                "additionalProperties": st.booleans() | inner,
                "patternProperties": st.dictionaries(st.sampled_from(["^x", "1$"]), inner, max_size=2),
                "required": names,
                "dependencies": st.dictionaries(st.sampled_from(NAMES), names | inner, max_size=1),
                "propertyNames": st.sampled_from([True, {"maxLength": 1}]),
                "minProperties": small,
                "maxProperties": small,
            }
            properties = draw(st.dictionaries(st.sampled_from(NAMES), inner, max_size=3))
            found = {"type": "object", "properties": properties, **draw(st.fixed_dictionaries({}, optional=more))}
        case "combined":
            keyword = draw(st.sampled_from(("anyOf", "allOf", "not", "if", "oneOf")))
            found = draw(combined(keyword, inner))
        case _:
            found = {"type": draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True))}
    return found


@st.composite
def combined(draw: Any, keyword: str, inner: Any) -> Any:
    if keyword == "not":
        return {"not": draw(inner)}
    if keyword == "if":
        return {"if": draw(inner), "then": draw(inner), "else": draw(inner)}
    if keyword == "oneOf":
        kinds = draw(st.lists(st.sampled_from(("null", "boolean", "string", "number")), min_size=1, unique=True))
        return {"oneOf": [{"type": kind} for kind in kinds]}
    return {keyword: draw(st.lists(inner, min_size=1, max_size=2))}


@st.composite
def changed(draw: Any, schema: Any) -> Any:
    """The schema with one thing in it changed: something put in its place, taken away, added or made wider."""
    if not isinstance(schema, dict) or not schema or draw(st.integers(0, 5)) == 0:
        return draw(schemas(1) | st.just({"anyOf": [schema, {"type": "null"}]}) | st.just(schema))
    key = draw(st.sampled_from(sorted(schema)))
    value = schema[key]
    if draw(st.integers(0, 3)) == 0:
        return {name: each for name, each in schema.items() if name != key}
    if key in (
        "minimum",
        "minLength",
        "minItems",
        "maximum",
        "maxLength",
        "maxItems",
        "minProperties",
        "maxProperties",
    ):
        return {**schema, key: max(0, value + draw(st.sampled_from([-1, 1])))}
    if key in ("properties", "patternProperties") and value:
        name = draw(st.sampled_from(sorted(value)))
        return {**schema, key: {**value, name: draw(changed(value[name]))}}
    if key == "properties":
        return {
            **schema,
            key: {"a": {**draw(st.sampled_from([{"type": "string"}, {}])), "default": "a"}},
            "required": ["a"],
        }
    if key in ("items", "additionalItems", "additionalProperties", "contains", "not", "if", "then", "else"):
        return {
            **schema,
            key: draw(changed(value)) if not isinstance(value, list) else [draw(changed(value[0])), *value[1:]],
        }
    if key in ("anyOf", "allOf"):
        return {**schema, key: [draw(changed(value[0])), *value[1:]]}
    if key == "type":
        return {**schema, key: draw(st.sampled_from([[value, "null"] if isinstance(value, str) else value, "number"]))}
    return schema


@st.composite
def evolutions(draw: Any) -> tuple[Any, Any]:
    writer = draw(schemas())
    return writer, draw(changed(writer) | changed(writer).flatmap(changed))


def verdict(reader: Any, writer: Any) -> list[str]:
    parsed = [JSON.parse(json.dumps(schema), [], strict=True) for schema in (reader, writer)]
    return [reason.rule for reason in JSON.check(*parsed, Policy.STRICT)]


def filled(schema: Any, value: Any) -> Any:
    """The value with the defaults of properties that are required and missing, as a reader would fill them in."""
    if not isinstance(schema, dict):
        return value
    for member in schema.get("allOf", ()):
        value = filled(member, value)
    for member in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if Draft7Validator(member).is_valid(changed_value := filled(member, value)):
            value = changed_value
            break
    if not isinstance(value, dict):
        return value
    value = dict(value)
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            value[name] = filled(inner, value[name])
        elif name in schema.get("required", ()) and isinstance(inner, dict) and "default" in inner:
            value[name] = copy.deepcopy(inner["default"])
    return value


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(evolutions(), st.lists(VALUES, min_size=15, max_size=15))
def test_what_backward_allows_is_valid(evolution, values):
    writer, reader = evolution
    assume(not verdict(reader, writer))
    old, new = Draft7Validator(writer), Draft7Validator(reader)
    for value in values:
        if old.is_valid(value):
            assert new.is_valid(value) or new.is_valid(filled(reader, value))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas(), schemas())
def test_a_schema_reads_itself_and_adding_an_alternative_is_compatible(schema, other):
    assert verdict(schema, schema) == []
    assert verdict({"anyOf": [other, schema]}, schema) == []
    assert verdict(schema, {"allOf": [other, schema]}) == []
