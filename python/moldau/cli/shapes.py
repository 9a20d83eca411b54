"""What each command prints for programs, once: `-o schema` shows it, a test holds the commands against it.

A shape is `text`, `integer`, `number`, `boolean` or `any`, with `or null` behind it where nothing may stand; a mapping
from names to shapes; a list with the shape of its entries. `"*"` in a mapping is the shape of every name that does not
stand there; a name with `?` behind it may be missing.
With `-o jsonl` a list is printed as one entry per line. Names and types stay; new names may be added.
"""

from __future__ import annotations

from typing import Any, Final

TEXT: Final = "text"
TEXT_OR_NULL: Final = "text or null"
INTEGER: Final = "integer"
INTEGER_OR_NULL: Final = "integer or null"
BOOLEAN: Final = "boolean"

Shape = Any

_SETTING: Final = {"setting": TEXT, "value": TEXT_OR_NULL, "source": TEXT, "default": BOOLEAN}
_PLACE: Final = {"topic": TEXT, "partition": INTEGER}
_MOVE: Final = {**_PLACE, "from": INTEGER_OR_NULL, "to": INTEGER}
_FIGURE: Final = {"value": INTEGER, "unit": TEXT, "rule": TEXT, "why": TEXT}
_RULE: Final = {
    "resource_type": TEXT,
    "resource_name": TEXT,
    "pattern_type": TEXT,
    "principal": TEXT,
    "host": TEXT,
    "operation": TEXT,
    "permission": TEXT,
}
_NUMBER_OR_NULL: Final = "number or null"

_CONNECTOR: Final = {"connector": TEXT, "result": TEXT}
_LAG: Final = {
    "group": TEXT,
    **_PLACE,
    "committed": INTEGER_OR_NULL,
    "next_offset": INTEGER,
    "log_start_offset": INTEGER,
    "end_offset": INTEGER,
    "lag": INTEGER,
    "lag_s": _NUMBER_OR_NULL,
    "lag_s_from": TEXT_OR_NULL,
    "undecided": INTEGER,
    "lost": INTEGER,
    "consumed_per_s": _NUMBER_OR_NULL,
    "produced_per_s": _NUMBER_OR_NULL,
    "catch_up_s": _NUMBER_OR_NULL,
    "over": BOOLEAN,
}
_HEADER: Final = {"name": TEXT, "value?": TEXT_OR_NULL, "value_base64?": TEXT}

