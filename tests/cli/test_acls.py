import pytest
from tests.cli.conftest import moldau

import moldau as package

AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


@pytest.fixture(scope="module")
def protected():
    with package.Broker(authorizer_class_name=AUTHORIZER, super_users="User:ANONYMOUS") as broker:
        yield broker.bootstrap_servers


def acl(servers, *arguments):
    ended = moldau("acl", *arguments, "-o", "json", servers=servers)
    assert ended.code == 0, ended.err
    return ended.json


def short(rules):
    return [(each["resource_name"], each["principal"], each["operation"], each["permission"]) for each in rules]


def test_rules_are_added_seen_and_removed(protected):
    whom = ("--topic", "orders", "--allow-principal", "User:alice", "--operation", "Read", "--operation", "describe")
    assert len(acl(protected, "add", *whom, "--allow-host", "10.0.0.1")) == 2
    assert acl(protected, "list", "--topic", "orders")[0] == {
        "resource_type": "topic",
        "resource_name": "orders",
        "pattern_type": "literal",
        "principal": "User:alice",
        "host": "10.0.0.1",
        "operation": "Read",
        "permission": "Allow",
    }
    assert acl(protected, "list", "--principal", "User:bob") == []
    assert len(acl(protected, "remove", "--topic", "orders", "--dry-run")) == 2
    assert len(acl(protected, "list")) == 2
    assert len(acl(protected, "remove", *whom[:-2], "--allow-host", "10.0.0.1")) == 1
    assert len(acl(protected, "remove", "--topic", "orders")) == 1
    assert acl(protected, "list") == []


def test_a_consumer_and_a_producer_get_what_they_need(protected):
    alice = ("--allow-principal", "User:alice")
    assert short(acl(protected, "add", "--consumer", "--topic", "in", "--group", "g", *alice)) == [
        ("in", "User:alice", "Read", "Allow"),
        ("in", "User:alice", "Describe", "Allow"),
        ("g", "User:alice", "Read", "Allow"),
    ]
    made = acl(protected, "add", "--producer", "--topic", "out", "--transactional-id", "t", "--idempotent", *alice)
    assert {(name, operation) for name, _, operation, _ in short(made)} == {
        ("out", "Write"),
        ("out", "Describe"),
        ("out", "Create"),
        ("t", "Write"),
        ("t", "Describe"),
        ("kafka-cluster", "IdempotentWrite"),
    }
    acl(protected, "remove", "--topic", "in", "--topic", "out", "--group", "g", "--transactional-id", "t", "--cluster")
    assert acl(protected, "list") == []


def test_a_prefix_is_found_by_a_name_that_it_matches(protected):
    acl(protected, "add", "--topic", "or", "--resource-pattern-type", "prefixed", "--deny-principal", "User:*")
    matching = acl(protected, "list", "--topic", "orders", "--resource-pattern-type", "match")
    assert short(matching) == [("or", "User:*", "All", "Deny")]
    assert acl(protected, "remove", "--topic", "or") == []
    assert len(acl(protected, "remove", "--topic", "or", "--resource-pattern-type", "prefixed")) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "--topic", "orders"), "nobody is named"),
        (("add", "--allow-principal", "User:alice"), "no resource is named"),
        (("add", "--topic", "orders", "--allow-principal", "alice"), "User:alice"),
        (("add", "--topic", "orders", "--allow-principal", "User:a", "--operation", "reed"), "DescribeConfigs"),
        (("add", "--topic", "orders", "--allow-principal", "User:a", "--deny-host", "10.0.0.1"), "nobody who comes"),
        (("add", "--topic", "o", "--allow-principal", "User:a", "--resource-pattern-type", "match"), "no rule has"),
        (("add", "--consumer", "--topic", "orders", "--allow-principal", "User:a"), "needs a group"),
        (("add", "--producer", "--group", "g", "--allow-principal", "User:a"), "needs a topic"),
        (("remove",), "no resource is named"),
        (("remove", "--topic", "orders", "--idempotent"), "nobody is named"),
    ],
)
def test_what_is_missing_is_said(protected, arguments, said):
    ended = moldau("acl", *arguments, servers=protected)
    assert ended.code == 2
    assert said in ended.err


def test_a_cluster_without_an_authorizer_says_so(servers):
    ended = moldau("acl", "list", servers=servers)
    assert ended.code == 1
    assert "SECURITY_DISABLED" in ended.err
