"""The text of a `.proto` file as tokens, and a cursor over them that knows what was expected, and where."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple, NoReturn

from moldau.registry.languages.language import SchemaError
from moldau.registry.protobuf.elements import NAME_LENGTH_MAX, NAME_PARTS_MAX, Place, refusal

TOKENS_MAX: Final = 400_000
"""Tokens of one file: a second. The largest files that people write have a tenth."""

SHOWN_MAX: Final = 40

_TOKEN: Final = re.compile(
    r"""
    (?P<space> [ \t\r\n\f\v\ufeff]+ | //[^\n]* | /\*.*?\*/ )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<symbol> [{}()\[\]<>=;,.:+-] | /(?![/*]) )
    """,
    re.VERBOSE | re.DOTALL,
)

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Token(NamedTuple):
    """`kind` is number, name, string, symbol or end."""

    kind: str
    text: str
    offset: int


class Cursor:
    """Reads tokens one by one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[int] = []
        self._tokens = self._read(text)
        self._next = 0

    def _read(self, text: str) -> list[Token]:
        tokens: list[Token] = []
        offset = 0
        if not text.isascii() and _SURROGATE.search(text):
            raise SchemaError("the file has characters that no encoding of Unicode has")
        while offset < len(text):
            match = _TOKEN.match(text, offset)
            if match is None:
                raise refusal(self.place(offset), self._unreadable(offset))
            if match.lastgroup != "space":
                tokens.append(Token(match.lastgroup or "", match.group(), offset))
                if len(tokens) > TOKENS_MAX:
                    raise SchemaError(f"the file has more than {TOKENS_MAX} words and signs")
            offset = match.end()
        tokens.append(Token("end", "", len(text)))
        return tokens

    def _unreadable(self, offset: int) -> str:
        if self._text.startswith("/*", offset):
            return "the comment that begins here has no end"
        if self._text[offset] in "\"'":
            return "the string that begins here has no end on its line"
        return f"{self._text[offset]!r} belongs to no word or sign of the language"

    def place(self, offset: int) -> Place:
        """Line and column of an offset."""
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._lines, offset)
        return Place(line, offset - self._lines[line - 1] + 1)

    @property
    def here(self) -> Place:
        """Where the next token is."""
        return self.place(self._tokens[self._next].offset)

    @property
    def at_end(self) -> bool:
        return self._tokens[self._next].kind == "end"

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one after it; it is not taken."""
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def at(self, text: str) -> bool:
        """Whether the next token is this word or sign."""
        token = self._tokens[self._next]
        return token.text == text and token.kind != "string"

    def take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def took(self, text: str) -> bool:
        """Take this word or sign if it is the next."""
        if self.at(text):
            self._next += 1
            return True
        return False

    def expect(self, text: str, what: str = "") -> None:
        """Take this word or sign. Raises SchemaError if another comes."""
        if not self.took(text):
            self.refuse(what or repr(text))

    def expect_kind(self, kind: str, what: str) -> str:
        """Take a token of this kind and return its text."""
        if self._tokens[self._next].kind != kind:
            self.refuse(what)
        return self.take().text

    def refuse(self, expected: str) -> NoReturn:
        """Raise the SchemaError for a next token that is none of those expected."""
        token = self.peek()
        shown = token.text if len(token.text) <= SHOWN_MAX else f"{token.text[:SHOWN_MAX]}…"
        found = "the end of the file" if token.kind == "end" else shown if token.kind == "string" else f"{shown!r}"
        raise refusal(self.here, f"expected {expected}, found {found}")

    # What occurs everywhere.

    def name(self, what: str) -> str:
        """A name without dots."""
        here = self.here
        name = self.expect_kind("name", what)
        if len(name) > NAME_LENGTH_MAX:
            raise refusal(here, f"the name has more than {NAME_LENGTH_MAX} characters")
        return name

    def dotted(self, what: str) -> str:
        """A name that may have dots, also before it."""
        here = self.here
        parts = ["."] if self.took(".") else []
        parts.append(self.name(what))
        while self.took("."):
            parts += [".", self.name(what)]
        name = "".join(parts)
        if len(parts) > 2 * NAME_PARTS_MAX or len(name) > NAME_LENGTH_MAX:
            raise refusal(here, f"the name has more than {NAME_PARTS_MAX} parts or {NAME_LENGTH_MAX} characters")
        return name

    def integer(self, what: str) -> int:
        """A whole number, decimal, hexadecimal or octal."""
        here = self.here
        sign = -1 if self.took("-") else 1
        text = self.expect_kind("number", what)
        try:
            value = int(text, 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10)
        except ValueError:
            raise refusal(here, f"expected {what}, found {text!r}") from None
        return sign * value
