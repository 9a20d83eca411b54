"""Configs: compatibility and what else is set for a subject, a context, or everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moldau.registry.compat.levels import Level
from moldau.registry.data_contract import read_metadata, read_rule_set
from moldau.registry.decisions import Decision
from moldau.registry.errors import (
    invalid_compatibility,
    invalid_request,
    no_subject_compatibility,
    not_permitted,
    subject_not_found,
)
from moldau.registry.languages import Policy
from moldau.registry.records import ConfigKey, Record
from moldau.registry.state import RegistryState

TEXTS: Final = ("alias", "aliasForDeks", "compatibilityGroup")
SWITCHES: Final = ("normalize", "validateFields", "validateNewSchemas", "validateRules")
METADATA: Final = ("defaultMetadata", "overrideMetadata")
RULE_SETS: Final = ("defaultRuleSet", "overrideRuleSet")


def get_config(state: RegistryState, subject: str | None, *, in_scope: bool) -> dict[str, Any]:
    """Raises RegistryError (40408) if it has none of its own."""
    config = state.config_in_scope(subject) if in_scope else state.config(subject)
    if config is None:
        raise no_subject_compatibility(subject or "")
    return dict(config)


def set_config(state: RegistryState, subject: str | None, given: Mapping[str, Any]) -> Decision[dict[str, Any]]:
    """What the request names is set, or unset if it says null; the rest stays."""
    if state.mode_in_scope(subject) in ("READONLY", "READONLY_OVERRIDE"):
        raise not_permitted(f"Subject {subject} is in read-only mode")
    before = state.config(subject) if state.has_config(subject) else {}
    settings = {**(before or {}), **_read(given)}
    settings = {key: value for key, value in settings.items() if value is not None}
    value = {**({} if subject is None else {"subject": subject}), **settings}
    answer = {("compatibility" if key == "compatibilityLevel" else key): each for key, each in settings.items()}
    return Decision((Record(ConfigKey(subject), value),), answer)


def delete_config(state: RegistryState, subject: str | None) -> Decision[dict[str, Any]]:
    """Answers with what it was. Raises RegistryError (40401) if it had none of its own."""
    config = state.config(subject)
    if config is None:
        raise subject_not_found(subject)
    records = (Record(ConfigKey(subject), None),) if state.has_config(subject) else ()
    return Decision(records, dict(config))


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key in ("compatibility", "compatibilityLevel"):
        if key in given:
            read["compatibilityLevel"] = _word(given[key], Level, invalid_compatibility(given[key]))
    if "compatibilityPolicy" in given:
        policy = given["compatibilityPolicy"]
        read["compatibilityPolicy"] = _word(policy, Policy, invalid_request(f"unknown compatibility policy {policy!r}"))
    for key in (*TEXTS, *SWITCHES):
        if key in given:
            kind = str if key in TEXTS else bool
            if given[key] is not None and not isinstance(given[key], kind):
                raise invalid_request(f"{key} is a {'text' if kind is str else 'boolean'}")
            read[key] = given[key]
    read |= {key: read_metadata(given[key]) for key in METADATA if key in given}
    read |= {key: read_rule_set(given[key]) for key in RULE_SETS if key in given}
    return read


def _word(given: Any, words: type[Level | Policy], refusal: Exception) -> str | None:
    if given is None:
        return None
    try:
        return str(words(given.upper()).value)
    except (AttributeError, ValueError):
        raise refusal from None
