"""A morning of an administrator who makes every mistake there is, as bare frames, and what Kafka said to it.

`kafka-4.3.1-answers.json` holds the answers of a fresh Apache Kafka 4.3.1 node (id 1, one partition and one replica by
default). `python -m tests.golden.metadata.admin_scenario HOST:PORT` asks a fresh node and prints such a file.

Compared is what a program acts on: error codes, numbers, names, order. Messages are only told apart as there or not,
because the words are ours; ids, times, sizes, addresses and paths differ from run to run.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import sys
import uuid
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from kio.index import load_request_schema
from kio.serial import entity_writer
from tests.conformance.frames import _parts, exchange, framed, header, parse

UNKNOWN_ID = uuid.UUID(int=0xC0FFEE)
ZERO_ID = uuid.UUID(int=0)

CREATE, DELETE, DESCRIBE_CONFIGS, ALTER, LOG_DIRS, GROW, ELECT, INCREMENTAL = 19, 20, 32, 33, 35, 37, 43, 44
REASSIGN, REASSIGNING, QUORUM, FEATURES, CLUSTER, UNREGISTER, RESOURCES, PARTITIONS, PRODUCER_ID = (
    45, 46, 55, 57, 60, 64, 74, 75, 22,
)  # fmt: skip
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, REMOVE, APPEND, SUBTRACT = 0, 1, 2, 3
TOO_MUCH = ",".join(["0:1"] * 9_000)


def topic(
    name: str, partitions: int = 1, factor: int = 1, assignments: Any = (), **configs: str | None
) -> dict[str, Any]:
    return {
        "name": name,
        "num_partitions": partitions,
        "replication_factor": factor,
        "assignments": [{"partition_index": index, "broker_ids": replicas} for index, replicas in assignments],
        "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()],
    }


def create(*topics: dict[str, Any], validate_only: bool = False, version: int = 7) -> tuple[int, int, dict[str, Any]]:
    return CREATE, version, {"topics": topics, "validate_only": validate_only}


def delete(*names: str | None) -> tuple[int, int, dict[str, Any]]:
    return DELETE, 6, {"topics": [{"name": name, "topic_id": ZERO_ID} for name in names]}


def grow(
    name: str, count: int, assignments: Any = None, validate_only: bool = False
) -> tuple[int, int, dict[str, Any]]:
    replicas = None if assignments is None else [{"broker_ids": each} for each in assignments]
    return (
        GROW,
        3,
        {"topics": [{"name": name, "count": count, "assignments": replicas}], "validate_only": validate_only},
    )


def incremental(
    resource_type: int, name: str, *changes: tuple[str, int, str | None], validate_only: bool = False
) -> tuple[int, int, dict[str, Any]]:
    configs = [{"name": key, "config_operation": operation, "value": value} for key, operation, value in changes]
    resource = {"resource_type": resource_type, "resource_name": name, "configs": configs}
    return INCREMENTAL, 1, {"resources": [resource], "validate_only": validate_only}


def replace(resource_type: int, name: str, **values: str | None) -> tuple[int, int, dict[str, Any]]:
    configs = [{"name": key.replace("_", "."), "value": value} for key, value in values.items()]
    resource = {"resource_type": resource_type, "resource_name": name, "configs": configs}
    return ALTER, 2, {"resources": [resource], "validate_only": False}


def twice(step: tuple[int, int, dict[str, Any]]) -> tuple[int, int, dict[str, Any]]:
    api_key, version, values = step
    return api_key, version, {**values, "resources": values["resources"] * 2}


def describe(resource_type: int, name: str, *keys: str, synonyms: bool = True) -> tuple[int, int, dict[str, Any]]:
    resource = {"resource_type": resource_type, "resource_name": name, "configuration_keys": keys or None}
    return DESCRIBE_CONFIGS, 4, {"resources": [resource], "include_synonyms": synonyms, "include_documentation": False}


def elect(kind: int, *partitions: tuple[str, int]) -> tuple[int, int, dict[str, Any]]:
    asked = [{"topic": name, "partitions": [index]} for name, index in partitions]
    return ELECT, 2, {"election_type": kind, "topic_partitions": asked or None}


def reassign(name: str, index: int, replicas: Any, version: int = 0) -> tuple[int, int, dict[str, Any]]:
    partition = {"partition_index": index, "replicas": replicas}
    values: dict[str, Any] = {"topics": [{"name": name, "partitions": [partition]}]}
    return REASSIGN, version, values


def quorum(name: str) -> tuple[int, int, dict[str, Any]]:
    return QUORUM, 0, {"topics": [{"topic_name": name, "partitions": [{"partition_index": 0}]}]}


def feature(name: str, level: int, kind: int = 1, validate_only: bool = False) -> tuple[int, int, dict[str, Any]]:
    update = {"feature": name, "max_version_level": level, "upgrade_type": kind}
    return FEATURES, 1, {"feature_updates": [update], "validate_only": validate_only}


def partitions(
    *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None
) -> tuple[int, int, dict[str, Any]]:
    at = None if cursor is None else {"topic_name": cursor[0], "partition_index": cursor[1]}
    return PARTITIONS, 0, {
        "topics": [{"name": name} for name in names], "response_partition_limit": limit, "cursor": at,
    }  # fmt: skip


def producer(
    transactional_id: str | None = None, producer_id: int = -1, epoch: int = -1
) -> tuple[int, int, dict[str, Any]]:
    return PRODUCER_ID, 4, {
        "transactional_id": transactional_id, "producer_id": producer_id, "producer_epoch": epoch,
    }  # fmt: skip


STEPS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "create a topic": create(topic("orders", 3, 1, cleanup_policy="compact", retention_ms="60000")),
    "create with defaults": create(topic("defaults", -1, -1)),
    "create by hand": create(topic("manual", -1, -1, [(0, [1]), (1, [1])])),
    "create only to see": create(topic("seen", 2, 1), validate_only=True),
    "create in the oldest version": create(topic("old", 1, 1), version=2),
    "create what exists": create(topic("orders")),
    "create with a dot": create(topic("a.b")),
    "create a colliding name": create(topic("a_b")),
    "create without a name": create(topic("")),
    "create dot": create(topic(".")),
    "create dot dot": create(topic("..")),
    "create a long name": create(topic("x" * 250)),
    "create the longest name": create(topic("x" * 249)),
    "create an illegal name": create(topic("not/legal")),
    "create the metadata log": create(topic("__cluster_metadata")),
    "create with no partitions": create(topic("p0", 0, 1)),
    "create with minus two partitions": create(topic("p2", -2, 1)),
    "create with no replicas": create(topic("f0", 1, 0)),
    "create with minus two replicas": create(topic("f2", 1, -2)),
    "create with too many replicas": create(topic("f3", 1, 3)),
    "create with too many partitions": create(topic("p10001", 10_001, 1)),
    "create by hand and by number": create(topic("m1", 1, -1, [(0, [1])])),
    "create by hand and by factor": create(topic("m2", -1, 1, [(0, [1])])),
    "create by hand on nobody": create(topic("m3", -1, -1, [(0, [])])),
    "create by hand on a stranger": create(topic("m4", -1, -1, [(0, [7])])),
    "create by hand twice on one": create(topic("m5", -1, -1, [(0, [1, 1])])),
    "create by hand with a gap": create(topic("m6", -1, -1, [(0, [1]), (2, [1])])),
    "create by hand a partition twice": create(topic("m7", -1, -1, [(0, [1]), (0, [1])])),
    "create with an unknown config": create(topic("c1", nope="1")),
    "create with a bad value": create(topic("c2", retention_ms="soon")),
    "create with a null value": create(topic("c3", retention_ms=None)),
    "create with an unknown policy": create(topic("c4", cleanup_policy="burn")),
    "create with contradicting lags": create(topic("c5", min_compaction_lag_ms="5", max_compaction_lag_ms="4")),
    "create tiered": create(topic("c6", remote_storage_enable="true")),
    "create one twice": create(topic("twice"), topic("once"), topic("twice")),
    "create good and bad": create(topic("good"), topic("not/legal"), topic("orders")),
    "grow": grow("orders", 5),
    "grow only to see": grow("orders", 9, validate_only=True),
    "grow to the same": grow("orders", 5),
    "grow downwards": grow("orders", 2),
    "grow to nothing": grow("orders", 0),
    "grow a stranger": grow("nope", 2),
    "grow by hand": grow("orders", 6, [[1]]),
    "grow by hand too few": grow("orders", 9, [[1]]),
    "grow by hand on a stranger": grow("orders", 7, [[9]]),
    "grow by hand on nobody": grow("orders", 7, [[]]),
    "grow one twice": (GROW, 3, {"topics": [{"name": "orders", "count": 8}] * 2, "validate_only": False}),
    "set": incremental(TOPIC, "orders", ("retention.ms", SET, "70000"), ("segment.ms", SET, "100000")),
    "delete a config": incremental(TOPIC, "orders", ("segment.ms", REMOVE, None)),
    "delete what was never set": incremental(TOPIC, "orders", ("flush.ms", REMOVE, None)),
    "append": incremental(TOPIC, "orders", ("cleanup.policy", APPEND, "delete")),
    "append to a number": incremental(TOPIC, "orders", ("retention.ms", APPEND, "1")),
    "subtract": incremental(TOPIC, "orders", ("cleanup.policy", SUBTRACT, "compact")),
    "set nonsense": incremental(TOPIC, "orders", ("retention.ms", SET, "soon")),
    "set null": incremental(TOPIC, "orders", ("retention.ms", SET, None)),
    "set an unknown key": incremental(TOPIC, "orders", ("nope", SET, "1")),
    "an unknown operation on a topic": incremental(TOPIC, "orders", ("retention.ms", 9, "1")),
    "a key twice": incremental(TOPIC, "orders", ("retention.ms", SET, "1"), ("retention.ms", SET, "2")),
    "set on a stranger": incremental(TOPIC, "nope", ("retention.ms", SET, "1")),
    "set on an illegal topic": incremental(TOPIC, "not/legal", ("retention.ms", SET, "1")),
    "set on no topic": incremental(TOPIC, "", ("retention.ms", SET, "1")),
    "set too much": incremental(TOPIC, "orders", ("leader.replication.throttled.replicas", SET, TOO_MUCH)),
    "set a read-only key": incremental(BROKER, "1", ("num.partitions", SET, "4")),
    "set a broker key": incremental(BROKER, "1", ("log.cleaner.threads", SET, "2")),
    "set a broker key for all": incremental(BROKER, "", ("log.retention.ms", SET, "900000")),
    "set nonsense on a broker": incremental(BROKER, "1", ("log.cleaner.threads", SET, "few")),
    "set on another broker": incremental(BROKER, "2", ("log.cleaner.threads", SET, "2")),
    "set on a broker without number": incremental(BROKER, "one", ("log.cleaner.threads", SET, "2")),
    "set min isr on one broker": incremental(BROKER, "1", ("min.insync.replicas", SET, "2")),
    "take min isr from all": incremental(BROKER, "", ("min.insync.replicas", REMOVE, None)),
    "set on a group": incremental(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000")),
    "set too little on a group": incremental(GROUP, "g", ("consumer.session.timeout.ms", SET, "1")),
    "set nonsense on a group": incremental(GROUP, "g", ("nope", SET, "1")),
    "set on no group": incremental(GROUP, "", ("consumer.session.timeout.ms", SET, "50000")),
    "set on metrics": incremental(METRICS, "m", ("interval.ms", SET, "60000")),
    "set nonsense on metrics": incremental(METRICS, "m", ("interval.ms", SET, "often")),
    "set on an unknown type": incremental(77, "x", ("a", SET, "b")),
    "set only to see": incremental(TOPIC, "orders", ("retention.ms", SET, "5"), validate_only=True),
    "replace": replace(TOPIC, "manual", segment_ms="5000"),
    "replace by nonsense": replace(TOPIC, "manual", segment_ms="never"),
    "replace by null": replace(TOPIC, "manual", segment_ms=None),
    "replace a stranger": replace(TOPIC, "nope", segment_ms="5000"),
    "replace on another node": replace(BROKER, "7", log_cleaner_threads="2"),
    "replace on the node": replace(BROKER, "1", log_cleaner_threads="3"),
    "replace a read-only key": replace(BROKER, "1", num_partitions="3"),
    "replace on an unknown type": replace(77, "x", a="b"),
    "the same resource twice": twice(incremental(TOPIC, "manual", ("retention.ms", SET, "5"))),
    "replace the same resource twice": twice(replace(TOPIC, "manual", segment_ms="5")),
    "describe a topic": describe(TOPIC, "orders"),
    "describe a replaced topic": describe(TOPIC, "manual", "segment.ms", "retention.ms"),
    "describe one key": describe(TOPIC, "orders", "retention.ms"),
    "describe no such key": describe(TOPIC, "orders", "nope"),
    "describe a stranger": describe(TOPIC, "nope"),
    "describe an illegal topic": describe(TOPIC, "not/legal"),
    "describe a broker key": describe(BROKER, "1", "log.cleaner.threads", "num.partitions", "log.retention.ms"),
    "describe all brokers": describe(BROKER, ""),
    "describe another broker": describe(BROKER, "5"),
    "describe a broker without number": describe(BROKER, "one"),
    "describe a group": describe(GROUP, "g"),
    "describe no group": describe(GROUP, ""),
    "describe metrics": describe(METRICS, "m"),
    "describe no metrics": describe(METRICS, ""),
    "elect the preferred": elect(0, ("orders", 0), ("nope", 0)),
    "elect in no such partition": elect(0, ("orders", 99)),
    "elect anybody": elect(1, ("orders", 0)),
    "elect everywhere": elect(0),
    "elect in an unknown way": elect(5, ("orders", 0)),
    "reassign to where it is": reassign("orders", 0, [1]),
    "reassign to a stranger": reassign("orders", 0, [9]),
    "reassign to nobody": reassign("orders", 0, []),
    "reassign twice to one": reassign("orders", 0, [1, 1]),
    "reassign a stranger": reassign("nope", 0, [1]),
    "reassign no such partition": reassign("orders", 99, [1]),
    "cancel nothing": reassign("orders", 0, None),
    "list reassignments": (REASSIGNING, 0, {"topics": None}),
    "list reassignments of one": (REASSIGNING, 0, {"topics": [{"name": "orders", "partition_indexes": [0]}]}),
    "describe the quorum": quorum("__cluster_metadata"),
    "describe another quorum": quorum("orders"),
    "an unknown feature": feature("no.such.feature", 1),
    "a feature too high": feature("group.version", 7),
    "a feature down by upgrade": feature("group.version", 0),
    "a feature of no kind": feature("group.version", 1, kind=0),
    "the metadata version down": feature("metadata.version", 29, kind=2),
    "the metadata version too high": feature("metadata.version", 99),
    "the metadata version as it is": feature("metadata.version", 30, validate_only=True),
    "a feature down": feature("group.version", 0, kind=2),
    "a feature up again": feature("group.version", 1),
    "a feature up by downgrade": feature("share.version", 1, kind=2),
    "a feature only to see": feature("group.version", 0, kind=2, validate_only=True),
    "describe the cluster": (CLUSTER, 2, {"include_cluster_authorized_operations": True, "endpoint_type": 1}),
    "describe the controllers": (CLUSTER, 1, {"include_cluster_authorized_operations": False, "endpoint_type": 2}),
    "describe neither": (CLUSTER, 1, {"include_cluster_authorized_operations": False, "endpoint_type": 7}),
    "unregister a stranger": (UNREGISTER, 0, {"broker_id": 77}),
    "resources of a group": (RESOURCES, 1, {"resource_types": [GROUP]}),
    "resources of metrics": (RESOURCES, 0, {}),
    "resources of nothing": (RESOURCES, 1, {"resource_types": [99]}),
    "resources of everything": (RESOURCES, 1, {"resource_types": []}),
    "resources of nodes": (RESOURCES, 1, {"resource_types": [BROKER, LOGGER]}),
    "partitions of one topic": partitions("orders", "nope", "not/legal"),
    "partitions in pages": partitions("orders", "manual", limit=3),
    "the next page": partitions("orders", "manual", limit=3, cursor=("orders", 1)),
    "a page of no topic": partitions("orders", cursor=("manual", 0)),
    "a page before the first": partitions("orders", cursor=("orders", -1)),
    "a page of nothing": partitions("orders", limit=0),
    "partitions of everything": partitions(),
    "everything in pages": partitions(limit=4),
    "log dirs of one": (LOG_DIRS, 5, {"topics": [{"topic": "manual", "partitions": [0, 1, 9]}]}),
    "log dirs of all": (LOG_DIRS, 5, {"topics": None}),
    "an id for half a producer": producer(producer_id=5),
    "an id for no transaction": producer(""),
    "an id for a producer": producer(),
    "an id for a producer that has one": producer(None, 0, 0),
    "delete a stranger": delete("nope"),
    "delete nothing": delete(None),
    "delete by an unknown id": (DELETE, 6, {"topics": [{"name": None, "topic_id": UNKNOWN_ID}]}),
    "delete by both": (DELETE, 6, {"topics": [{"name": "orders", "topic_id": UNKNOWN_ID}]}),
    "delete one twice": delete("orders", "orders"),
    "delete": delete("orders"),
    "delete it again": delete("orders"),
    "delete in an old version": (DELETE, 5, {"topic_names": ["manual", "nope"]}),
}  # fmt: skip

VARYING = {
    "throttle_time", "topic_id", "host", "port", "cluster_id", "rack", "log_dir", "total_bytes", "usable_bytes",
    "partition_size", "high_watermark", "log_end_offset", "leader_epoch", "producer_id", "last_fetch_timestamp",
    "last_caught_up_timestamp", "transaction_start_time",
}  # fmt: skip
"""What differs from run to run, or from place to place."""


def from_values(kind: type[Any], values: dict[str, Any]) -> Any:
    """A kio object from a nested mapping; what is not named has its default, or is empty."""
    hints = get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for field in fields(kind):
        parts = _parts(hints[field.name])
        tuple_hint = next((part for part in parts if get_origin(part) is tuple), None)
        entity = next((part for part in parts if is_dataclass(part)), None)
        value = values.get(field.name, MISSING)
        if value is MISSING:
            if field.default is MISSING:
                arguments[field.name] = (
                    dt.timedelta(seconds=30) if "timedelta" in str(hints[field.name]).lower() else ()
                )
        elif value is None:
            arguments[field.name] = None
        elif tuple_hint is not None:
            element = get_args(tuple_hint)[0]
            nested = is_dataclass(element)
            arguments[field.name] = tuple(from_values(element, each) if nested else each for each in value)
        else:
            arguments[field.name] = from_values(entity, value) if entity is not None else value
        if field.name == "timeout":
            arguments[field.name] = dt.timedelta(seconds=30)
        if field.name == "transaction_timeout":
            arguments[field.name] = dt.timedelta(seconds=60)
    return kind(**arguments)


def encoded(api_key: int, version: int, values: dict[str, Any]) -> bytes:
    """One request as it goes over the wire."""
    kind = load_request_schema(api_key, version)
    out = io.BytesIO()
    entity_writer(kind)(out, from_values(kind, values))
    return framed(header(api_key, version) + out.getvalue())


def comparable(value: Any) -> Any:
    """An answer without what varies; a message becomes the fact that there is one."""
    if is_dataclass(value):
        found = {}
        for field in fields(value):
            if field.name == "error_message":
                found[field.name] = bool(getattr(value, field.name))
            elif field.name not in VARYING:
                found[field.name] = comparable(getattr(value, field.name))
        return found
    if isinstance(value, tuple):
        return [comparable(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    return int(value)


def ask(bootstrap_servers: str, steps: Mapping[str, tuple[int, int, dict[str, Any]]] = STEPS) -> dict[str, Any]:
    """Take every step in turn; a connection that the broker closes is told as None."""
    answers: dict[str, Any] = {}
    for name, (api_key, version, values) in steps.items():
        try:
            answer = exchange(bootstrap_servers, encoded(api_key, version, values))
        except TimeoutError:
            answers[name] = "no answer"
            continue
        answers[name] = None if answer is None else comparable(parse(api_key, version, answer))
    return answers


def printed(bootstrap_servers: str, steps: Mapping[str, tuple[int, int, dict[str, Any]]]) -> str:
    """The answers to all steps as the text of a golden file: one line each."""
    answers = ask(bootstrap_servers, steps)
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items()) + "\n}"


if __name__ == "__main__":
    print(printed(sys.argv[1], STEPS))