SHAPES: Final[dict[str, Shape]] = {
    "api-versions": [{"key": INTEGER, "name": TEXT_OR_NULL, "lowest": INTEGER, "highest": INTEGER}],
    # A key or a value is text, or with --key and --value the document that was decoded; bytes that are no text stand
    # under the other name, coded.
    "consume": [
        {
            **_PLACE,
            "offset": INTEGER,
            "timestamp_ms": INTEGER_OR_NULL,
            "timestamp_type": TEXT_OR_NULL,
            "key?": "any",
            "key_base64?": TEXT,
            "value?": "any",
            "value_base64?": TEXT,
            "headers": [_HEADER],
        }
    ],
    "produce": {
        "topic": TEXT,
        "sent": INTEGER,
        "delivered": INTEGER,
        "partitions": [{"partition": INTEGER, "records": INTEGER}],
    },
    "schema list": [{"subject": TEXT, "version": INTEGER, "id": INTEGER, "type": TEXT}],
    "schema get": {
        "subject": TEXT_OR_NULL,
        "version": INTEGER_OR_NULL,
        "id": INTEGER_OR_NULL,
        "type": TEXT,
        "references": [{"name": TEXT, "subject": TEXT, "version": INTEGER}],
        "schema": TEXT,
    },
    "schema register": {"subject": TEXT, "version": INTEGER_OR_NULL, "id": INTEGER},
    "schema check": [{"version": INTEGER, "breaks": TEXT, "rule": TEXT, "path": TEXT, "message": TEXT}],
    "schema diff": {
        "subject": TEXT,
        "old": INTEGER,
        "new": INTEGER,
        "backward": BOOLEAN,
        "forward": BOOLEAN,
        "diff": [TEXT],
    },
    "schema delete": {"subject": TEXT, "versions": [INTEGER], "permanent": BOOLEAN},
    "schema compat": {"subject": TEXT_OR_NULL, "level": TEXT},
    "connect list": [
        {
            "connector": TEXT,
            "type": TEXT_OR_NULL,
            "state": TEXT_OR_NULL,
            "tasks": INTEGER,
            "running": INTEGER,
            "failed": INTEGER,
        }
    ],
    "connect status": [{"part": TEXT, "state": TEXT, "worker": TEXT, "version": TEXT_OR_NULL, "trace": TEXT_OR_NULL}],
    "connect create": {"connector": TEXT, "type": TEXT_OR_NULL, "config": {"*": TEXT_OR_NULL}},
    "connect config": [{"setting": TEXT, "value": TEXT_OR_NULL}],
    "connect validate": [{"setting": TEXT, "value": TEXT_OR_NULL, "errors": [TEXT]}],
    "connect pause": [_CONNECTOR],
    "connect resume": [_CONNECTOR],
    "connect stop": [_CONNECTOR],
    "connect restart": [_CONNECTOR],
    "connect delete": [_CONNECTOR],
    "connect offsets": [{"partition": {"*": "any"}, "offset": {"*": "any"}}],
    "connect explain": [
        {
            "setting": TEXT,
            "type": TEXT,
            "required": BOOLEAN,
            "default": TEXT_OR_NULL,
            "importance": TEXT,
            "documentation": TEXT_OR_NULL,
        }
    ],
    "connect plugins": [{"class": TEXT, "type": TEXT, "version": TEXT}],
    "topic list": [{"topic": TEXT, "partitions": INTEGER, "replicas": INTEGER, "internal": BOOLEAN}],
    "topic describe": {
        "topic": TEXT,
        "topic_id": TEXT,
        "internal": BOOLEAN,
        "partitions": [
            {
                "partition": INTEGER,
                "leader": INTEGER_OR_NULL,
                "replicas": [INTEGER],
                "in_sync_replicas": [INTEGER],
                "start_offset": INTEGER,
                "end_offset": INTEGER,
            }
        ],
        "settings": [_SETTING],
    },
    "topic create": [{"topic": TEXT, "result": TEXT}],
    "topic delete": [{"topic": TEXT, "result": TEXT}],
    "topic grow": [{"topic": TEXT, "result": TEXT}],
    "topic config": [_SETTING],
    "topic offsets": [
        {
            **_PLACE,
            "start_offset": INTEGER,
            "end_offset": INTEGER,
            "youngest_offset": INTEGER_OR_NULL,
            "youngest_timestamp_ms": INTEGER_OR_NULL,
            "at_offset": INTEGER_OR_NULL,
        }
    ],
    "topic trim": [{**_MOVE, "records": INTEGER, "result": TEXT}],
    "group list": [{"group": TEXT, "state": TEXT, "protocol": TEXT, "simple": BOOLEAN, "internal": BOOLEAN}],
    "group describe": {
        "group": TEXT,
        "state": TEXT,
        "protocol": TEXT,
        "assignor": TEXT_OR_NULL,
        # Of a group of the consumer protocol, as what a member is told beside its assignment.
        "epoch": INTEGER_OR_NULL,
        "assignment_epoch": INTEGER_OR_NULL,
        "coordinator": INTEGER_OR_NULL,
        "lag": INTEGER,
        "members": [
            {
                "member_id": TEXT,
                "instance_id": TEXT_OR_NULL,
                "client_id": TEXT,
                "host": TEXT,
                "assigned": {"*": [INTEGER]},
                "protocol": TEXT,
                "member_epoch": INTEGER_OR_NULL,
                "subscribed": "any",
                "expression": TEXT_OR_NULL,
                "target": "any",
            }
        ],
        "partitions": [
            {
                **_PLACE,
                "committed": INTEGER_OR_NULL,
                "end_offset": INTEGER,
                "lag": INTEGER_OR_NULL,
                "member_id": TEXT_OR_NULL,
            }
        ],
    },
    "group delete": [{"group": TEXT, "result": TEXT}],
    "group seek": [_MOVE],
    "group delete-offsets": [{**_PLACE, "result": TEXT}],
    "quota list": [
        {
            "user": TEXT_OR_NULL,
            "client_id": TEXT_OR_NULL,
            "ip": TEXT_OR_NULL,
            # The sides that are null because the quota is for everybody without one of their own.
            "defaults": [TEXT],
            "quota": TEXT,
            "value": "number",
        }
    ],
    "quota set": [{"quota": TEXT, "result": TEXT}],
    "quota unset": [{"quota": TEXT, "result": TEXT}],
    "acl list": [_RULE],
    "acl add": [_RULE],
    "acl remove": [_RULE],
    "txn list": [{"transactional_id": TEXT, "producer_id": INTEGER, "state": TEXT}],
    "txn describe": [
        {
            "transactional_id": TEXT,
            "state": TEXT,
            "producer_id": INTEGER,
            "producer_epoch": INTEGER,
            "timeout_ms": INTEGER,
            "started": TEXT_OR_NULL,
            "open_ms": INTEGER_OR_NULL,
            "partitions": [TEXT],
        }
    ],
    "txn find-hanging": [
        {
            **_PLACE,
            "producer_id": INTEGER,
            "producer_epoch": INTEGER,
            "start_offset": INTEGER,
            "last_written": TEXT_OR_NULL,
            "open_ms": INTEGER,
            "coordinator_epoch": INTEGER,
        }
    ],
    "txn abort": [{**_PLACE, "producer_id": INTEGER, "outcome": TEXT}],
    "plan": {
        "partitions": _FIGURE,
        "brokers": _FIGURE,
        "disk": _FIGURE,
        "disk_per_broker": _FIGURE,
        "page_cache_per_broker": _FIGURE,
        "memory_per_broker": _FIGURE,
        "network_in_per_broker": _FIGURE,
        "network_out_per_broker": _FIGURE,
        "records_s": INTEGER,
        "topic": {"partitions": INTEGER, "replication_factor": INTEGER, "configs": {"*": TEXT}},
        "notes": [TEXT],
    },
    "lag": [_LAG],
    "streams describe": {
        "application": TEXT,
        "state": TEXT,
        "lag": INTEGER,
        "members": [
            {
                "client_id": TEXT,
                "host": TEXT,
                "instance_id": TEXT_OR_NULL,
                "http": TEXT_OR_NULL,
                "partitions": INTEGER,
            }
        ],
        "inputs": [{"topic": TEXT, "partitions": INTEGER, "lag": INTEGER, "internal": BOOLEAN}],
        "internal_topics": [{"topic": TEXT, "kind": TEXT, "partitions": INTEGER}],
    },
    "streams topology": [
        {
            "id": INTEGER,
            "global": BOOLEAN,
            "nodes": [
                {"name": TEXT, "kind": TEXT, "detail": TEXT, "predecessors": [TEXT], "successors": [TEXT]},
            ],
        }
    ],
    "streams lag": [_LAG],
    "streams reset": {
        "application": TEXT,
        "executed": BOOLEAN,
        "offsets": [_MOVE],
        "internal_topics": [{"topic": TEXT, "kind": TEXT, "result": TEXT}],
        "state": TEXT_OR_NULL,
    },
    "config show": [_SETTING],
    "config set": [{"name": TEXT, "result": TEXT}],
    "config unset": [{"name": TEXT, "result": TEXT}],
    "config explain": [
        {
            "key": TEXT,
            "scope": TEXT,
            "type": TEXT,
            "default": TEXT_OR_NULL,
            "valid": TEXT_OR_NULL,
            "changes": TEXT,
            "default_from": [TEXT],
            "what": TEXT,
            "here": TEXT,
            "instead": TEXT_OR_NULL,
        }
    ],
    "config check": [{"line": INTEGER_OR_NULL, "severity": TEXT, "problem": TEXT}],
    "cluster describe": {
        "cluster_id": TEXT,
        "controller": INTEGER_OR_NULL,
        "brokers": [{"broker": INTEGER, "host": TEXT, "port": INTEGER, "rack": TEXT_OR_NULL, "controller": BOOLEAN}],
    },
    "cluster quorum": {
        "leader": INTEGER,
        "leader_epoch": INTEGER,
        "high_watermark": INTEGER,
        "members": [
            {
                "node": INTEGER,
                "role": TEXT,
                "end_offset": INTEGER,
                "lag": INTEGER_OR_NULL,
                "last_fetch_ms": INTEGER_OR_NULL,
                "last_caught_up_ms": INTEGER_OR_NULL,
            }
        ],
    },
    "cluster features": [
        {"feature": TEXT, "level": INTEGER_OR_NULL, "lowest": INTEGER_OR_NULL, "highest": INTEGER_OR_NULL}
    ],
    # What else stands in a row goes by its kind: batch, record, producer, offset, time, line, damage, ….
    "log dump": [{"file": TEXT, "kind": TEXT, "*": "any"}],
    "storage format": [{"directory": TEXT, "result": TEXT, "cluster_id": TEXT, "node_id": INTEGER}],
    "storage info": [
        {
            "directory": TEXT,
            "formatted": BOOLEAN,
            "cluster_id": TEXT_OR_NULL,
            "node_id": INTEGER_OR_NULL,
            "directory_id": TEXT_OR_NULL,
        }
    ],
    "habits": [{"tool": TEXT, "command": TEXT}],
    "doctor": [{"check": TEXT, "state": TEXT, "finding": TEXT, "fix": TEXT_OR_NULL}],
    "demo shop": {
        "orders": INTEGER,
        "seconds": "number",
        "stages": [{"part": TEXT, "what": TEXT, "count": INTEGER}],
        # Money is text: a number of JSON has no cents.
        "revenue": {"*": TEXT},
        "latency_ms": {"median": _NUMBER_OR_NULL, "p99": _NUMBER_OR_NULL},
        "checks": [{"passed": BOOLEAN, "text": TEXT}],
    },
    "profile list": [
        {"profile": TEXT, "bootstrap_servers": TEXT_OR_NULL, "registry": TEXT_OR_NULL, "current": BOOLEAN}
    ],
    "profile show": {
        "profile": TEXT,
        "bootstrap_servers": TEXT_OR_NULL,
        "registry": TEXT_OR_NULL,
        "current": BOOLEAN,
        "settings": [{"setting": TEXT, "value": TEXT}],
    },
}
"""The shape behind each command, by its words."""

