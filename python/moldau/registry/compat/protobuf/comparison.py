"""The comparison of two Protobuf files: messages by their name, fields by their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from moldau.registry.compat.protobuf import fields, messages
from moldau.registry.compat.protobuf.members import Comparison, Content, Found, Member, broken, member_of
from moldau.registry.languages.language import Incompatibility
from moldau.registry.protobuf.elements import Extend, File, Message
from moldau.registry.protobuf.linking import Linked
from moldau.registry.protobuf.types import Declared, joined

MessageRule = Callable[[Comparison, Content, Content, str], Found]
FieldRule = Callable[[Comparison, Member, Member, str], Found]

MESSAGE_RULES: Final[tuple[MessageRule, ...]] = (
    messages.every_message_is_still_there,
    messages.nothing_new_is_required,
    messages.what_is_required_stays,
    messages.members_of_a_oneof_stay,
    messages.fields_do_not_come_together_in_a_oneof,
)

FIELD_RULES: Final[tuple[FieldRule, ...]] = (
    fields.every_field_is_of_its_kind,
    fields.every_scalar_has_the_same_bytes,
    fields.every_message_has_its_name_and_content,
    fields.every_number_keeps_its_label,
)


def check(reader: Linked, writer: Linked) -> list[Incompatibility]:
    """Everything that keeps the reader from reading what the writer wrote; empty if nothing does."""
    found = [*the_package_stays(reader.file, writer.file), *_Comparison(reader, writer).files()]
    return list(dict.fromkeys(found))


def the_package_stays(reader: File, writer: File) -> Found:
    """A message is known by its full name, so the package is part of it."""
    ours, theirs = reader.package or "", writer.package or ""
    if ours != theirs:
        message = f"messages were written as those of the package {theirs!r}, and are read as those of {ours!r}"
        yield broken("PACKAGE_CHANGED", "", message, f"expected: {theirs}")


class _Comparison:
    """One check. Each pair of messages is compared once: what breaks it counts wherever the pair is met.

    A pair that is met within itself adds nothing, so recursion ends; nothing is decided by that, since every reason
    that is found is told, and one is enough.
    """

    def __init__(self, reader: Linked, writer: Linked) -> None:
        self._reader = reader
        self._writer = writer
        self._known: dict[tuple[str, str], list[Incompatibility]] = {}

    def files(self) -> Iterator[Incompatibility]:
        """What is declared in the two files, and the extensions that they declare."""
        ours = {each.name: each for each in self._reader.file.messages}
        for message in self._writer.file.messages:
            if message.name in ours:
                yield from self._nested("", ours[message.name], message)
            else:
                yield messages.removed_message(f"/{message.name}", message.name)
        yield from self._extensions()

    def _nested(self, outer: str, reader: Message, writer: Message) -> Iterator[Incompatibility]:
        """Two messages that are declared at the same place, and those in them."""
        name = joined(outer, writer.name)
        ours = self._reader.types.by_name[joined(self._reader.file.package or "", name)]
        theirs = self._writer.types.by_name[joined(self._writer.file.package or "", name)]
        yield from self.content(ours, theirs)
        nested = {each.name: each for each in _inside(reader)}
        for message in _inside(writer):
            if message.name in nested and message.map_type is None:
                yield from self._nested(name, nested[message.name], message)

    def content(self, reader: Declared, writer: Declared) -> list[Incompatibility]:
        pair = reader.name, writer.name
        if pair not in self._known:
            self._known[pair] = []
            self._known[pair] = list(self._rules(reader, writer))
        return self._known[pair]

    def _rules(self, reader: Declared, writer: Declared) -> Iterator[Incompatibility]:
        ours, theirs = Content(reader, self._reader.types), Content(writer, self._writer.types)
        path = "/" + writer.local_name.replace(".", "/")
        for rule in MESSAGE_RULES:
            yield from rule(self, ours, theirs, path)
        for number, field in sorted(ours.by_number.items()):
            if number in theirs.by_number:
                yield from self._field(field, theirs.by_number[number], field.path(path))

    def _field(self, reader: Member, writer: Member, path: str) -> Iterator[Incompatibility]:
        for rule in FIELD_RULES:
            yield from rule(self, reader, writer, path)

    def is_compared_by_name(self, reader: Declared, writer: Declared) -> bool:
        return reader.file is self._reader.file and writer.file is self._writer.file

    def _extensions(self) -> Iterator[Incompatibility]:
        """Extensions are compared as fields of what they extend; Confluent's registry passes them over."""
        ours, theirs = _extensions(self._reader), _extensions(self._writer)
        for key in ours.keys() & theirs.keys():
            name, number = key
            yield from self._field(ours[key], theirs[key], f"/{name.replace('.', '/')}/{number}")


def _inside(message: Message) -> list[Message]:
    return [*message.messages, *(group.message for group in message.all_groups())]


def _extensions(linked: Linked) -> dict[tuple[str, int], Member]:
    """By the local name of the message that is extended, and the number."""
    found: dict[tuple[str, int], Member] = {}
    for extend, scope in _extends(linked.file.extends, linked.file.messages, linked.file.package or ""):
        extendee = linked.types.resolve(extend.extendee, scope)
        if extendee is None:
            continue
        for each in extend.members:
            found[extendee.local_name, each.number] = member_of(each, None, extendee, linked.types, scope)
    return found


def _extends(extends: Iterable[Extend], messages: Iterable[Message], scope: str) -> Iterator[tuple[Extend, str]]:
    for extend in extends:
        yield extend, scope
    for message in messages:
        yield from _extends(message.extends, message.messages, joined(scope, message.name))
