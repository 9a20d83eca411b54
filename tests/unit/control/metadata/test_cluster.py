import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.machine import Now
from moldau.control.metadata.cluster import (
    Activate,
    AllocateProducerIds,
    FeatureUpdate,
    ProducerIdBlock,
    UpdateFeatures,
)
from moldau.control.metadata.features import FEATURES, bootstrap_levels, record_version, told_levels
from moldau.control.metadata.records import (
    AbortTransactionRecord,
    BeginTransactionRecord,
    FeatureLevelRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
)
from moldau.errors import ApiError, ErrorCode


def update(cluster, name, level, upgrade_type=1, *, validate_only=False):
    ((answered, outcome),) = cluster.run(UpdateFeatures((FeatureUpdate(name, level, upgrade_type),), validate_only))
    assert answered == name
    return outcome.code


def test_a_cluster_that_has_begun_does_not_begin_again():
    cluster = Cluster()
    assert cluster.decide(Activate()).records == ()


def test_half_a_bootstrap_is_none():
    cluster = Cluster()
    machine = cluster.reopened()
    crashed = type(machine)(cluster.settings, None)
    crashed.apply(BeginTransactionRecord("Bootstrap records"))
    crashed.apply(FeatureLevelRecord("metadata.version", 30))
    assert crashed.image.metadata_version == 0
    records = crashed.decide(Activate(), Now(0, 0)).records
    assert isinstance(records[0], AbortTransactionRecord)
    for record in records:
        crashed.apply(record)
    assert crashed.image.features == dict(bootstrap_levels())


def test_an_open_transaction_is_aborted_when_the_node_comes_back():
    cluster = Cluster()
    cluster.machine.apply(BeginTransactionRecord())
    cluster.machine.apply(ProducerIdsRecord(1, 0, 1000))
    cluster.run(Activate())
    assert cluster.image.next_producer_id == 0
    assert cluster.image.transaction is None


def test_clients_are_told_no_more_than_this_node_serves():
    told = told_levels(dict(bootstrap_levels()))
    assert told["metadata.version"] == 30
    assert told["transaction.version"] == 2
    assert "share.version" not in told
    assert all(level <= FEATURES[name].served for name, level in told.items())
    assert told_levels({"unknown.feature": 3}) == {}


@pytest.mark.parametrize(
    ("name", "level", "upgrade_type", "code"),
    [
        ("group.version", 0, 2, ErrorCode.NONE),
        ("group.version", 0, 3, ErrorCode.NONE),
        ("group.version", 0, 1, ErrorCode.INVALID_UPDATE_VERSION),
        ("group.version", 1, 1, ErrorCode.NONE),
        ("group.version", 2, 1, ErrorCode.INVALID_UPDATE_VERSION),
        ("group.version", -1, 2, ErrorCode.INVALID_UPDATE_VERSION),
        ("group.version", 0, 0, ErrorCode.INVALID_UPDATE_VERSION),
        ("group.version", 0, 9, ErrorCode.INVALID_UPDATE_VERSION),
        ("no.such.feature", 1, 1, ErrorCode.INVALID_UPDATE_VERSION),
        ("metadata.version", 29, 2, ErrorCode.INVALID_UPDATE_VERSION),
        ("metadata.version", 29, 3, ErrorCode.INVALID_UPDATE_VERSION),
        ("metadata.version", 31, 1, ErrorCode.INVALID_UPDATE_VERSION),
        ("metadata.version", 30, 1, ErrorCode.NONE),
    ],
)
def test_which_feature_levels_can_be_set(name, level, upgrade_type, code):
    assert update(Cluster(), name, level, upgrade_type) == code


def test_a_metadata_version_goes_down_while_no_record_has_changed_in_between():
    cluster = Cluster()
    cluster.machine.apply(FeatureLevelRecord("metadata.version", 29))
    assert update(cluster, "metadata.version", 24, 2) == ErrorCode.NONE
    assert update(cluster, "metadata.version", 22, 2) == ErrorCode.INVALID_UPDATE_VERSION