_TYPES: Final[dict[str, type | tuple[type, ...]]] = {TEXT: str, INTEGER: int, "number": (int, float), BOOLEAN: bool}


def complaint(value: Any, shape: Shape, path: str = "") -> str | None:
    """Where `value` differs from `shape`, or `None`: the check behind the tests, and for whoever parses our output."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path or 'it'} is no list"
        found = (complaint(entry, shape[0], f"{path}[{index}]") for index, entry in enumerate(value))
        return next(filter(None, found), None)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{path or 'it'} is no mapping"
        shapes = {name.removesuffix("?"): one for name, one in shape.items()}
        missing = {name for name in shape if not name.endswith(("?", "*"))} - value.keys()
        unknown = set() if "*" in shape else value.keys() - shapes.keys()
        if missing | unknown:
            return f"{path or 'it'} differs in {', '.join(sorted(missing | unknown))}"
        found = (complaint(one, shapes.get(name, shapes.get("*")), f"{path}.{name}") for name, one in value.items())
        return next(filter(None, found), None)
    return _complaint_of_a_leaf(value, shape, path)


def _complaint_of_a_leaf(value: Any, shape: str, path: str) -> str | None:
    name = shape.removesuffix(" or null")
    if name == "any" or (value is None and name != shape):
        return None
    fits = isinstance(value, _TYPES[name]) and (name == BOOLEAN or not isinstance(value, bool))
    return None if fits else f"{path or 'it'} is {value!r}, not {shape}"
