"""The cases of Debezium's transforms: rows of an outbox table, changes of a table of customers, and settings for each.

Schemas and records are written down as in `tests/golden/connect/cases.py`. `LEGACY` are settings that Debezium has
given up since; they are recorded from the last version that knows them.
"""

from __future__ import annotations

from typing import Any

from tests.golden.connect.cases import BYTES, FLAG, INT, LONG, TEXT, Node, maybe, of, struct

ROUTER = "io.debezium.transforms.outbox.EventRouter"
EXTRACT = "io.debezium.transforms.ExtractNewRecordState"
LOGICAL = "io.debezium.transforms.ByLogicalTableRouter"

AT = 1_714_979_289_007
SOURCE = {
    **struct(version=TEXT, connector=TEXT, name=TEXT, ts_ms=LONG, db=TEXT, table=TEXT, txId=maybe(LONG)),
    "name": "io.debezium.connector.postgresql.Source",
    "version": 1,
}
TRANSACTION = maybe(
    {**struct(id=TEXT, total_order=LONG, data_collection_order=LONG), "name": "event.block", "version": 1}
)
FROM = {"version": "3.6.1.Final", "connector": "postgresql", "name": "shop", "ts_ms": AT, "db": "shop", "table": "t"}


def envelope(table: str, row: Node, *, version: int | None = 2) -> Node:
    value = maybe({**row, "name": f"shop.public.{table}.Value"})
    fields = struct(
        before=value, after=value, source=SOURCE, transaction=TRANSACTION, op=TEXT, ts_ms=maybe(LONG), ts_us=maybe(LONG)
    )
    return {**fields, "name": f"shop.public.{table}.Envelope", "version": version}


def change(
    table: str, row: Node, op: str, *, before: Any = None, after: Any = None, key: Any = None, **more: Any
) -> Node:
    """The record of a change; `more` goes into the envelope."""
    key_schema = {**struct(id=INT), "name": f"shop.public.{table}.Key"}
    value = {"before": before, "after": after, "source": FROM, "op": op, "ts_ms": AT, "ts_us": AT * 1000 + 5, **more}
    return {
        "topic": f"shop.public.{table}", "key_schema": key_schema, "key": key or {"id": 7},
        "value_schema": envelope(table, row), "value": value,
    }  # fmt: skip


def tombstone(table: str) -> Node:
    key_schema = {**struct(id=INT), "name": f"shop.public.{table}.Key"}
    return {"topic": f"shop.public.{table}", "key_schema": key_schema, "key": {"id": 7}, "value": None}


UUID = of("STRING", name="io.debezium.data.Uuid", version=1)
JSON = maybe(of("STRING", name="io.debezium.data.Json", version=1))
MICROS = maybe(of("INT64", name="io.debezium.time.MicroTimestamp", version=1))
NANOS = maybe(of("INT64", name="io.debezium.time.NanoTimestamp", version=1))
MILLIS = maybe(of("INT64", name="io.debezium.time.Timestamp", version=1))
OUTBOX = struct(
    id=UUID, aggregatetype=TEXT, aggregateid=TEXT, type=TEXT, payload=JSON, tenant=maybe(TEXT), shard=maybe(INT),
    micros=MICROS, nanos=NANOS, millis=MILLIS, plain=maybe(LONG), schema_version=maybe(INT),
    region=of("STRING", default="eu"),
)  # fmt: skip
EVENT = {
    "id": "c77c2a3f-1c1a-4bf2-8f2c-2c9b1c1a4bf2", "aggregatetype": "Order", "aggregateid": "17", "type": "OrderCreated",
    "payload": '{"id": 17, "customer": {"name": "Ada", "vip": true}, "note": null, "lines": [{"sku": "a", "n": 2}]}',
    "tenant": "t1", "shard": 3, "micros": AT * 1000 + 999, "nanos": -1_500_001, "millis": AT, "plain": 5,
    "schema_version": 4,
}  # fmt: skip


def outbox(op: str = "c", row: Node = OUTBOX, **columns: Any) -> Node:
    return change("outbox", row, op, after={**EVENT, **columns})


