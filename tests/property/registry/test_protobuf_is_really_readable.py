"""What our rules call compatible is really readable: written with one file, read with the other, by Protobuf's library.

Files and their changes are made by Hypothesis; some changes keep the promise and some break it, and only the verdict is
ours. The library knows nothing of our rules. Unlike Avro's it fails at almost nothing, so what was written is looked
for in what was read.
"""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from moldau.registry.languages import LANGUAGES, Policy

PROTOBUF = LANGUAGES["PROTOBUF"]
WHOLE = ("int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64")
KINDS = (*WHOLE, "bool", "float", "double", "string", "bytes", "E", "B", "A")
LABELS = {"proto3": ("", "optional ", "repeated "), "proto2": ("optional ", "required ", "repeated ")}


@st.composite
def fields(draw: st.DrawFn, syntax: str) -> dict[int, dict[str, Any]]:
    """The fields of A, by number."""
    found: dict[int, dict[str, Any]] = {}
    for number in draw(st.lists(st.integers(1, 5), min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(KINDS))
        if draw(st.integers(0, 4)) == 0:
            field = {"map": draw(st.sampled_from(("int32", "sint64", "string"))), "kind": kind}
        elif draw(st.integers(0, 3)) == 0:
            field = {"oneof": draw(st.sampled_from("op")), "kind": kind}
        else:
            # A required A within A would never end.
            labels = [each for each in LABELS[syntax] if kind != "A" or each != "required "]
            field = {"label": draw(st.sampled_from(labels)), "kind": kind}
        found[number] = field
    return found


@st.composite
def changed(draw: st.DrawFn, syntax: str, old: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The fields with some changes, allowed ones and others."""
    fresh = draw(fields(syntax))
    found = {}
    for number, field in old.items():
        change = draw(st.integers(0, 9))
        if change == 0:
            continue
        if change == 1 and number in fresh:
            found[number] = fresh[number]
        elif change == 2 and "map" not in field:
            found[number] = {"kind": field["kind"], "oneof": draw(st.sampled_from("op"))}
        elif change == 3 and "map" not in field:
            labels = [each for each in LABELS[syntax] if field["kind"] != "A" or each != "required "]
            found[number] = {"kind": field["kind"], "label": draw(st.sampled_from(labels))}
        elif change == 4:
            found[number] = {**field, "kind": draw(st.sampled_from(KINDS))}
            if found[number]["kind"] == "A" and found[number].get("label") == "required ":
                found[number]["label"] = "optional "
        else:
            found[number] = field
    if draw(st.booleans()):
        found.update({number: field for number, field in list(fresh.items())[:1] if number not in old})
    return found


def text(syntax: str, content: dict[int, dict[str, Any]]) -> str:
    lines, oneofs = [], dict[str, list[str]]()
    for number, field in content.items():
        if "map" in field:
            lines.append(f"map<{field['map']}, {field['kind']}> f{number} = {number};")
        elif "oneof" in field:
            oneofs.setdefault(field["oneof"], []).append(f"{field['kind']} f{number} = {number};")
        else:
            lines.append(f"{field['label']}{field['kind']} f{number} = {number};")
    lines += [f"oneof {name} {{ {' '.join(inside)} }}" for name, inside in oneofs.items()]
    label = "" if syntax == "proto3" else "optional "
    return (
        f'syntax = "{syntax}"; package p; message A {{ {" ".join(lines)} }} '
        f"message B {{ {label}int32 x = 1; }} enum E {{ E0 = 0; E1 = 1; E2 = 2; }}"
    )


@st.composite
def evolutions(draw: st.DrawFn) -> tuple[str, str]:
    syntax = draw(st.sampled_from(("proto2", "proto3")))
    old = draw(fields(syntax))
    return text(syntax, old), text(syntax, draw(changed(syntax, old)))


def parse(source: str) -> Any:
    return PROTOBUF.parse(source, [], strict=True)


def compiled(source: str) -> type[Message]:
    pool = DescriptorPool()
    file = FileDescriptorProto.FromString(base64.b64decode(parse(source).formatted("serialized")))
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("p.A"))


def value_of(draw: Any, field: Any, depth: int) -> Any:
    """A small value that fits into every type of its group."""
    if field.message_type is not None:
        message = GetMessageClass(field.message_type)()
        fill(draw, message, depth - 1)
        return message
    if field.enum_type is not None:
        return draw(st.integers(0, 2))
    if field.type == field.TYPE_BYTES:
        return draw(st.text("xyz", max_size=3)).encode()
    if field.type == field.TYPE_STRING:
        return draw(st.text("xyz", max_size=3))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return float(draw(st.integers(-9, 9)))
    return draw(st.booleans()) if field.type == field.TYPE_BOOL else draw(st.integers(0, 2))


def fill(draw: Any, message: Message, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if not field.is_required and (depth <= 0 or draw(st.integers(0, 2)) == 0):
            continue
        if field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, content = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            entry = getattr(message, field.name)
            value = value_of(draw, content, depth)
            if content.message_type is not None:
                entry[value_of(draw, key, depth)].CopyFrom(value)
            else:
                entry[value_of(draw, key, depth)] = value
        elif field.is_repeated:
            getattr(message, field.name).extend([value_of(draw, field, depth) for _ in range(draw(st.integers(1, 2)))])
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(value_of(draw, field, depth))
        else:
            setattr(message, field.name, value_of(draw, field, depth))


def plain(field: Any, value: Any) -> Any:
    """A value without its type: 1, True and the enum's value 1 are one, and so are text and bytes."""
    if isinstance(value, Message):
        return {each.number: plain(each, content) for each, content in value.ListFields()}
    if isinstance(value, str):
        return value.encode()
    return int(value) if isinstance(value, bool | int) else value


def values(message: Message, number: int) -> list[Any]:
    """What stands under a number, one or many."""
    field = message.DESCRIPTOR.fields_by_number[number]
    content = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return sorted(((plain(field, key), repr(readable(content[key]))) for key in content), key=repr)
    if field.is_repeated:
        return [readable(each) for each in content]
    return [readable(content)] if not field.has_presence or message.HasField(field.name) else []


def readable(value: Any) -> Any:
    return (
        {each.number: values(value, each.number) for each, _ in value.ListFields()}
        if isinstance(value, Message)
        else plain(None, value)
    )


def is_true_of(value: Any) -> bool:
    return value not in (0, b"", 0.0)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(evolutions(), st.data())
def test_what_backward_allows_is_readable(evolution, data):
    writer, reader = evolution
    assume(not PROTOBUF.check(parse(reader), parse(writer), Policy.STRICT))
    old, new = compiled(writer), compiled(reader)
    written = old()
    fill(data.draw, written, 2)
    read = new.FromString(written.SerializeToString())
    assert read.IsInitialized()
    assert_found(written, read)


def assert_found(written: Message, read: Message) -> None:
    """Every field that the reader knows has what was written; where it keeps one of many, the last."""
    for field, _ in written.ListFields():
        if field.number not in read.DESCRIPTOR.fields_by_number:
            continue
        before, after = values(written, field.number), values(read, field.number)
        target = read.DESCRIPTOR.fields_by_number[field.number]
        if target.message_type is not None:
            # The messages in it are compared by the same rule, and may have lost fields that are gone.
            assert bool(before) == bool(after)
        elif target.type == target.TYPE_BOOL:
            assert [is_true_of(each) for each in before][-len(after or [0]) :] == [bool(each) for each in after]
        elif target.is_repeated or len(before) == 1:
            assert after == before
        else:
            assert after == before[-1:]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evolutions())
def test_a_file_reads_itself_and_survives_being_written_as_text_and_as_descriptor(evolution):
    schema = parse(evolution[0])
    for form in (schema.canonical(), schema.normalized().canonical(), schema.formatted("serialized")):
        again = parse(form)
        assert again.meaning() == schema.meaning()
        assert PROTOBUF.check(again, schema, Policy.STRICT) == PROTOBUF.check(schema, again, Policy.STRICT) == []
