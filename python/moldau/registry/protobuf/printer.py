"""Writes a file as Confluent's registry does: comments gone, two spaces for each level, everything in a fixed order.

Inside a message: reserved, options, fields, oneofs, groups, extensions, extend blocks, messages, enums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from moldau.registry.protobuf.elements import (
    ENUM_MAX,
    NUMBER_MAX,
    Enum,
    EnumValue,
    Extend,
    Extensions,
    Field,
    File,
    Group,
    Listing,
    MapType,
    Message,
    Method,
    NamePart,
    OneOf,
    Option,
    Quoted,
    Range,
    Reserved,
    Service,
    Value,
    Word,
)

_ESCAPES: Final = str.maketrans(
    {
        **{char: f"\\{escape}" for char, escape in zip("\a\b\f\n\r\t\v\\'\"", "abfnrtv\\'\"", strict=True)},
        # Bytes that are no UTF-8 (PEP 383).
        **{chr(0xDC00 + byte): f"\\{byte:03o}" for byte in range(0x80, 0x100)},
    }
)

Lines = list[str]
Element = TypeVar("Element")


def write(file: File) -> str:
    """The text."""
    lines: Lines = []
    if file.syntax is not None:
        lines.append(f'syntax = "{file.syntax}";')
    if file.package is not None:
        lines.append(f"package {file.package};")
    parts = [
        [f"import {quoted(each.path)};" for each in file.imports if not each.kind]
        + [f"import {each.kind} {quoted(each.path)};" for each in file.imports if each.kind],
        _each(_option_statement, file.options),
        [*_each(_message, file.messages), *_each(_enum, file.enums)],
        _each(_extend, file.extends),
        _each(_service, file.services),
    ]
    for part in parts:
        if part:
            lines += ["", *part]
    return "".join(f"{line}\n" for line in lines)


def type_text(kind: str | MapType) -> str:
    """A type as it stands before the name of a field."""
    return kind if isinstance(kind, str) else f"map<{kind.key}, {kind.value}>"


def quoted(text: str) -> str:
    """A string with its quotes and escapes."""
    return f'"{text.translate(_ESCAPES)}"'


def _each(write_one: Callable[[Element], Lines], elements: Iterable[Element]) -> Lines:
    return [line for element in elements for line in write_one(element)]


def _block(head: str, parts: Iterable[Lines]) -> Lines:
    """A head and what stands in braces behind it, with an empty line before each part but the first.

    The empty lines of what is nested are indented as well: they are in Confluent's text, and so in its GUIDs.
    """
    inside: Lines = []
    for part in parts:
        if part:
            inside += ["", *(f"  {line}" for line in part)]
    return [f"{head} {{", *inside[1:], "}"] if inside else [f"{head} {{}}"]


def _message(message: Message, head: str = "") -> Lines:
    return _block(
        head or f"message {message.name}",
        (
            _each(_reserved, message.reserved),
            _each(_option_statement, message.options),
            _each(_field, message.fields),
            _each(_oneof, message.oneofs),
            _each(_group, message.groups),
            _each(_extensions, message.extensions),
            _each(_extend, message.extends),
            [*_each(_message, message.messages), *_each(_enum, message.enums)],
        ),
    )


def _field(field: Field) -> Lines:
    head = f"{field.label} " if field.label else ""
    options = list(field.options)
    if field.default is not None:
        options.append(Option((NamePart("default"),), field.default))
    if field.json_name is not None:
        options.append(Option((NamePart("json_name"),), Quoted(field.json_name)))
    return _with_options(f"{head}{type_text(field.type)} {field.name} = {field.number}", options)


def _group(group: Group) -> Lines:
    label = f"{group.label} " if group.label else ""
    head = _bracketed(f"{label}group {group.message.name} = {group.number}", group.options)
    return [*head[:-1], *_message(group.message, head[-1])]


def _oneof(oneof: OneOf) -> Lines:
    parts = (_each(_option_statement, oneof.options), _each(_field, oneof.fields), _each(_group, oneof.groups))
    return _block(f"oneof {oneof.name}", parts)


def _extend(extend: Extend) -> Lines:
    return _block(f"extend {extend.extendee}", ([*_each(_field, extend.fields), *_each(_group, extend.groups)],))


def _enum(enum: Enum) -> Lines:
    # Only here the parts follow each other without an empty line.
    reserved, options = _each(_reserved, enum.reserved), _each(_option_statement, enum.options)
    return _block(f"enum {enum.name}", ([*reserved, *options, *_each(_enum_value, enum.values)],))


def _enum_value(value: EnumValue) -> Lines:
    return _with_options(f"{value.name} = {value.number}", value.options)


def _reserved(reserved: Reserved) -> Lines:
    items = [quoted(item) if isinstance(item, str) else _range(item) for item in reserved.items]
    return [f"reserved {', '.join(items)};"]


def _extensions(extensions: Extensions) -> Lines:
    return _with_options(f"extensions {', '.join(map(_range, extensions.ranges))}", extensions.options)


def _range(numbers: Range) -> str:
    if numbers.first == numbers.last:
        return str(numbers.first)
    return f"{numbers.first} to {'max' if numbers.last in (NUMBER_MAX, ENUM_MAX) else numbers.last}"


def _service(service: Service) -> Lines:
    return _block(
        f"service {service.name}", (_each(_option_statement, service.options), _each(_method, service.methods))
    )


def _method(method: Method) -> Lines:
    request = f"{'stream ' if method.request_is_stream else ''}{method.request}"
    response = f"{'stream ' if method.response_is_stream else ''}{method.response}"
    head = f"rpc {method.name} ({request}) returns ({response})"
    if not method.options:
        return [f"{head};"]
    return [*_block(head, (_each(_option_statement, method.options),))[:-1], "};"]


# Options.


def option_name(option: Option) -> str:
    """The name of an option with its parentheses."""
    return ".".join(f"({part.text})" if part.is_extension else part.text for part in option.name)


def _option_statement(option: Option) -> Lines:
    return _ended("option ", _assigned(option))


def _assigned(option: Option) -> Lines:
    value = _value(option.value)
    if isinstance(option.value, Listing) and len(option.value.values) == 1:
        (one,) = option.value.values
        value = _value(one)
        value = [f"[{value[0]}", *value[1:]]
        value[-1] += "]"
    return [f"{option_name(option)} = {value[0]}", *value[1:]]


def _with_options(head: str, options: Iterable[Option]) -> Lines:
    return _ended("", _bracketed(head, options))


def _bracketed(head: str, options: Iterable[Option]) -> Lines:
    """A head with its options in brackets: one stays on the line, several get a line each."""
    written = [_assigned(option) for option in options]
    if not written:
        return [head]
    if len(written) == 1:
        (one,) = written
        lines = [f"{head} [{one[0]}", *one[1:]]
        return [*lines[:-1], f"{lines[-1]}]"]
    return [f"{head} [", *_listed(written), "]"]


def _listed(items: list[Lines]) -> Lines:
    """Items with a comma behind each but the last, one level deeper."""
    lines: Lines = []
    for index, item in enumerate(items):
        comma = "," if index < len(items) - 1 else ""
        lines += [f"  {line}" for line in (*item[:-1], f"{item[-1]}{comma}")]
    return lines


def _ended(head: str, lines: Lines) -> Lines:
    lines = [head + lines[0], *lines[1:]]
    return [*lines[:-1], f"{lines[-1]};"]


def _value(value: Value) -> Lines:
    """What an option is set to; the first line follows the `=`."""
    if isinstance(value, Word):
        return [value.text]
    if isinstance(value, Quoted):
        return [quoted(value.text)]
    if isinstance(value, Listing):
        return ["[", *_listed([_value(each) for each in value.values]), "]"]
    return ["{", *_listed([_entry(key, each) for key, each in value.entries]), "}"]


def _entry(key: str, value: Value) -> Lines:
    lines = _value(value)
    return [f"{key}: {lines[0]}", *lines[1:]]
