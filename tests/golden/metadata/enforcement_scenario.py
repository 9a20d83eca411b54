"""Every API that asks the authorizer, under one set of access rules after the other, as bare frames.

Two clients of the same node are the same user, `User:ANONYMOUS`; the address tells them apart. The administrator comes
from 127.0.0.1 and may do everything, by rules that close every kind of resource for all others. Who is asked about
comes from 127.0.0.2 and has the rules of `RULES`, one set after the other. `kafka-4.3.1-enforcement.json` holds what
Apache Kafka 4.3.1 answered, all of it for the first set, which is empty, and for the others what differs from that:
`python -m tests.golden.metadata.enforcement_scenario` starts such a node and prints the file.
"""

from __future__ import annotations

import json
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bench.versus.apache_kafka import prepare
from tests.conformance.frames import TIMEOUT_S, parse, receive
from tests.golden.metadata import acl_scenario as acls
from tests.golden.metadata.admin_scenario import (
    ZERO_ID,
    comparable,
    create,
    delete,
    describe,
    elect,
    encoded,
    feature,
    grow,
    incremental,
    partitions,
    producer,
    quorum,
    reassign,
    replace,
    topic,
)

Step = tuple[int, int, dict[str, Any]]

ADMIN_HOST, HOST = "127.0.0.1", "127.0.0.2"
NO_ANSWER: Final = "no answer"
UNSETTLED: Final = {14, 15, 16, 51}
"""A coordinator that loads, or is busy with what was asked before: worth asking again."""
NODE: Final = {**acls.EVERYBODY, "auto.create.topics.enable": "true"}

ADMINISTRATION: Final = tuple(
    acls.mine(name, acls.ALL, host=ADMIN_HOST, kind=kind)
    for kind, name in (
        (acls.TOPIC, "*"), (acls.GROUP, "*"), (acls.CLUSTER, "kafka-cluster"), (acls.TRANSACTIONAL_ID, "*"),
    )
)  # fmt: skip


def rule(kind: int, name: str, *operations: int, permission: int = acls.ALLOW, prefixed: bool = False) -> list[Any]:
    pattern = acls.PREFIXED if prefixed else acls.LITERAL
    return [acls.mine(name, each, permission, host=HOST, kind=kind, pattern=pattern) for each in operations]


def on_topic(*operations: int, name: str = "orders", **more: Any) -> list[Any]:
    return rule(acls.TOPIC, name, *operations, **more)


def on_group(*operations: int) -> list[Any]:
    return rule(acls.GROUP, "g", *operations)


def on_cluster(*operations: int) -> list[Any]:
    return rule(acls.CLUSTER, "kafka-cluster", *operations)


def on_transaction(*operations: int) -> list[Any]:
    return rule(acls.TRANSACTIONAL_ID, "t", *operations, prefixed=True)


EVERYTHING: Final = [
    *on_topic(acls.ALL, name="*"), *rule(acls.GROUP, "*", acls.ALL), *on_cluster(acls.ALL),
    *rule(acls.TRANSACTIONAL_ID, "*", acls.ALL),
]  # fmt: skip
IDEMPOTENT_WRITE: Final = 12

