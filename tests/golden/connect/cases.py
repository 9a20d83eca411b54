"""The cases whose outcome is recorded from Java, and how records are written down in them.

A schema is its type's name and what else it says; a value is plain JSON after its schema, or without one `$bytes`,
`$timestamp` (milliseconds) and `$decimal` mark what JSON has no form for. Decimals are text, dates milliseconds.
"""

from __future__ import annotations

from typing import Any

KAFKA = "org.apache.kafka.connect.transforms."
DATA = "org.apache.kafka.connect.data."
Node = dict[str, Any]


def of(kind: str, **more: Any) -> Node:
    return {"type": kind, **more}


def maybe(schema: Node) -> Node:
    return {**schema, "optional": True}


def struct(**fields: Node) -> Node:
    return of("STRUCT", fields=[[name, schema] for name, schema in fields.items()])


BYTE, SHORT, INT, LONG = (of(kind) for kind in ("INT8", "INT16", "INT32", "INT64"))
FLOAT, DOUBLE, FLAG, TEXT, BYTES = (of(kind) for kind in ("FLOAT32", "FLOAT64", "BOOLEAN", "STRING", "BYTES"))
DATE = of("INT32", name=f"{DATA}Date", version=1)
TIME = of("INT32", name=f"{DATA}Time", version=1)
TIMESTAMP = of("INT64", name=f"{DATA}Timestamp", version=1)
MONEY = of("BYTES", name=f"{DATA}Decimal", version=1, parameters={"scale": "2"})
TEXTS = of("ARRAY", values=TEXT)

AT = 1_714_979_289_007
ADDRESS = struct(city=TEXT, zip=maybe(INT))
CUSTOMER = {
    **struct(
        id=LONG,
        name=maybe(TEXT),
        address=ADDRESS,
        work=maybe({**ADDRESS, "name": "work"}),
        tags=maybe(TEXTS),
        status=of("STRING", default="NEW"),
        level=maybe(of("INT32", default=3)),
        balance=maybe(MONEY),
        since=maybe(TIMESTAMP),
    ),
    "name": "customer",
    "version": 4,
    "doc": "who buys",
    "parameters": {"a": "b"},
}
ADA = {"id": 7, "name": "Ada", "address": {"city": "London", "zip": 12}, "tags": ["x"], "balance": "1.50", "since": AT}
EVERYTHING = struct(
    byte=BYTE, short=SHORT, int=INT, long=LONG, float=FLOAT, double=DOUBLE, flag=FLAG, text=TEXT, bytes=BYTES,
    date=DATE, time=TIME, timestamp=TIMESTAMP,
)  # fmt: skip
ALL = {
    "byte": -1, "short": 300, "int": 70_000, "long": 3_000_000_000, "float": 1.5, "double": -2.75, "flag": True,
    "text": "12", "bytes": "aGk=", "date": 86_400_000 * 19_000, "time": 3_600_000, "timestamp": AT,
}  # fmt: skip
FREE = {"id": 7, "name": "Ada", "address": {"city": "London", "geo": {"lat": 1.5}}, "tags": ["x"], "none": None}


def record(value: Any = None, schema: Node | None = None, **more: Any) -> Node:
    return {"topic": "orders", "value_schema": schema, "value": value, **more}


RECORDS: dict[str, Node] = {
    "customer": record(ADA, CUSTOMER),
    "customer as key": {"topic": "orders", "key_schema": CUSTOMER, "key": ADA, "value": {"a": 1}},
    "customer of a sink": record(ADA, CUSTOMER, partition=3, offset=41, timestamp=AT),
    "optional customer": record(ADA, maybe(CUSTOMER)),
    "everything": record(ALL, EVERYTHING),
    "free": record(FREE),
    "free of a sink": record(FREE, partition=3, offset=41, timestamp=AT),
    "free as key": {"topic": "orders", "key": FREE, "value": None},
    "tombstone": record(),
    "null customer": record(None, maybe(CUSTOMER)),
    "text": record("hello", TEXT, timestamp=AT),
    "free text": record("hello"),
    "number": record(1_714_979_289, LONG),
    "headers": record({"a": 1}, headers=[["h", TEXT, "1"], ["i", None, 2], ["h", None, None]]),
}


