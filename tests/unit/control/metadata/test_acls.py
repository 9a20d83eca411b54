import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.access.acl import Acl, AclFilter, Operation, PatternType, Permission, ResourceType
from moldau.control.metadata.acls import CreateAcls, DeleteAcls, describe_acls
from moldau.control.metadata.situation import RECORDS_PER_REQUEST_MAX
from moldau.errors import ApiError, ErrorCode


def rule(name="orders", operation=Operation.READ, kind=ResourceType.TOPIC, pattern=PatternType.LITERAL):
    return Acl(kind, name, pattern, "User:alice", "*", operation, Permission.ALLOW)


@pytest.fixture
def cluster():
    return Cluster()


def kept(cluster):
    return describe_acls(cluster.machine.situation(), AclFilter())


def test_rules_survive_a_restart(cluster):
    cluster.run(CreateAcls((rule(), rule("pay", pattern=PatternType.PREFIXED), rule("g", kind=ResourceType.GROUP))))
    cluster.run(DeleteAcls((AclFilter(resource_type=ResourceType.GROUP),)))
    other = Cluster.__new__(Cluster)
    other.machine = cluster.reopened()
    assert kept(other) == kept(cluster) == [rule(), rule("pay", pattern=PatternType.PREFIXED)]


def test_a_rule_that_is_there_is_not_written_again(cluster):
    cluster.run(CreateAcls((rule(),)))
    decision = cluster.decide(CreateAcls((rule(), rule("other"), rule("other"))))
    assert [outcome.code for outcome in decision.response] == [ErrorCode.NONE] * 3
    assert [record.resource_name for record in decision.records] == ["other"]


def test_a_rule_that_two_filters_mean_is_told_twice_and_removed_once(cluster):
    cluster.run(CreateAcls((rule(),)))
    decision = cluster.decide(DeleteAcls((AclFilter(), AclFilter(principal="User:alice"))))
    assert [answer.acls for answer in decision.response] == [(rule(),), (rule(),)]
    assert len(decision.records) == 1


def test_a_bad_filter_does_not_keep_a_good_one_from_its_work(cluster):
    cluster.run(CreateAcls((rule(),)))
    bad, good = cluster.run(DeleteAcls((AclFilter(resource_type=99), AclFilter())))
    assert (bad.outcome.code, bad.acls) == (ErrorCode.INVALID_REQUEST, ())
    assert "resource type 99" in bad.outcome.message
    assert good.acls == (rule(),)
    assert kept(cluster) == []


def test_a_request_that_would_fill_the_log_is_refused(cluster):
    with pytest.raises(ApiError) as refusal:
        cluster.decide(CreateAcls((rule(),) * (RECORDS_PER_REQUEST_MAX + 1)))
    assert refusal.value.code is ErrorCode.POLICY_VIOLATION
