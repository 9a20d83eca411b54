"""Reads the text of a `.proto` file. It takes what protoc takes; what a word means is looked up later.

Grammar: protobuf.dev, "Protocol Buffers Language Specification", proto2 and proto3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

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
    Import,
    Label,
    MapType,
    Message,
    Method,
    OneOf,
    Option,
    Options,
    Place,
    Quoted,
    Range,
    Reserved,
    Service,
    Word,
    refusal,
)
from moldau.registry.protobuf.lexer import Cursor
from moldau.registry.protobuf.values import NESTING_MAX, option_list, option_statement, quoted

_LABELS: Final[dict[str, Label]] = {"optional": "optional", "required": "required", "repeated": "repeated"}


def parse(text: str) -> File:
    """The file. Raises SchemaError, with line and column and what was expected there."""
    return _Parser(Cursor(text)).file()


@dataclass(slots=True)
class _Body:
    """What was read so far of a message, a oneof or an extend block."""

    fields: list[Field] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    oneofs: list[OneOf] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    enums: list[Enum] = field(default_factory=list)
    reserved: list[Reserved] = field(default_factory=list)
    extensions: list[Extensions] = field(default_factory=list)
    extends: list[Extend] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._is_proto3 = False
        self._depth = 0

    def file(self) -> File:
        cursor = self._cursor
        syntax = self._syntax()
        self._is_proto3 = syntax == "proto3"
        package: str | None = None
        imports: list[Import] = []
        services: list[Service] = []
        body = _Body()
        while not cursor.at_end:
            if cursor.took(";"):
                continue
            if cursor.at("package"):
                if package is not None:
                    raise refusal(cursor.here, "the file has a package already")
                cursor.take()
                package = cursor.dotted("the name of the package")
                cursor.expect(";")
            elif cursor.at("import"):
                imports.append(self._import())
            elif cursor.at("option"):
                body.options.append(option_statement(cursor))
            elif cursor.at("service"):
                services.append(self._service())
            elif not self._declaration(body):
                cursor.refuse("message, enum, extend, service, import, option or package")
        return File(
            syntax,
            package,
            tuple(imports),
            tuple(body.options),
            tuple(body.messages),
            tuple(body.enums),
            tuple(body.extends),
            tuple(services),
        )

    def _syntax(self) -> Literal["proto2", "proto3"] | None:
        cursor = self._cursor
        while cursor.took(";"):
            pass
        if cursor.at("edition"):
            raise refusal(cursor.here, 'editions are not understood yet; syntax = "proto3" and "proto2" are')
        if not cursor.took("syntax"):
            return None
        cursor.expect("=")
        place = cursor.here
        if cursor.peek().kind != "string":
            cursor.refuse('"proto3" or "proto2"')
        syntax = quoted(cursor).text
        if syntax not in ("proto2", "proto3"):
            raise refusal(place, f'expected "proto3" or "proto2", found "{syntax}"')
        cursor.expect(";")
        return "proto3" if syntax == "proto3" else "proto2"

    def _import(self) -> Import:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        kind: Literal["", "public", "weak"] = "public" if cursor.took("public") else ""
        if not kind and cursor.took("weak"):
            kind = "weak"
        if cursor.peek().kind != "string":
            cursor.refuse("the path of a file, in quotes")
        path = quoted(cursor).text
        cursor.expect(";")
        return Import(path, kind, place)

    def _declaration(self, body: _Body) -> bool:
        """A message, an enum or an extend block, if one comes."""
        cursor = self._cursor
        if cursor.peek(1).kind != "name" and not (cursor.at("extend") and cursor.peek(1).text == "."):
            return False
        if cursor.at("message"):
            body.messages.append(self._message())
        elif cursor.at("enum"):
            body.enums.append(self._enum())
        elif cursor.at("extend"):
            body.extends.append(self._extend())
        else:
            return False
        return True

    # Messages.

    def _message(self) -> Message:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        name = cursor.name("the name of the message")
        return self._message_body(name, place)

    def _message_body(self, name: str, place: Place) -> Message:
        cursor = self._cursor
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise refusal(place, f"messages are nested deeper than {NESTING_MAX}")
        body = _Body()
        cursor.expect("{")
        while not cursor.took("}"):
            self._message_part(body)
        self._depth -= 1
        return Message(
            name,
            tuple(body.fields),
            tuple(body.oneofs),
            tuple(body.groups),
            tuple(body.messages),
            tuple(body.enums),
            tuple(body.reserved),
            tuple(body.extensions),
            tuple(body.extends),
            tuple(body.options),
            place,
        )

    def _message_part(self, body: _Body) -> None:
        cursor = self._cursor
        if cursor.took(";") or (self._is_declaration() and self._declaration(body)):
            return
        following = cursor.peek(1)
        if cursor.at("option"):
            body.options.append(option_statement(cursor))
        elif cursor.at("oneof") and cursor.peek(2).text == "{":
            body.oneofs.append(self._oneof())
        elif cursor.at("reserved") and following.kind in ("number", "string"):
            body.reserved.append(self._reserved(NUMBER_MAX))
        elif cursor.at("extensions") and following.kind == "number":
            body.extensions.append(self._extensions())
        else:
            self._field(body, label_needed=not self._is_proto3)

    def _is_declaration(self) -> bool:
        """Whether `message X {` comes, and no field of a type that is called message."""
        cursor = self._cursor
        return cursor.at("extend") or cursor.at("message") or (cursor.at("enum") and cursor.peek(2).text == "{")

    def _oneof(self) -> OneOf:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        name = cursor.name("the name of the oneof")
        body = _Body()
        cursor.expect("{")
        while not cursor.took("}"):
            if cursor.took(";"):
                continue
            if (cursor.at("option") and cursor.peek(2).text != "=") or (
                cursor.at("option") and cursor.peek(3).kind != "number"
            ):
                body.options.append(option_statement(cursor))
            elif cursor.peek().text in _LABELS:
                raise refusal(cursor.here, f"a field of a oneof has no label, found {cursor.peek().text!r}")
            else:
                self._field(body, label_needed=False)
        return OneOf(name, tuple(body.fields), tuple(body.groups), tuple(body.options), place)

    def _extend(self) -> Extend:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        extendee = cursor.dotted("the name of the message that is extended")
        body = _Body()
        cursor.expect("{")
        while not cursor.took("}"):
            if not cursor.took(";"):
                self._field(body, label_needed=not self._is_proto3)
        return Extend(extendee, tuple(body.fields), tuple(body.groups), place)

    # Fields.

    def _field(self, body: _Body, *, label_needed: bool) -> None:
        cursor, place = self._cursor, self._cursor.here
        label = _LABELS.get(cursor.peek().text) if cursor.peek().kind == "name" else None
        if label is not None:
            if label == "required" and self._is_proto3:
                raise refusal(place, "proto3 has no required fields")
            cursor.take()
        kind = self._type()
        if label is None and label_needed and isinstance(kind, str):
            raise refusal(place, f"expected optional, required or repeated before a field of proto2, found {kind!r}")
        if isinstance(kind, MapType) and label is not None:
            raise refusal(place, f"a map has no label, found {label!r}")
        if kind == "group" and cursor.peek(2).kind == "number" and cursor.peek(3).text in ("{", "["):
            body.groups.append(self._group(label, place))
            return
        name = cursor.name("the name of the field")
        number = self._field_number()
        options = option_list(cursor)
        cursor.expect(";", "';' or '[' after the number of the field")
        body.fields.append(_field(name, number, kind, label, options, place))

    def _type(self) -> str | MapType:
        cursor = self._cursor
        if cursor.at("map") and cursor.peek(1).text == "<":
            cursor.take()
            cursor.take()
            key = cursor.name("the type of the map's keys")
            cursor.expect(",")
            value = cursor.dotted("the type of the map's values")
            cursor.expect(">")
            return MapType(key, value)
        return cursor.dotted("the type of a field, a declaration or '}'")

    def _field_number(self) -> int:
        cursor = self._cursor
        cursor.expect("=", "'=' and the number of the field")
        place = cursor.here
        number = cursor.integer("the number of the field")
        if not 0 < number <= NUMBER_MAX:
            raise refusal(place, f"the number of a field is 1 to {NUMBER_MAX}, found {number}")
        if 19000 <= number < 20000:
            raise refusal(place, f"the numbers 19000 to 19999 belong to Protobuf itself, found {number}")
        return number

    def _group(self, label: Label | None, place: Place) -> Group:
        cursor = self._cursor
        if self._is_proto3:
            raise refusal(place, "proto3 has no groups")
        name = cursor.name("the name of the group")
        if not name[0].isupper():
            raise refusal(place, f"the name of a group begins with a capital letter, found {name!r}")
        number = self._field_number()
        options = option_list(cursor)
        return Group(self._message_body(name, place), number, label, options, place)

    # Numbers that are kept free.

    def _reserved(self, largest: int) -> Reserved:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        items: list[Range | str] = []
        while True:
            items.append(quoted(cursor).text if cursor.peek().kind == "string" else self._range(largest))
            if not cursor.took(","):
                break
        cursor.expect(";", "',' or ';'")
        return Reserved(tuple(items), place)

    def _extensions(self) -> Extensions:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        ranges = [self._range(NUMBER_MAX)]
        while cursor.took(","):
            ranges.append(self._range(NUMBER_MAX))
        options = option_list(cursor)
        cursor.expect(";", "',' or ';'")
        return Extensions(tuple(ranges), options, place)

    def _range(self, largest: int) -> Range:
        cursor, place = self._cursor, self._cursor.here
        first = last = cursor.integer("a number")
        if cursor.took("to"):
            last = largest if cursor.took("max") else cursor.integer("a number, or max")
        if not (first > 0 or largest == ENUM_MAX) or not first <= last <= largest:
            raise refusal(place, f"{first} to {last} is no range of numbers")
        return Range(first, last)

    # Enums and services.

    def _enum(self) -> Enum:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        name = cursor.name("the name of the enum")
        values: list[EnumValue] = []
        reserved: list[Reserved] = []
        options: list[Option] = []
        cursor.expect("{")
        while not cursor.took("}"):
            if cursor.took(";"):
                continue
            if cursor.at("option") and cursor.peek(1).text != "=":
                options.append(option_statement(cursor))
            elif cursor.at("reserved") and cursor.peek(1).text != "=":
                reserved.append(self._reserved(ENUM_MAX))
            else:
                values.append(self._enum_value())
        return Enum(name, tuple(values), tuple(reserved), tuple(options), place)

    def _enum_value(self) -> EnumValue:
        cursor, place = self._cursor, self._cursor.here
        name = cursor.name("the name of a value, or '}'")
        cursor.expect("=", "'=' and the number of the value")
        number = cursor.integer("the number of the value")
        if not -ENUM_MAX - 1 <= number <= ENUM_MAX:
            raise refusal(place, f"the number of a value has 32 bits, found {number}")
        options = option_list(cursor)
        cursor.expect(";", "';' or '[' after the number of the value")
        return EnumValue(name, number, options, place)

    def _service(self) -> Service:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        name = cursor.name("the name of the service")
        methods: list[Method] = []
        options: list[Option] = []
        cursor.expect("{")
        while not cursor.took("}"):
            if cursor.took(";"):
                continue
            if cursor.at("option"):
                options.append(option_statement(cursor))
            elif cursor.at("rpc"):
                methods.append(self._method())
            else:
                cursor.refuse("rpc, option or '}'")
        return Service(name, tuple(methods), tuple(options), place)

    def _method(self) -> Method:
        cursor, place = self._cursor, self._cursor.here
        cursor.take()
        name = cursor.name("the name of the method")
        request_is_stream, request = self._message_of_a_method()
        cursor.expect("returns")
        response_is_stream, response = self._message_of_a_method()
        options: list[Option] = []
        if cursor.took("{"):
            while not cursor.took("}"):
                if not cursor.took(";"):
                    options.append(option_statement(cursor))
        else:
            cursor.expect(";", "';' or '{'")
        return Method(name, request, response, request_is_stream, response_is_stream, tuple(options), place)

    def _message_of_a_method(self) -> tuple[bool, str]:
        cursor = self._cursor
        cursor.expect("(")
        is_stream = cursor.at("stream") and cursor.peek(1).text != ")" and cursor.took("stream")
        name = cursor.dotted("the name of a message")
        cursor.expect(")")
        return is_stream, name


def _field(name: str, number: int, kind: str | MapType, label: Label | None, options: Options, place: Place) -> Field:
    """`default` and `json_name` stand among the options and are none."""
    default: Word | Quoted | None = None
    json_name: str | None = None
    others: list[Option] = []
    for option in options:
        word = option.name[0].text if len(option.name) == 1 and not option.is_custom else ""
        if word == "default" and isinstance(option.value, Word | Quoted):
            default = option.value
        elif word == "json_name" and isinstance(option.value, Quoted):
            json_name = option.value.text
        elif word in ("default", "json_name"):
            raise refusal(option.place, f"{word} cannot be set to this")
        else:
            others.append(option)
    return Field(name, number, kind, label, tuple(others), default, json_name, place)
