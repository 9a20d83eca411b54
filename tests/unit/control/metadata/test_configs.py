import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.configs import AlterConfigs, ConfigChange, Operation, ReplaceConfigs
from moldau.control.metadata.describe_configs import config_resources, describe_configs
from moldau.control.metadata.effective import Source
from moldau.control.metadata.image import ConfigResource
from moldau.control.metadata.records import ClearElrRecord, ConfigRecord
from moldau.errors import ErrorCode

ORDERS = ConfigResource(2, "orders")
NODE = ConfigResource(4, "1")
ALL_NODES = ConfigResource(4, "")
GROUP = ConfigResource(32, "g")
METRICS = ConfigResource(16, "m")


@pytest.fixture
def cluster():
    cluster = Cluster()
    cluster.topic()
    return cluster


def alter(cluster, resource, *changes, validate_only=False):
    ((answered, outcome),) = cluster.run(
        AlterConfigs(((resource, tuple(ConfigChange(*change) for change in changes)),), validate_only)
    )
    assert answered == resource
    return outcome


def described(cluster, resource, *names):
    (one,) = describe_configs(cluster.machine.situation(), [(resource, names)])
    assert one.code == ErrorCode.NONE, one
    return {config.key.name: config for config in one.configs}


def test_set_and_delete_change_one_key_and_leave_the_others(cluster):
    assert alter(cluster, ORDERS, ("retention.ms", 0, "1"), ("segment.ms", 0, "2")).code == ErrorCode.NONE
    assert alter(cluster, ORDERS, ("retention.ms", 1, None)).code == ErrorCode.NONE
    assert cluster.image.configs_of(*ORDERS) == {"segment.ms": "2"}


def test_deleting_what_was_never_set_is_no_mistake_and_writes_nothing(cluster):
    before = len(cluster.log)
    assert alter(cluster, ORDERS, ("retention.ms", 1, None)).code == ErrorCode.NONE
    assert len(cluster.log) == before


def test_append_and_subtract_work_on_lists_and_begin_with_the_default(cluster):
    alter(cluster, ORDERS, ("cleanup.policy", Operation.APPEND, "compact"))
    assert cluster.image.configs_of(*ORDERS) == {"cleanup.policy": "delete,compact"}
    alter(cluster, ORDERS, ("cleanup.policy", Operation.APPEND, "compact"))
    alter(cluster, ORDERS, ("cleanup.policy", Operation.SUBTRACT, "delete"))
    assert cluster.image.configs_of(*ORDERS) == {"cleanup.policy": "compact"}


def test_nothing_is_appended_to_a_number(cluster):
    assert alter(cluster, ORDERS, ("retention.ms", Operation.APPEND, "1")).code == ErrorCode.INVALID_CONFIG


def test_a_value_that_is_set_already_leaves_no_record_except_for_a_broker(cluster):
    alter(cluster, ORDERS, ("retention.ms", 0, "1"))
    alter(cluster, NODE, ("log.cleaner.threads", 0, "2"))
    before = len(cluster.log)
    alter(cluster, ORDERS, ("retention.ms", 0, "1"))
    assert len(cluster.log) == before
    alter(cluster, NODE, ("log.cleaner.threads", 0, "2"))
    assert len(cluster.log) == before + 1


