"""`moldau cluster`: who the cluster is, who decides in it, and what it has agreed on."""

from __future__ import annotations

from typing import Any

from moldau.cli.channel import require_no_error
from moldau.cli.connection import Connection
from moldau.cli.output import Output
from moldau.client.protocol.questions import DESCRIBE_QUORUM

METADATA_TOPIC = "__cluster_metadata"


def describe_cluster(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Show the cluster: its id, its controller, its brokers."""
    admin = connection.admin()
    description = connection.answer(admin.describe_cluster(request_timeout=connection.timeout_s))
    controller = description.controller.id if description.controller is not None else None
    brokers = [
        {
            "broker": node.id,
            "host": node.host,
            "port": node.port,
            "rack": node.rack or None,
            "controller": node.id == controller,
        }
        for node in sorted(description.nodes, key=lambda node: int(node.id))
    ]
    record = {"cluster_id": description.cluster_id, "controller": controller, "brokers": brokers}
    if not output.for_eyes:
        output.record(record, ())
        return
    output.record(record, ("cluster_id", "controller"))
    print()
    output.records(brokers, ("broker", "host", "port", "rack", "controller"))


def describe_quorum(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Show the quorum that keeps the metadata: its leader, its voters, and how far behind each is."""
    with connection.channel() as channel:
        answer = channel.ask(DESCRIBE_QUORUM, ask_for_metadata)
    require_no_error(answer)
    partition = answer.topics[0].partitions[0]
    require_no_error(partition)
    end = max((int(state.log_end_offset) for state in partition.current_voters), default=-1)
    members = [
        _member(state, role, end)
        for role, states in (("voter", partition.current_voters), ("observer", partition.observers))
        for state in states
    ]
    for member in members:
        member["role"] = "leader" if member["node"] == int(partition.leader_id) else member["role"]
    record = {
        "leader": int(partition.leader_id),
        "leader_epoch": int(partition.leader_epoch),
        "high_watermark": int(partition.high_watermark),
        "members": members,
    }
    if not output.for_eyes:
        output.record(record, ())
        return
    output.record(record, ("leader", "leader_epoch", "high_watermark"))
    print()
    output.records(members, ("node", "role", "end_offset", "lag", "last_fetch_ms", "last_caught_up_ms"))


def ask_for_metadata(_version: int) -> dict[str, Any]:
    """A DescribeQuorum request about the metadata partition."""
    return {"topics": [{"topic_name": METADATA_TOPIC, "partitions": [{"partition_index": 0}]}]}


def _member(state: Any, role: str, end: int) -> dict[str, Any]:
    def known(name: str) -> int | None:
        value = int(getattr(state, name, -1))
        return value if value >= 0 else None

    offset = int(state.log_end_offset)
    return {
        "node": int(state.replica_id),
        "role": role,
        "end_offset": offset,
        "lag": max(end - offset, 0) if offset >= 0 else None,
        "last_fetch_ms": known("last_fetch_timestamp"),
        "last_caught_up_ms": known("last_caught_up_timestamp"),
    }


def list_features(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the features of the cluster: the level agreed on, and those that the broker asked could work with."""
    with connection.channel() as channel:
        answer = channel.served
    finalized = {feature.name: int(feature.max_version_level) for feature in answer.finalized_features}
    supported = {
        feature.name: (int(feature.min_version), int(feature.max_version)) for feature in answer.supported_features
    }
    records = [
        {
            "feature": name,
            "level": finalized.get(name),
            "lowest": supported.get(name, (None, None))[0],
            "highest": supported.get(name, (None, None))[1],
        }
        for name in sorted(finalized.keys() | supported.keys())
    ]
    output.records(records, ("feature", "level", "lowest", "highest"))