BARE = struct(id=LONG, kind=TEXT, body=maybe(BYTES))
OUTBOX_RECORDS: dict[str, Node] = {
    "event": outbox(),
    "event of a snapshot": outbox("r"),
    "event with headers": {**outbox(), "headers": [["trace", TEXT, "x"]], "partition": 1, "timestamp": 3},
    "update": outbox("u"),
    "delete": change("outbox", OUTBOX, "d", before=EVENT),
    "truncate": change("outbox", OUTBOX, "t"),
    "tombstone": tombstone("outbox"),
    "heartbeat": {
        "topic": "h", "value_schema": {**struct(ts_ms=LONG), "name": "io.debezium.Heartbeat"}, "value": {"ts_ms": 1}
    },
    "no schema": {"topic": "h", "value": {"a": 1}},
    "no payload": outbox(payload=None),
    "empty payload": outbox(payload=" \t\n"),
    "not json": outbox(payload="hello"),
    "text and no json": outbox(payload='{"a": 1'),
    "half json": outbox(payload='{"a": 1} tail'),
    "not a number": outbox(payload='{"a": NaN}'),
    "array": outbox(payload='[{"a": 1}]'),
    "scalars": outbox(
        payload='{"i": 1, "l": 3000000000, "f": 1.5, "e": 1e3, "t": "x", "b": false, "n": null, "o": {}}'
    ),
    "large number": outbox(payload='{"a": 12345678901234567890}'),
    "arrays": outbox(
        payload='{"i": [1, 2], "t": ["a", null], "n": [[1], [2]], "o": [{"a": null, "b": 1}, {"a": 2, "b": 3}]}'
    ),
    "objects that differ": outbox(
        payload='{"a": {"b": [1, 2], "c": 3000000000}, "d": [{"x": 1}, {"y": null, "z": "q"}], "e": null, "f": 1.5}'
    ),
    "empty array": outbox(payload='{"a": [], "b": 1}'),
    "array of nulls": outbox(payload='{"a": [null], "b": 1}'),
    "mixed array": outbox(payload='{"a": [1, "x"]}'),
    "mixed numbers": outbox(payload='{"a": [1, 1.5]}'),
    "key twice": outbox(payload='{"a": 1, "b": 2, "a": "x"}'),
    "no shard": outbox(shard=None),
    "dotted kind": outbox(aggregatetype="a.b"),
    "list": outbox(payload="[1, 2]"),
    "no times": outbox(micros=None),
    "no tenant": outbox(tenant=None),
    "other table": change("events", BARE, "c", after={"id": 9, "kind": "Paid", "body": "aGk="}),
}  # fmt: skip
EXPAND = {"table.expand.json.payload": "true"}
KEEP_NULLS = {**EXPAND, "table.json.payload.null.behavior": "optional_bytes"}
PLACE = "table.fields.additional.placement"
JSON_EVENTS = (
    "event", "no payload", "empty payload", "not json", "text and no json", "half json", "not a number", "array",
    "scalars", "large number", "arrays", "objects that differ", "list",
    "empty array", "array of nulls", "mixed array", "mixed numbers", "key twice",
)  # fmt: skip
MISSING = {"table.field.additional.missing": "ignore"}
ROUTER_CASES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({}, ("event", "event of a snapshot", "event with headers", "update", "delete", "truncate", "tombstone",
          "heartbeat", "no schema", "no payload", "empty payload", "not json", "other table",
          "dotted kind")),
    # The guide's.
    ({PLACE: "type:header:eventType"}, ("event", "event with headers", "no payload", "delete")),
    ({PLACE: "type:envelope:eventType"}, ("event", "no payload")),
    ({PLACE: "type:envelope, tenant:header , shard:partition,region:header:where"}, ("event", "no shard", "no tenant")),
    ({PLACE: "type:envelope,plain:envelope:n,shard:partition"}, ("event", "no payload", "delete")),
    ({PLACE: "shard:partition"}, ("event",)),
    ({PLACE: "tenant:partition"}, ("event",)),
    ({PLACE: "nothing:header"}, ("event",)),
    ({PLACE: "nothing:envelope"}, ("event",)),
    ({PLACE: "nothing:partition"}, ("event",)),
    ({PLACE: "nothing:header,nothing:partition,nothing:envelope,tenant:envelope", **MISSING}, ("event",)),
    ({PLACE: "nothing:header", "table.field.additional.missing": "warn"}, ("event",)),
    ({PLACE: "type"}, ("event",)),
    ({PLACE: "type:header:a:b"}, ("event",)),
    ({PLACE: "type:footer"}, ("event",)),
    ({PLACE: "type:HEADER"}, ("event",)),
    ({"table.field.event.id": "plain", "table.field.event.key": "tenant"}, ("event", "no tenant")),
    ({"table.field.event.id": "nothing"}, ("event",)),
    ({"table.field.event.key": "nothing"}, ("event",)),
    ({"table.field.event.payload": "nothing"}, ("event",)),
    ({"table.field.event.payload": "plain"}, ("event",)),
    ({"table.field.event.type": "nothing"}, ("event",)),
    ({"table.field.event.timestamp": "micros"}, ("event", "no times")),
    ({"table.field.event.timestamp": "nanos"}, ("event",)),
    ({"table.field.event.timestamp": "millis"}, ("event",)),
    ({"table.field.event.timestamp": "plain"}, ("event",)),
    ({"table.field.event.timestamp": "tenant"}, ("event",)),
    ({"table.field.event.timestamp": "nothing"}, ("event",)),
    ({"table.field.event.schema.version": "schema_version", PLACE: "type:envelope"}, ("event",)),
    ({"table.field.event.schema.version": "schema_version"}, ("event",)),
    ({"table.field.event.schema.version": "tenant", PLACE: "type:envelope"}, ("event",)),
    ({"route.by.field": "type"}, ("event",)),
    ({"route.by.field": "plain"}, ("event",)),
    ({"route.by.field": "tenant"}, ("event", "no tenant")),
    ({"route.by.field": "nothing"}, ("event",)),
    ({"route.topic.replacement": "events.${routedByValue}.v1"}, ("event", "dotted kind")),
    ({"route.by.field": "type", "route.topic.regex": "(.*)Created", "route.topic.replacement": "new.$1"}, ("event",)),
    ({"route.topic.regex": "(?<kind>O)(?<rest>.*)", "route.topic.replacement": "${rest}-$1"}, ("event",)),
    ({"route.topic.regex": "rder", "route.topic.replacement": "x"}, ("event",)),
    ({"route.topic.regex": "("}, ("event",)),
    ({"route.topic.replacement": "${other}"}, ("event",)),
    ({"route.tombstone.on.empty.payload": "true"}, ("event", "no payload", "empty payload")),
    ({"route.tombstone.on.empty.payload": "true", PLACE: "type:envelope"}, ("no payload", "empty payload")),
    ({"table.op.invalid.behavior": "error"}, ("update", "delete")),
    ({"table.op.invalid.behavior": "fatal"}, ("update", "delete", "tombstone")),
    ({"table.op.invalid.behavior": "nothing"}, ("event",)),
    (EXPAND, JSON_EVENTS),
    (KEEP_NULLS, ("event", "scalars", "arrays", "array of nulls", "no payload")),
    ({**EXPAND, PLACE: "type:envelope"}, ("event", "not json")),
    ({**EXPAND, "table.field.event.payload": "plain"}, ("event",)),
    ({"table.json.payload.null.behavior": "nothing"}, ("event",)),
    ({"table.field.event.id": "id", "table.field.event.key": "id", "table.field.event.payload": "body",
      "route.by.field": "kind"}, ("other table",)),
]  # fmt: skip

