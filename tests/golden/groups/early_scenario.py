"""What is asked of groups and transactions before anybody has, as bare frames.

A fresh node has neither `__consumer_offsets` nor `__transaction_state`: FindCoordinator creates them, and no step here
asks that. `kafka-4.3.1-early.json` holds the answers of a fresh Apache Kafka 4.3.1 node, made by
`python -m tests.golden.groups.early_scenario`. What is compared is told in `tests/golden/metadata/admin_scenario.py`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from bench.versus import apache_kafka
from tests.golden.metadata.admin_scenario import create, printed, topic

Step = tuple[int, int, dict[str, Any]]

TRANSACTIONAL = {"transactional_id": "payments", "producer_id": 7, "producer_epoch": 0}
MEMBER = {"group_id": "g", "generation_id": 1, "member_id": "m"}


def fetch(group: str, version: int, *topics: str) -> Step:
    """Offsets of partition 0 of each topic, or of everything."""
    wanted = [{"name": name, "partition_indexes": [0]} for name in topics] or None
    if version < 8:
        return 9, version, {"group_id": group, "topics": wanted}
    return 9, version, {"groups": [{"group_id": group, "topics": wanted}]}


def commit(group: str, version: int, generation: int = -1, *topics: str) -> Step:
    partitions = [{"partition_index": 0, "committed_offset": 5, "committed_metadata": ""}]
    return 8, version, {
        "group_id": group, "generation_id_or_member_epoch": generation, "member_id": "" if generation < 0 else "m",
        "topics": [{"name": name, "partitions": partitions} for name in topics or ("orders",)],
    }  # fmt: skip


def transactional_commit(group: str, name: str = "orders") -> Step:
    partitions = [{"partition_index": 0, "committed_offset": 5, "committed_metadata": ""}]
    return 28, 3, {
        **TRANSACTIONAL, "group_id": group, "generation_id": -1, "member_id": "", "group_instance_id": None,
        "topics": [{"name": name, "partitions": partitions}],
    }  # fmt: skip


def join(group: str, version: int = 9) -> Step:
    return 11, version, {
        "group_id": group, "member_id": "", "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
    }  # fmt: skip


def consumer(group: str, **said: Any) -> Step:
    return 68, 1, {
        "group_id": group, "member_id": "m", "member_epoch": 0, "topic_partitions": [],
        "subscribed_topic_names": ["orders"], "subscribed_topic_regex": None, "server_assignor": None,
        "instance_id": None, "rack_id": None, **said,
    }  # fmt: skip


def offset_delete(group: str, *topics: str) -> Step:
    return 47, 0, {"group_id": group, "topics": [{"name": n, "partitions": [{"partition_index": 0}]} for n in topics]}


GROUPS: dict[str, Step] = {
    "a topic": create(topic("orders"), version=4),
    "offsets of a group": fetch("g", 7, "orders"),
    "offsets of a group in the oldest version": fetch("g", 1, "orders"),
    "offsets of a group where errors are for all": fetch("g", 2, "orders"),
    "all offsets of a group": fetch("g", 7),
    "offsets of a group among others": fetch("g", 9, "orders", "nope"),
    "all offsets of a group among others": fetch("g", 9),
    "offsets of no group": fetch("", 9, "orders"),
    "stable offsets": (9, 9, {"groups": [{"group_id": "g", "topics": None}], "require_stable": True}),
    "a commit": commit("g", 9),
    "a commit of a member": commit("g", 9, 1),
    "a commit in the oldest version": commit("g", 2, 1),
    "a commit for no group": commit("", 9),
    "a commit for a topic that is not there": commit("g", 9, -1, "nope"),
    "a commit for one that is there and one that is not": commit("g", 9, -1, "orders", "nope"),
    "a member": join("g"),
    "a member in an old version": join("g", 2),
    "a member of no group": join(""),
    "a sync": (14, 5, {**MEMBER, "assignments": [], "protocol_type": "consumer", "protocol_name": "range"}),
    "a sync of no group": (14, 3, {**MEMBER, "group_id": "", "assignments": []}),
    "a heartbeat": (12, 4, MEMBER),
    "a heartbeat for no group": (12, 4, {**MEMBER, "group_id": ""}),
    "a leave": (13, 4, {"group_id": "g", "members": [{"member_id": "m"}, {"member_id": "n"}]}),
    "a leave in an old version": (13, 1, {"group_id": "g", "member_id": "m"}),
    "a leave of no group": (13, 4, {"group_id": "", "members": [{"member_id": "m"}]}),
    "a group": (15, 6, {"groups": ["g"], "include_authorized_operations": False}),
    "groups in an old version": (15, 4, {"groups": ["g", ""], "include_authorized_operations": True}),
    "all groups": (16, 5, {"states_filter": [], "types_filter": []}),
    "a deletion": (42, 2, {"groups_names": ["g", "h", "g"]}),
    "a deletion of no group": (42, 2, {"groups_names": [""]}),
    "no deletion": (42, 2, {"groups_names": []}),
    "a deletion of offsets": offset_delete("g", "orders"),
    "a deletion of offsets of a topic that is not there": offset_delete("g", "nope"),
    "a deletion of offsets of one that is there and one that is not": offset_delete("g", "orders", "nope"),
    "a deletion of no offsets": offset_delete("g"),
    "a deletion of offsets of no group": offset_delete("", "orders"),
    "a consumer": consumer("g", rebalance_timeout=dt.timedelta(seconds=30)),
    "a consumer that does not say how long it takes": consumer("g"),
    "a consumer of no group": consumer("", rebalance_timeout=dt.timedelta(seconds=30)),
    "a consumer group": (69, 1, {"group_ids": ["g", ""], "include_authorized_operations": False}),
    "offsets in a transaction": transactional_commit("g"),
    "offsets in a transaction of no group": transactional_commit(""),
    "offsets in a transaction for a topic that is not there": transactional_commit("g", "nope"),
}  # fmt: skip

TRANSACTIONS: dict[str, Step] = {
    "a producer": (22, 4, {"transactional_id": "payments", "producer_id": -1, "producer_epoch": -1}),
    "a producer without a name": (22, 4, {"transactional_id": "", "producer_id": -1, "producer_epoch": -1}),
    "partitions": (24, 3, {
        "v3_and_below_transactional_id": "payments", "v3_and_below_producer_id": 7, "v3_and_below_producer_epoch": 0,
        "v3_and_below_topics": [{"name": "orders", "partitions": [0]}],
    }),
    "partitions that are not there": (24, 3, {
        "v3_and_below_transactional_id": "payments", "v3_and_below_producer_id": 7, "v3_and_below_producer_epoch": 0,
        "v3_and_below_topics": [{"name": "orders", "partitions": [0, 9]}],
    }),
    "partitions of a broker": (24, 5, {
        "transactions": [{**TRANSACTIONAL, "verify_only": True, "topics": [{"name": "orders", "partitions": [0]}]}],
    }),
    "a group": (25, 4, {**TRANSACTIONAL, "group_id": "g"}),
    "an end": (26, 4, {**TRANSACTIONAL, "committed": True}),
    "a transaction": (65, 0, {"transactional_ids": ["payments", ""]}),
    "all transactions": (66, 2, {
        "state_filters": [], "producer_id_filters": [], "duration_filter": -1, "transactional_id_pattern": None,
    }),
}  # fmt: skip

STEPS: dict[str, Step] = {**GROUPS, **{f"transactions: {name}": step for name, step in TRANSACTIONS.items()}}


def main() -> None:
    """Ask a fresh Apache Kafka, and print what it says."""
    with tempfile.TemporaryDirectory() as folder, apache_kafka.prepare(Path(folder)) as node:
        print(printed(node.bootstrap_servers, STEPS))


if __name__ == "__main__":
    main()