RULES: Final[dict[str, list[dict[str, Any]]]] = {
    "nothing": [],
    "read a topic": on_topic(acls.READ),
    "write a topic": on_topic(acls.WRITE),
    "describe a topic": on_topic(acls.DESCRIBE),
    "describe and create topics": on_topic(acls.DESCRIBE, acls.CREATE, name="new", prefixed=True),
    "describe topics that are not there": on_topic(acls.DESCRIBE, name="new", prefixed=True),
    "delete a topic": on_topic(acls.DELETE) + on_topic(acls.DELETE, name="doomed"),
    "describe a topic that goes": on_topic(acls.DESCRIBE, name="doomed", prefixed=True),
    "alter a topic": on_topic(acls.ALTER),
    "alter configs of a topic": on_topic(acls.ALTER_CONFIGS),
    "describe configs of a topic": on_topic(acls.DESCRIBE_CONFIGS),
    "read a group": on_group(acls.READ),
    "describe a group": on_group(acls.DESCRIBE),
    "delete a group": on_group(acls.DELETE),
    "alter configs of a group": on_group(acls.ALTER_CONFIGS),
    "describe configs of a group": on_group(acls.DESCRIBE_CONFIGS),
    "describe the cluster": on_cluster(acls.DESCRIBE),
    "alter the cluster": on_cluster(acls.ALTER),
    "create in the cluster": on_cluster(acls.CREATE),
    "delete in the cluster": on_cluster(acls.DELETE),
    "be a broker": on_cluster(acls.ACTION),
    "alter configs of the cluster": on_cluster(acls.ALTER_CONFIGS),
    "describe configs of the cluster": on_cluster(acls.DESCRIBE_CONFIGS),
    "idempotent writes": on_cluster(IDEMPOTENT_WRITE),
    "use a transactional id": on_transaction(acls.WRITE),
    "describe a transactional id": on_transaction(acls.DESCRIBE),
    "consume": on_topic(acls.READ) + on_group(acls.READ),
    "consume and produce in transactions": [
        *on_topic(acls.READ, acls.WRITE), *on_group(acls.READ), *on_transaction(acls.WRITE),
    ],
    "everything": EVERYTHING,
    "everything but writing": EVERYTHING + on_topic(acls.WRITE, permission=acls.DENY),
    "everything but describing": EVERYTHING + on_topic(acls.DESCRIBE, permission=acls.DENY),
    "everything but topics that begin so": EVERYTHING + on_topic(
        acls.ALL, name="or", permission=acls.DENY, prefixed=True
    ),
}  # fmt: skip

POLYNOMIAL: Final = 0x82F63B78


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def batch(transactional: bool = False) -> bytes:
    """One record in a batch of format 2; the transactional one is of a producer that nobody knows."""
    record = bytes([0, 0, 0, 1, 2]) + b"x" + bytes([0])
    who = (4711, 0, 0) if transactional else (-1, -1, -1)
    body = struct.pack(">hiqqqhiiB", 0x10 if transactional else 0, 0, 0, 0, *who, 1, len(record) * 2) + record
    checked = struct.pack(">ibI", -1, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(checked)) + checked


def produce(name: str, transactional_id: str | None = None, transactional: bool = False) -> Step:
    parts = [{"index": 0, "records": batch(transactional)}]
    return 0, 9, {
        "transactional_id": transactional_id, "acks": -1, "topic_data": [{"name": name, "partition_data": parts}],
    }  # fmt: skip


def produce_to(topic_id: UUID) -> Step:
    parts = [{"index": 0, "records": batch()}]
    return 0, 13, {
        "transactional_id": None, "acks": -1, "topic_data": [{"topic_id": topic_id, "partition_data": parts}],
    }  # fmt: skip


def fetch(version: int, *topics: dict[str, Any], replica: int = -1) -> Step:
    part = {
        "partition": 0, "current_leader_epoch": -1, "fetch_offset": 99, "last_fetched_epoch": -1,
        "log_start_offset": -1, "partition_max_bytes": 1000,
    }  # fmt: skip
    values: dict[str, Any] = {
        "cluster_id": None, "min_bytes": 0, "max_bytes": 1000, "isolation_level": 0, "session_id": 0,
        "session_epoch": -1, "topics": [{**each, "partitions": [part]} for each in topics], "rack_id": "",
    }  # fmt: skip
    return 1, version, values | ({"replica_id": replica} if version < 15 else {})


def metadata(version: int, *topics: dict[str, Any], creates: bool = False) -> Step:
    return 3, version, {
        "topics": list(topics) or None, "allow_auto_topic_creation": creates,
        "include_cluster_authorized_operations": True, "include_topic_authorized_operations": True,
    }  # fmt: skip


def commit(version: int, *topics: dict[str, Any]) -> Step:
    parts = [{"partition_index": 0, "committed_offset": 5, "committed_leader_epoch": -1, "committed_metadata": ""}]
    return 8, version, {
        "group_id": "g", "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None,
        "topics": [{**each, "partitions": parts} for each in topics],
    }  # fmt: skip


def offsets(version: int, *topics: dict[str, Any]) -> Step:
    asked = {"group_id": "g", "topics": [{**each, "partition_indexes": [0]} for each in topics] or None}
    if version < 8:
        return 9, version, {**asked, "require_stable": False}
    return 9, version, {"groups": [asked], "require_stable": False}


def named(name: str) -> dict[str, Any]:
    return {"name": name, "topic_id": ZERO_ID}


def either(name: str) -> dict[str, Any]:
    return {"name": name}


