"""Rules of one message: which of its fields, and of the messages in it, there have to be."""

from __future__ import annotations

from moldau.registry.compat.protobuf.members import Comparison, Content, Found, broken
from moldau.registry.languages.language import Incompatibility


def every_message_is_still_there(comparison: Comparison, reader: Content, writer: Content, path: str) -> Found:
    """A message that is declared in another is declared there still."""
    known = {each.name for each in reader.message.messages}
    for message in writer.message.messages:
        if message.name not in known and message.map_type is None:
            yield removed_message(f"{path}/{message.name}", message.name)


def removed_message(path: str, name: str) -> Incompatibility:
    """A message that is gone."""
    return broken("MESSAGE_REMOVED", path, f"the message {name!r} may have been written, and is not there", name)


def nothing_new_is_required(comparison: Comparison, reader: Content, writer: Content, path: str) -> Found:
    """A field that is required was required before.

    Stricter than Confluent's registry, which takes a string or a message that becomes required.
    """
    for number, field in sorted(reader.by_number.items()):
        written = writer.by_number.get(number)
        if field.label == "required" and (written is None or written.label != "required"):
            message = f"the field {field.field.name!r} is required, and need not have been written"
            yield broken("REQUIRED_FIELD_ADDED", field.path(path), message, field.field.name)


def what_is_required_stays(comparison: Comparison, reader: Content, writer: Content, path: str) -> Found:
    """A field that was required is still there."""
    for number, field in sorted(writer.by_number.items()):
        if field.label == "required" and number not in reader.by_number:
            message = f"the field {field.field.name!r} was required, and is not there"
            yield broken("REQUIRED_FIELD_REMOVED", field.path(path), message, field.field.name)


def members_of_a_oneof_stay(comparison: Comparison, reader: Content, writer: Content, path: str) -> Found:
    """A field of a oneof is still there, in it or not, unless the whole oneof is gone."""
    for name, members in writer.oneofs.items():
        gone = [each for each in members if each.field.number not in reader.by_number]
        if len(gone) == len(members) and name not in reader.oneofs:
            continue
        for field in gone:
            message = f"the field {field.field.name!r} of the oneof {name!r} may have been written, and is not there"
            yield broken("ONEOF_FIELD_REMOVED", field.path(path), message, field.field.name)


def fields_do_not_come_together_in_a_oneof(
    comparison: Comparison, reader: Content, writer: Content, path: str
) -> Found:
    """Fields that could all have a value are not put into one oneof, where only one of them has."""
    for name, members in reader.oneofs.items():
        written = [writer.by_number[each.field.number] for each in members if each.field.number in writer.by_number]
        alone = [each for each in written if each.oneof is None]
        if len(alone) + len({each.oneof for each in written if each.oneof is not None}) < 2:
            continue
        rule = "MULTIPLE_FIELDS_MOVED_TO_ONEOF" if len(alone) > 1 else "FIELD_MOVED_TO_EXISTING_ONEOF"
        names = ", ".join(repr(each.field.name) for each in written)
        message = f"of the fields {names} several may have been written, and the oneof {name!r} keeps one"
        yield broken(rule, f"{path}/{name}", message, name)
