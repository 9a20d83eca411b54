"""A schema as it is registered: its text, its language, what it refers to, and what is said about it.

The GUID is the MD5 of all of these, computed as Confluent computes it: the header wire format carries it, so the same
schema has the same GUID in every registry.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.registry.languages import DEFAULT_LANGUAGE

RULE_LISTS: Final = ("migrationRules", "domainRules", "encodingRules")
CONFLUENT_VERSION: Final = "confluent:version"


@dataclass(frozen=True, slots=True)
class Reference:
    """`name` is how the schema's text calls it; `subject` is in the same context unless it names one."""

    name: str
    subject: str
    version: int

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "subject": self.subject, "version": self.version}


Metadata = Mapping[str, Any]
"""`tags` (path to tags), `properties` (name to value), `sensitive` (names of properties)."""

RuleSet = Mapping[str, Any]
"""`migrationRules`, `domainRules`, `encodingRules`, `enableAt`. Rules run in clients; here they are kept."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Equal schemas have equal GUIDs."""

    text: str
    language: str = DEFAULT_LANGUAGE
    references: tuple[Reference, ...] = ()
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None

    def md5(self) -> bytes:
        """16 bytes."""
        digest = hashlib.md5(self.text.encode(), usedforsecurity=False)
        for reference in self.references:
            digest.update(reference.name.encode())
            digest.update(reference.subject.encode())
            digest.update(struct.pack(">i", reference.version))
        if self.metadata is not None:
            digest.update(b"\1")
            for word in _metadata_words(self.metadata):
                digest.update(word.encode())
        if self.rule_set is not None:
            digest.update(b"\1")
            for word in _rule_set_words(self.rule_set):
                digest.update(word.encode())
        return digest.digest()


def guid_of(md5: bytes) -> str:
    """The GUID in its text form."""
    return str(uuid.UUID(bytes=md5))


def properties_of(metadata: Metadata | None) -> Mapping[str, str]:
    """The properties, or none."""
    return (metadata or {}).get("properties") or {}


# Maps are hashed in the order of their keys: Confluent keeps them sorted.


def _metadata_words(metadata: Metadata) -> Iterable[str]:
    for path, tags in sorted((metadata.get("tags") or {}).items()):
        yield path
        yield from sorted(tags)
    for name, value in sorted(properties_of(metadata).items()):
        yield from (name, value)
    yield from sorted(metadata.get("sensitive") or ())


def _rule_set_words(rule_set: RuleSet) -> Iterable[str]:
    for name in RULE_LISTS:
        for rule in rule_set.get(name) or ():
            yield from _rule_words(rule)
    if rule_set.get("enableAt"):
        yield str(rule_set["enableAt"])


def _rule_words(rule: Mapping[str, Any]) -> Iterable[str]:
    yield from (str(rule[key]) for key in ("name", "doc", "kind", "mode", "type") if rule.get(key) is not None)
    yield from sorted(rule.get("tags") or ())
    for name, value in sorted((rule.get("params") or {}).items()):
        yield from (name, str(value))
    yield from (str(rule[key]) for key in ("expr", "onSuccess", "onFailure") if rule.get(key) is not None)
    if rule.get("disabled"):
        yield "\1"
