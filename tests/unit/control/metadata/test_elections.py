import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.brokers import FenceBroker
from moldau.control.metadata.elections import (
    AlterReassignments,
    ElectLeaders,
    Reassignment,
    ongoing_reassignments,
)
from moldau.control.metadata.records import PartitionChangeRecord
from moldau.control.metadata.topics import CreateTopics, NewTopic
from moldau.errors import ApiError, ErrorCode

T0 = ("t", 0)


def with_topic(*replicas, brokers=(1, 2, 3)):
    cluster = Cluster(*brokers)
    cluster.run(CreateTopics((NewTopic("t", assignments=((0, replicas),)),)))
    return cluster


def partition(cluster):
    return cluster.image.topics["t"].partitions[0]


def elect(cluster, election_type, *partitions):
    return {name: outcome.code for name, outcome in cluster.run(ElectLeaders(election_type, partitions or None))}


def reassign(cluster, replicas, **options):
    ((_, outcome),) = cluster.run(AlterReassignments((Reassignment(T0, replicas),), **options))
    return outcome.code


def test_on_one_node_no_election_is_ever_needed():
    cluster = with_topic(1, brokers=(1,))
    assert elect(cluster, 0, T0) == {T0: ErrorCode.ELECTION_NOT_NEEDED}
    assert elect(cluster, 1, T0) == {T0: ErrorCode.ELECTION_NOT_NEEDED}
    assert elect(cluster, 0) == {}


def test_the_preferred_replica_leads_again_when_it_is_in_sync():
    cluster = with_topic(1, 2)
    cluster.machine.apply(PartitionChangeRecord(0, cluster.image.topics["t"].id, leader=2))
    assert elect(cluster, 0) == {T0: ErrorCode.NONE}
    assert (partition(cluster).leader, partition(cluster).leader_epoch) == (1, 2)


def test_a_preferred_replica_that_is_out_of_sync_does_not_lead():
    cluster = with_topic(1, 2)
    cluster.machine.apply(PartitionChangeRecord(0, cluster.image.topics["t"].id, leader=2, isr=(2,)))
    assert elect(cluster, 0, T0) == {T0: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE}


def test_an_unclean_election_gives_a_leaderless_partition_a_leader_if_any_broker_is_alive():
    cluster = with_topic(2, brokers=(1, 2))
    cluster.run(FenceBroker(2, cluster.image.brokers[2].epoch))
    assert elect(cluster, 1, T0) == {T0: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE}


def test_what_cannot_be_elected_is_answered_one_by_one():
    cluster = with_topic(1)
    assert elect(cluster, 0, ("nope", 0), ("t", 9)) == {
        ("nope", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("t", 9): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    with pytest.raises(ApiError) as refusal:
        elect(cluster, 7, T0)
    assert refusal.value.code == ErrorCode.INVALID_REQUEST


def test_on_one_node_a_partition_can_only_be_assigned_to_where_it_is():
    cluster = with_topic(1, brokers=(1,))
    before = partition(cluster)
    assert reassign(cluster, (1,)) == ErrorCode.NONE
    assert partition(cluster) == before
    for replicas in ((2,), (1, 2), (1, 1), ()):
        assert reassign(cluster, replicas) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert reassign(cluster, None) == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS


def test_a_reassignment_adds_first_and_removes_when_the_new_replicas_are_in_sync():
    cluster = with_topic(1, 2)
    assert reassign(cluster, (3, 2)) == ErrorCode.NONE
    moving = partition(cluster)
    assert (moving.replicas, moving.adding_replicas, moving.removing_replicas) == ((3, 2, 1), (3,), (1,))
    assert moving.leader == 1
    assert ongoing_reassignments(cluster.machine.situation(), None) == {"t": {0: moving}}
    assert ongoing_reassignments(cluster.machine.situation(), {"t": (1,), "u": (0,)}) == {}


def test_a_reassignment_can_be_taken_back():
    cluster = with_topic(1, 2)
    reassign(cluster, (3, 2))
    assert reassign(cluster, None) == ErrorCode.NONE
    back = partition(cluster)
    assert (set(back.replicas), back.adding_replicas, back.removing_replicas) == ({1, 2}, (), ())


def test_a_new_order_of_the_same_replicas_is_done_at_once():
    cluster = with_topic(1, 2)
    assert reassign(cluster, (2, 1)) == ErrorCode.NONE
    assert (partition(cluster).replicas, partition(cluster).reassigning) == ((2, 1), False)


def test_the_replication_factor_changes_only_where_the_request_allows_it():
    cluster = with_topic(1, 2)
    refused = reassign(cluster, (1, 2, 3), allow_replication_factor_change=False)
    assert refused == ErrorCode.INVALID_REPLICATION_FACTOR
    assert reassign(cluster, (1, 2, 3)) == ErrorCode.NONE


def test_an_unknown_partition_is_not_reassigned():
    ((_, outcome),) = Cluster().run(AlterReassignments((Reassignment(("nope", 0), (1,)),)))
    assert outcome.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
