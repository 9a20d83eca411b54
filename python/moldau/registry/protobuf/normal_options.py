"""The normal form of options: names of extensions written out, steps into a message as the message, in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Final

from moldau.registry.protobuf.elements import Aggregate, Listing, NamePart, Option, Options, Value, Word
from moldau.registry.protobuf.types import Types

DIGITS_MAX: Final = 400
"""Longer numbers are no number of any type; nobody waits until they are read."""

_NUMBER: Final = re.compile(r"-?(0[xX][0-9a-fA-F]+|[0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?)")


class NormalOptions:
    """Looks names up in `types`. One that stands for nothing stays as it is."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def all(self, options: Options, scope: str) -> Options:
        """The options of one element, in order, those that set parts of one message as one."""
        return tuple(self._merged(sorted((self.one(each, scope) for each in options), key=_name)))

    def one(self, option: Option, scope: str) -> Option:
        """With the name of the extension written out; steps into its message become the value."""
        first, *rest = option.name
        value = self._value(option.value, scope)
        if first.is_extension:
            first = NamePart(self._extension(first.text, scope), is_extension=True)
            for part in reversed(rest):
                key = f"[{self._extension(part.text, scope)}]" if part.is_extension else part.text
                value = Aggregate(((key, value),))
            rest = []
        return Option((first, *rest), value, option.place)

    def _extension(self, name: str, scope: str) -> str:
        return self._types.resolve_extension(name, scope) or name

    def _merged(self, options: Iterable[Option]) -> Iterator[Option]:
        """Options that set parts of the same message are one; of others that are set twice the last counts."""
        for _, same in groupby(options, key=_name):
            together = list(same)
            if self._is_single(together[-1]):
                yield replace(together[-1], value=_merged_values([each.value for each in together]))
            else:
                yield from together

    def _is_single(self, option: Option) -> bool:
        extension = self._types.extensions.get(option.name[0].text)
        return option.is_custom and extension is not None and extension.label != "repeated"

    def _value(self, value: Value, scope: str) -> Value:
        if isinstance(value, Word):
            return Word(number(value.text))
        if isinstance(value, Listing):
            values = tuple(self._value(each, scope) for each in value.values)
            return Listing(values)
        if isinstance(value, Aggregate):
            entries = ((self._key(key, scope), self._value(each, scope)) for key, each in value.entries)
            kept = [(key, _unlisted(each)) for key, each in entries if each != Listing(())]
            return Aggregate(tuple(sorted(kept, key=lambda entry: entry[0])))
        return value

    def _key(self, key: str, scope: str) -> str:
        return f"[{self._extension(key[1:-1], scope)}]" if key.startswith("[") else key


def _name(option: Option) -> tuple[str, ...]:
    return tuple(part.text for part in option.name)


def _unlisted(value: Value) -> Value:
    return value.values[0] if isinstance(value, Listing) and len(value.values) == 1 else value


def _merged_values(values: list[Value]) -> Value:
    """What is left of values that are set one after the other: messages are merged, others replaced."""
    merged: list[Aggregate] = []
    for value in reversed(values):
        if not isinstance(value, Aggregate):
            break
        merged.append(value)
    if len(merged) < 2:
        return values[-1]
    entries: dict[str, list[Value]] = {}
    for aggregate in reversed(merged):
        for key, value in aggregate.entries:
            entries.setdefault(key, []).append(value)
    return Aggregate(tuple((key, _merged_values(entries[key])) for key in sorted(entries)))


def number(text: str) -> str:
    """Numbers that are the same are written the same; other words stay."""
    if len(text) > DIGITS_MAX or not _NUMBER.fullmatch(text):
        return text
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if digits.lower().startswith("0x"):
        return f"{sign}{int(digits, 16)}"
    if digits.isdecimal():
        return f"{sign}{int(digits, 8) if digits.startswith('0') and not set(digits) & set('89') else int(digits)}"
    value = float(text)
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
