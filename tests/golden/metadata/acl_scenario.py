"""ACLs made, listed and removed, and what they allow, as bare frames against a node with the StandardAuthorizer.

`python -m tests.golden.metadata.acl_scenario` starts Apache Kafka 4.3.1 twice, takes the steps and prints the golden
file `kafka-4.3.1-acls.json`. The first node takes the clients of the scenario for a super user (`ADMINISTRATION`). On
the second they are nobody in particular, and everything without an ACL is free (`DECISIONS`): after each change the
node tells by the bits of KIP-430 what they may do with each topic.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.versus.apache_kafka import prepare
from tests.golden.metadata.admin_scenario import ZERO_ID, ask, create, topic

Step = tuple[int, int, dict[str, Any]]

METADATA, DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS = 3, 29, 30, 31
ANY, TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, DELEGATION_TOKEN, USER = 1, 2, 3, 4, 5, 6, 7
MATCH, LITERAL, PREFIXED = 2, 3, 4
ALL, READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
)
TWO_PHASE_COMMIT: Final = 15
DENY, ALLOW = 2, 3
UNKNOWN: Final = 99
"""A number that stands for nothing in any of the enumerations."""

AUTHORIZER: Final = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}
SUPER_USER: Final = {**AUTHORIZER, "super.users": "User:ANONYMOUS"}
EVERYBODY: Final = {**AUTHORIZER, "super.users": "User:admin", "allow.everyone.if.no.acl.found": "true"}


def acl(
    name: str = "orders", operation: int = READ, permission: int = ALLOW, *, principal: str = "User:alice",
    host: str = "*", kind: int = TOPIC, pattern: int = LITERAL,
) -> dict[str, Any]:  # fmt: skip
    return {
        "resource_type": kind, "resource_name": name, "resource_pattern_type": pattern, "principal": principal,
        "host": host, "operation": operation, "permission_type": permission,
    }  # fmt: skip


def add(*acls: dict[str, Any], version: int = 3) -> Step:
    return CREATE_ACLS, version, {"creations": acls}


def wanted(
    name: str | None = None, operation: int = ANY, permission: int = ANY, *, principal: str | None = None,
    host: str | None = None, kind: int = ANY, pattern: int = ANY,
) -> dict[str, Any]:  # fmt: skip
    return {
        "resource_type_filter": kind, "resource_name_filter": name, "pattern_type_filter": pattern,
        "principal_filter": principal, "host_filter": host, "operation": operation, "permission_type": permission,
    }  # fmt: skip


def listed(*arguments: Any, version: int = 3, **more: Any) -> Step:
    return DESCRIBE_ACLS, version, wanted(*arguments, **more)


def remove(*filters: dict[str, Any], version: int = 3) -> Step:
    return DELETE_ACLS, version, {"filters": filters}


ADMINISTRATION: Final[dict[str, Step]] = {
    "none yet": listed(),
    "nothing added": add(),
    "nothing removed": remove(),
    "a rule for a topic": add(acl()),
    "the same rule again": add(acl()),
    "the same rule twice in a request": add(acl("twice"), acl("twice")),
    "a rule for every kind": add(
        acl("g", kind=GROUP), acl("kafka-cluster", CREATE, kind=CLUSTER), acl("t", WRITE, kind=TRANSACTIONAL_ID),
        acl("token", DESCRIBE, kind=DELEGATION_TOKEN), acl("User:bob", 13, kind=USER),
    ),
    "a prefix": add(acl("ord", WRITE, DENY, pattern=PREFIXED, host="10.0.0.1", principal="User:*")),
    "a prefix of the cluster": add(acl("kafka-cluster", ALTER, pattern=PREFIXED, kind=CLUSTER)),
    "every topic": add(acl("*", DESCRIBE)),
    "a star as a prefix": add(acl("*", DESCRIBE, pattern=PREFIXED)),
    "in the oldest version": add(acl("old", ALL), version=1),
    "an operation that topics do not have": add(acl("odd", ACTION)),
    "two-phase commit": add(acl("t", TWO_PHASE_COMMIT, kind=TRANSACTIONAL_ID)),
    "another cluster": add(acl("cluster", kind=CLUSTER)),
    "no name": add(acl("")),
    "a name that no topic can have": add(acl("not/legal")),
    "a host that is no address": add(acl("host", host="no.such.host.invalid")),
    "a principal without a type": add(acl(principal="alice")),
    "a principal without a name": add(acl(principal="User:")),
    "no principal": add(acl(principal="")),
    "no host": add(acl(host="")),
    "any kind": add(acl(kind=ANY)),
    "a kind that nobody knows": add(acl(kind=UNKNOWN)),
    "no kind": add(acl(kind=0)),
    "any pattern": add(acl(pattern=1)),
    "a pattern that matches": add(acl(pattern=MATCH)),
    "a pattern that nobody knows": add(acl(pattern=UNKNOWN)),
    "no pattern": add(acl(pattern=0)),
    "any operation": add(acl(operation=1)),
    "an operation that nobody knows": add(acl(operation=UNKNOWN)),
    "no operation": add(acl(operation=0)),
    "any permission": add(acl(permission=1)),
    "a permission that nobody knows": add(acl(permission=UNKNOWN)),
    "no permission": add(acl(permission=0)),
    "good ones and bad ones": add(acl("good"), acl(""), acl("c", kind=CLUSTER), acl("good", pattern=UNKNOWN)),
    "all": listed(),
    "all, in the oldest version": listed(version=1),
    "those of topics": listed(kind=TOPIC),
    "those of a topic": listed("orders", kind=TOPIC, pattern=LITERAL),
    "those of a topic, any pattern": listed("orders", kind=TOPIC),
    "those that match a topic": listed("orders", kind=TOPIC, pattern=MATCH),
    "those that match any topic": listed(kind=TOPIC, pattern=MATCH),
    "those that match a star": listed("*", kind=TOPIC, pattern=MATCH),
    "those of a prefix": listed("ord", pattern=PREFIXED),
    "those of all prefixes": listed(pattern=PREFIXED),
    "those of a longer prefix": listed("orders", pattern=PREFIXED),
    "those of a user": listed(principal="User:alice"),
    "those of everybody": listed(principal="User:*"),
    "those of a host": listed(host="10.0.0.1"),
    "those of every host": listed(host="*"),
    "those that deny": listed(permission=DENY),
    "those of an operation": listed(operation=WRITE),
    "those of the operation all": listed(operation=ALL),
    "those of a stranger": listed(principal="User:nobody"),
    "a filter with an empty name": listed(""),
    "a filter of a kind that nobody knows": listed(kind=UNKNOWN),
    "a filter of a pattern that nobody knows": listed(pattern=UNKNOWN),
    "a filter of an operation that nobody knows": listed(operation=UNKNOWN),
    "a filter of a permission that nobody knows": listed(permission=UNKNOWN),
    "a filter of no kind": listed(kind=0),
    "removed for a kind that nobody knows": remove(wanted(kind=UNKNOWN)),
    "removed for an operation that nobody knows": remove(wanted("orders", operation=UNKNOWN)),
    "removed for no kind": remove(wanted(kind=0)),
    "removed where none is": remove(wanted("nope")),
    "removed": remove(wanted("twice", kind=TOPIC, pattern=LITERAL)),
    "removed once more": remove(wanted("twice", kind=TOPIC, pattern=LITERAL)),
    "removed by two filters at once": remove(wanted("old"), wanted("old", ALL)),
    "removed and refused": remove(wanted("good"), wanted(kind=UNKNOWN), wanted("nope")),
    "removed by match, in the oldest version": remove(wanted("orders", kind=TOPIC, pattern=MATCH), version=1),
    "what is left": listed(),
    "everything removed": remove(wanted()),
    "nothing left": listed(),
}  # fmt: skip

TOPICS: Final = ("orders", "orders.eu", "ord", "payments")
ME: Final = "User:ANONYMOUS"


def mine(name: str, operation: int, permission: int = ALLOW, **more: Any) -> dict[str, Any]:
    return acl(name, operation, permission, **{"principal": ME, **more})


DECISIONS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "no rule": (),
    "a rule for somebody else": (acl("orders"),),
    "reading implies describing": (mine("orders", READ),),
    "writing implies describing": (mine("orders", WRITE),),
    "deleting implies describing": (mine("orders", DELETE),),
    "altering implies describing": (mine("orders", ALTER),),
    "creating implies nothing": (mine("orders", CREATE), mine("orders", DESCRIBE)),
    "altering configs implies describing configs alone": (mine("orders", ALTER_CONFIGS), mine("orders", DESCRIBE)),
    "describing configs implies nothing": (mine("orders", DESCRIBE_CONFIGS), mine("orders", DESCRIBE)),
    "everything": (mine("orders", ALL),),
    "a prefix is for all that begin so": (mine("ord", READ, pattern=PREFIXED),),
    "a longer prefix is not for a shorter name": (mine("orders", READ, pattern=PREFIXED),),
    "two prefixes": (mine("ord", READ, pattern=PREFIXED), mine("orders.", WRITE, pattern=PREFIXED)),
    "a star is for all": (mine("*", READ),),
    "a star as a prefix is a character": (mine("*", READ, pattern=PREFIXED),),
    "everybody": (mine("orders", READ, principal="User:*"),),
    "another type of principal": (mine("orders", READ, principal="Group:ANONYMOUS"),),
    "this host": (mine("orders", READ, host="127.0.0.1"),),
    "another host": (mine("orders", READ, host="10.0.0.1"),),
    "a name of this host": (mine("orders", READ, host="localhost"),),
    "a denial wins": (mine("orders", ALL), mine("orders", WRITE, DENY)),
    "a denial of a prefix wins": (mine("orders", ALL), mine("ord", WRITE, DENY, pattern=PREFIXED)),
    "a denial of all topics wins": (mine("orders", ALL), mine("*", WRITE, DENY)),
    "a denial of reading leaves describing": (mine("*", WRITE), mine("orders", READ, DENY)),
    "a denial of describing beats what implies it": (mine("*", ALL), mine("orders", DESCRIBE, DENY)),
    "a denial alone allows nothing": (mine("orders", READ, DENY),),
    "a denial of everything": (mine("*", ALL), mine("orders", ALL, DENY)),
    "a denial for somebody else": (mine("orders", READ), acl("orders", READ, DENY)),
    "a denial for another host": (mine("orders", READ), mine("orders", READ, DENY, host="10.0.0.1")),
    "a rule for a group is none for a topic": (mine("orders", READ, DENY, kind=GROUP),),
    "a literal that begins the name": (mine("ord", READ, DENY), mine("orders", READ)),
}
"""What there is, one set after the other, and then asked what ANONYMOUS at 127.0.0.1 may do."""


def permitted() -> Step:
    return METADATA, 12, {
        "topics": [{"name": name, "topic_id": ZERO_ID} for name in TOPICS], "allow_auto_topic_creation": False,
        "include_cluster_authorized_operations": False, "include_topic_authorized_operations": True,
    }  # fmt: skip


def _recorded(settings: Mapping[str, str], steps: Mapping[str, Step]) -> dict[str, Any]:
    answers = {}
    with tempfile.TemporaryDirectory(prefix="acls-") as folder, prepare(Path(folder), None, settings) as node:
        for name, step in steps.items():
            answers |= ask(node.bootstrap_servers, {name: step})
            # A rule counts as soon as the broker has read the controller's record, which nothing tells.
            time.sleep(0.3)
    return answers


def _decided() -> dict[str, Any]:
    steps: dict[str, Step] = {"topics": create(*(topic(name) for name in TOPICS))}
    for name, acls in DECISIONS.items():
        steps |= {f"{name}+": add(*acls), name: permitted(), f"{name}-": remove(wanted())}
    answers = _recorded(EVERYBODY, steps)
    return {
        name: {each["name"]: each["topic_authorized_operations"] for each in answers[name]["topics"]}
        for name in DECISIONS
    }


if __name__ == "__main__":
    golden = {"administration": _recorded(SUPER_USER, ADMINISTRATION), "decisions": _decided()}
    for number, (part, answers) in enumerate(golden.items()):
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items())
        print(f"{',' if number else '{'}\n{json.dumps(part)}: {{\n{lines}\n}}")
    print("}")
