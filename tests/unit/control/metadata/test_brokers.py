from uuid import UUID

import pytest
from tests.unit.control.metadata.cluster_of_one import CLUSTER, Cluster

from moldau.control.metadata.brokers import (
    AssignDirectories,
    BeginControlledShutdown,
    FailDirectories,
    FenceBroker,
    RegisterBroker,
    UnfenceBroker,
    UnregisterBroker,
)
from moldau.control.metadata.image import RECOVERED, RECOVERING
from moldau.control.metadata.records import Endpoint, SupportedFeature
from moldau.control.metadata.topics import CreateTopics, NewTopic
from moldau.errors import ApiError, ErrorCode


def spread(*assignments, brokers=(1, 2, 3)):
    """A cluster with the topic `t`, replicas as given."""
    cluster = Cluster(*brokers)
    cluster.run(CreateTopics((NewTopic("t", assignments=tuple(enumerate(assignments))),)))
    return cluster


def partition(cluster, index=0):
    return cluster.image.topics["t"].partitions[index]


def stop(cluster, broker_id):
    epoch = cluster.image.brokers[broker_id].epoch
    cluster.run(BeginControlledShutdown(broker_id, epoch))
    cluster.run(FenceBroker(broker_id, epoch))
    return epoch


def registration(**changes):
    defaults = {
        "broker_id": 1,
        "cluster_id": CLUSTER,
        "incarnation_id": UUID(int=77),
        "new_epoch": 100,
        "endpoints": (Endpoint("PLAINTEXT", "localhost", 9092, 0),),
        "log_dirs": (UUID(int=500),),
    }
    return RegisterBroker(**{**defaults, **changes})


