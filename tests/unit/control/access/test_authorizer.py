import pytest

from moldau.control.access import authorizer as module
from moldau.control.access.acl import Acl, AclFilter, Operation, PatternType, Permission, ResourceType
from moldau.control.access.authorizer import Authorizer, Client, Resource

ALICE = Client("User:alice", "127.0.0.1")
ORDERS = Resource(ResourceType.TOPIC, "orders")


def rule(
    name="orders",
    operation=Operation.READ,
    permission=Permission.ALLOW,
    pattern=PatternType.LITERAL,
    principal="User:alice",
):
    return Acl(ResourceType.TOPIC, name, pattern, principal, "*", operation, permission)


@pytest.fixture
def authorizer():
    return Authorizer()


def test_nothing_is_allowed_without_a_rule_unless_the_settings_say_so(authorizer):
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)
    assert Authorizer(open_without_acl=True).allows(ALICE, Operation.READ, ORDERS)


def test_a_rule_for_somebody_else_closes_an_open_resource():
    authorizer = Authorizer(open_without_acl=True)
    authorizer.add(rule(principal="User:bob"))
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)


def test_nothing_is_denied_to_a_super_user():
    authorizer = Authorizer(["User:alice"])
    authorizer.add(rule(permission=Permission.DENY))
    assert authorizer.allows(ALICE, Operation.READ, ORDERS)
    assert not authorizer.allows(Client("User:Alice", "127.0.0.1"), Operation.READ, ORDERS)


def test_an_answer_is_not_remembered_beyond_a_change(authorizer):
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)
    authorizer.add(rule())
    assert authorizer.allows(ALICE, Operation.READ, ORDERS)
    authorizer.remove(rule())
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)


def test_one_of_two_rules_with_the_same_prefix_can_go(authorizer):
    read, write = (
        rule("ord", operation, pattern=PatternType.PREFIXED) for operation in (Operation.READ, Operation.WRITE)
    )
    authorizer.add(read)
    authorizer.add(write)
    authorizer.remove(read)
    assert authorizer.allows(ALICE, Operation.WRITE, ORDERS)
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)
    authorizer.remove(write)
    assert not authorizer.allows(ALICE, Operation.WRITE, ORDERS)


def test_of_two_prefixes_of_one_length_each_counts_until_it_goes(authorizer):
    for name in ("ord", "pay"):
        authorizer.add(rule(name, pattern=PatternType.PREFIXED))
    authorizer.remove(rule("pay", pattern=PatternType.PREFIXED))
    assert authorizer.allows(ALICE, Operation.READ, ORDERS)
    assert not authorizer.allows(ALICE, Operation.READ, Resource(ResourceType.TOPIC, "payments"))


def test_a_rule_added_or_removed_twice_is_as_one(authorizer):
    authorizer.add(rule("ord", pattern=PatternType.PREFIXED))
    authorizer.add(rule("ord", pattern=PatternType.PREFIXED))
    authorizer.remove(rule("ord", pattern=PatternType.PREFIXED))
    authorizer.remove(rule("ord", pattern=PatternType.PREFIXED))
    assert not authorizer.allows(ALICE, Operation.READ, ORDERS)


def test_no_more_answers_are_remembered_than_there_is_room_for(authorizer, monkeypatch):
    monkeypatch.setattr(module, "ANSWERS_MAX", 10)
    authorizer.add(rule("*"))
    for number in range(100):
        assert authorizer.allows(ALICE, Operation.READ, Resource(ResourceType.TOPIC, f"t{number}"))
    assert len(authorizer._answers) <= 10


def test_a_prefix_that_is_longer_than_the_name_is_not_meant_by_a_match():
    longer = rule("orders.eu", pattern=PatternType.PREFIXED)
    asked = AclFilter(resource_name="orders", pattern_type=PatternType.MATCH)
    assert not asked.matches(longer)
    assert asked.matches(rule("ord", pattern=PatternType.PREFIXED))
    assert asked.matches(rule("*"))
    assert not asked.matches(rule("*", pattern=PatternType.PREFIXED))
