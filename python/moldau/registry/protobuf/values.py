"""Options and what they are set to: words, strings, and messages in text format."""

from __future__ import annotations

import re
from typing import Final

from moldau.registry.protobuf.elements import (
    Aggregate,
    Listing,
    NamePart,
    Option,
    Options,
    Place,
    Quoted,
    Value,
    Word,
    refusal,
)
from moldau.registry.protobuf.lexer import Cursor

NESTING_MAX: Final = 32
"""How deep messages may be nested, declared or as the value of an option; protoc has the same limit."""

_ESCAPE: Final = re.compile(r"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SIMPLE: Final = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))


def option_statement(cursor: Cursor) -> Option:
    """`option name = value;`, from its first word."""
    cursor.expect("option")
    found = _assignment(cursor)
    cursor.expect(";")
    return found


def option_list(cursor: Cursor) -> Options:
    """`[name = value, ...]`, or nothing if there is none."""
    found: list[Option] = []
    if cursor.took("["):
        found.append(_assignment(cursor))
        while cursor.took(","):
            found.append(_assignment(cursor))
        cursor.expect("]", "',' and another option, or ']'")
    return tuple(found)


def _assignment(cursor: Cursor) -> Option:
    place = cursor.here
    parts = [_name_part(cursor)]
    while cursor.took("."):
        parts.append(_name_part(cursor))
    cursor.expect("=", "'=' and what the option is set to")
    return Option(tuple(parts), constant(cursor), place)


def _name_part(cursor: Cursor) -> NamePart:
    if cursor.took("("):
        name = cursor.dotted("the name of an extension")
        cursor.expect(")")
        return NamePart(name, is_extension=True)
    return NamePart(cursor.name("the name of an option"))


def constant(cursor: Cursor, depth: int = 0) -> Value:
    """What follows the `=` of an option."""
    token = cursor.peek()
    if depth > NESTING_MAX:
        raise refusal(cursor.here, f"the value is nested deeper than {NESTING_MAX}")
    if token.kind == "string":
        return quoted(cursor)
    if token.text in ("{", "<"):
        return _aggregate(cursor, depth)
    if token.text == "[":
        return _listing(cursor, depth)
    return word(cursor)


def word(cursor: Cursor) -> Word:
    """A number or a name, with its sign."""
    sign = cursor.take().text if cursor.peek().text in ("-", "+") else ""
    if cursor.peek().kind not in ("name", "number"):
        cursor.refuse("a number, a name, a string or '{'")
    return Word(("-" if sign == "-" else "") + cursor.take().text)


def quoted(cursor: Cursor) -> Quoted:
    """One string, or several that belong together."""
    pieces = []
    while cursor.peek().kind == "string":
        place = cursor.here
        pieces.append(_unescaped(cursor.take().text[1:-1], place))
    return Quoted(b"".join(pieces).decode("utf-8", "surrogateescape"))


def _unescaped(text: str, place: Place) -> bytes:
    def replaced(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "xX":
            code = int(escape[1:], 16)
        elif escape[0] in "uU":
            code = int(escape[1:], 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise refusal(place, f"\\{escape} is no character")
            return chr(code)
        elif escape[0] in "01234567":
            code = int(escape, 8)
        elif escape in _SIMPLE:
            return _SIMPLE[escape]
        else:
            raise refusal(place, f"\\{escape} is no escape that a string may have")
        if code > 0xFF:
            raise refusal(place, f"\\{escape} is more than a byte")
        return bytes([code]).decode("utf-8", "surrogateescape")

    return _ESCAPE.sub(replaced, text).encode("utf-8", "surrogateescape")


def _listing(cursor: Cursor, depth: int) -> Listing:
    cursor.expect("[")
    values: list[Value] = []
    while not cursor.took("]"):
        values.append(constant(cursor, depth + 1))
        if not cursor.at("]"):
            cursor.expect(",", "',' or ']'")
    return Listing(tuple(values))


def _aggregate(cursor: Cursor, depth: int) -> Aggregate:
    closing = "}" if cursor.take().text == "{" else ">"
    entries: dict[str, list[Value]] = {}
    while not cursor.took(closing):
        key = _key(cursor)
        if not cursor.took(":") and not cursor.at("{") and not cursor.at("<"):
            cursor.refuse(f"':' and the value of {key}")
        value = constant(cursor, depth + 1)
        entries.setdefault(key, []).append(value)
        if cursor.at(",") or cursor.at(";"):
            cursor.take()
    return Aggregate(tuple((key, _together(values)) for key, values in entries.items()))


def _together(values: list[Value]) -> Value:
    """What a key is set to that is there once, or many times."""
    if len(values) == 1:
        return values[0]
    return Listing(
        tuple(each for value in values for each in (value.values if isinstance(value, Listing) else (value,)))
    )


def _key(cursor: Cursor) -> str:
    if not cursor.took("["):
        return cursor.name("the name of a field, or '}'")
    name = cursor.dotted("the name of an extension")
    if cursor.took("/"):
        name = f"{name}/{cursor.dotted('the name of a type')}"
    cursor.expect("]")
    return f"[{name}]"
