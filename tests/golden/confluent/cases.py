"""What `AvroConverter` is asked to write and to read: schemas of Connect, and Avro that others have written.

A case of Connect is an envelope as Kafka's JsonConverter reads it; one of Avro is a schema with a value as Avro writes
it in JSON. Each is read back.
"""

from __future__ import annotations

import base64
from typing import Any

Node = dict[str, Any]
DATA = "org.apache.kafka.connect.data"
PLAIN: Node = {}
ENHANCED = {"enhanced.avro.schema.support": "true"}
BARE = {"connect.meta.data": "false"}
SCRUBBED = {"scrub.invalid.names": "true"}


def field(name: str, schema: Node) -> Node:
    return {"field": name, **schema}


def struct(*fields: Node, **more: Any) -> Node:
    return {"type": "struct", "fields": list(fields), "optional": False, **more}


def array(items: Node, **more: Any) -> Node:
    return {"type": "array", "items": items, "optional": False, **more}


def map_(keys: Node, values: Node, **more: Any) -> Node:
    return {"type": "map", "keys": keys, "values": values, "optional": False, **more}


def of(kind: str, **more: Any) -> Node:
    return {"type": kind, "optional": False, **more}


def logical(kind: str, name: str, **more: Any) -> Node:
    return of(kind, name=f"{DATA}.{name}", version=1, **more)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


STRING, INT32, INT64 = of("string"), of("int32"), of("int64")
MAYBE_STRING, MAYBE_INT = of("string", optional=True), of("int32", optional=True)
POINT = struct(field("x", INT32), field("y", MAYBE_INT), name="geo.Point")
ENUM = of("string", name="io.debezium.data.Enum", version=1, parameters={"allowed": "new,paid"})
AVRO_ENUM = of(
    "string",
    name="shop.State",
    parameters={
        "io.confluent.connect.avro.Enum": "shop.State",
        **{f"io.confluent.connect.avro.Enum.{each}": each for each in ("NEW", "PAID")},
    },
)
DECIMAL = logical("bytes", "Decimal", parameters={"scale": "2"})
EXACT = logical("bytes", "Decimal", parameters={"scale": "1", "connect.decimal.precision": "9"})
DATE, TIME, TIMESTAMP = logical("int32", "Date"), logical("int32", "Time"), logical("int64", "Timestamp")
VALUES: list[tuple[str, Node, Any]] = [
    ("int8", of("int8"), 3),
    ("int16", of("int16"), -300),
    ("int32", INT32, 1 << 30),
    ("int64", INT64, -(1 << 60)),
    ("float", of("float"), 1.5),
    ("double", of("double"), 0.1),
    ("boolean", of("boolean"), True),
    ("string", STRING, "čau"),
    ("bytes", of("bytes"), b64(b"\x00\xff")),
    ("decimal", DECIMAL, b64(b"\xff\x7f")),
    ("decimal with a precision", EXACT, b64(b"\x01\x00")),
    ("date", DATE, 19000),
    ("time", TIME, 86_399_999),
    ("timestamp", TIMESTAMP, 1_700_000_000_123),
    ("array", array(MAYBE_STRING), ["a", None]),
    ("map", map_(STRING, INT32), {"a": 1}),
    ("map of numbers", map_(INT32, MAYBE_STRING), [[1, "a"], [2, None]]),
    ("map of structs", map_(STRING, POINT), {"a": {"x": 1, "y": None}}),
    ("named map of numbers", map_(INT32, STRING, name="by.Number"), [[1, "a"]]),
    ("struct", POINT, {"x": 1, "y": None}),
    ("debezium's enum", ENUM, "paid"),
    ("enum", AVRO_ENUM, "PAID"),
]


def connect(name: str, schema: Node | None, payload: Any, settings: Node = PLAIN) -> Node:
    return {"name": name, "settings": settings, "connect": {"schema": schema, "payload": payload}}


def of_each_type() -> list[Node]:
    """Required, optional, with a default, and as a field that is each of these."""
    found = []
    for name, schema, value in VALUES:
        optional, default = {**schema, "optional": True}, {**schema, "default": value}
        found += [
            connect(name, schema, value),
            connect(f"{name}, optional", optional, value),
            connect(f"{name}, null", optional, None),
            connect(f"{name}, default", default, value),
            connect(f"{name}, optional with a default", {**optional, "default": value}, value),
        ]
        fields = struct(
            field("required", schema),
            field("optional", optional),
            field("null", optional),
            field("default", default),
            field("both", {**optional, "default": value}),
            field("left_out", {**optional, "default": value}),
            name="shop.Row",
        )
        row = {"required": value, "optional": value, "null": None, "default": value, "both": value, "left_out": None}
        found.append(connect(f"{name} as a field", fields, row))
        found.append(connect(f"{name} as a field, bare", fields, row, BARE))
        found.append(connect(f"{name} as a field, enhanced", fields, row, ENHANCED))
    return found


