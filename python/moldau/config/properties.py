r"""The grammar of Java's `.properties` files, whole, with the line of every entry.

A key ends at the first `=`, `:` or white space that is not escaped; white space around the separator does not count;
a line that ends with an odd number of backslashes goes on in the next one, whose indentation is dropped; `#` and `!`
begin a comment only at the beginning of an entry; `\t \n \r \f` and `\uXXXX` are what they are in Java, and a
backslash before anything else is dropped. Source: the documentation of `java.util.Properties.load`.

Java reads Latin-1. Files are written as UTF-8 today, so that is tried first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from moldau.errors import MoldauError

_WHITE_SPACE: Final = " \t\f"
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class PropertiesError(MoldauError):
    """An entry that Java would not read either."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Entry:
    """One key and its value; `line` counts from 1 and is where the key stands."""

    name: str
    value: str
    line: int


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, or Latin-1 when it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_properties(text: str) -> list[Entry]:
    """Every entry in the order of the file; a key that stands twice is there twice.

    Raises:
        PropertiesError: a Unicode escape does not have its four hexadecimal digits.
    """
    return [_entry(logical_line, number) for number, logical_line in _logical_lines(text)]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    natural_lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    index = 0
    while index < len(natural_lines):
        first = index
        line = natural_lines[index].lstrip(_WHITE_SPACE)
        index += 1
        if not line or line[0] in "#!":
            continue
        while _goes_on(line) and index < len(natural_lines):
            line = line[:-1] + natural_lines[index].lstrip(_WHITE_SPACE)
            index += 1
        line = line.removesuffix("\\") if _goes_on(line) else line
        if line or index == first + 1:
            yield first + 1, line


def _goes_on(line: str) -> bool:
    backslashes = len(line) - len(line.rstrip("\\"))
    return backslashes % 2 == 1


def _entry(line: str, number: int) -> Entry:
    end_of_name = 0
    while end_of_name < len(line) and line[end_of_name] not in "=: \t\f":
        end_of_name += 2 if line[end_of_name] == "\\" else 1
    rest = line[end_of_name:].lstrip(_WHITE_SPACE)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_WHITE_SPACE)
    return Entry(_unescape(line[:end_of_name], number), _unescape(rest, number), number)


def _unescape(raw: str, number: int) -> str:
    if "\\" not in raw:
        return raw
    pieces: list[str] = []
    index = 0
    while index < len(raw):
        character = raw[index]
        index += 1
        if character != "\\" or index == len(raw):
            pieces.append(character)
            continue
        escaped = raw[index]
        index += 1
        if escaped == "u":
            digits = raw[index : index + 4]
            if len(digits) < 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                raise PropertiesError(number, f"\\u must be followed by four hexadecimal digits, not by {digits!r}")
            pieces.append(chr(int(digits, 16)))
            index += 4
        else:
            pieces.append(_ESCAPES.get(escaped, escaped))
    # Two \u escapes can be the halves of one character.
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