MEMBER: Final = {"group_id": "g", "generation_id": 1, "member_id": "m", "group_instance_id": None}
OF_T: Final = {"transactional_id": "t", "producer_id": 4711, "producer_epoch": 0}
SUBSCRIBED: Final = {
    "group_id": "g", "member_id": "m", "member_epoch": 5, "instance_id": None, "rack_id": None,
    "subscribed_topic_regex": None, "server_assignor": None, "topic_partitions": None,
}  # fmt: skip
FOR_X: Final = "User:x"
RETENTION: Final = ("retention.ms", 0, "70000")


def record_requests(ids: Mapping[str, UUID]) -> dict[str, Step]:
    """Records and offsets."""
    by_id = {"topic_id": ids["orders"]}
    ends = [{"partition": 0, "current_leader_epoch": -1, "leader_epoch": 0}]
    times = [{"partition_index": 0, "current_leader_epoch": -1, "timestamp": -2}]
    return {
        "produce": produce("orders"),
        "produce to what is not there": produce("nope"),
        "produce by id": produce_to(ids["orders"]),
        "produce in a transaction": produce("orders", "t", transactional=True),
        "produce in no transaction": produce("orders", None, transactional=True),
        "fetch": fetch(12, {"topic": "orders"}, {"topic": "nope"}),
        "fetch by id": fetch(17, by_id),
        "fetch as a follower": fetch(12, {"topic": "orders"}, replica=7),
        "list offsets": (2, 7, {
            "replica_id": -1, "isolation_level": 0,
            "topics": [{"name": name, "partitions": times} for name in ("orders", "nope")],
        }),
        "ends of epochs": (23, 4, {"replica_id": -1, "topics": [{"topic": "orders", "partitions": ends}]}),
        "delete records": (21, 2, {"topics": [
            {"name": name, "partitions": [{"partition_index": 0, "offset": 0}]} for name in ("orders", "nope")
        ]}),
        "a commit": commit(8, either("orders"), either("nope")),
        "a commit by id": commit(10, by_id, {"topic_id": UUID(int=0xC0FFEE)}),
        "offsets": offsets(7, either("orders"), either("nope")),
        "all offsets": offsets(9),
        "offsets by id": offsets(10, by_id, {"topic_id": UUID(int=0xC0FFEE)}),
    }  # fmt: skip


def group_requests() -> dict[str, Step]:
    """Groups and transactions."""
    return {
        "coordinators of groups": (10, 4, {"key_type": 0, "coordinator_keys": ["g", "h"]}),
        "coordinators of transactions": (10, 4, {"key_type": 1, "coordinator_keys": ["t", "u"]}),
        "the coordinator of a group": (10, 3, {"key_type": 0, "key": "g"}),
        "join": (11, 6, {
            "group_id": "g", "member_id": "", "group_instance_id": None, "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": b""}],
        }),
        "heartbeat": (12, 4, MEMBER),
        "leave": (13, 5, {
            "group_id": "g", "members": [{"member_id": "m", "group_instance_id": None, "reason": None}],
        }),
        "sync": (14, 5, {**MEMBER, "protocol_type": "consumer", "protocol_name": "range", "assignments": []}),
        "describe groups": (15, 5, {"groups": ["g", "h"], "include_authorized_operations": True}),
        "list groups": (16, 4, {"states_filter": []}),
        "a consumer's heartbeat": (68, 1, {**SUBSCRIBED, "subscribed_topic_names": ["orders"]}),
        "a consumer's heartbeat for two topics": (68, 1, {**SUBSCRIBED, "subscribed_topic_names": ["orders", "nope"]}),
        "describe a consumer group": (69, 1, {"group_ids": ["g"], "include_authorized_operations": True}),
        "delete offsets": (47, 0, {"group_id": "g", "topics": [
            {"name": name, "partitions": [{"partition_index": 0}]} for name in ("orders", "nope")
        ]}),
        "delete groups": (42, 2, {"groups_names": ["h", "g"]}),
        "a producer id": producer(),
        "a producer of a transaction": producer("t"),
        "add partitions": (24, 3, {
            "v3_and_below_transactional_id": "t", "v3_and_below_producer_id": 4711,
            "v3_and_below_producer_epoch": 0,
            "v3_and_below_topics": [{"name": name, "partitions": [0]} for name in ("orders", "payments")],
        }),
        "add partitions as a broker": (24, 5, {"transactions": [{
            **OF_T, "verify_only": True, "topics": [{"name": "orders", "partitions": [0]}],
        }]}),
        "add offsets": (25, 3, {**OF_T, "group_id": "g"}),
        "end a transaction": (26, 3, {**OF_T, "committed": True}),
        "write a marker": (27, 1, {"markers": [{
            "producer_id": 4711, "producer_epoch": 0, "transaction_result": False, "coordinator_epoch": 0,
            "topics": [{"name": "nope", "partition_indexes": [0]}],
        }]}),
        "commit in a transaction": (28, 3, {
            **OF_T, "group_id": "g", "generation_id": -1, "member_id": "", "group_instance_id": None,
            "topics": [{"name": "nope", "partitions": [{
                "partition_index": 0, "committed_offset": 5, "committed_leader_epoch": -1, "committed_metadata": "",
            }]}],
        }),
        "describe producers": (61, 0, {"topics": [
            {"name": name, "partition_indexes": [0]} for name in ("payments", "nope", "not/legal")
        ]}),
        "describe transactions": (65, 0, {"transactional_ids": ["t.idle", "u"]}),
        "list transactions": (66, 2, {
            "state_filters": [], "producer_id_filters": [], "duration_filter": -1, "transactional_id_pattern": None,
        }),
    }  # fmt: skip


