"""What the registry asks of a language of schemas, and the words in which it is answered.

A language turns text into a `ParsedSchema` and tells whether data of one schema can be read with another. It is pure:
no files, no network (a `$ref` to the web is an error), and it answers hostile text with `SchemaError`, within the
limits below, never with a recursion without end.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from moldau.errors import MoldauError

DEPTH_MAX: Final = 200
"""How deep a schema may be nested."""


class SchemaError(MoldauError):
    """A schema that is not one; `path` is where in it, as a JSON pointer, "" for the whole."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{message} (at {path})" if path else message)
        self.path = path


@dataclass(frozen=True, slots=True)
class ResolvedReference:
    """A schema that another one builds on: the name by which it is referred to, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One reason why data of the writer cannot be read by the reader.

    `rule` is the name of the rule that is broken (for programs), `path` where in the reader's schema (a JSON pointer),
    `message` a sentence for people. `facts` is what the rule is about in short: a field, the missing symbols.
    """

    rule: str
    path: str
    message: str
    facts: str = ""


class Policy(enum.Enum):
    """How strictly JSON schemas are compared (`compatibilityPolicy`); the other languages have one way only."""

    STRICT = "STRICT"
    LENIENT = "LENIENT"


class ParsedSchema(Protocol):
    """A schema that was understood."""

    def canonical(self) -> str:
        """The text that is stored and answered: two texts that differ in white space only have the same."""

    def formatted(self, name: str) -> str:
        """The text in one of the language's other formats ("resolved", "serialized"); `canonical()` if unknown.

        Raises SchemaError if the schema cannot be written so.
        """

    def normalized(self) -> ParsedSchema:
        """The same schema with everything in a fixed order, so that what means the same is written the same."""

    def meaning(self) -> str:
        """A text that two schemas of a language share when they say the same, references written out, and only then."""

    def top_level_fields(self) -> frozenset[str]:
        """The names of the fields of a value; empty if values have no fields."""


class Language(Protocol):
    """One language of schemas."""

    @property
    def name(self) -> str:
        """What stands in `schemaType`."""

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> ParsedSchema:
        """Understand a schema, with what it refers to, dependencies first.

        `strict` is for new schemas: defaults are checked, for example. What was once accepted is read without.
        Raises SchemaError.
        """

    def format_of(self, text: str) -> str:
        """The format (as `ParsedSchema.formatted` has it) in which a text came, "" for the usual one.

        A client keeps what it is answered for what it sent, and goes on with it.
        """

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        """Why data written with `writer` cannot be read with `reader`; empty if it can. Both were parsed by this.

        Raises SchemaError if the comparison would take too long: it is done while everybody else waits.
        """
