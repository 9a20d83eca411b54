"""Keys and values that a schema registry knows: read with the schema that each record names, and typed by it in frames.

A column has one type. Records of several versions of a schema are put into one: fields that only some of them have are
null in the others, numbers are as wide as the widest. What Arrow has no type for (a union of several types, a record
that holds itself) is its JSON as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from moldau.client import Message
from moldau.client.serdes.framing import unframed
from moldau.client.serdes.names import Names, name_and_inside
from moldau.client.serdes.plans import references_of, run

Part = Literal["key", "value"]
Convert = Callable[[Any], Any]


class RegistryReader:
    """Reads what serializers of a schema registry wrote. Needs `moldau[registry]`."""

    def __init__(self, url: str) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        from moldau.client.serdes import AvroDeserializer

        self.url = url
        self._client = SchemaRegistryClient({"url": url})
        self._avro = AvroDeserializer(self._client)
        self._shapes: dict[int | str, Shape] = {}

    def decode(self, message: Message, part: Part, data: bytes, form: str) -> Any:
        """The value.

        Raises:
            ValueError: the bytes are none of their schema's, or no registry knows it.
            ConnectionError: no registry answers.
        """
        return self._asked(lambda: self._decoded(message, part, data, form))

    def _decoded(self, message: Message, part: Part, data: bytes, form: str) -> Any:
        context = _context(message, part)
        if form == "avro":
            return self._avro(data, context)
        _, start = unframed(data, context)
        return msgspec.json.decode(data[start:])

    def shape(self, arrow: Any, message: Message, part: Part, data: bytes) -> Shape:
        """What a column has to be for the Avro schema that wrote `data`. Raises what `decode` raises."""
        stated = self._asked(lambda: unframed(data, _context(message, part)))[0]
        shape = self._shapes.get(stated)
        if shape is None:
            shape = self._shapes[stated] = self._asked(lambda: self._shape(arrow, stated))
        return shape

    def _shape(self, arrow: Any, stated: int | str) -> Shape:
        ask = self._client
        schema = ask.get_schema(stated) if isinstance(stated, int) else ask.get_schema_by_guid(stated)
        names = Names(str(schema.schema_str), run(references_of(ask, schema)))
        return Shapes(arrow, names).of(names.root, "")

    def _asked(self, ask: Callable[[], Any]) -> Any:
        from confluent_kafka.schema_registry.error import SchemaRegistryError
        from confluent_kafka.serialization import SerializationError

        try:
            return ask()
        except (SchemaRegistryError, SerializationError) as error:
            raise ValueError(str(error)) from error
        except Exception as error:
            # The client's library for HTTP has another name in each of its versions (httpx, httpx2).
            if not type(error).__module__.startswith("httpx"):
                raise
            raise ConnectionError(f"no schema registry answers at {self.url}: {error}") from error


def _context(message: Message, part: Part) -> Any:
    from confluent_kafka.serialization import MessageField, SerializationContext

    headers: Any = message.headers()
    return SerializationContext(str(message.topic()), MessageField(part), headers)


@dataclass(frozen=True, slots=True)
class Shape:
    """The Arrow type of a column, and what makes of a value what Arrow takes for it; None: nothing has to be made."""

    type: Any
    convert: Convert | None = None

    def of(self, value: Any) -> Any:
        """The value as Arrow takes it."""
        return value if value is None or self.convert is None else self.convert(value)


class Shapes:
    """The shapes of one Avro schema's types."""

    def __init__(self, arrow: Any, names: Names) -> None:
        self._arrow = arrow
        self._names = names
        self._open: list[str] = []

    def of(self, node: Any, namespace: str) -> Shape:
        """The shape of a type."""
        node, namespace = self._names.resolved(node, namespace)
        arrow = self._arrow
        if isinstance(node, list):
            branches = [branch for branch in node if self._names.resolved(branch, namespace)[0] != {"type": "null"}]
            return self.of(branches[0], namespace) if len(branches) == 1 else self._text()
        kind = node["type"]
        if kind in ("record", "error"):
            return self._record(node, namespace)
        if kind == "array":
            items = self.of(node["items"], namespace)
            return Shape(arrow.list_(items.type), items.convert and (lambda value: [items.of(one) for one in value]))
        if kind == "map":
            values = self.of(node["values"], namespace)
            pairs = arrow.map_(arrow.string(), values.type)
            return Shape(pairs, lambda value: [(key, values.of(one)) for key, one in value.items()])
        if kind == "string" and node.get("logicalType") == "uuid":
            return Shape(arrow.string(), str)
        return Shape(self._scalar(node, kind))

    def _record(self, node: dict[str, Any], namespace: str) -> Shape:
        name, inside = name_and_inside(node, namespace)
        if name in self._open:
            return self._text()
        self._open.append(name)
        fields = {field["name"]: self.of(field["type"], inside) for field in node["fields"]}
        self._open.pop()
        struct = self._arrow.struct([(name, field.type) for name, field in fields.items()])
        if not any(field.convert for field in fields.values()):
            return Shape(struct)
        return Shape(struct, lambda value: {name: fields[name].of(one) for name, one in value.items()})

    def _text(self) -> Shape:
        return Shape(self._arrow.string(), lambda value: json.dumps(value, ensure_ascii=False, default=_as_text))

    def _scalar(self, node: dict[str, Any], kind: str) -> Any:
        arrow, logical = self._arrow, node.get("logicalType")
        if logical == "decimal" and kind in ("bytes", "fixed"):
            wide = arrow.decimal128 if node["precision"] <= 38 else arrow.decimal256
            return wide(node["precision"], node.get("scale", 0))
        if kind == "fixed":
            return arrow.binary(node["size"])
        if kind == "enum":
            return arrow.string()
        return LOGICAL.get((kind, logical), PLAIN[kind])(arrow)


PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "null": lambda arrow: arrow.null(),
    "boolean": lambda arrow: arrow.bool_(),
    "int": lambda arrow: arrow.int32(),
    "long": lambda arrow: arrow.int64(),
    "float": lambda arrow: arrow.float32(),
    "double": lambda arrow: arrow.float64(),
    "bytes": lambda arrow: arrow.binary(),
    "string": lambda arrow: arrow.string(),
}
LOGICAL: Final[dict[tuple[str, str | None], Callable[[Any], Any]]] = {
    ("int", "date"): lambda arrow: arrow.date32(),
    ("int", "time-millis"): lambda arrow: arrow.time32("ms"),
    ("long", "time-micros"): lambda arrow: arrow.time64("us"),
    ("long", "timestamp-millis"): lambda arrow: arrow.timestamp("ms", tz="UTC"),
    ("long", "timestamp-micros"): lambda arrow: arrow.timestamp("us", tz="UTC"),
    ("long", "timestamp-nanos"): lambda arrow: arrow.timestamp("ns", tz="UTC"),
    ("long", "local-timestamp-millis"): lambda arrow: arrow.timestamp("ms"),
    ("long", "local-timestamp-micros"): lambda arrow: arrow.timestamp("us"),
    ("long", "local-timestamp-nanos"): lambda arrow: arrow.timestamp("ns"),
}


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def joined(arrow: Any, one: Any, other: Any) -> Any:
    """The type that holds values of both. Raises TypeError if there is none."""
    if one == other or arrow.types.is_null(other):
        return one
    if arrow.types.is_null(one):
        return other
    if arrow.types.is_struct(one) and arrow.types.is_struct(other):
        fields = {one.field(index).name: one.field(index).type for index in range(one.num_fields)}
        for index in range(other.num_fields):
            field = other.field(index)
            fields[field.name] = joined(arrow, fields.get(field.name, field.type), field.type)
        return arrow.struct(list(fields.items()))
    if arrow.types.is_map(one) and arrow.types.is_map(other):
        return arrow.map_(arrow.string(), joined(arrow, one.item_type, other.item_type))
    if arrow.types.is_list(one) and arrow.types.is_list(other):
        return arrow.list_(joined(arrow, one.value_type, other.value_type))
    widest = [arrow.int32(), arrow.int64(), arrow.float32(), arrow.float64()]
    if one in widest and other in widest:
        found = max(one, other, key=widest.index)
        # A float has not the digits of an integer.
        return arrow.float64() if found == arrow.float32() else found
    raise TypeError(f"{one} and {other} have no type in common")
