"""Code of its own for each message that comes often: the same bytes as along its layout, in a third of the time.

`compiled` writes two Python functions from a layout, as `dataclasses` writes an `__init__`: fields of a fixed size that
follow on each other become one `struct`, and nothing is looked up that the layout knows. They are for the usual cases.
Whatever is not usual (a null where none may be, a length that points past the end, a number that does not fit) ends in
an exception, and then the layout is asked: it says what is refused, and how. So what is here can be slow for a message,
but not wrong about one: the tests hold both against each other, for every message and version.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Final

from moldau.control.schema import (
    BYTES,
    LONGEST_STRING,
    STRING,
    UUID_,
    Message,
    Reader,
    UnusualError,
    Wire,
    WireType,
    layout_of,
    uuid_of,
    write_unsigned_varint,
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The code for one version of a message."""

    read: Callable[[bytes, int], tuple[Any, int]]
    """The message that begins at this position, and where it ends."""
    write: Callable[[bytearray, Any], None]


_MADE: Final[dict[tuple[type[Message], int, bool], Compiled]] = {}


def compiled(message: type[Message], version: int, *, flexible: bool) -> Compiled:
    """The code for `message`, a record or a structure in one, in `version`; `flexible` as the message around it is."""
    made = _MADE.get((message, version, flexible))
    if made is None:
        reading, writing = _Reading(message, version, flexible), _Writing(message, version, flexible)
        reading.message()
        writing.message()
        made = Compiled(reading.function("read"), writing.function("write"))
        _MADE[message, version, flexible] = made
    return made


class _Code:
    """A function on its way."""

    def __init__(self, message: type[Message], version: int, flexible: bool) -> None:
        self.of = message
        self.version = version
        self.flexible = flexible
        self.layout = layout_of(message, version)
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"Unusual": UnusualError}
        self._depth = 0
        self._count = 0

    def function(self, name: str) -> Callable[..., Any]:
        source = "\n".join(self._lines)
        # Nothing of it comes from outside: it is made of the declarations in this package.
        exec(compile(source, f"<{name} {self.of.__name__} {self.version}>", "exec"), self._names)  # noqa: S102
        function: Callable[..., Any] = self._names[name]
        return function

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is written in a `with` of it stands below `head`."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def constant(self, value: Any) -> str:
        """A name for `value`."""
        name = self.fresh("k")
        self._names[name] = value
        return name

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def nested(self, message: type[Message]) -> Compiled:
        return compiled(message, self.version, flexible=self.flexible)


