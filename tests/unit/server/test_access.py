"""What a handler learns from the `Access` of a request."""

import logging
from types import SimpleNamespace

import pytest

from moldau.config.settings import Given, Origin, load
from moldau.control.access.acl import Acl, Operation, PatternType, Permission, ResourceType
from moldau.control.access.authorizer import Authorizer, Client
from moldau.control.metadata.records import AccessControlEntryRecord
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import EVERYTHING, Access, AccessControl, access_of

ALICE = Client("User:alice", "127.0.0.1")


def record(name="orders", operation=Operation.READ, permission=Permission.ALLOW, kind=ResourceType.TOPIC):
    return AccessControlEntryRecord(
        ZERO_UUID, kind, name, PatternType.LITERAL, "User:alice", "*", operation, permission
    )


def settings(**given):
    overrides = [Given(name.replace("_", "."), value, Origin("flag")) for name, value in given.items()]
    return load(overrides=overrides)


def control(*records):
    made = AccessControl(Authorizer())
    made.take(records)
    return made


def test_without_an_authorizer_nobody_is_asked():
    assert AccessControl.of(settings()) is None
    assert not EVERYTHING.is_limited
    assert EVERYTHING.allows(Operation.DELETE, ResourceType.TOPIC, "orders")
    assert EVERYTHING.allows_somewhere(Operation.WRITE, ResourceType.TOPIC)
    assert EVERYTHING.operations(ResourceType.GROUP, "g") == 3400
    EVERYTHING.require_cluster(Operation.ALTER)


def test_the_settings_of_kafkas_authorizer_are_those_of_ours():
    made = AccessControl.of(
        settings(
            authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            super_users="User:alice; User:ops",
            allow_everyone_if_no_acl_found="true",
        )
    )
    assert made.authorizer.super_users == {"User:alice", "User:ops"}
    assert made.authorizer.open_without_acl


def test_what_the_node_asks_itself_is_always_allowed():
    limits = control()
    asked = SimpleNamespace(principal="User:alice", client_host="127.0.0.1")
    assert access_of(limits, asked).client == ALICE
    assert access_of(limits, SimpleNamespace(principal=None, client_host="127.0.0.1")) is EVERYTHING
    assert access_of(None, asked) is EVERYTHING


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ResourceType.TOPIC, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        (ResourceType.GROUP, ErrorCode.GROUP_AUTHORIZATION_FAILED),
        (ResourceType.CLUSTER, ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
        (ResourceType.TRANSACTIONAL_ID, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    ],
)
def test_a_refusal_has_the_error_of_its_kind(kind, code):
    with pytest.raises(ApiError) as refused:
        Access(control(), ALICE).require(Operation.READ, kind, "x")
    assert refused.value.code is code


def test_a_refusal_is_logged_once_until_a_rule_changes(caplog):
    limits = control()
    access = Access(limits, ALICE)
    with caplog.at_level(logging.INFO, "moldau.authorizer"):
        assert not access.allows(Operation.READ, ResourceType.TOPIC, "orders")
        assert not access.allows(Operation.READ, ResourceType.TOPIC, "orders")
        assert [each.getMessage() for each in caplog.records] == ["User:alice at 127.0.0.1 may not READ topic 'orders'"]
        limits.take([record("payments")])
        assert not access.allows(Operation.READ, ResourceType.TOPIC, "orders")
    assert len(caplog.records) == 2


def test_what_is_left_out_of_a_list_is_not_logged(caplog):
    with caplog.at_level(logging.INFO, "moldau.authorizer"):
        assert not Access(control(), ALICE).sees(Operation.DESCRIBE, ResourceType.TOPIC, "orders")
    assert caplog.records == []


def test_the_hot_requests_are_told_every_rule_and_a_new_number():
    limits = control(record(), record(operation=Operation.WRITE, permission=Permission.DENY))
    before = limits.rules()
    assert {(each.name, each.operation, each.allows) for each in before.rules} == {
        ("orders", Operation.READ, True),
        ("orders", Operation.WRITE, False),
    }
    limits.take([], [record()])
    assert limits.rules().generation > before.generation
    assert [each.operation for each in limits.rules().rules] == [Operation.WRITE]


def allow(name, operation=Operation.WRITE, permission=Permission.ALLOW, pattern=PatternType.LITERAL):
    return Acl(ResourceType.TOPIC, name, pattern, "User:alice", "*", operation, permission)


DENY = Permission.DENY
PREFIXED = PatternType.PREFIXED


@pytest.mark.parametrize(
    ("rules", "somewhere"),
    [
        ([], False),
        ([allow("orders")], True),
        ([allow("orders", Operation.ALL)], True),
        ([allow("orders", Operation.READ)], False),
        ([allow("*")], True),
        ([allow("orders"), allow("*", permission=DENY)], False),
        ([allow("orders"), allow("orders", permission=DENY)], False),
        ([allow("orders"), allow("or", permission=DENY, pattern=PREFIXED)], False),
        ([allow("or", pattern=PREFIXED), allow("ord", permission=DENY, pattern=PREFIXED)], True),
        ([allow("ord", pattern=PREFIXED), allow("or", permission=DENY, pattern=PREFIXED)], False),
        ([allow("orders"), allow("pay"), allow("orders", permission=DENY)], True),
    ],
)
def test_whoever_may_write_to_any_topic_may_write_somewhere(rules, somewhere):
    authorizer = Authorizer()
    for each in rules:
        authorizer.add(each)
    assert authorizer.allows_somewhere(ALICE, Operation.WRITE, ResourceType.TOPIC) is somewhere