def cluster_requests(ids: Mapping[str, UUID]) -> dict[str, Step]:
    """Topics, configs and the cluster."""
    return {
        "metadata": metadata(9, either("orders"), either("nope"), either("not/legal")),
        "metadata by id": metadata(12, {"name": None, "topic_id": ids["orders"]}),
        "all metadata": metadata(12),
        "partitions": partitions("orders", "nope"),
        "all partitions": partitions(),
        "create": create(topic("new.topic"), topic("other"), validate_only=True),
        "create what exists": create(topic("orders"), validate_only=True),
        "create the metadata log": create(topic("__cluster_metadata"), topic("twice"), topic("twice")),
        "delete": delete("doomed", "nope"),
        "delete by id": (20, 6, {"topics": [{"name": None, "topic_id": ids["doomed.too"]}]}),
        "delete in an old version": (20, 5, {"topic_names": ["nope"]}),
        "grow": grow("orders", 5, validate_only=True),
        "describe configs": describe(2, "orders", "retention.ms", synonyms=False),
        "describe configs of a group": describe(32, "g", "consumer.session.timeout.ms", synonyms=False),
        "describe configs of a broker": describe(4, "1", "num.network.threads", synonyms=False),
        "set a config": incremental(2, "orders", RETENTION, validate_only=True),
        "set a config of a group": incremental(32, "g", ("share.isolation.level", 1, None), validate_only=True),
        "set a config of a broker": incremental(4, "", ("log.cleaner.threads", 1, None), validate_only=True),
        "replace configs": (33, 2, {**replace(2, "orders", retention_ms="70000")[2], "validate_only": True}),
        "list configs": (74, 1, {"resource_types": [4]}),
        "move a replica": (34, 2, {"dirs": [
            {"path": "/nowhere", "topics": [{"name": "orders", "partitions": [0]}]},
        ]}),
        "log directories": (35, 4, {"topics": []}),
        "elect a leader": elect(0, ("orders", 0)),
        "move a partition": reassign("orders", 0, None),
        "moving partitions": (46, 0, {"topics": None}),
        "quotas": (48, 1, {"components": [], "strict": False}),
        "set a quota": (49, 1, {"entries": [], "validate_only": True}),
        "credentials": (50, 0, {"users": [{"name": "nobody"}]}),
        "set a credential": (51, 0, {"deletions": [], "upsertions": []}),
        "the quorum": quorum("orders"),
        "a feature": feature("group.version", 1, validate_only=True),
        "the cluster": (60, 1, {"include_cluster_authorized_operations": True, "endpoint_type": 1}),
        "a broker gone": (64, 0, {"broker_id": 77}),
        "a rule": acls.add(acls.acl("x", principal=FOR_X)),
        "rules": acls.listed(principal=FOR_X),
        "no rule": acls.remove(acls.wanted(principal=FOR_X)),
        "a new topic by metadata": metadata(12, named("new.auto"), creates=True),
        "a voter": (81, 0, {"cluster_id": None, "voter_id": 7, "voter_directory_id": UUID(int=0xD1)}),
        "a state of a share group": (84, 0, {"group_id": "", "topics": []}),
    }  # fmt: skip