class _Reading(_Code):
    """`read(data, at)`. Each field becomes a variable, then all of them an object."""

    def message(self) -> None:
        with self.block("def read(data, at):"):
            self.line("size = len(data)")
            run: list[tuple[str, WireType]] = []
            for name, type_, nullable in self.layout.plain:
                if type_.form:
                    run.append((f"v_{name}", type_))
                    continue
                self._run(run)
                run = []
                self._one(f"v_{name}", type_, nullable)
            self._run(run)
            if self.flexible:
                self._tagged()
            self.line(f"return {self.constant(self.of)}({', '.join(self._values())}), at")

    def _values(self) -> list[str]:
        there = {name for name, _, _ in self.layout.plain}
        if self.flexible:
            there.update(name for name, _ in self.layout.tagged.values())
        declared = fields(self.of)  # type: ignore[arg-type]
        return [f"v_{each.name}" if each.name in there else self.constant(each.default) for each in declared]

    def _run(self, run: list[tuple[str, WireType]]) -> None:
        """Fields of a fixed size that follow on each other."""
        if not run:
            return
        packer = struct.Struct(">" + "".join(type_.form for _, type_ in run))
        self.line(f"{', '.join(name for name, _ in run)}, = {self.constant(packer.unpack_from)}(data, at)")
        self.line(f"at += {packer.size}")
        for name, type_ in run:
            if type_ is UUID_:
                self.line(f"{name} = {self.constant(uuid_of)}({name})")

    def _length(self, *, short: bool) -> str:
        length = self.fresh("n")
        if self.flexible:
            self.line(f"{length} = data[at]")
            self.line("at += 1")
            with self.block(f"if {length} > 127:"):
                self.line(f"{length}, at = {self.constant(_rest_of_varint)}(data, at, {length})")
            self.line(f"{length} -= 1")
        else:
            packer = struct.Struct(">h" if short else ">i")
            self.line(f"{length}, = {self.constant(packer.unpack_from)}(data, at)")
            self.line(f"at += {packer.size}")
        return length

    def _one(self, name: str, type_: WireType, nullable: bool) -> None:
        if type_.form:
            self._run([(name, type_)])
        elif type_.message is not None:
            self.line(f"{name}, at = {self.constant(self.nested(type_.message).read)}(data, at)")
        elif type_ is STRING or type_ is BYTES or type_.element is not None:
            length = self._length(short=type_ is STRING)
            if not nullable:
                self._body(name, type_, length)
                return
            with self.block(f"if {length} == -1:"):
                self.line(f"{name} = None")
            with self.block("else:"):
                self._body(name, type_, length)
        else:
            reader = self.fresh("reader")
            self.line(f"{reader} = {self.constant(Reader)}(data)")
            self.line(f"{reader}.position = at")
            read = self.constant(type_.read)
            self.line(f"{name} = {read}({reader}, {self.flexible}, {self.version}, {nullable})")
            self.line(f"at = {reader}.position")

    def _body(self, name: str, type_: WireType, length: str) -> None:
        """What follows on a length."""
        element = type_.element
        least = 1 if element is None or not element.form else struct.calcsize(">" + element.form)
        with self.block(f"if not 0 <= {length} * {least} <= size - at:"):
            self.line("raise Unusual")
        if element is None:
            piece = f"data[at:at + {length}]"
            self.line(f"{name} = {piece}" if type_ is BYTES else f"{name} = {piece}.decode()")
            self.line(f"at += {length}")
        elif element is UUID_:
            end = self.fresh("end")
            self.line(f"{end} = at + 16 * {length}")
            self.line(f"{name} = tuple([{self.constant(uuid_of)}(data[i:i + 16]) for i in range(at, {end}, 16)])")
            self.line(f"at = {end}")
        elif element.form:
            one, several = struct.Struct(">" + element.form).unpack_from, struct.unpack_from
            with self.block(f"if {length} == 1:"):
                self.line(f"{name} = {self.constant(one)}(data, at)")
            with self.block("else:"):
                self.line(f'{name} = {self.constant(several)}(f">{{{length}}}{element.form}", data, at)')
            self.line(f"at += {length} * {least}")
        else:
            items, item = self.fresh("items"), self.fresh("item")
            self.line(f"{items} = []")
            with self.block(f"for _ in range({length}):"):
                self._one(item, element, nullable=False)
                self.line(f"{items}.append({item})")
            self.line(f"{name} = tuple({items})")

    def _tagged(self) -> None:
        for name, spec in self.layout.tagged.values():
            self.line(f"v_{name} = {self.constant(spec.default)}")
        self.line("tags = data[at]")
        self.line("at += 1")
        with self.block("if tags:"):
            with self.block("if tags > 127:"):
                self.line("raise Unusual")
            with self.block("for _ in range(tags):"):
                self._tag()

    def _tag(self) -> None:
        self.line("tag, length = data[at], data[at + 1]")
        self.line("at += 2")
        with self.block("if tag > 127:"):
            self.line("raise Unusual")
        with self.block("if length > 127:"):
            self.line(f"length, at = {self.constant(_rest_of_varint)}(data, at, length)")
        self.line("tag_end = at + length")
        with self.block("if tag_end > size:"):
            self.line("raise Unusual")
        for tag, (name, spec) in self.layout.tagged.items():
            with self.block(f"if tag == {tag}:"):
                self._one(f"v_{name}", spec.type, self.version >= spec.nullable_since)
        known = ", ".join(map(str, self.layout.tagged))
        with self.block(f"if tag not in {{{known}}}:" if known else "if True:"):
            self.line("at = tag_end")
        with self.block("if at != tag_end:"):
            self.line("raise Unusual")


