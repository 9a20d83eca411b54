"""kafka-acls against a broker with an authorizer, and against one without.

The rules it makes are the broker's own to honour (`tests/golden/metadata/test_kafka_acls.py` says which); this is about
the tool, which asks for more than one rule at a time and is particular about the answers.
"""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.versus.apache_kafka import java
from tests.broker_under_test import broker_under_test
from tests.conformance.conftest import JVM_OPTIONS, TOOL_TIMEOUT_S, Tool

ACLS = "org.apache.kafka.tools.AclCommand"
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


@pytest.fixture(scope="module")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP", "") not in ("", "apache-kafka"):
        pytest.skip("whether the broker under test has an authorizer is not known")
    with broker_under_test(tmp_path_factory.mktemp("authorized"), AUTHORIZER) as servers:
        yield servers


@pytest.fixture
def name() -> str:
    return f"acls-{uuid.uuid4().hex[:8]}"


def entries(printed: str, pattern: str) -> set[tuple[str, ...]]:
    """Principal, host, operation and permission of each rule that was printed for a pattern."""
    of_pattern = printed.partition(f"`{pattern}`:")[2].partition("ACLs for resource")[0]
    entry = r"\(principal=(\S+), host=(\S+), operation=(\w+), permissionType=(\w+)\)"
    return set(re.findall(entry, of_pattern))


def topic_pattern(name: str, kind: str = "LITERAL") -> str:
    return f"ResourcePattern(resourceType=TOPIC, name={name}, patternType={kind})"


def test_rules_are_added_listed_by_resource_and_by_principal_and_removed(tool: Tool, name: str):
    of_topic = ("--topic", name)
    added = tool(
        ACLS, "--add", *of_topic, "--allow-principal", "User:alice", "--deny-principal", "User:bob",
        "--deny-host", "198.51.100.3", "--operation", "Read", "--operation", "DescribeConfigs",
    )  # fmt: skip
    everything = {
        ("User:alice", "*", "READ", "ALLOW"),
        ("User:alice", "*", "DESCRIBE_CONFIGS", "ALLOW"),
        ("User:bob", "198.51.100.3", "READ", "DENY"),
        ("User:bob", "198.51.100.3", "DESCRIBE_CONFIGS", "DENY"),
    }
    # It says what it adds, and then what there is.
    assert "Adding ACLs for resource" in added
    listed = tool(ACLS, "--list", *of_topic)
    assert entries(listed, topic_pattern(name)) == everything, listed
    again = tool(ACLS, "--add", *of_topic, "--allow-principal", "User:alice", "--operation", "Read")
    assert entries(tool(ACLS, "--list", *of_topic), topic_pattern(name)) == everything, again
    of_alice = tool(ACLS, "--list", *of_topic, "--principal", "User:alice")
    assert entries(of_alice, topic_pattern(name)) == {each for each in everything if each[0] == "User:alice"}, of_alice
    tool(ACLS, "--remove", "--force", *of_topic, "--allow-principal", "User:alice", "--operation", "Read")
    left = tool(ACLS, "--list", *of_topic)
    assert entries(left, topic_pattern(name)) == everything - {("User:alice", "*", "READ", "ALLOW")}, left
    tool(ACLS, "--remove", "--force", *of_topic)
    assert "principal=" not in tool(ACLS, "--list", *of_topic)


def test_what_a_producer_and_a_consumer_need_is_added_in_one_go(tool: Tool, name: str):
    tool(
        ACLS, "--add", "--allow-principal", "User:alice", "--producer", "--idempotent",
        "--topic", name, "--transactional-id", name,
    )  # fmt: skip
    tool(ACLS, "--add", "--allow-principal", "User:bob", "--consumer", "--topic", name, "--group", name)
    listed = tool(ACLS, "--list")
    of_topic = entries(listed, topic_pattern(name))
    assert of_topic == {("User:alice", "*", each, "ALLOW") for each in ("WRITE", "CREATE", "DESCRIBE")} | {
        ("User:bob", "*", each, "ALLOW") for each in ("READ", "DESCRIBE")
    }, listed
    of_id = entries(listed, f"ResourcePattern(resourceType=TRANSACTIONAL_ID, name={name}, patternType=LITERAL)")
    assert of_id == {("User:alice", "*", "WRITE", "ALLOW"), ("User:alice", "*", "DESCRIBE", "ALLOW")}, listed
    of_cluster = entries(listed, "ResourcePattern(resourceType=CLUSTER, name=kafka-cluster, patternType=LITERAL)")
    assert ("User:alice", "*", "IDEMPOTENT_WRITE", "ALLOW") in of_cluster, listed
    of_group = entries(listed, f"ResourcePattern(resourceType=GROUP, name={name}, patternType=LITERAL)")
    assert of_group == {("User:bob", "*", "READ", "ALLOW")}, listed


def test_patterns_are_listed_by_what_they_match(tool: Tool, name: str):
    allowed = ("--allow-principal", "User:alice", "--operation", "Read")
    tool(ACLS, "--add", "--topic", name, "--resource-pattern-type", "prefixed", *allowed)
    tool(ACLS, "--add", "--topic", f"{name}-orders", *allowed)
    matching = tool(ACLS, "--list", "--topic", f"{name}-orders", "--resource-pattern-type", "match")
    assert entries(matching, topic_pattern(name, "PREFIXED")), matching
    assert entries(matching, topic_pattern(f"{name}-orders")), matching
    literal = tool(ACLS, "--list", "--topic", f"{name}-orders")
    assert "PREFIXED" not in literal
    tool(ACLS, "--remove", "--force", "--topic", f"{name}-orders", "--resource-pattern-type", "match")
    assert "principal=" not in tool(ACLS, "--list", "--topic", f"{name}-orders", "--resource-pattern-type", "match")


def test_a_broker_without_an_authorizer_says_so(tool: Tool, tmp_path: Path):
    with broker_under_test(tmp_path / "open") as servers:
        command = java(ACLS, "--list", "--bootstrap-server", servers, jvm_options=JVM_OPTIONS)
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
    assert done.returncode == 1
    assert "SecurityDisabledException: No Authorizer is configured" in done.stdout + done.stderr, done
