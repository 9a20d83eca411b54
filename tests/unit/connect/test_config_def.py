"""Settings of plugins: how they are read, and what validation says of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from moldau.connect.config_def import ConfigDef, ConfigValue, Importance, Password, Type, Width, config_infos
from moldau.connect.config_validators import (
    AllOf,
    CaseInsensitiveValidString,
    ListSize,
    NonEmptyList,
    NonEmptyString,
    NonEmptyStringWithoutControlChars,
    NonNull,
    Range,
    Rule,
    ValidList,
    ValidString,
)
from moldau.connect.errors import ConfigError


def one(kind: Type, **more: Any) -> ConfigDef:
    return ConfigDef().define("key", kind, **more)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Type.BOOLEAN, " TRUE ", True),
        (Type.BOOLEAN, "false", False),
        (Type.STRING, " a b\n", "a b"),
        (Type.INT, "+5", 5),
        (Type.INT, " -2147483648 ", -2147483648),
        (Type.SHORT, "32767", 32767),
        (Type.LONG, "9223372036854775807", 9223372036854775807),
        (Type.DOUBLE, "1e3", 1000.0),
        (Type.DOUBLE, ".5d", 0.5),
        (Type.DOUBLE, "-Infinity", float("-inf")),
        (Type.DOUBLE, 3, 3.0),
        (Type.LIST, "a , b,c", ["a", "b", "c"]),
        (Type.LIST, "a,,", ["a", "", ""]),
        (Type.LIST, "  ", []),
        (Type.CLASS, " org.example.A ", "org.example.A"),
        (Type.PASSWORD, "secret", Password("secret")),
        (Type.STRING, None, None),
    ],
)
def test_text_is_read_as_java_reads_it(kind: Type, text: object, expected: object):
    assert one(kind).parse({"key": text}) == {"key": expected}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Type.BOOLEAN, "yes", "Invalid value yes for configuration key: Expected value to be either true or false"),
        (Type.INT, "1.0", "Invalid value 1.0 for configuration key: Not a number of type INT"),
        (Type.INT, "2147483648", "Invalid value 2147483648 for configuration key: Not a number of type INT"),
        (Type.INT, "1_000", "Invalid value 1_000 for configuration key: Not a number of type INT"),
        (Type.INT, True, "Invalid value true for configuration key: Expected value to be a 32-bit integer"),
        (Type.SHORT, "32768", "Invalid value 32768 for configuration key: Not a number of type SHORT"),
        (Type.LONG, "", "Invalid value  for configuration key: Not a number of type LONG"),
        (Type.DOUBLE, "one", "Invalid value one for configuration key: Not a number of type DOUBLE"),
        (Type.LIST, 3, "Invalid value 3 for configuration key: Expected a comma separated list."),
        (Type.STRING, 3, "Invalid value 3 for configuration key: Expected value to be a string"),
    ],
)
def test_text_that_cannot_be_read_is_refused_in_kafkas_words(kind: Type, value: object, message: str):
    with pytest.raises(ConfigError) as caught:
        one(kind).parse({"key": value})
    assert str(caught.value).startswith(message)
    assert caught.value.name == "key"
    assert caught.value.value == value


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (Range(1), 0, "Invalid value 0 for configuration key: Value must be at least 1"),
        (Range(1, 5), 6, "Invalid value 6 for configuration key: Value must be no more than 5"),
        (Range(1), None, "Invalid value null for configuration key: Value must be non-null"),
        (ValidString("a", "b"), "c", "Invalid value c for configuration key: String must be one of: a, b"),
        (
            CaseInsensitiveValidString("a"),
            "c",
            "Invalid value c for configuration key: String must be one of (case insensitive): A",
        ),
        (ValidList("a"), ["b"], "Invalid value b for configuration key: String must be one of: a"),
        (ValidList("a"), ["a", "a"], "Configuration 'key' values must not be duplicated."),
        (ValidList(), [""], "Configuration 'key' values must not be empty."),
        (
            ValidList(empty_allowed=False),
            [],
            "Configuration 'key' must not be empty. Valid values include: any non-empty value",
        ),
        (ValidList(), None, "Configuration 'key' values must not be null."),
        (NonNull(), None, "Invalid value null for configuration key: entry must be non null"),
        (NonEmptyString(), "", "Invalid value  for configuration key: String must be non-empty"),
        (
            NonEmptyStringWithoutControlChars(),
            "a\tb",
            (
                "Invalid value a\tb for configuration key: "
                "String may not contain control sequences but had the following ASCII chars: 9"
            ),
        ),
        (NonEmptyList(), [], "Invalid value [] for configuration key: Empty list"),
        (ListSize(1), ["a", "b"], "Invalid value [a, b] for configuration key: exceeds maximum list size of [1]."),
        (AllOf(NonNull(), NonEmptyString()), "", "Invalid value  for configuration key: String must be non-empty"),
    ],
)
def test_a_rule_refuses_in_kafkas_words(rule: Any, value: object, message: str):
    with pytest.raises(ConfigError) as caught:
        rule.ensure_valid("key", value)
    assert str(caught.value) == message


def test_a_rule_says_what_it_allows():
    assert str(Range(1)) == "[1,...]"
    assert str(Range(1, 5)) == "[1,...,5]"
    assert str(ValidString("a", "b")) == "[a, b]"
    assert str(AllOf(NonNull(), NonEmptyString())) == "non-null string, non-empty string"
    assert str(Rule(lambda _name, _value: None, "anything")) == "anything"


def test_a_setting_without_a_default_must_be_given():
    with pytest.raises(ConfigError, match=r'Missing required configuration "key" which has no default value\.'):
        one(Type.STRING).parse({})
    assert one(Type.STRING, default=None).parse({}) == {"key": None}


def test_a_default_is_read_and_checked_when_it_is_declared():
    assert one(Type.LIST, default="a,b").parse({}) == {"key": ["a", "b"]}
    with pytest.raises(ConfigError, match="at least 1"):
        one(Type.INT, default=0, validator=Range(1))
    with pytest.raises(ConfigError, match=r"Configuration key is defined twice\."):
        one(Type.INT).define("key", Type.INT)


def test_what_stands_twice_in_a_list_is_used_once():
    definition = one(Type.LIST, validator=ValidList("a", "b"))
    assert definition.parse({"key": "a,b,a"}) == {"key": ["a", "b"]}
    assert definition.validate({"key": "a,a"})[0].errors == ["Configuration 'key' values must not be duplicated."]


def test_validation_finds_everything_at_once():
    definition = one(Type.INT).define("rest", Type.STRING, validator=ValidString("a"))
    found = {value.name: value for value in definition.validate({"rest": "b"})}
    assert found["key"].errors == ['Missing required configuration "key" which has no default value.']
    assert found["rest"].errors == ["Invalid value b for configuration rest: String must be one of: a"]
    assert found["rest"].value == "b"


class Tables:
    def valid_values(self, name: str, parsed: Mapping[str, Any]) -> list[Any]:
        if parsed["mode"] == "broken":
            raise ConfigError("no tables there")
        return ["orders", "customers"]

    def visible(self, name: str, parsed: Mapping[str, Any]) -> bool:
        return bool(parsed["mode"] == "some")


def recommending() -> ConfigDef:
    return (
        ConfigDef()
        .define("mode", Type.STRING, "all", dependents=["tables"])
        .define("tables", Type.LIST, "", recommender=Tables())
    )


def test_values_are_recommended_according_to_other_settings():
    found = recommending().validate_all({"mode": "some"})["tables"]
    assert (found.recommended_values, found.visible) == (["orders", "customers"], True)
    assert recommending().validate_all({})["tables"].visible is False
    assert recommending().validate_all({"mode": "broken"})["tables"].errors == ["no tables there"]


def test_settings_are_embedded_under_a_prefix():
    child = recommending().define("limit", Type.INT, 1, Range(1), group="Limits")
    definition = ConfigDef().embed("transforms.a.", "Transforms: a", 3, child)
    assert definition.names == ["transforms.a.mode", "transforms.a.tables", "transforms.a.limit"]
    assert definition.groups == ["Transforms: a", "Transforms: a: Limits"]
    assert [key.order for key in definition.keys.values()] == [3, 4, 5]
    found = definition.validate_all({"transforms.a.mode": "some", "transforms.a.limit": "0"})
    assert found["transforms.a.tables"].visible
    assert found["transforms.a.limit"].errors == ["Invalid value 0 for configuration limit: Value must be at least 1"]


def test_the_answer_of_validation_has_kafkas_shape():
    definition = ConfigDef().define(
        "topics",
        Type.LIST,
        "a,b",
        importance=Importance.HIGH,
        doc="What to read.",
        group="Common",
        order=4,
        width=Width.LONG,
        display_name="Topics",
    )
    values = [*definition.validate({"topics": "x,y"}), ConfigValue("other", errors=["what is this"])]
    assert config_infos("Sink", definition.keys, values, definition.groups) == {
        "name": "Sink",
        "error_count": 1,
        "groups": ["Common"],
        "configs": [
            {
                "definition": None,
                "value": {
                    "name": "other",
                    "value": None,
                    "recommended_values": [],
                    "errors": ["what is this"],
                    "visible": True,
                },
            },
            {
                "definition": {
                    "name": "topics",
                    "type": "LIST",
                    "required": False,
                    "default_value": "a,b",
                    "importance": "HIGH",
                    "documentation": "What to read.",
                    "group": "Common",
                    "order_in_group": 4,
                    "width": "LONG",
                    "display_name": "Topics",
                    "dependents": [],
                },
                "value": {
                    "name": "topics",
                    "value": "x,y",
                    "recommended_values": [],
                    "errors": [],
                    "visible": True,
                },
            },
        ],
    }


def test_a_secret_is_never_shown():
    definition = one(Type.PASSWORD, default="hunter2")
    answer = config_infos("x", definition.keys, definition.validate({"key": "secret"}), [])
    assert "hunter2" not in str(answer)
    assert "secret" not in str(answer)
    assert answer["configs"][0]["value"]["value"] == "[hidden]"


def test_an_unknown_setting_comes_with_the_nearest_one():
    definition = one(Type.INT).define("flush.size", Type.INT)
    assert definition.unknown(["key", "flush.sizes", "zzz"]) == {"flush.sizes": "flush.size", "zzz": None}


def test_settings_are_listed_by_group_place_and_importance():
    definition = (
        ConfigDef()
        .define("c", Type.INT, 1, importance=Importance.LOW)
        .define("b", Type.INT, 1, importance=Importance.HIGH)
        .define("a", Type.INT, importance=Importance.LOW)
        .define("g", Type.INT, group="G")
    )
    assert [key.name for key in definition.sorted_keys()] == ["a", "b", "c", "g"]