class _Writing(_Code):
    """`write(out, message)`."""

    def message(self) -> None:
        with self.block("def write(out, message):"):
            run: list[tuple[str, WireType]] = []
            for name, type_, nullable in self.layout.plain:
                if type_.form:
                    run.append((f"message.{name}", type_))
                    continue
                self._run(run)
                run = []
                value = self.fresh("v")
                self.line(f"{value} = message.{name}")
                self._one("out", value, type_, nullable)
            self._run(run)
            if self.flexible:
                self._tagged()
            self.line("return")

    def _run(self, run: list[tuple[str, WireType]], out: str = "out") -> None:
        if not run:
            return
        packer = struct.Struct(">" + "".join(type_.form for _, type_ in run))
        values = ", ".join(f"{value}.bytes" if type_ is UUID_ else value for value, type_ in run)
        self.line(f"{out} += {self.constant(packer.pack)}({values})")

    def _length(self, out: str, length: str, *, short: bool) -> None:
        if self.flexible:
            with self.block(f"if {length} < 127:"):
                self.line(f"{out}.append({length} + 1)")
            with self.block("else:"):
                self.line(f"{self.constant(write_unsigned_varint)}({out}, {length} + 1)")
        else:
            self.line(f"{out} += {self.constant(struct.Struct('>h' if short else '>i').pack)}({length})")

    def _one(self, out: str, value: str, type_: WireType, nullable: bool) -> None:
        if type_.form:
            self._run([(value, type_)], out)
        elif type_.message is not None:
            self.line(f"{self.constant(self.nested(type_.message).write)}({out}, {value})")
        elif type_ is STRING or type_ is BYTES or type_.element is not None:
            if not nullable:
                self._body(out, value, type_)
                return
            with self.block(f"if {value} is None:"):
                null = b"\x00" if self.flexible else b"\xff\xff" if type_ is STRING else b"\xff\xff\xff\xff"
                self.line(f"{out} += {null!r}")
            with self.block("else:"):
                self._body(out, value, type_)
        else:
            # A null that may not be is for the layout to refuse, and that knows it by the field.
            if not nullable:
                with self.block(f"if {value} is None:"):
                    self.line("raise Unusual")
            self.line(f"{self.constant(type_.write)}({out}, {value}, {self.flexible}, {self.version})")

    def _body(self, out: str, value: str, type_: WireType) -> None:
        length, element = self.fresh("n"), type_.element
        if type_ is STRING:
            self.line(f"{value} = {value}.encode()")
        self.line(f"{length} = len({value})")
        if type_ is STRING:
            with self.block(f"if {length} > {LONGEST_STRING}:"):
                self.line("raise Unusual")
        self._length(out, length, short=type_ is STRING)
        if element is None:
            self.line(f"{out} += {value}")
        elif element.form and element is not UUID_:
            one, several = struct.Struct(">" + element.form).pack, struct.pack
            with self.block(f"if {length} == 1:"):
                self.line(f"{out} += {self.constant(one)}(*{value})")
            with self.block(f"elif {length}:"):
                self.line(f'{out} += {self.constant(several)}(f">{{{length}}}{element.form}", *{value})')
        else:
            item = self.fresh("item")
            with self.block(f"for {item} in {value}:"):
                self._one(out, item, element, nullable=False)

    def _tagged(self) -> None:
        tagged = [
            (tag, name, spec, self.fresh("t"), self.constant(spec.default))
            for tag, (name, spec) in self.layout.tagged.items()
        ]
        if not tagged:
            self.line("out.append(0)")
            return
        for _, name, _, value, _ in tagged:
            self.line(f"{value} = message.{name}")
        count = " + ".join(f"({value} != {default})" for *_, value, default in tagged)
        self.line(f"tags = {count}")
        self.line("out.append(tags)")
        with self.block("if tags:"):
            for tag, _, spec, value, default in tagged:
                with self.block(f"if {value} != {default}:"):
                    self._tag(tag, spec, value)

    def _tag(self, tag: int, spec: Wire, value: str) -> None:
        nullable = self.version >= spec.nullable_since
        self.line("body = bytearray()")
        self._one("body", value, spec.type, nullable)
        assert tag <= 127, "a tag of Kafka's has one byte"
        self.line(f"out.append({tag})")
        with self.block("if len(body) <= 127:"):
            self.line("out.append(len(body))")
        with self.block("else:"):
            self.line(f"{self.constant(write_unsigned_varint)}(out, len(body))")
        self.line("out += body")


def _rest_of_varint(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The number whose first byte has been read, and where it ends."""
    value = first & 0x7F
    for shift in range(7, 35, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise UnusualError
