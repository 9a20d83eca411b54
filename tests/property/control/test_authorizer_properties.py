"""The authorizer's tables against the rules told one by one."""

from hypothesis import given
from hypothesis import strategies as st

from moldau.control.access.acl import Acl, Operation, PatternType, Permission, ResourceType
from moldau.control.access.authorizer import INCLUDED_IN, Authorizer, Client, Resource

names = st.text("ab*", min_size=1, max_size=4)
principals = st.sampled_from(["User:a", "User:b", "User:*"])
hosts = st.sampled_from(["*", "10.0.0.1", "10.0.0.2"])
kinds = st.sampled_from([ResourceType.TOPIC, ResourceType.GROUP])
operations = st.sampled_from([each for each in Operation if each != Operation.ALL])
acls = st.builds(
    Acl,
    kinds,
    names,
    st.sampled_from([PatternType.LITERAL, PatternType.PREFIXED]),
    principals,
    hosts,
    st.sampled_from(Operation),
    st.sampled_from(Permission),
)
changes = st.lists(st.tuples(st.booleans(), acls), max_size=30)
clients = st.builds(Client, st.sampled_from(["User:a", "User:b"]), st.sampled_from(["10.0.0.1", "10.0.0.2"]))
questions = st.tuples(clients, operations, st.builds(Resource, kinds, names))


def told_one_by_one(rules, open_without_acl, client, operation, resource):
    def is_for(rule):
        if rule.resource_type != resource.type:
            return False
        if rule.pattern_type == PatternType.PREFIXED:
            return resource.name.startswith(rule.resource_name)
        return rule.resource_name in ("*", resource.name)

    there = [rule for rule in rules if is_for(rule)]
    mine = [
        rule for rule in there if rule.principal in ("User:*", client.principal) and rule.host in ("*", client.host)
    ]
    denied = {rule.operation for rule in mine if rule.permission == Permission.DENY}
    allowed = {rule.operation for rule in mine if rule.permission == Permission.ALLOW}
    if denied & {Operation.ALL, operation}:
        return False
    if allowed & {Operation.ALL, operation, *INCLUDED_IN.get(operation, ())}:
        return True
    return open_without_acl and not there


@given(changes, st.booleans(), st.lists(questions, min_size=1, max_size=5))
def test_after_any_changes_the_tables_say_what_the_rules_say(changes, open_without_acl, questions):
    authorizer, rules = Authorizer(open_without_acl=open_without_acl), set()
    for adds, acl in changes:
        # Asked between the changes, so that a remembered answer can go stale.
        for question in questions:
            authorizer.allows(*question)
        (authorizer.add if adds else authorizer.remove)(acl)
        (rules.add if adds else rules.discard)(acl)
    for question in questions:
        assert authorizer.allows(*question) == told_one_by_one(rules, open_without_acl, *question)