def requests(ids: Mapping[str, UUID]) -> dict[str, Step]:
    return record_requests(ids) | group_requests() | cluster_requests(ids)


NOT_ASKED: Final = {
    # A topic would come into being; what Kafka says of it depends on how fast.
    "a new topic by metadata": {name for name, rules in RULES.items() if rules[:4] == EVERYTHING}
    | {"describe and create topics"},
    # The Kafka that was asked has a dynamic quorum, ours is static.
    "a voter": {name for name, rules in RULES.items() if rules[:4] == EVERYTHING} | {"alter the cluster"},
    # Kafka serves share groups.
    "a state of a share group": {name for name, rules in RULES.items() if rules[:4] == EVERYTHING} | {"be a broker"},
}


class Scenario:
    """The two clients of one node. `settle` waits until the rules that were just made count."""

    def __init__(self, bootstrap_servers: str, settle: Callable[[], None]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._settle = settle

    def run(self) -> dict[str, dict[str, Any]]:
        """The answers by set of rules and by request."""
        self._administer(create(topic("orders", 2), topic("payments")))
        self._administer(acls.add(*ADMINISTRATION))
        self._settle()
        for key_type in (0, 1):
            self._administer((10, 3, {"key_type": key_type, "key": "g"}))
        self._administer(producer())
        answers = {}
        for name, rules in RULES.items():
            self._administer(create(topic("doomed"), topic("doomed.too")))
            self._administer(commit(8, either("orders")))
            self._administer(acls.add(*rules))
            self._settle()
            steps = {each: step for each, step in requests(self._ids()).items() if name not in NOT_ASKED.get(each, ())}
            answers[name] = {each: self._ask(step, HOST) for each, step in steps.items()}
            self._administer(acls.remove(acls.wanted(host=HOST)))
        return answers

    def _ids(self) -> dict[str, UUID]:
        """Of every topic, once the broker knows of those that were just created."""
        deadline = time.monotonic() + 30
        while True:
            response = self._exchange(metadata(12), ADMIN_HOST)
            ids = {each.name: each.topic_id for each in response.topics}
            if {"orders", "doomed", "doomed.too"} <= ids.keys() or time.monotonic() > deadline:
                return ids
            time.sleep(0.1)

    def _administer(self, step: Step) -> Any:
        return self._ask(step, ADMIN_HOST)

    def _ask(self, step: Step, host: str) -> Any:
        deadline = time.monotonic() + 30
        while True:
            response = self._exchange(step, host)
            answer = response if response in (None, NO_ANSWER) else comparable(response)
            if not UNSETTLED & set(codes(answer)) or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def _exchange(self, step: Step, host: str) -> Any:
        api_key, version, values = step
        server, port = self._bootstrap_servers.rsplit(":", 1)
        with socket.create_connection((server, int(port)), TIMEOUT_S, source_address=(host, 0)) as connection:
            connection.sendall(encoded(api_key, version, values))
            try:
                answer = receive(connection)
            except TimeoutError:
                return NO_ANSWER
        return None if answer is None else parse(api_key, version, answer)


def codes(value: Any) -> list[int]:
    """Every error code in an answer, however it is called."""
    if isinstance(value, dict):
        own = [code for name, code in value.items() if name.endswith("error_code")]
        return own + [code for each in value.values() for code in codes(each)]
    return [code for each in value for code in codes(each)] if isinstance(value, list) else []


def differences(answers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All answers under no rules, and of the others those that are not the same."""
    base = answers["nothing"]
    return {
        name: {each: answer for each, answer in found.items() if found is base or answer != base.get(each)}
        for name, found in answers.items()
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="enforcement-") as folder, prepare(Path(folder), None, NODE) as node:
        # A rule counts as soon as the broker has read the controller's record, which nothing tells.
        answers = Scenario(node.bootstrap_servers, lambda: time.sleep(0.5)).run()
    for number, (rules, found) in enumerate(differences(answers).items()):
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in found.items())
        print(f"{',' if number else '{'}\n{json.dumps(rules)}: {{\n{lines}\n}}")
    print("}")


if __name__ == "__main__":
    main()
