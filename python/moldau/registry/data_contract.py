"""Metadata and rule sets, as they are sent, checked and brought into the one form that is stored.

The registry keeps them and gives them back; clients run the rules. The form is Confluent's: maps and sets sorted,
nothing empty, `kind` and `mode` of a rule written out, because all of it goes into a schema's GUID.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from moldau.registry.errors import invalid_request, invalid_rule_set
from moldau.registry.schema import CONFLUENT_VERSION, RULE_LISTS, Metadata, RuleSet, properties_of

MIGRATION_MODES: Final = ("UPGRADE", "DOWNGRADE", "UPDOWN")
DOMAIN_MODES: Final = ("WRITE", "READ", "WRITEREAD")
KINDS: Final = ("TRANSFORM", "CONDITION")
RULE_NAME: Final = re.compile(r"[^\W\d][\w-]{0,63}")
TEXTS_OF_A_RULE: Final = ("type", "expr", "onSuccess", "onFailure")


def read_metadata(given: Any) -> Metadata | None:
    """Raises RegistryError if it is not metadata."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid_request("metadata is an object")
    tags, properties, sensitive = (given.get(key) or None for key in ("tags", "properties", "sensitive"))
    metadata: dict[str, Any] = {}
    if tags is not None:
        if not isinstance(tags, dict) or not all(_is_texts(each) for each in tags.values()):
            raise invalid_request("metadata.tags is an object of lists of texts")
        metadata["tags"] = {path: sorted(set(each)) for path, each in sorted(tags.items())}
    if properties is not None:
        if not isinstance(properties, dict) or not all(isinstance(each, str) for each in properties.values()):
            raise invalid_request("metadata.properties is an object of texts")
        metadata["properties"] = dict(sorted(properties.items()))
    if sensitive is not None:
        if not _is_texts(sensitive):
            raise invalid_request("metadata.sensitive is a list of texts")
        metadata["sensitive"] = sorted(set(sensitive))
    return metadata


def read_rule_set(given: Any) -> RuleSet | None:
    """Raises RegistryError if it is not a rule set."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid_request("ruleSet is an object")
    rule_set: dict[str, Any] = {}
    for kind in RULE_LISTS:
        rules = given.get(kind) or []
        if not isinstance(rules, list):
            raise invalid_request(f"ruleSet.{kind} is a list")
        modes = MIGRATION_MODES if kind == "migrationRules" else DOMAIN_MODES
        if rules:
            rule_set[kind] = [_read_rule(rule, modes) for rule in rules]
        names = [rule["name"] for rule in rule_set.get(kind, ())]
        if len(set(names)) != len(names):
            raise invalid_rule_set(f"{kind} has two rules of one name")
    if given.get("enableAt") is not None:
        rule_set["enableAt"] = str(given["enableAt"])
    return rule_set


def _read_rule(given: Any, modes: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise invalid_request("a rule is an object")
    name = given.get("name")
    if not isinstance(name, str) or not RULE_NAME.fullmatch(name):
        raise invalid_rule_set(f"{name!r} is no name for a rule: letters, digits, _ and -, no digit first")
    rule: dict[str, Any] = {"name": name}
    if given.get("doc") is not None:
        rule["doc"] = str(given["doc"])
    rule["kind"] = given.get("kind") or "TRANSFORM"
    rule["mode"] = given.get("mode") or "WRITEREAD"
    if rule["kind"] not in KINDS:
        raise invalid_rule_set(f"rule {name}: the kind is {rule['kind']!r}, not one of {', '.join(KINDS)}")
    if rule["mode"] not in modes:
        raise invalid_rule_set(f"rule {name}: the mode is {rule['mode']!r}, not one of {', '.join(modes)}")
    if not isinstance(given.get("type"), str):
        raise invalid_rule_set(f"rule {name} has no type")
    tags, params = given.get("tags") or [], given.get("params") or {}
    if not _is_texts(tags) or not isinstance(params, dict):
        raise invalid_rule_set(f"rule {name}: tags are a list of texts, params an object")
    rule["type"] = given["type"]
    if tags:
        rule["tags"] = sorted(set(tags))
    if params:
        rule["params"] = {str(key): str(value) for key, value in sorted(params.items())}
    rule |= {key: str(given[key]) for key in TEXTS_OF_A_RULE[1:] if given.get(key) is not None}
    if rule["mode"] not in ("WRITEREAD", "UPDOWN") and any("," in rule.get(key, "") for key in TEXTS_OF_A_RULE[2:]):
        raise invalid_rule_set(f"rule {name}: two actions need the mode WRITEREAD or UPDOWN")
    rule["disabled"] = bool(given.get("disabled", False))
    return rule


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def merge_metadata(below: Metadata | None, above: Metadata | None) -> Metadata | None:
    """What `above` says wins, name by name."""
    if below is None or above is None:
        return above if below is None else below
    merged: dict[str, Any] = {}
    for key in ("tags", "properties"):
        if both := {**(below.get(key) or {}), **(above.get(key) or {})}:
            merged[key] = dict(sorted(both.items()))
    if sensitive := {*(below.get("sensitive") or ()), *(above.get("sensitive") or ())}:
        merged["sensitive"] = sorted(sensitive)
    return merged


def merge_rule_sets(below: RuleSet | None, above: RuleSet | None) -> RuleSet | None:
    """Rules of `above` take the place of those with the same name."""
    if below is None or above is None:
        return above if below is None else below
    merged: dict[str, Any] = {}
    for kind in RULE_LISTS:
        ours = above.get(kind) or []
        names = {rule["name"] for rule in ours}
        if both := [rule for rule in below.get(kind) or [] if rule["name"] not in names] + list(ours):
            merged[kind] = both
    if enable_at := above.get("enableAt") or below.get("enableAt"):
        merged["enableAt"] = enable_at
    return merged


def with_version(metadata: Metadata | None, version: int) -> Metadata:
    """The metadata with the property `confluent:version` set."""
    properties = {**properties_of(metadata), CONFLUENT_VERSION: str(version)}
    return {**(metadata or {}), "properties": dict(sorted(properties.items()))}


def rule_types(rule_set: Mapping[str, Any] | None) -> set[str]:
    """The types of all rules."""
    return {rule["type"] for kind in RULE_LISTS for rule in (rule_set or {}).get(kind) or ()}