PATTERN = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
PATTERNS = (
    PATTERN,
    "yyyyMMdd-HHmm",
    "EEE, d MMM yyyy HH:mm:ss Z",
    "yy/M/d h:m a EEEE MMMM G u",
    "D w W F YYYY k K z zzzz SSSSSS",
    "'it''s' yyyy",
    "yyyy-bb",
    "'open",
)
CAST_SPECS = tuple(
    f"{field}:{target}"
    for field in ("byte", "short", "int", "long", "float", "double", "flag", "text", "bytes", "date", "timestamp")
    for target in ("int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string")
)
KEEP = {"replace.null.with.default": "false"}
PLAIN = ("customer", "optional customer", "free", "tombstone", "null customer", "text", "free text")
# Class, settings, names of records.
TRANSFORMS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("Flatten$Value", {}, (*PLAIN, "everything")),
    ("Flatten$Value", {"delimiter": "_"}, ("customer", "free")),
    ("Flatten$Key", {}, ("customer as key", "free as key", "tombstone")),
    ("ExtractField$Value", {"field": "address"}, PLAIN),
    ("ExtractField$Value", {"field": "status"}, ("customer",)),
    ("ExtractField$Value", {"field": "status", **KEEP}, ("customer",)),
    ("ExtractField$Value", {"field": "address.city", "field.syntax.version": "V2"}, PLAIN),
    ("ExtractField$Value", {"field": "address.geo.lat", "field.syntax.version": "v2"}, ("free", "customer")),
    ("ExtractField$Value", {"field": "`address`.`city`", "field.syntax.version": "V2"}, ("free", "customer")),
    ("ExtractField$Value", {"field": "`address", "field.syntax.version": "V2"}, ("free",)),
    ("ExtractField$Value", {"field": "nothing"}, ("customer", "free")),
    ("ExtractField$Key", {"field": "id"}, ("customer as key", "free as key", "tombstone")),
    ("ExtractField$Value", {}, ("free",)),
    ("HoistField$Value", {"field": "all"}, PLAIN),
    ("HoistField$Key", {"field": "all"}, ("customer as key", "free as key", "tombstone")),
    ("ReplaceField$Value", {"exclude": "name,tags", "renames": "id:key,status:state"}, PLAIN),
    ("ReplaceField$Value", {"include": "id,status,level"}, PLAIN),
    ("ReplaceField$Value", {"include": "level,id", **KEEP}, ("customer",)),
    ("ReplaceField$Value", {"include": "id,status", **KEEP}, ("customer",)),
    ("ReplaceField$Value", {"renames": "id"}, ("customer",)),
    ("ReplaceField$Value", {"exclude": "a,a"}, ("customer",)),
    ("ReplaceField$Key", {"include": "id"}, ("customer as key", "free as key")),
    ("MaskField$Value", {"fields": "name,id,tags,since"}, PLAIN),
    (
        "MaskField$Value",
        {"fields": "byte,short,int,long,float,double,flag,text,date,time,timestamp"},
        ("everything",),
    ),
    ("MaskField$Value", {"fields": "byte,short,int,long,float,double,text", "replacement": "42"}, ("everything",)),
    ("MaskField$Value", {"fields": "byte", "replacement": "300"}, ("everything",)),
    ("MaskField$Value", {"fields": "text", "replacement": "[REDACTED]"}, ("everything",)),
    ("MaskField$Value", {"fields": "int", "replacement": "[REDACTED]"}, ("everything",)),
    ("MaskField$Value", {"fields": "int", "replacement": "1.9"}, ("everything",)),
    ("MaskField$Value", {"fields": "flag", "replacement": "1"}, ("everything",)),
    ("MaskField$Value", {"fields": "bytes"}, ("everything",)),
    ("MaskField$Value", {"fields": "address"}, ("customer", "free")),
    ("MaskField$Value", {"fields": "name", "replacement": ""}, ("customer",)),
    ("MaskField$Value", {"fields": "id", **KEEP}, ("customer",)),
    ("MaskField$Value", {"fields": ""}, ("customer",)),
    ("MaskField$Key", {"fields": "name,none"}, ("customer as key", "free as key")),
    ("ValueToKey", {"fields": "id,status"}, PLAIN),
    ("ValueToKey", {"fields": "level", **KEEP}, ("customer",)),
    ("ValueToKey", {"fields": "nothing"}, ("customer", "free")),
    (
        "InsertField$Value",
        {"topic.field": "t", "timestamp.field": "at?"},
        (*PLAIN, "customer of a sink", "free of a sink"),
    ),
    (
        "InsertField$Value",
        {"partition.field": "p", "offset.field": "o!"},
        ("customer of a sink", "free of a sink", "free"),
    ),
    ("InsertField$Value", {"static.field": "_source", "static.value": "x"}, PLAIN),
    ("InsertField$Value", {"static.field": "id", "static.value": "x"}, ("customer", "free")),
    ("InsertField$Value", {"static.field": "a"}, ("customer",)),
    ("InsertField$Value", {}, ("customer",)),
    ("InsertField$Value", {"topic.field": "t!", **KEEP}, ("customer", "everything")),
    ("InsertField$Key", {"topic.field": "t"}, ("customer as key", "free as key", "tombstone")),
    *[("Cast$Value", {"spec": spec}, ("everything",)) for spec in CAST_SPECS],
    ("Cast$Value", {"spec": "id:string,level:int8,status:string"}, PLAIN),
    ("Cast$Value", {"spec": "id:int8,name:string,none:int32"}, ("free",)),
    ("Cast$Value", {"spec": "name:int32"}, ("customer", "free")),
    ("Cast$Value", {"spec": "tags:string"}, ("customer", "free")),
    ("Cast$Value", {"spec": "int8"}, ("number", "text", "free text", "tombstone")),
    ("Cast$Value", {"spec": "string"}, ("number", "text", "customer")),
    ("Cast$Value", {"spec": "int8,a:int8"}, ("number",)),
    ("Cast$Value", {"spec": "a:bytes"}, ("number",)),
    ("Cast$Value", {"spec": "a:uuid"}, ("number",)),
    ("Cast$Value", {"spec": ""}, ("number",)),
    ("Cast$Key", {"spec": "id:float64"}, ("customer as key", "free as key")),
    *[
        (
            "TimestampConverter$Value",
            {"field": field, "target.type": target, "format": PATTERN, **precision},
            ("everything",),
        )
        for field in ("date", "time", "timestamp", "long", "int")
        for target in ("string", "unix", "Date", "Time", "Timestamp")
        for precision in ({}, {"unix.precision": "seconds"}, {"unix.precision": "microseconds"})
    ],
    (
        "TimestampConverter$Value",
        {"target.type": "Timestamp", "unix.precision": "seconds"},
        ("number", "tombstone"),
    ),
    ("TimestampConverter$Value", {"target.type": "string"}, ("number",)),
    ("TimestampConverter$Value", {"target.type": "string", "format": "bb"}, ("number",)),
    ("TimestampConverter$Value", {"field": "since", "target.type": "unix"}, PLAIN),
    ("TimestampConverter$Value", {"field": "id", "target.type": "Timestamp"}, PLAIN),
    ("TimestampConverter$Value", {"field": "text", "target.type": "unix", "format": "yy"}, ("everything",)),
    ("TimestampConverter$Value", {"field": "text", "target.type": "unix", "format": "y-M"}, ("everything",)),
    ("TimestampConverter$Key", {"field": "since", "target.type": "Date"}, ("customer as key", "free as key")),
    *[("TimestampRouter", {"timestamp.format": pattern}, ("text",)) for pattern in PATTERNS],
    ("TimestampRouter", {"topic.format": "a-${timestamp}-${topic}"}, ("text", "free")),
    ("RegexRouter", {"regex": "(or)(?<rest>.*)", "replacement": "$2-${rest}-$1"}, ("free", "headers")),
    ("RegexRouter", {"regex": "o|orders", "replacement": "x"}, ("free",)),
    ("RegexRouter", {"regex": "ord", "replacement": "x"}, ("free",)),
    ("RegexRouter", {"regex": "(\\p{Alpha}++)", "replacement": "\\$$1"}, ("free",)),
    ("RegexRouter", {"regex": "[a-z&&[^x]]+", "replacement": "in"}, ("free",)),
    ("RegexRouter", {"regex": "(?i)ORDERS", "replacement": "x"}, ("free",)),
    ("RegexRouter", {"regex": "(", "replacement": "x"}, ("free",)),
    ("RegexRouter", {"regex": "${x}", "replacement": "x"}, ("free",)),
    ("SetSchemaMetadata$Value", {"schema.name": "n", "schema.version": "9"}, PLAIN),
    ("SetSchemaMetadata$Value", {"schema.version": "9", **KEEP}, ("customer", "everything")),
    ("SetSchemaMetadata$Value", {}, ("customer",)),
    ("SetSchemaMetadata$Key", {"schema.name": "n"}, ("customer as key", "tombstone")),
    ("InsertHeader", {"header": "new", "value.literal": "1.5"}, ("free", "headers")),
    ("InsertHeader", {"header": "new", "value.literal": "[1, 2]"}, ("free",)),
    ("DropHeaders", {"headers": "h,x"}, ("free", "headers")),
    ("HeaderFrom$Value", {"fields": "id,status", "headers": "a,b", "operation": "move"}, PLAIN),
    ("HeaderFrom$Value", {"fields": "level,id", "headers": "a,b", "operation": "copy"}, PLAIN),
    ("HeaderFrom$Value", {"fields": "level", "headers": "a", "operation": "copy", **KEEP}, ("customer",)),
    ("HeaderFrom$Value", {"fields": "nothing", "headers": "a", "operation": "copy"}, ("customer", "free")),
    ("HeaderFrom$Value", {"fields": "id", "headers": "a,b", "operation": "copy"}, ("customer",)),
    ("HeaderFrom$Value", {"fields": "id", "headers": "a", "operation": "steal"}, ("customer",)),
    ("HeaderFrom$Key", {"fields": "id", "headers": "a", "operation": "move"}, ("customer as key", "free as key")),
    ("Filter", {}, ("free", "tombstone")),
    ("predicates.RecordIsTombstone", {}, ("free", "tombstone", "null customer")),
    ("predicates.HasHeaderKey", {"name": "h"}, ("free", "headers")),
    ("predicates.HasHeaderKey", {"name": ""}, ("free",)),
    ("predicates.TopicNameMatches", {"pattern": "ord.*"}, ("free",)),
    ("predicates.TopicNameMatches", {"pattern": "ord"}, ("free",)),
    ("predicates.TopicNameMatches", {"pattern": "["}, ("free",)),
]

