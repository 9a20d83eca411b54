"""Subjects and contexts: `:.ctx:orders-value` is the subject `orders-value` in the context `.ctx`.

The context `.` is the default one and is not written. `:*:` stands for all contexts where subjects are listed. The
context `.__GLOBAL` holds settings that all contexts fall back to.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

DEFAULT_CONTEXT: Final = "."
GLOBAL_CONTEXT: Final = ".__GLOBAL"
ANY_CONTEXT: Final = "*"
RESERVED_SUBJECTS: Final = ("__GLOBAL", "__EMPTY")


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject in its context; the subject "" means the context itself."""

    context: str
    name: str

    @property
    def written(self) -> str:
        """As it stands in records and answers."""
        return self.prefix + self.name

    @property
    def prefix(self) -> str:
        """What goes before the subjects of the context."""
        return "" if self.context == DEFAULT_CONTEXT else f":{self.context}:"


def parse_subject(text: str) -> Subject:
    """Split what was written; anything is a subject."""
    if text.startswith(":*:"):
        return Subject(ANY_CONTEXT, text[3:])
    if text.startswith(":."):
        context, _, name = text[1:].partition(":")
        return Subject(context, name)
    return Subject(DEFAULT_CONTEXT, text)


def context_of(text: str) -> str:
    """The context that a subject is in."""
    if not text.startswith(":"):
        return DEFAULT_CONTEXT
    return parse_subject(text).context


def within(parent: str, text: str) -> str:
    """A subject as it is meant in a schema of `parent`: in the same context, unless it names one."""
    subject = parse_subject(text)
    if subject.context == DEFAULT_CONTEXT:
        subject = Subject(context_of(parent), subject.name)
    return subject.written


def is_valid_subject(text: str, *, for_settings: bool = False) -> bool:
    """Whether a schema can be registered under it, or `for_settings`, whether it can have a config or a mode."""
    subject = parse_subject(text)
    if any(unicodedata.category(letter) == "Cc" for letter in text) or subject.name in RESERVED_SUBJECTS:
        return False
    return for_settings or (subject.context not in (GLOBAL_CONTEXT, ANY_CONTEXT) and subject.name != "")
