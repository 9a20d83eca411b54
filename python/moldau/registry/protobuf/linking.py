"""A file with everything that it imports, directly or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from moldau.registry.languages.language import SchemaError
from moldau.registry.protobuf import known
from moldau.registry.protobuf.elements import Enum, File, Import, Message, Options, refusal
from moldau.registry.protobuf.types import Types

NAMELESS = "default"
"""The path of a file that nobody imports: Confluent's registry gives it in descriptors."""
META = "confluent/meta.proto"
"""Declares `confluent.field_meta` and its like, which Confluent's converters use without importing it."""


@dataclass(frozen=True, slots=True)
class Linked:
    """`imported` is by path, dependencies first. `missing` are the imports that lead nowhere.

    A missing import is no error by itself: Confluent's registry takes files whose imports only define options. It is
    one when a type is not found.
    """

    file: File
    imported: Mapping[str, File]
    missing: tuple[str, ...]
    types: Types


def link(file: File, references: Mapping[str, File], *, with_meta: bool = False) -> Linked:
    """Find what is imported: by the name of a reference, else among the well-known files.

    `with_meta` counts Confluent's options as imported; so they are when the file has any of them.
    Raises SchemaError if imports go round in a circle.
    """
    imported: dict[str, File] = {}
    missing: dict[str, None] = {}
    open_paths: list[str] = []

    def follow(importing: File) -> None:
        for each in importing.imports:
            if each.path in open_paths:
                circle = " imports ".join(
                    f"{path!r}" for path in (*open_paths[open_paths.index(each.path) :], each.path)
                )
                message = f"the imports go round in a circle: {circle}"
                raise refusal(each.place, message) if importing is file else SchemaError(message)
            if each.path in imported or each.path in missing:
                continue
            found = references.get(each.path) or known.file(each.path)
            if found is None:
                missing[each.path] = None
                continue
            open_paths.append(each.path)
            follow(found)
            open_paths.pop()
            imported[each.path] = found

    follow(file)
    if META not in imported and (with_meta or _has_meta(file)):
        follow(File(imports=(Import(META),)))
    return Linked(file, imported, tuple(missing), Types([*imported.values(), file]))


def _has_meta(file: File) -> bool:
    messages = (options for message in file.messages for options in _options_of(message))
    enums = (options for enum in file.enums for options in _options_of_enum(enum))
    names = (option.name[0] for options in (file.options, *messages, *enums) for option in options)
    return any(name.is_extension and name.text.lstrip(".").startswith("confluent.") for name in names)


def _options_of(message: Message) -> Iterator[Options]:
    yield message.options
    yield from (member.options for member, _ in message.members())
    for enum in message.enums:
        yield from _options_of_enum(enum)
    for nested in message.messages:
        yield from _options_of(nested)


def _options_of_enum(enum: Enum) -> Iterator[Options]:
    yield enum.options
    yield from (value.options for value in enum.values)