def row(*fields: Node, **more: Any) -> Node:
    return struct(*fields, **{"name": "shop.Row", **more})


CONNECT: list[Node] = [
    *of_each_type(),
    connect("nothing at all", None, None),
    *(
        connect(f"without a schema: {value!r}", None, value)
        for value in ("a", 5, 1 << 40, 1.5, True, [1, "a", None], {"a": 1, "b": [None]}, {})
    ),
    connect("a struct without a name", struct(field("x", INT32)), {"x": 1}),
    connect("no namespace", struct(field("x", INT32), name="Row"), {"x": 1}),
    connect("no fields", struct(name="shop.Empty"), {}),
    connect("documented", row(field("x", of("int32", doc="of a field")), doc="of a row", version=3), {"x": 1}),
    connect(
        "parameters", row(field("x", of("int32", parameters={"a": "b", "c": "d"})), parameters={"e": "f"}), {"x": 1}
    ),
    connect("named types", row(field("x", of("int32", name="shop.Number", version=2))), {"x": 1}),
    connect(
        "a struct twice",
        row(field("a", POINT), field("b", {**POINT, "optional": True})),
        {"a": {"x": 1, "y": 2}, "b": None},
    ),
    connect(
        "two structs without names",
        row(field("a", struct(field("x", INT32))), field("b", struct(field("y", INT32)))),
        {"a": {"x": 1}, "b": {"y": 2}},
    ),
    connect("structs in arrays", row(field("a", array(POINT))), {"a": [{"x": 1, "y": None}]}),
    connect("arrays of arrays", array(array(MAYBE_INT, optional=True)), [[1, None], None]),
    connect("maps of maps", map_(STRING, map_(STRING, MAYBE_INT)), {"a": {"b": None}}),
    connect("optional keys", map_(MAYBE_STRING, INT32), {"a": 1}),
    connect("optional keys, allowed", map_(MAYBE_STRING, INT32), {"a": 1}, {"allow.optional.map.keys": "true"}),
    connect(
        "a default that is a struct",
        row(field("p", {**POINT, "default": {"x": 1, "y": 2}})),
        {"p": {"x": 3, "y": None}},
    ),
    connect("null with a default", row(field("n", of("int32", optional=True, default=7))), {"n": None}),
    connect(
        "null with a default that is ignored",
        row(field("n", of("int32", optional=True, default=7))),
        {"n": None},
        {"ignore.default.for.nullables": "true"},
    ),
    connect("an enum, enhanced", AVRO_ENUM, "NEW", ENHANCED),
    connect("an optional enum, enhanced", {**AVRO_ENUM, "optional": True}, None, ENHANCED),
    connect("a name that Avro does not allow", struct(field("x", INT32), name="a-b.c d"), {"x": 1}),
    connect("a name that Avro does not allow, scrubbed", struct(field("x", INT32), name="a-b.c d"), {"x": 1}, SCRUBBED),
    connect("a field that Avro does not allow", row(field("a-b", INT32)), {"a-b": 1}),
    connect(
        "a field that Avro does not allow, scrubbed",
        row(field("a-b", INT32), field("1c", INT32)),
        {"a-b": 1, "1c": 2},
        SCRUBBED,
    ),
    connect(
        "the row of a change",
        row(
            field("before", {**POINT, "optional": True, "name": "shop.Value"}),
            field("after", {**POINT, "optional": True, "name": "shop.Value"}),
            field("op", STRING),
            field("ts_ms", of("int64", optional=True)),
            name="shop.public.orders.Envelope",
            version=2,
        ),
        {"before": None, "after": {"x": 1, "y": 2}, "op": "c", "ts_ms": 5},
    ),
]


def avro(name: str, schema: Any, value: Any, settings: Node = PLAIN) -> Node:
    return {"name": name, "settings": settings, "avro": schema, "value": value}


def record(*fields: tuple[str, Any], **more: Any) -> Node:
    named = [
        {"name": each[0], "type": each[1], **({} if len(each) == 2 else {"default": each[2]})}  # type: ignore[misc]
        for each in fields
    ]
    return {"type": "record", "name": "Row", "namespace": "shop", "fields": named, **more}


