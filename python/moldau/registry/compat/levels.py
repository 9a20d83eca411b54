"""Compatibility levels: which of a subject's versions a new schema is compared with, and in which direction.

BACKWARD: the new schema reads what the last version wrote. FORWARD: the last version reads what the new schema writes.
FULL: both. With _TRANSITIVE: all versions, not only the last. NONE: nothing is compared.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from moldau.registry.languages.language import Incompatibility, Language, ParsedSchema, Policy


class Level(enum.Enum):
    """A compatibility level, as it is written in requests and records."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        return self.value.endswith("_TRANSITIVE")

    @property
    def backward(self) -> bool:
        return self.value.startswith(("BACKWARD", "FULL"))

    @property
    def forward(self) -> bool:
        return self.value.startswith(("FORWARD", "FULL"))


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier version of the subject."""

    number: int
    language: Language
    schema: ParsedSchema


@dataclass(frozen=True, slots=True)
class Conflict:
    """A version that the new schema does not go with.

    `new_reads`: it is the new schema that cannot read the old data; otherwise the old schema that cannot read the new.
    """

    version: Version
    new_reads: bool
    reasons: tuple[Incompatibility, ...]


def conflicts(
    level: Level, language: Language, schema: ParsedSchema, versions: Sequence[Version], policy: Policy
) -> list[Conflict]:
    """Compare with the versions, oldest first in `versions`, newest first compared; stops at the first that conflicts.

    One version that conflicts is enough to refuse, and its reasons are enough to read at once.
    """
    if level is Level.NONE:
        return []
    compared = versions if level.transitive else versions[-1:]
    for version in reversed(compared):
        found = _conflicts_with(level, language, schema, version, policy)
        if found:
            return found
    return []


def _conflicts_with(
    level: Level, language: Language, schema: ParsedSchema, version: Version, policy: Policy
) -> list[Conflict]:
    if version.language is not language:
        reason = Incompatibility(
            "DIFFERENT_TYPE", "/", f"version {version.number} is {version.language.name}, this is {language.name}"
        )
        return [Conflict(version, level.backward, (reason,))]
    found: list[Conflict] = []
    if level.backward and (reasons := language.check(schema, version.schema, policy)):
        found.append(Conflict(version, new_reads=True, reasons=tuple(reasons)))
    if level.forward and (reasons := language.check(version.schema, schema, policy)):
        found.append(Conflict(version, new_reads=False, reasons=tuple(reasons)))
    return found