def test_eligible_leader_replicas_need_a_metadata_version_that_can_write_them():
    cluster = Cluster()
    for record in (
        FeatureLevelRecord("metadata.version", 22),
        FeatureLevelRecord("eligible.leader.replicas.version", 0),
    ):
        cluster.machine.apply(record)
    assert update(cluster, "eligible.leader.replicas.version", 1) == ErrorCode.INVALID_UPDATE_VERSION
    both = (FeatureUpdate("eligible.leader.replicas.version", 1, 1), FeatureUpdate("metadata.version", 30, 1))
    assert {outcome.code for _, outcome in cluster.run(UpdateFeatures(both))} == {ErrorCode.NONE}
    assert cluster.image.features["eligible.leader.replicas.version"] == 1


def test_one_refused_feature_refuses_them_all():
    cluster = Cluster()
    updates = (FeatureUpdate("group.version", 0, 2), FeatureUpdate("share.version", 7, 1))
    before = dict(cluster.image.features)
    outcomes = dict(cluster.run(UpdateFeatures(updates)))
    assert outcomes["share.version"].code == ErrorCode.INVALID_UPDATE_VERSION
    assert cluster.image.features == before


def test_a_feature_named_twice_refuses_the_request():
    with pytest.raises(ApiError) as refusal:
        Cluster().decide(UpdateFeatures((FeatureUpdate("group.version", 0, 2),) * 2))
    assert refusal.value.code == ErrorCode.INVALID_REQUEST


def test_validate_only_changes_no_feature():
    cluster = Cluster()
    before = dict(cluster.image.features)
    assert update(cluster, "group.version", 0, 2, validate_only=True) == ErrorCode.NONE
    assert cluster.image.features == before


def test_an_older_cluster_gets_records_that_it_can_read():
    versions = {
        7: (1, 0),
        8: (2, 0),
        16: (2, 0),
        17: (3, 1),
        22: (3, 1),
        23: (3, 2),
        29: (3, 2),
        30: (4, 2),
    }
    for level, (broker, partition) in versions.items():
        assert record_version(RegisterBrokerRecord(), level) == broker
        assert record_version(PartitionRecord(), level) == partition


def test_producer_ids_are_given_in_blocks_and_never_twice():
    cluster = Cluster()
    epoch = cluster.image.brokers[1].epoch
    assert cluster.run(AllocateProducerIds(1, epoch)) == ProducerIdBlock(0, 1000)
    assert cluster.run(AllocateProducerIds(1, epoch)) == ProducerIdBlock(1000, 1000)
    assert cluster.reopened().decide(AllocateProducerIds(1, epoch), Now(0, 0)).response == ProducerIdBlock(2000, 1000)


@pytest.mark.parametrize(
    ("broker_id", "stale", "code"),
    [(9, 0, ErrorCode.BROKER_ID_NOT_REGISTERED), (1, 1, ErrorCode.STALE_BROKER_EPOCH)],
)
def test_producer_ids_are_not_given_to_strangers(broker_id, stale, code):
    cluster = Cluster()
    with pytest.raises(ApiError) as refusal:
        cluster.decide(AllocateProducerIds(broker_id, cluster.image.brokers[1].epoch - stale))
    assert refusal.value.code == code


def test_the_last_producer_ids_are_not_given_beyond_the_end():
    cluster = Cluster()
    cluster.machine.apply(ProducerIdsRecord(1, 0, 2**63 - 500))
    with pytest.raises(ApiError):
        cluster.decide(AllocateProducerIds(1, cluster.image.brokers[1].epoch))


def test_an_impossible_metadata_version_beside_another_feature_is_refused_and_not_stumbled_over():
    updates = (FeatureUpdate("metadata.version", -1, 1), FeatureUpdate("group.version", 0, 2))
    outcomes = dict(Cluster().run(UpdateFeatures(updates)))
    assert outcomes["metadata.version"].code == ErrorCode.INVALID_UPDATE_VERSION