COLOUR = {"type": "enum", "name": "Colour", "namespace": "shop", "symbols": ["RED", "BLUE"]}
FIXED = {"type": "fixed", "name": "Two", "namespace": "shop", "size": 2}
A, B = (
    {"type": "record", "name": name, "namespace": "ns", "fields": [{"name": name.lower(), "type": "int"}]}
    for name in "AB"
)
OTHERS: list[tuple[str, Any, Any]] = [
    ("null", "null", None),
    ("int", "int", 1),
    ("bytes", "bytes", "\x00ÿ"),
    ("enum", COLOUR, "BLUE"),
    ("fixed", FIXED, "ab"),
    ("union of null and string", ["null", "string"], {"string": "a"}),
    ("union of string and null", ["string", "null"], None),
    ("union of string and int", ["string", "int"], {"int": 5}),
    ("union of null, string and int", ["null", "string", "int"], {"string": "a"}),
    ("null of several", ["null", "string", "int"], None),
    ("union of one", ["string"], {"string": "a"}),
    ("union of records", [A, B], {"ns.B": {"b": 1}}),
    (
        "union of an array and a map",
        ["null", {"type": "array", "items": "int"}, {"type": "map", "values": "int"}],
        {"map": {"a": 1}},
    ),
    ("array of unions", {"type": "array", "items": ["null", "string", "int"]}, [None, {"int": 1}]),
    ("map of records", {"type": "map", "values": A}, {"x": {"a": 1}}),
    ("decimal of bytes", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}, "\x01\x00"),
    ("decimal of fixed", {**FIXED, "logicalType": "decimal", "precision": 4, "scale": 1}, "\x01\x00"),
    ("decimal without a scale", {"type": "bytes", "logicalType": "decimal", "precision": 5}, "\x01"),
    ("date", {"type": "int", "logicalType": "date"}, 19000),
    ("time-millis", {"type": "int", "logicalType": "time-millis"}, 5),
    ("time-micros", {"type": "long", "logicalType": "time-micros"}, 5),
    ("timestamp-millis", {"type": "long", "logicalType": "timestamp-millis"}, 1_700_000_000_123),
    ("timestamp-micros", {"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_123_456),
    ("local-timestamp-millis", {"type": "long", "logicalType": "local-timestamp-millis"}, 5),
    ("uuid", {"type": "string", "logicalType": "uuid"}, "8b2b6bd2-0f2f-4a0b-9d2a-2f1a3f2c1c11"),
    ("record", record(("a", "int"), ("b", ["null", "string"], None)), {"a": 1, "b": {"string": "x"}}),
    ("documented record", record(("a", "int"), doc="of a row", aliases=["Old"]), {"a": 1}),
    (
        "record with defaults",
        record(
            ("i", "int", 5),
            ("l", "long", 6),
            ("f", "float", 1.5),
            ("d", "double", 2.5),
            ("s", "string", "x"),
            ("b", "boolean", True),
            ("y", "bytes", "ÿ"),
            ("a", {"type": "array", "items": "int"}, [1, 2]),
            ("m", {"type": "map", "values": "int"}, {"k": 1}),
            ("e", COLOUR, "RED"),
            ("x", FIXED, "ab"),
            ("n", ["null", "int"], None),
            ("o", ["int", "null"], 7),
        ),
        {
            "i": 1,
            "l": 1,
            "f": 1.0,
            "d": 1.0,
            "s": "",
            "b": False,
            "y": "",
            "a": [],
            "m": {},
            "e": "BLUE",
            "x": "cd",
            "n": None,
            "o": None,
        },
    ),
    ("default of a date", record(("d", {"type": "int", "logicalType": "date"}, 3)), {"d": 4}),
    (
        "default of a decimal",
        record(("d", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}, "\x01")),
        {"d": "\x02"},
    ),
    ("record in a record", record(("a", A), ("b", ["null", "ns.A"], None)), {"a": {"a": 1}, "b": {"ns.A": {"a": 2}}}),
    (
        "list of itself",
        record(("v", "int"), ("next", ["null", "shop.Row"], None)),
        {"v": 1, "next": {"shop.Row": {"v": 2, "next": None}}},
    ),
    (
        "tree of itself",
        record(("v", "int"), ("of", {"type": "array", "items": "shop.Row"})),
        {"v": 1, "of": [{"v": 2, "of": []}]},
    ),
    ("field that is a union of records", record(("u", ["null", A, B], None)), {"u": {"ns.A": {"a": 1}}}),
    ("field that is a union of numbers", record(("u", ["int", "long"])), {"u": {"long": 5}}),
    ("narrow number", {"type": "int", "connect.type": "int16"}, 5),
    ("version and name", {"type": "int", "connect.version": 4, "connect.name": "shop.N", "connect.doc": "d"}, 5),
    ("parameters", {"type": "string", "connect.parameters": {"a": "b"}}, "x"),
    ("property of somebody's", record(("a", {"type": "string", "avro.java.string": "String", "mine": 1})), {"a": "x"}),
    ("enum with a default and a documentation", {**COLOUR, "default": "RED", "doc": "of a colour"}, "RED"),
]
AVRO: list[Node] = [
    *(avro(name, schema, value) for name, schema, value in OTHERS),
    *(avro(f"{name}, enhanced", schema, value, ENHANCED) for name, schema, value in OTHERS),
    *(avro(f"{name}, bare", schema, value, BARE) for name, schema, value in OTHERS),
    avro("union of one, kept", ["string"], {"string": "a"}, {"flatten.singleton.unions": "false"}),
    avro(
        "union of one in a field, kept",
        record(("u", ["int"])),
        {"u": {"int": 1}},
        {"flatten.singleton.unions": "false"},
    ),
]
CASES = [*CONNECT, *AVRO]