def test_a_broker_is_fenced_until_it_says_that_it_is_ready():
    cluster = Cluster(1)
    epoch = cluster.join(2, unfence=False)
    assert cluster.image.brokers[2].fenced
    cluster.run(UnfenceBroker(2, epoch))
    assert cluster.image.brokers[2].active


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cluster_id": "another"}, ErrorCode.INCONSISTENT_CLUSTER_ID),
        ({"log_dirs": ()}, ErrorCode.INVALID_REGISTRATION),
        ({"log_dirs": (UUID(int=500), UUID(int=500))}, ErrorCode.INVALID_REGISTRATION),
        ({"log_dirs": (UUID(int=1),)}, ErrorCode.INVALID_REGISTRATION),
        ({"log_dirs": (UUID(int=2 << 64 | 1 << 40),)}, ErrorCode.INVALID_REGISTRATION),
        ({"features": ()}, ErrorCode.INVALID_REGISTRATION),
        ({"features": (SupportedFeature("metadata.version", 7, 29),)}, ErrorCode.UNSUPPORTED_VERSION),
        ({"features": (SupportedFeature("metadata.version", 7, 30),)}, ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_a_registration_that_cannot_be_is_refused(changes, code):
    cluster = Cluster(1, 2)
    with pytest.raises(ApiError) as refusal:
        cluster.decide(registration(**changes))
    assert refusal.value.code == code


def test_the_same_process_registering_again_keeps_its_epoch_and_its_state():
    cluster = Cluster(1)
    before = cluster.image.brokers[1]
    epoch = cluster.run(registration(incarnation_id=before.incarnation_id, new_epoch=999, log_dirs=before.log_dirs))
    assert epoch == before.epoch
    assert not cluster.image.brokers[1].fenced


def test_an_older_epoch_is_refused():
    cluster = Cluster(1)
    for request in (UnfenceBroker, FenceBroker, BeginControlledShutdown):
        with pytest.raises(ApiError) as refusal:
            cluster.decide(request(1, 0))
        assert refusal.value.code == ErrorCode.STALE_BROKER_EPOCH
        with pytest.raises(ApiError) as refusal:
            cluster.decide(request(9, 0))
        assert refusal.value.code == ErrorCode.BROKER_ID_NOT_REGISTERED


def test_a_leader_that_stops_hands_over_to_a_replica_in_sync():
    cluster = spread((1, 2, 3))
    stop(cluster, 1)
    assert (partition(cluster).leader, partition(cluster).isr) == (2, (2, 3))
    assert partition(cluster).leader_epoch == 1


def test_a_follower_that_stops_leaves_the_isr_and_the_leader_epoch_stays():
    cluster = spread((1, 2, 3))
    stop(cluster, 3)
    assert (partition(cluster).leader, partition(cluster).isr, partition(cluster).leader_epoch) == (1, (1, 2), 0)
    assert partition(cluster).partition_epoch == 1


def test_the_last_replica_that_stops_cleanly_stays_eligible_and_leads_again_without_recovery():
    cluster = spread((1,), brokers=(1,))
    epoch = stop(cluster, 1)
    down = partition(cluster)
    assert (down.leader, down.isr, down.eligible_leader_replicas) == (-1, (), (1,))
    cluster.join(1, incarnation=1, previous_epoch=epoch)
    up = partition(cluster)
    assert (up.leader, up.isr, up.eligible_leader_replicas, up.leader_recovery_state) == (1, (1,), (), RECOVERED)
    assert up.leader_epoch == 2


def test_a_crash_raises_the_leader_epoch_and_marks_the_partition_as_recovering():
    cluster = spread((1,), brokers=(1,))
    cluster.join(1, incarnation=1, previous_epoch=-1)
    up = partition(cluster)
    assert (up.leader, up.isr, up.leader_recovery_state) == (1, (1,), RECOVERING)
    assert up.leader_epoch == 2


def test_a_replica_that_crashed_does_not_lead_while_another_is_complete():
    cluster = spread((1, 2))
    cluster.join(1, incarnation=1, unfence=False)
    assert (partition(cluster).leader, partition(cluster).isr) == (2, (2,))
    cluster.run(UnfenceBroker(1, cluster.image.brokers[1].epoch))
    assert (partition(cluster).leader, partition(cluster).isr) == (2, (2,))


def test_a_leaderless_partition_waits_for_a_complete_replica_and_not_for_any_broker():
    cluster = spread((1, 2))
    epoch_of_two = stop(cluster, 2)
    stop(cluster, 1)
    cluster.join(2, incarnation=1, previous_epoch=epoch_of_two)
    assert partition(cluster).leader == -1
    assert partition(cluster).eligible_leader_replicas == (1,)


def test_an_unclean_election_happens_only_where_the_topic_allows_it():
    cluster = Cluster(1, 2)
    for name, allowed in (("t", "true"), ("u", "false")):
        configs = (("unclean.leader.election.enable", allowed),)
        cluster.run(CreateTopics((NewTopic(name, assignments=((0, (1, 2)),), configs=configs),)))
    epoch_of_two = stop(cluster, 2)
    stop(cluster, 1)
    cluster.join(2, incarnation=1, previous_epoch=epoch_of_two)
    assert (partition(cluster).leader, partition(cluster).isr) == (2, (2,))
    assert partition(cluster).leader_recovery_state == RECOVERING
    assert cluster.image.topics["u"].partitions[0].leader == -1


def test_a_failed_directory_takes_its_partitions_and_no_others():
    cluster = Cluster(1)
    cluster.join(2, directories=2)
    cluster.run(CreateTopics((NewTopic("t", assignments=((0, (2, 1)), (1, (2, 1)))),)))
    topic = cluster.image.topics["t"]
    here, there = cluster.image.brokers[2].log_dirs
    epoch = cluster.image.brokers[2].epoch
    cluster.run(AssignDirectories(2, epoch, ((topic.id, 0, here), (topic.id, 1, there), (UUID(int=4), 0, here))))
    assert [partition(cluster, index).directories[0] for index in (0, 1)] == [here, there]
    cluster.run(FailDirectories(2, epoch, (here,)))
    assert (partition(cluster, 0).leader, partition(cluster, 1).leader) == (1, 2)
    assert cluster.image.brokers[2].log_dirs == (there,)


def test_a_broker_with_one_directory_is_known_to_use_it():
    cluster = spread((1,), brokers=(1,))
    assert partition(cluster).directories == cluster.image.brokers[1].log_dirs


def test_a_broker_that_is_gone_for_good_is_forgotten_but_not_the_one_that_decides():
    cluster = spread((2, 3))
    cluster.run(UnregisterBroker(2))
    assert 2 not in cluster.image.brokers
    assert partition(cluster).leader == 3
    for broker_id, code in ((1, ErrorCode.INVALID_REQUEST), (2, ErrorCode.BROKER_ID_NOT_REGISTERED)):
        with pytest.raises(ApiError) as refusal:
            cluster.decide(UnregisterBroker(broker_id))
        assert refusal.value.code == code
