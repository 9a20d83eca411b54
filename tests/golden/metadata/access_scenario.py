"""Quotas, credentials, access control, tokens, voters, groups that a cluster does not use, and corners, as bare frames.

`kafka-4.3.1-access.json` holds the answers of a fresh Apache Kafka 4.3.1 node without an authorizer, made by
`python -m tests.golden.metadata.access_scenario HOST:PORT`. What is compared is told in `admin_scenario`.

The scenario begins by taking `share.version` and `streams.version` down to 0: such a Kafka refuses what we refuse.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

from tests.golden.metadata.admin_scenario import UNKNOWN_ID, ZERO_ID, feature, printed

Step = tuple[int, int, dict[str, Any]]

SASL_HANDSHAKE, DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS, SASL_AUTHENTICATE = 17, 29, 30, 31, 36
CREATE_TOKEN, RENEW_TOKEN, EXPIRE_TOKEN, DESCRIBE_TOKENS = 38, 39, 40, 41
DESCRIBE_QUOTAS, ALTER_QUOTAS, DESCRIBE_SCRAM, ALTER_SCRAM = 48, 49, 50, 51
ADD_VOTER, REMOVE_VOTER = 80, 81
METADATA, QUORUM, FEATURES = 3, 55, 57
DIRECTORY_ID = uuid.UUID(int=0xD1)
EXACT, DEFAULT, ANY = 0, 1, 2
SHA_256, SHA_512 = 1, 2
USER, CLIENT, IP = "user", "client-id", "ip"
PRODUCE, FETCH, REQUEST, MUTATION, CONNECTIONS = (
    "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate",
    "connection_creation_rate",
)  # fmt: skip


def entry(entity: dict[str, str | None], *ops: tuple[str, float | None]) -> dict[str, Any]:
    return {
        "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity.items()],
        "ops": [{"key": key, "value": value or 0.0, "remove": value is None} for key, value in ops],
    }


def alter(*entries: dict[str, Any], validate_only: bool = False, version: int = 1) -> Step:
    return ALTER_QUOTAS, version, {"entries": entries, "validate_only": validate_only}


def quota(entity: dict[str, str | None], *ops: tuple[str, float | None]) -> Step:
    return alter(entry(entity, *ops))


def quotas(*components: tuple[str, int, str | None], strict: bool = False, version: int = 1) -> Step:
    filters = [{"entity_type": kind, "match_type": match, "match": name} for kind, match, name in components]
    return DESCRIBE_QUOTAS, version, {"components": filters, "strict": strict}


def upsert(name: str, mechanism: int = SHA_256, iterations: int = 4096) -> dict[str, Any]:
    return {
        "name": name, "mechanism": mechanism, "iterations": iterations,
        "salt": b"salt", "salted_password": b"p" * (32 if mechanism == SHA_256 else 64),
    }  # fmt: skip


def scram(upserts: Any = (), deletes: Any = ()) -> Step:
    deletions = [{"name": name, "mechanism": mechanism} for name, mechanism in deletes]
    return ALTER_SCRAM, 0, {"deletions": deletions, "upsertions": upserts}


def users(*names: str) -> Step:
    return DESCRIBE_SCRAM, 0, {"users": [{"name": name} for name in names] or None}


def acl(version: int = 3) -> Step:
    creation = {
        "resource_type": 2, "resource_name": "orders", "resource_pattern_type": 3, "principal": "User:alice",
        "host": "*", "operation": 3, "permission_type": 3,
    }  # fmt: skip
    return CREATE_ACLS, version, {"creations": [creation, creation]}


def unacl(*names: str | None) -> Step:
    filters = [
        {
            "resource_type_filter": 2, "resource_name_filter": name, "pattern_type_filter": 3,
            "principal_filter": None, "host_filter": None, "operation": 1, "permission_type": 1,
        }
        for name in names
    ]  # fmt: skip
    return DELETE_ACLS, 3, {"filters": filters}


def acls() -> Step:
    return DESCRIBE_ACLS, 3, {
        "resource_type_filter": 1, "resource_name_filter": None, "pattern_type_filter": 1, "principal_filter": None,
        "host_filter": None, "operation": 1, "permission_type": 1,
    }  # fmt: skip


def voter(
    cluster_id: str | None = None, node: int = 7, directory: uuid.UUID = DIRECTORY_ID, listeners: int = 1, port: int = 9
) -> Step:
    places = [{"name": f"CONTROLLER{number or ''}", "host": "127.0.0.1", "port": port} for number in range(listeners)]
    return ADD_VOTER, 0, {
        "cluster_id": cluster_id, "voter_id": node, "voter_directory_id": directory, "listeners": places,
    }  # fmt: skip


def unvoter(cluster_id: str | None = None, node: int = 7, directory: uuid.UUID = DIRECTORY_ID) -> Step:
    return REMOVE_VOTER, 0, {"cluster_id": cluster_id, "voter_id": node, "voter_directory_id": directory}


def partitions(**more: Any) -> dict[str, Any]:
    return {"group_id": "g", "topics": [{"topic_id": UNKNOWN_ID, "partitions": [{"partition": 0, **more}]}]}


QUOTAS: dict[str, Step] = {
    "no quotas yet": quotas(),
    "a quota for a user": quota({USER: "alice"}, (PRODUCE, 1000.0), (FETCH, 2000.0)),
    "a quota for a client": quota({CLIENT: "app"}, (REQUEST, 12.5)),
    "a quota for both": quota({USER: "alice", CLIENT: "app"}, (MUTATION, 0.5)),
    "a quota for every user": quota({USER: None}, (PRODUCE, 5000.0)),
    "a quota for every client": quota({CLIENT: None}, (PRODUCE, 5000.0)),
    "a quota for every client of a user": quota({USER: "bob", CLIENT: None}, (PRODUCE, 5000.0)),
    "a quota for an address": quota({IP: "127.0.0.1"}, (CONNECTIONS, 100.0)),
    "a quota for every address": quota({IP: None}, (CONNECTIONS, 1000.0)),
    "a quota for a name that has no address": quota({IP: "no.such.host.invalid"}, (CONNECTIONS, 100.0)),
    "a quota for what is no address": quota({IP: "1.2.3.4.5"}, (CONNECTIONS, 100.0)),
    "an address and a user": quota({IP: "127.0.0.1", USER: "alice"}, (CONNECTIONS, 100.0)),
    "a rate of bytes for an address": quota({IP: "127.0.0.1"}, (PRODUCE, 100.0)),
    "a rate of connections for a user": quota({USER: "alice"}, (CONNECTIONS, 100.0)),
    "a quota for nobody": quota({}, (PRODUCE, 100.0)),
    "a quota for a user without a name": quota({USER: ""}, (PRODUCE, 100.0)),
    "a quota for a group": quota({"group": "g"}, (PRODUCE, 100.0)),
    "a quota for a user twice": alter(
        {
            "entity": [{"entity_type": USER, "entity_name": name} for name in ("alice", "bob")],
            "ops": [{"key": PRODUCE, "value": 1.0, "remove": False}],
        }
    ),
    "an unknown quota": quota({USER: "alice"}, ("nope", 100.0)),
    "a quota of zero": alter(
        {
            "entity": [{"entity_type": USER, "entity_name": "alice"}],
            "ops": [{"key": PRODUCE, "value": 0.0, "remove": False}],
        }
    ),
    "a negative quota": quota({USER: "alice"}, (PRODUCE, -5.0)),
    "half a byte": quota({USER: "alice"}, (PRODUCE, 0.5)),
    "too many bytes": quota({USER: "alice"}, (PRODUCE, 1e19)),
    "too many connections": quota({IP: "127.0.0.1"}, (CONNECTIONS, 3e9)),
    "half a connection": quota({IP: "127.0.0.1"}, (CONNECTIONS, 1.5)),
    "no number at all": quota({USER: "alice"}, (REQUEST, float("nan"))),
    "no end": quota({USER: "carol"}, (REQUEST, float("inf"))),
    "nearly whole": quota({USER: "alice"}, (PRODUCE, 1000.0000001)),
    "one key twice": quota({USER: "alice"}, (PRODUCE, 1.0), (PRODUCE, 2.0)),
    "one key twice, the second removed": quota({USER: "alice"}, (PRODUCE, 1.0), (PRODUCE, None)),
    "a good one and a bad one": alter(entry({USER: "erin"}, (PRODUCE, 7.0)), entry({USER: "frank"}, ("nope", 1.0))),
    "a user with a good key and a bad key": quota({USER: "gina"}, (PRODUCE, 7.0), ("nope", 1.0)),
    "removing what is not there": quota({USER: "zoe"}, (PRODUCE, None)),
    "removing an unknown key": quota({USER: "zoe"}, ("nope", None)),
    "removing one of two": quota({USER: "alice"}, (FETCH, None)),
    "the same again": quota({CLIENT: "app"}, (REQUEST, 12.5)),
    "only to see": alter(entry({USER: "henry"}, (PRODUCE, 9.0)), validate_only=True),
    "nothing at all": alter(),
    "a user without a change": alter(entry({USER: "ida"})),
    "in the old version": alter(entry({USER: "jack"}, (PRODUCE, 3.0)), version=0),
    "all quotas": quotas(),
    "all quotas, strictly": quotas(strict=True),
    "all quotas in the old version": quotas(version=0),
    "those of a user": quotas((USER, EXACT, "alice")),
    "those of a user, strictly": quotas((USER, EXACT, "alice"), strict=True),
    "those of every user": quotas((USER, DEFAULT, None)),
    "those of any user": quotas((USER, ANY, None)),
    "those of any user, strictly": quotas((USER, ANY, None), strict=True),
    "those of any client of a user": quotas((USER, EXACT, "alice"), (CLIENT, ANY, None)),
    "those of every client of a user": quotas((USER, EXACT, "bob"), (CLIENT, DEFAULT, None), strict=True),
    "those of any address": quotas((IP, ANY, None)),
    "those of an address and a user": quotas((IP, ANY, None), (USER, ANY, None)),
    "those of a group": quotas(("group", EXACT, "g")),
    "those of no type": quotas(("", EXACT, "g")),
    "those of one type twice": quotas((USER, EXACT, "alice"), (USER, EXACT, "bob")),
    "exactly nothing": quotas((USER, EXACT, None)),
    "a default with a name": quotas((USER, DEFAULT, "alice")),
    "anything with a name": quotas((USER, ANY, "alice")),
    "an unknown way to match": quotas((USER, 9, "alice")),
    "those of a stranger": quotas((USER, EXACT, "nobody")),
    "one user twice": alter(entry({USER: "dave"}, (PRODUCE, 1.0)), entry({USER: "dave"}, (FETCH, 2.0))),
}

CREDENTIALS: dict[str, Step] = {
    "no credentials yet": users(),
    "credentials of a stranger": users("nobody"),
    "a credential": scram([upsert("alice")]),
    "a second mechanism": scram([upsert("alice", SHA_512, 8192)]),
    "a credential changed": scram([upsert("alice", SHA_256, 5000)]),
    "too few rounds": scram([upsert("bob", SHA_256, 4095)]),
    "too many rounds": scram([upsert("bob", SHA_256, 16385)]),
    "an unknown mechanism": scram([upsert("bob", 9)]),
    "a credential of nobody": scram([upsert("")]),
    "one user twice in a request": scram([upsert("bob"), upsert("bob", SHA_512)]),
    "in one go set and removed": scram([upsert("alice")], [("alice", SHA_256)]),
    "some good, some bad": scram([upsert("carol"), upsert("", 1), upsert("dave", 9)]),
    "all credentials": users(),
    "credentials of some": users("alice", "nobody"),
    "credentials of one twice": users("alice", "alice"),
    "a credential removed": scram((), [("alice", SHA_512)]),
    "removed again": scram((), [("alice", SHA_512)]),
    "removed for nobody": scram((), [("", SHA_256)]),
    "removed in an unknown way": scram((), [("alice", 0)]),
    "removed twice in a request": scram((), [("alice", SHA_256), ("alice", SHA_256)]),
    "no change of credentials": scram(),
    "what is left of them": users(),
}

ACCESS: dict[str, Step] = {
    "list acls": acls(),
    "add acls": acl(),
    "add acls in the oldest version": acl(1),
    "remove acls": unacl("orders", None),
    "remove no acls": unacl(),
    "a handshake without sasl": (SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"}),
    "a handshake of old": (SASL_HANDSHAKE, 0, {"mechanism": "SCRAM-SHA-256"}),
    "authentication without sasl": (SASL_AUTHENTICATE, 2, {"auth_bytes": b"\0alice\0secret"}),
    "authentication of old": (SASL_AUTHENTICATE, 0, {"auth_bytes": b""}),
    "tokens of all": (DESCRIBE_TOKENS, 3, {"owners": None}),
    "tokens of nobody": (DESCRIBE_TOKENS, 1, {"owners": []}),
}
"""Renewed and expired tokens are told with a time of -1, which kio cannot read: tests/unit has those."""

VOTERS: dict[str, Step] = {
    "a voter for another cluster": voter("nope"),
    "a voter without an address": voter(listeners=0),
    "a voter that is one": voter(node=1),
    "a voter that cannot be reached": voter(),
    "a voter without a number": voter(node=-1),
    "a voter without a directory": voter(directory=ZERO_ID),
    "no voter of another cluster": unvoter("nope"),
    "no voter any more": unvoter(),
    "not the only voter any more": unvoter(node=1),
    "no voter without a number": unvoter(node=-1),
}

UNUSED_GROUPS: dict[str, Step] = {
    "no share groups": feature("share.version", 0, kind=2),
    "no streams groups": feature("streams.version", 0, kind=2),
    "a share member": (76, 1, {
        "group_id": "g", "member_id": "m", "member_epoch": 0, "rack_id": None, "subscribed_topic_names": ["orders"],
    }),
    "share groups": (77, 1, {"group_ids": ["g", "h"], "include_authorized_operations": True}),
    "no share groups at all": (77, 1, {"group_ids": []}),
    "a share fetch": (78, 2, {
        "group_id": "g", "member_id": "m", "share_session_epoch": 0, "min_bytes": 1,
        "max_records": 10, "batch_size": 10, "topics": [], "forgotten_topics_data": [],
    }),
    "a share fetch of old": (78, 1, {
        "group_id": "g", "member_id": "m", "share_session_epoch": 0, "min_bytes": 1, "max_records": 10,
        "batch_size": 10,
    }),
    "a share acknowledgement": (79, 2, {"group_id": "g", "member_id": "m", "share_session_epoch": 1}),
    "share state made": (83, 0, partitions(state_epoch=0, start_offset=0)),
    "share state read": (84, 0, partitions(leader_epoch=0)),
    "share state written": (85, 1, partitions(
        state_epoch=0, leader_epoch=0, start_offset=0, delivery_complete_count=0,
    )),
    "share state gone": (86, 0, partitions()),
    "share state in short": (87, 1, partitions(leader_epoch=0)),
    "share state of no topics": (84, 0, {"group_id": "g", "topics": []}),
    "share state of no group": (83, 0, {**partitions(state_epoch=0, start_offset=0), "group_id": ""}),
    "a streams member": (88, 0, {
        "group_id": "g", "member_id": "m", "member_epoch": 0, "endpoint_information_epoch": 0, "active_tasks": None,
        "standby_tasks": None, "warmup_tasks": None, "client_tags": None, "task_offsets": None,
        "task_end_offsets": None,
    }),
    "streams groups": (89, 0, {"group_ids": ["g", "h"], "include_authorized_operations": False}),
    "share offsets": (90, 1, {"groups": [{"group_id": "g", "topics": None}, {"group_id": "h", "topics": []}]}),
    "share offsets set": (91, 0, {
        "group_id": "g",
        "topics": [{"topic_name": "orders", "partitions": [{"partition_index": 0, "start_offset": 0}]}],
    }),
    "share offsets taken back": (92, 0, {"group_id": "g", "topics": [{"topic_name": "orders"}]}),
    "a coordinator of share groups": (10, 6, {"key_type": 2, "coordinator_keys": [f"g:{UNKNOWN_ID}:0", "g"]}),
    "a coordinator of nothing": (10, 4, {"key_type": 9, "coordinator_keys": ["g"]}),
}  # fmt: skip


def named(*names: str | None, topic_id: uuid.UUID = ZERO_ID, version: int = 12, **flags: bool) -> Step:
    topics = [{"name": name, "topic_id": topic_id} for name in names]
    flags = {"include_topic_authorized_operations": False, "include_cluster_authorized_operations": False, **flags}
    return METADATA, version, {"topics": topics, "allow_auto_topic_creation": False, **flags}


def quorum_of(*indexes: int, topic: str = "__cluster_metadata") -> Step:
    partitions_asked = [{"partition_index": index} for index in indexes]
    return QUORUM, 0, {"topics": [{"topic_name": topic, "partitions": partitions_asked}]}


def features(*updates: tuple[str, int], version: int = 1) -> Step:
    asked = [{"feature": name, "max_version_level": level, "upgrade_type": 1} for name, level in updates]
    return FEATURES, version, {"feature_updates": asked, "validate_only": False}


CORNERS: dict[str, Step] = {
    "topics that are not there": named("nope", "not/legal", "", version=9),
    "a topic of an unknown id": named(None, topic_id=UNKNOWN_ID),
    "a topic of an unknown id, in the newest version": named(None, topic_id=UNKNOWN_ID, version=13),
    "a topic by name and by id": named("nope", topic_id=UNKNOWN_ID),
    "a topic without a name in an old version": named(None, version=10),
    "no topics": named(),
    "no topics, in the oldest version": named(version=1),
    "a quorum that is not there": quorum_of(1),
    "one quorum that is there and one that is not": quorum_of(0, 1),
    "no quorum": (QUORUM, 0, {"topics": []}),
    "no features": features(),
    "a feature twice": features(("group.version", 1), ("group.version", 0)),
    "a feature too high, in the newest version": features(("group.version", 9), version=2),
    "an election of nobody": (43, 2, {"election_type": 0, "topic_partitions": []}),
    "no reassignment": (45, 0, {"topics": []}),
    "reassignments of a stranger": (46, 0, {"topics": [{"name": "nope", "partition_indexes": [0]}]}),
    "a broker with a number below zero": (64, 0, {"broker_id": -1}),
    "the cluster, in the oldest version": (60, 0, {"include_cluster_authorized_operations": False}),
    "groups in no state": (16, 5, {"states_filter": ["Nope"], "types_filter": ["classic"]}),
    "groups of no type": (16, 5, {"states_filter": [], "types_filter": ["nope"]}),
}

STEPS: dict[str, Step] = {**QUOTAS, **CREDENTIALS, **ACCESS, **VOTERS, **UNUSED_GROUPS, **CORNERS}

if __name__ == "__main__":
    print(printed(sys.argv[1], STEPS))