CUSTOMER = struct(
    id=INT, name=TEXT, status=of("STRING", default="NEW"), level=maybe(of("INT32", default=3)), vip=maybe(FLAG)
)
ADA = {"id": 7, "name": "Ada", "status": "OLD", "vip": True}
EVE = {"id": 7, "name": "Eve", "status": "GONE", "level": 1}
BLOCK = {"id": "571", "total_order": 2, "data_collection_order": 1}
NAMES = of("ARRAY", values=TEXT)


def customers(op: str, **more: Any) -> Node:
    return change("customers", CUSTOMER, op, **more)


def dropping(record: Node, *names: str) -> Node:
    return {**record, "headers": [["drop", NAMES, list(names)]]}


CHANGES: dict[str, Node] = {
    "read": customers("r", after=ADA),
    "create": customers("c", after=ADA, transaction=BLOCK),
    "update": customers("u", before=ADA, after=EVE),
    "update on a partition": {
        **customers("u", after=EVE), "partition": 2, "timestamp": 5, "headers": [["h", TEXT, "1"]]
    },
    "delete": customers("d", before=ADA),
    "delete without before": customers("d"),
    "truncate": customers("t"),
    "tombstone": tombstone("customers"),
    "no envelope": {"topic": "o", "value_schema": {**struct(a=INT), "name": "o.Value"}, "value": {"a": 1}},
    "no name": {"topic": "o", "value_schema": struct(a=INT), "value": {"a": 1}},
    "no schema": {"topic": "o", "value": {"a": 1}},
    "create, drops": dropping(customers("c", after=ADA), "level", "name", "id", "nothing", "__op"),
    "delete, drops": dropping(customers("d", before=ADA), "level", "name"),
    "create, drops nothing": dropping(customers("c", after=ADA)),
}  # fmt: skip
MODE = "delete.tombstone.handling.mode"
MODES = ("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone")
ALL = ("read", "create", "update", "update on a partition", "delete", "delete without before", "truncate", "tombstone",
       "no envelope", "no name", "no schema")  # fmt: skip