TEXTS_TO_PARSE = (
    "", " ", "null", "true", "True", "true}", "127", "128", "-129", "70000", "3000000000", "+5", "1.0", "1.5", "-0.1",
    "0.0", "1e3", "1e300", "1e400", "99999999999999999999", "1 2", "a,b", "2024-02-30", "2024-2-3", "01:02:03.004Z",
    "2024-01-02T03:04:05.006Z", "2024-01-02T03:04:05.006", "[1, 300]", "[1, 2.5]", '["a","b"]', "[]", "[1,", "[a]",
    "[1,,2]", "[null]", '[1,"a"]', "[[1],[2]]", '{"a":1, "b":2}', '{"a":[1]}', "{1:null}", "{}", "{null:1}", "{a:1}",
    '{"a":1', '"quoted"', "\\[1]", '{"a":"01:02:03.004Z"}', "[true,false]", "-", "0x10", "NaN", "1_000",
)  # fmt: skip


def named() -> list[dict[str, Any]]:
    """Every case with its name."""
    found = [
        {"name": f"{short} {settings} of {name}", "class": KAFKA + short, "config": settings, "record": RECORDS[name]}
        for short, settings, names in TRANSFORMS
        for name in names
    ]
    return found + [{"name": f"text {text!r}", "text": text} for text in TEXTS_TO_PARSE]