@pytest.mark.parametrize(
    ("resource", "change", "code"),
    [
        (ORDERS, ("nope", 0, "1"), ErrorCode.INVALID_CONFIG),
        (ORDERS, ("retention.ms", 0, "abc"), ErrorCode.INVALID_CONFIG),
        (ORDERS, ("retention.ms", 0, None), ErrorCode.INVALID_REQUEST),
        (ORDERS, ("retention.ms", 4, "1"), ErrorCode.INVALID_REQUEST),
        (ORDERS, ("retention.ms", -1, "1"), ErrorCode.INVALID_REQUEST),
        (ORDERS, ("min.compaction.lag.ms", 0, str(2**63 - 1)), ErrorCode.NONE),
        (ORDERS, ("remote.storage.enable", 0, "true"), ErrorCode.INVALID_CONFIG),
        (ORDERS, ("follower.replication.throttled.replicas", 0, "0:" * 20_000), ErrorCode.INVALID_CONFIG),
        (ConfigResource(2, "missing"), ("retention.ms", 0, "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (ConfigResource(2, ""), ("retention.ms", 0, "1"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(2, "bad name"), ("retention.ms", 0, "1"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NODE, ("num.partitions", 0, "3"), ErrorCode.INVALID_REQUEST),
        (NODE, ("nope", 0, "3"), ErrorCode.INVALID_REQUEST),
        (NODE, ("log.cleaner.threads", 0, "many"), ErrorCode.INVALID_REQUEST),
        (NODE, ("min.insync.replicas", 0, "2"), ErrorCode.INVALID_CONFIG),
        (ALL_NODES, ("min.insync.replicas", 1, None), ErrorCode.INVALID_CONFIG),
        (ConfigResource(4, "2"), ("log.cleaner.threads", 0, "2"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(4, "-1"), ("log.cleaner.threads", 0, "2"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(4, "one"), ("log.cleaner.threads", 0, "2"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(8, "1"), ("kafka", 0, "DEBUG"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(0, "x"), ("a", 0, "b"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(99, "x"), ("a", 0, "b"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(32, ""), ("consumer.session.timeout.ms", 0, "45000"), ErrorCode.INVALID_REQUEST),
        (GROUP, ("nope", 0, "1"), ErrorCode.INVALID_CONFIG),
        (GROUP, ("consumer.session.timeout.ms", 0, "1"), ErrorCode.INVALID_CONFIG),
        (GROUP, ("consumer.session.timeout.ms", 0, "50000"), ErrorCode.NONE),
        (METRICS, ("interval.ms", 0, "nope"), ErrorCode.INVALID_CONFIG),
        (METRICS, ("interval.ms", 0, "60000"), ErrorCode.NONE),
    ],
)
def test_what_can_be_changed_and_what_not(cluster, resource, change, code):
    before = dict(cluster.image.configs)
    outcome = alter(cluster, resource, change)
    assert outcome.code == code, outcome
    assert bool(outcome.message) == bool(code)
    if code:
        assert cluster.image.configs == before


def test_one_bad_value_keeps_the_good_ones_of_its_resource_out_but_not_those_of_others(cluster):
    request = AlterConfigs(
        (
            (ORDERS, (ConfigChange("retention.ms", 0, "1"), ConfigChange("segment.ms", 0, "x"))),
            (GROUP, (ConfigChange("consumer.session.timeout.ms", 0, "50000"),)),
        )
    )
    outcomes = dict(cluster.run(request))
    assert outcomes[ORDERS].code == ErrorCode.INVALID_CONFIG
    assert outcomes[GROUP].code == ErrorCode.NONE
    assert cluster.image.configs_of(*ORDERS) == {}
    assert cluster.image.configs_of(*GROUP) == {"consumer.session.timeout.ms": "50000"}


def test_values_are_checked_against_each_other_as_they_would_be_afterwards(cluster):
    assert alter(cluster, ORDERS, ("max.compaction.lag.ms", 0, "100")).code == ErrorCode.NONE
    assert alter(cluster, ORDERS, ("min.compaction.lag.ms", 0, "200")).code == ErrorCode.INVALID_CONFIG
    together = (("min.compaction.lag.ms", 0, "200"), ("max.compaction.lag.ms", 0, "300"))
    assert alter(cluster, ORDERS, *together).code == ErrorCode.NONE


def test_a_key_or_a_resource_named_twice_is_refused(cluster):
    twice = alter(cluster, ORDERS, ("retention.ms", 0, "1"), ("retention.ms", 0, "2"))
    assert twice.code == ErrorCode.INVALID_REQUEST
    change = (ConfigChange("retention.ms", 0, "1"),)
    outcomes = cluster.run(AlterConfigs(((ORDERS, change), (ORDERS, change))))
    assert [outcome.code for _, outcome in outcomes] == [ErrorCode.INVALID_REQUEST] * 2
    assert cluster.image.configs_of(*ORDERS) == {}


def test_validate_only_changes_nothing(cluster):
    assert alter(cluster, ORDERS, ("retention.ms", 0, "1"), validate_only=True).code == ErrorCode.NONE
    assert alter(cluster, ORDERS, ("retention.ms", 0, "x"), validate_only=True).code == ErrorCode.INVALID_CONFIG
    assert cluster.image.configs_of(*ORDERS) == {}


def test_a_change_of_min_isr_forgets_who_was_eligible_under_the_old_one(cluster):
    decision = cluster.decide(AlterConfigs(((ORDERS, (ConfigChange("min.insync.replicas", 0, "2"),)),)))
    assert decision.records == (ConfigRecord(2, "orders", "min.insync.replicas", "2"), ClearElrRecord("orders"))


def replace(cluster, resource, values):
    ((_, outcome),) = cluster.run(ReplaceConfigs(((resource, tuple(values.items())),)))
    return outcome


def test_replacing_takes_away_what_is_not_named(cluster):
    alter(cluster, ORDERS, ("retention.ms", 0, "1"), ("segment.ms", 0, "2"))
    assert replace(cluster, ORDERS, {"segment.ms": "3"}).code == ErrorCode.NONE
    assert cluster.image.configs_of(*ORDERS) == {"segment.ms": "3"}


def test_replacing_for_all_brokers_may_not_lose_min_isr(cluster):
    assert replace(cluster, ALL_NODES, {"log.retention.ms": "5"}).code == ErrorCode.INVALID_CONFIG
    assert replace(cluster, ALL_NODES, {"log.retention.ms": "5", "min.insync.replicas": "1"}).code == ErrorCode.NONE


def test_a_bad_replacement_changes_nothing(cluster):
    alter(cluster, ORDERS, ("retention.ms", 0, "1"))
    assert replace(cluster, ORDERS, {"retention.ms": "x"}).code == ErrorCode.INVALID_CONFIG
    assert replace(cluster, ORDERS, {"retention.ms": None}).code == ErrorCode.INVALID_REQUEST
    assert cluster.image.configs_of(*ORDERS) == {"retention.ms": "1"}


def synonyms(config):
    return [(synonym.name, synonym.text, synonym.source) for synonym in config.synonyms]


def test_a_topic_config_names_every_place_where_it_is_set():
    cluster = Cluster(log_cleanup_policy="compact")
    cluster.topic(cleanup_policy="delete")
    alter(cluster, ALL_NODES, ("log.cleanup.policy", 0, "delete,compact"))
    config = described(cluster, ORDERS)["cleanup.policy"]
    assert (config.text, config.source, config.read_only) == ("delete", Source.TOPIC, False)
    assert synonyms(config) == [
        ("cleanup.policy", "delete", Source.TOPIC),
        ("log.cleanup.policy", "delete,compact", Source.ALL_BROKERS),
        ("log.cleanup.policy", "compact", Source.FILE),
        ("log.cleanup.policy", "delete", Source.DEFAULT),
    ]


def test_hours_of_the_file_count_as_the_topics_milliseconds():
    cluster = Cluster(log_retention_hours="2")
    cluster.topic()
    assert described(cluster, ORDERS)["retention.ms"].text == "7200000"
    alter(cluster, NODE, ("log.retention.ms", 0, "5"))
    config = described(cluster, ORDERS)["retention.ms"]
    assert (config.text, config.source) == ("5", Source.BROKER)


def test_a_negative_retention_in_hours_is_without_limit():
    cluster = Cluster(log_retention_hours="-1")
    cluster.topic()
    assert cluster.machine.configs.topic("orders", "retention.ms") == -1


def test_a_broker_config_says_whether_it_can_be_changed_and_where_it_comes_from():
    cluster = Cluster(num_partitions="4")
    alter(cluster, NODE, ("log.cleaner.threads", 0, "2"))
    configs = described(cluster, NODE)
    assert (configs["num.partitions"].text, configs["num.partitions"].source) == ("4", Source.FILE)
    assert configs["num.partitions"].read_only
    assert (configs["log.cleaner.threads"].text, configs["log.cleaner.threads"].source) == ("2", Source.BROKER)
    assert not configs["log.cleaner.threads"].read_only
    assert configs["message.max.bytes"].source == Source.DEFAULT


def test_all_brokers_together_have_only_what_was_set_for_them(cluster):
    alter(cluster, ALL_NODES, ("log.retention.ms", 0, "5"))
    configs = described(cluster, ALL_NODES)
    assert {name: config.text for name, config in configs.items()} == {
        "min.insync.replicas": "1",
        "log.retention.ms": "5",
    }
    assert {config.source for config in configs.values()} == {Source.ALL_BROKERS}


def test_a_password_is_never_told():
    cluster = Cluster(ssl_keystore_password="secret")
    config = described(cluster, NODE)["ssl.keystore.password"]
    assert config.text is None
    assert "secret" not in repr(config.synonyms)


def test_only_the_keys_that_were_asked_for_are_told(cluster):
    assert list(described(cluster, ORDERS, "retention.ms", "nope")) == ["retention.ms"]


def test_a_group_has_the_brokers_defaults_until_it_has_its_own(cluster):
    assert described(cluster, GROUP)["consumer.session.timeout.ms"].source == Source.DEFAULT
    alter(cluster, GROUP, ("consumer.session.timeout.ms", 0, "50000"))
    config = described(cluster, GROUP)["consumer.session.timeout.ms"]
    assert (config.text, config.source) == ("50000", Source.GROUP)


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (ConfigResource(2, "missing"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (ConfigResource(2, "bad name"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (ConfigResource(4, "7"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(4, "x"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(8, "1"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(16, ""), ErrorCode.INVALID_REQUEST),
        (ConfigResource(32, ""), ErrorCode.INVALID_REQUEST),
        (ConfigResource(3, "x"), ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_resource_that_cannot_be_described_says_why(cluster, resource, code):
    (one,) = describe_configs(cluster.machine.situation(), [(resource, None)])
    assert (one.code, bool(one.message), one.configs) == (code, True, ())


def test_resources_are_listed_by_type(cluster):
    alter(cluster, GROUP, ("consumer.session.timeout.ms", 0, "50000"))
    situation = cluster.machine.situation()
    assert config_resources(situation, {32}) == (GROUP,)
    assert config_resources(situation, {2, 4}) == (ORDERS, NODE)
    assert config_resources(situation, {16}) == ()


def test_an_invalid_value_that_stands_in_the_log_does_not_stop_the_node(cluster):
    cluster.machine.apply(ConfigRecord(2, "orders", "retention.ms", "soon"))
    assert cluster.machine.configs.topic("orders", "retention.ms") == 604_800_000
    assert alter(cluster, ORDERS, ("segment.ms", 0, "5")).code == ErrorCode.NONE