LIFE = ("create", "update", "delete", "tombstone")
FIELDS = "op,source.ts_ms,table,ts_us,transaction.id,total_order,nothing,source.db:DB,version:V"
DROPS = ("create, drops", "delete, drops", "create, drops nothing", "create")
ANY_FIELD = {"drop.fields.keep.schema.compatible": "false"}
NO_DEFAULTS = {"replace.null.with.default": "false"}
EXTRACT_CASES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({}, ALL),
    *(({MODE: mode}, ALL) for mode in MODES),
    ({MODE: "REWRITE"}, LIFE),
    ({MODE: "nothing"}, ("create",)),
    ({MODE: "rewrite", **NO_DEFAULTS}, LIFE),
    ({"add.fields": FIELDS}, (*ALL, "create, drops")),
    ({"add.fields": FIELDS, "add.fields.prefix": "", MODE: "rewrite"}, LIFE),
    ({"add.fields": "op,ts_ms", "add.fields.prefix": "m_", MODE: "rewrite"}, LIFE),
    ({"add.fields": "op , name:n"}, LIFE),
    ({"add.fields": "before.name,after.status"}, LIFE),
    ({"add.fields": "op:a:b"}, ("create",)),
    ({"add.fields": "name", "add.fields.prefix": ""}, ("create",)),
    ({"add.fields": "source"}, ("create",)),
    ({"add.fields": "nowhere.name"}, ("create",)),
    ({"add.headers": FIELDS}, ALL),
    ({"add.headers": FIELDS, "add.headers.prefix": "x-", MODE: "rewrite-with-tombstone"}, LIFE),
    ({"add.headers": "db", MODE: "rewrite-with-tombstone"}, LIFE),
    ({"add.headers": "op", MODE: "delete-to-tombstone"}, LIFE),
    ({"add.headers": "op", "add.headers.prefix": "", MODE: "rewrite-with-tombstone"}, LIFE),
    ({"route.by.field": "name"}, ALL),
    ({"route.by.field": "name", MODE: "rewrite"}, LIFE),
    ({"route.by.field": "id"}, ("create",)),
    ({"route.by.field": "nothing"}, ("create", "delete")),
    ({"drop.fields.header.name": "drop"}, DROPS),
    ({"drop.fields.header.name": "drop", **ANY_FIELD}, DROPS),
    ({"drop.fields.header.name": "drop", "drop.fields.from.key": "true"}, DROPS),
    ({"drop.fields.header.name": "drop", "drop.fields.from.key": "true", **ANY_FIELD}, DROPS),
    ({"drop.fields.header.name": "drop", "add.fields": "op,db", MODE: "rewrite"}, DROPS),
]  # fmt: skip
LEGACY_CASES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"delete.handling.mode": mode, "drop.tombstones": drop}, LIFE)
    for mode in ("drop", "none", "rewrite")
    for drop in ("true", "false")
] + [
    ({"delete.handling.mode": "rewrite"}, LIFE),
    ({"drop.tombstones": "false"}, LIFE),
    ({"drop.tombstones": "false", MODE: "rewrite"}, LIFE),
    ({"delete.handling.mode": "nothing"}, ("create",)),
]

ROUTES = {"topic.regex": r"shop\.(.*)\.(?<table>customers|outbox)", "topic.replacement": "all.${table}"}
LOGICAL_CASES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    (ROUTES, ALL),
    ({**ROUTES, "key.enforce.uniqueness": "false"}, LIFE),
    ({**ROUTES, "key.field.name": "origin"}, LIFE),
    ({**ROUTES, "key.field.regex": r"(\w+)\..*", "key.field.replacement": "$1"}, LIFE),
    ({**ROUTES, "key.field.regex": "x", "key.field.replacement": "$0"}, LIFE),
    ({**ROUTES, "key.field.regex": "x"}, LIFE),
    ({**ROUTES, "topic.replacement": "all-$2", "schema.name.adjustment.mode": "avro"}, LIFE),
    ({**ROUTES, "topic.replacement": ""}, LIFE),
    ({"topic.regex": "(.*)", "topic.replacement": "x.$1"}, ALL),
    ({"topic.regex": "other", "topic.replacement": "x"}, LIFE),
    ({"topic.regex": "("  , "topic.replacement": "x"}, ("create",)),
    ({"topic.replacement": "x"}, ("create",)),
]  # fmt: skip


def named(*, legacy: bool = False) -> list[dict[str, Any]]:
    """Every case with its name, its class, its settings and its record."""
    groups = (
        [(EXTRACT, LEGACY_CASES, CHANGES)]
        if legacy
        else [
            (ROUTER, ROUTER_CASES, OUTBOX_RECORDS),
            (EXTRACT, EXTRACT_CASES, CHANGES),
            (LOGICAL, LOGICAL_CASES, CHANGES),
        ]
    )
    found = []
    for name, cases, records in groups:
        for settings, chosen in cases:
            said = " ".join(f"{key}={value}" for key, value in settings.items()) or "defaults"
            found += [
                {"name": f"{name.rpartition('.')[2]} {said}: {record}", "class": name, "config": settings,
                 "record": records[record]}
                for record in chosen
            ]  # fmt: skip
    return found
