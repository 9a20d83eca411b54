"""Checks of the settings, each with Debezium's message for its field, and at last a try at the server.

The messages are part of what people and programs know, so their wording is Debezium's. Beyond it: a name that is no
setting is told with the nearest that is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from moldau.connect.config_def import ConfigDef, ConfigValue, Importance, Type
from moldau.connect.connectors.postgres.filters import java_regex, split_list
from moldau.connect.connectors.postgres.properties import GROUPS, PROPERTIES, Property
from moldau.connect.connectors.postgres.settings import Settings
from moldau.connect.connectors.postgres.trial import server_errors

_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]+")
_SLOT: Final = re.compile(r"[a-z0-9_]{1,63}")
_KEYS: Final = r"^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$"
_IDENTITY: Final = (
    r"(?i)^\s*(?<tablepredicate>[^\s:]+):(?<replicaidentity>DEFAULT|(INDEX) (?<indexname>.\w*)|FULL|NOTHING)\s*$"
)
_WHOLE: Final = re.compile(r"[+-]?\d+")
_REQUIRED: Final = "A value is required"

# A rule takes the property, its text and all settings; it gives what is wrong.
Rule = Callable[[Property, "str | None", Mapping[str, str]], "list[str]"]


def _number(low: int | None, bits: int, type_message: str, range_message: str | None) -> Rule:
    def rule(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
        if text is None:
            return []
        value = int(text) if _WHOLE.fullmatch(text.strip()) else None
        typed = value is not None and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
        found = [] if typed else [type_message]
        if low is not None and range_message is not None and (value is None or not typed or value < low):
            found.append(range_message)
        return found

    return rule


def _required(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    return [] if text else [_REQUIRED]


def _prefix(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if text is None:
        return [_REQUIRED]
    found = [] if text else [_REQUIRED]
    if not _PREFIX.fullmatch(text):
        allowed = "only the underscore, hyphen, dot and alphanumeric characters are allowed"
        found.append(f"{text} has invalid format ({allowed})")
    return found


def _topic(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if not text or _PREFIX.fullmatch(text):
        return []
    allowed = "only the underscore, hyphen, dot and alphanumeric characters are allowed"
    return [f"{text} has invalid format ({allowed})"]


def _boolean(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    return [] if text is None or text.strip().lower() in ("true", "false") else ["Either 'true' or 'false' is expected"]


def _choice(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if text is None or text.strip().lower() in prop.choices:
        return []
    if prop.name == "snapshot.mode" and text.strip().lower() == "never":
        return []
    return [f"Value must be one of {', '.join(prop.choices)}"]


def _regexes(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    for expression in split_list(text):
        try:
            re.compile(java_regex(expression))
        except re.error as error:
            why = _java_complaint(expression, error)
            return [f"A comma-separated list of valid regular expressions is expected, but {why}"]
    return []


def _java_complaint(expression: str, error: re.error) -> str:
    """The most frequent mistake in Java's words, with its arrow; others in Python's."""
    if "unterminated character set" in error.msg:
        at = len(expression) - 1
        return f"Unclosed character class near index {at}\n{expression}\n{' ' * at}^"
    return str(error)


def _slot(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if text is None or _SLOT.fullmatch(text):
        return []
    return [
        "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63"
    ]


def _pattern(pattern: str, divider: str) -> Rule:
    compiled = re.compile(java_regex(pattern))

    def rule(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
        for part in (text or "").split(divider):
            if part.strip() and compiled.match(part) is None:
                return [f"{part} has an invalid format (expecting '{pattern}')"]
        return []

    return rule


def _operations(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    parts = split_list(text)
    if "none" in parts and len(parts) > 1:
        return ["'none' cannot be specified with other skipped operation types"]
    return [] if set(parts) <= {"c", "u", "d", "t", "none"} else ["Invalid operation"]


def _queue(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    batch = props.get("max.batch.size", PROPERTIES["max.batch.size"].default) or ""
    size = text if text is not None else prop.default
    if _WHOLE.fullmatch(batch) and _WHOLE.fullmatch(size or "") and 0 < int(size or 0) <= int(batch):
        return ["Must be larger than the maximum batch size"]
    return []


def _notification(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if text or "sink" not in split_list(props.get("notification.enabled.channels")):
        return []
    return ["Notification topic name must be provided when kafka notification channel is enabled"]


def _kafka(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    wanted = "kafka" in split_list(props.get("signal.enabled.channels"))
    return [_REQUIRED] if wanted and not text else []


def _pairs(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
    if all(re.fullmatch(r"[^=]+=[^=]+", part) for part in split_list(text)):
        return []
    return ["A equivalent-separated map of valid key/value pairs is expected, for example: k1=v1,k2=v2"]


def _excluded_by(other: str) -> Rule:
    # The one name that Debezium still gives in its older form.
    said = "logical_decoding_message.prefix.include.list" if other.startswith("message.") else other

    def rule(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
        return [f'"{said}" is already specified'] if text and props.get(other) else []

    return rule


def _custom(mode: str) -> Rule:
    def rule(prop: Property, text: str | None, props: Mapping[str, str]) -> list[str]:
        if text or props.get(mode, "").lower() != "custom":
            return []
        return [f"{prop.name} cannot be empty when {mode} 'custom' is defined"]

    return rule


_INTEGER: Final = "An integer is expected"
_LONG: Final = "A long value is expected"
RULES: Final[dict[str, Rule]] = {
    "required": _required,
    "prefix": _prefix,
    "topic": _topic,
    "bool": _boolean,
    "boolonce": _boolean,
    "choice": _choice,
    "regexes": _regexes,
    "slot": _slot,
    "keys": _pattern(_KEYS, ";"),
    "identity": _pattern(_IDENTITY, ","),
    "operations": _operations,
    "queue": _queue,
    "kafka": _kafka,
    "notification": _notification,
    "pairs": _pairs,
    "int": _number(None, 32, _INTEGER, None),
    "int+": _number(1, 32, _INTEGER, "A positive, non-zero integer value is expected"),
    "int0": _number(0, 32, _INTEGER, "An non-negative integer is expected"),
    "long": _number(None, 64, _LONG, None),
    "long+": _number(1, 64, _LONG, "A positive, non-zero long value is expected"),
    "long0": _number(0, 64, _LONG, "A non-negative long value is expected"),
}
_MAKERS: Final[dict[str, Callable[[str], Rule]]] = {"not": _excluded_by, "custom": _custom}


def _rule_of(name: str) -> Rule:
    kind, _, argument = name.partition(":")
    return _MAKERS[kind](argument) if argument else RULES[kind]


def config_def() -> ConfigDef:
    definition = ConfigDef()
    for group, properties in GROUPS.items():
        for order, prop in enumerate(properties):
            definition.define(
                prop.name,
                Type[prop.type.upper()],
                prop.default,
                importance=Importance[prop.importance.upper()],
                doc=prop.doc,
                group=group,
                order=order,
            )
    return definition


def field_errors(props: Mapping[str, str]) -> dict[str, list[str]]:
    """What is wrong with the settings, by name; nothing is asked of the server."""
    given = Settings(props).props
    found: dict[str, list[str]] = {}
    for prop in PROPERTIES.values():
        text = given.get(prop.name)
        for rule in filter(None, prop.rule.split(",")):
            for message in _rule_of(rule)(prop, text, given):
                said = f"The '{prop.name}' value is invalid: {message}"
                if said not in found.setdefault(prop.name, []):
                    found[prop.name].append(said)
    return {name: messages for name, messages in found.items() if messages}


def validate(props: Mapping[str, str]) -> list[ConfigValue]:
    errors = field_errors(props) or server_errors(props)
    given = Settings(props).props
    return [
        ConfigValue(prop.name, given.get(prop.name, prop.default), list(prop.choices), errors.get(prop.name, []))
        for prop in PROPERTIES.values()
    ]
