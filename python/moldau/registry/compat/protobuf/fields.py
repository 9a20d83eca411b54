"""Rules of one field: what was written under its number is what is read under it."""

from __future__ import annotations

from typing import Final

from moldau.registry.compat.protobuf.members import TEXT, Comparison, Found, Map, Member, Named, Scalar, Type, broken

NAMES: Final = {"scalar": "a scalar", "map": "a map", "message": "a message", "group": "a group"}


def every_field_is_of_its_kind(comparison: Comparison, reader: Member, writer: Member, path: str) -> Found:
    """A scalar or enum stays one, so does a message, a map and a group."""
    yield from _kinds(reader, reader.type, writer.type, path)


def _kinds(field: Member, reader: Type, writer: Type, path: str) -> Found:
    if reader.kind != writer.kind:
        message = (
            f"the field {field.field.name!r} was written as {NAMES[writer.kind]}, {writer.name}, "
            f"and is read as {NAMES[reader.kind]}, {reader.name}"
        )
        yield broken("FIELD_KIND_CHANGED", path, message, field.field.name)
    elif isinstance(reader, Map) and isinstance(writer, Map):
        yield from _kinds(field, reader.key, writer.key, path)
        yield from _kinds(field, reader.value, writer.value, path)


def every_scalar_has_the_same_bytes(comparison: Comparison, reader: Member, writer: Member, path: str) -> Found:
    """A scalar is of the group that was written: int32, int64, uint32, uint64, bool and enums are one, for example."""
    yield from _groups(reader, reader.type, writer.type, path)


def _groups(field: Member, reader: Type, writer: Type, path: str) -> Found:
    if isinstance(reader, Scalar) and isinstance(writer, Scalar) and reader.group != writer.group:
        message = (
            f"the field {field.field.name!r} was written as {writer.name} ({writer.group}), "
            f"and is read as {reader.name} ({reader.group})"
        )
        yield broken("FIELD_SCALAR_KIND_CHANGED", path, message, field.field.name)
    elif isinstance(reader, Map) and isinstance(writer, Map):
        yield from _groups(field, reader.key, writer.key, path)
        yield from _groups(field, reader.value, writer.value, path)


def every_message_has_its_name_and_content(comparison: Comparison, reader: Member, writer: Member, path: str) -> Found:
    """A field's message has the name that it had, without the package; one that is imported is compared as well."""
    yield from _messages(comparison, reader, reader.type, writer.type, path)


def _messages(comparison: Comparison, field: Member, reader: Type, writer: Type, path: str) -> Found:
    if isinstance(reader, Map) and isinstance(writer, Map):
        yield from _messages(comparison, field, reader.value, writer.value, path)
        return
    if not (isinstance(reader, Named) and isinstance(writer, Named)) or reader.kind != writer.kind:
        return
    ours, theirs = reader.declared, writer.declared
    our_name = ours.local_name if ours else reader.name
    their_name = theirs.local_name if theirs else writer.name
    if our_name != their_name and reader.kind != "group":
        message = f"the field {field.field.name!r} was written as {their_name}, and is read as {our_name}"
        yield broken("FIELD_NAMED_TYPE_CHANGED", path, message, field.field.name)
        return
    if ours is None or theirs is None:
        return
    if reader.kind == "message" and comparison.is_compared_by_name(ours, theirs):
        return
    found = list(comparison.content(ours, theirs))
    if found:
        yield from found
        message = f"{our_name}, the message of the field {field.field.name!r}, is not what was written"
        yield broken("FIELD_NAMED_TYPE_CHANGED", path, message, field.field.name)


def every_number_keeps_its_label(comparison: Comparison, reader: Member, writer: Member, path: str) -> Found:
    """A number that is optional, required or repeated stays so.

    Stricter than Confluent's registry, which does not look where a field of proto3 has no label: what is repeated is
    written in one piece, and a reader of one number skips it.
    """
    if not (isinstance(reader.type, Scalar) and isinstance(writer.type, Scalar)) or reader.type.group == TEXT:
        return
    if reader.type.group != writer.type.group or reader.label == writer.label:
        return
    if (reader.label and writer.label) or writer.is_packed:
        message = (
            f"the number {reader.field.name!r} was written as {writer.label or 'singular'}, "
            f"and is read as {reader.label or 'singular'}"
        )
        yield broken("FIELD_NUMERIC_LABEL_CHANGED", path, message, reader.field.name)
