"""What the group machines see of the cluster: Kafka's hash of topics, settings of groups, regular expressions."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from moldau.control.groups.consumer.cluster import TopicFacts, metadata_hash, topic_hash
from moldau.control.metadata.image import (
    BROKER_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    ConfigResource,
    MetadataDelta,
    Topic,
)
from moldau.server.cluster_view import ClusterView

ORDERS = Topic("orders", UUID("942ecefa-19b8-4c40-906b-8b113820028a"), dict.fromkeys(range(3)))


class Image:
    def __init__(self):
        self.topics = {"orders": ORDERS}
        self.topics_by_id = {ORDERS.id: ORDERS}
        self.brokers = {1: SimpleNamespace(rack=None)}
        self.configs = {ConfigResource(TOPIC_RESOURCE, "shipping"): {"consumer.session.timeout.ms": "1"}}

    def configs_of(self, resource_type, name):
        return self.configs.get(ConfigResource(resource_type, name), {})


@pytest.fixture
def image():
    return Image()


@pytest.fixture
def view(image):
    defaults = {
        "group.consumer.session.timeout.ms": 45_000,
        "group.consumer.min.session.timeout.ms": 45_000,
        "group.consumer.max.session.timeout.ms": 60_000,
    }
    configs = SimpleNamespace(broker_int=defaults.__getitem__)
    view = ClusterView(image, configs)
    view.defaults = defaults
    view.replayed(10)
    return view


def test_the_hash_of_topics_is_the_one_that_kafka_has_written(view):
    # From tests/golden/groups: a group that is subscribed to `orders` with three partitions, without racks.
    assert metadata_hash(view, ["orders", "no-such-topic"]) == 5500208326754644305
    assert metadata_hash(view, ["no-such-topic"]) == 0


def test_racks_are_part_of_the_hash(view):
    class WithRacks:
        hash64 = staticmethod(view.hash64)

        def __init__(self, *racks):
            self.racks = racks

        def hash_of(self, topic):
            return topic_hash(self.hash64, topic)

        def topic_named(self, name):
            return TopicFacts(name, ORDERS.id, 1, (self.racks,))

    hashes = {metadata_hash(WithRacks(*racks), ["orders"]) for racks in ((), ("a",), ("a", "b"), ("ab",))}
    assert len(hashes) == 4
    assert metadata_hash(WithRacks("b", "a"), ["orders"]) == metadata_hash(WithRacks("a", "b"), ["orders"])


def test_versions_move_with_topics_only(view):
    view.changed(MetadataDelta(changed_configs=(ConfigResource(TOPIC_RESOURCE, "orders"),)), 11)
    assert (view.version, view.version_of_new_topics) == (10, 10)
    view.changed(MetadataDelta(changed_topics=(ORDERS,)), 12)
    assert (view.version, view.version_of_new_topics) == (12, 10)
    view.changed(MetadataDelta(created_topics=(ORDERS,)), 13)
    assert (view.version, view.version_of_new_topics) == (13, 13)


def test_a_topic_that_has_grown_has_another_hash_and_racks_that_came_are_seen(view, image):
    before = view.topic_named("orders"), metadata_hash(view, ["orders"])
    image.topics["orders"] = image.topics_by_id[ORDERS.id] = Topic("orders", ORDERS.id, dict.fromkeys(range(4)))
    view.changed(MetadataDelta(changed_topics=(image.topics["orders"],)), 11)
    assert view.topic_named("orders").partition_count == view.topic_with(ORDERS.id).partition_count == 4
    assert metadata_hash(view, ["orders"]) != before[1]
    replicated = {0: SimpleNamespace(replicas=(1,))}
    image.topics["orders"] = image.topics_by_id[ORDERS.id] = Topic("orders", ORDERS.id, replicated)
    image.brokers[1].rack = "a"
    view.changed(MetadataDelta(), 12)
    assert view.topic_named("orders").racks == (("a",),)


def test_a_group_has_its_own_setting_within_the_bounds_of_the_broker(view, image):
    assert view.session_timeout_ms("billing") == 45_000
    for text, counts in (("50000", 50_000), ("90000", 60_000), ("1000", 45_000)):
        image.configs[ConfigResource(GROUP_RESOURCE, "billing")] = {"consumer.session.timeout.ms": text}
        view.changed(MetadataDelta(changed_configs=(ConfigResource(GROUP_RESOURCE, "billing"),)), 11)
        assert view.session_timeout_ms("billing") == counts
        assert view.session_timeout_ms("shipping") == 45_000
    del image.configs[ConfigResource(GROUP_RESOURCE, "billing")]
    view.changed(MetadataDelta(changed_configs=(ConfigResource(GROUP_RESOURCE, "billing"),)), 12)
    assert view.session_timeout_ms("billing") == 45_000


def test_a_setting_of_the_broker_counts_for_every_group_when_it_changes(view, image):
    image.configs[ConfigResource(GROUP_RESOURCE, "billing")] = {"consumer.heartbeat.interval.ms": "7000"}
    view.changed(MetadataDelta(changed_configs=(ConfigResource(GROUP_RESOURCE, "billing"),)), 11)
    assert view.session_timeout_ms("billing") == view.session_timeout_ms("shipping") == 45_000
    view.defaults["group.consumer.session.timeout.ms"] = 50_000
    view.changed(MetadataDelta(changed_configs=(ConfigResource(BROKER_RESOURCE, ""),)), 12)
    assert view.session_timeout_ms("billing") == view.session_timeout_ms("shipping") == 50_000


@pytest.mark.parametrize("expression", ["a(", "[", "*", "a)(b", "(a{1000}){1000}", "(?<=a)b"])
def test_what_is_wrong_with_an_expression_is_said_in_one_line(view, expression):
    problem = view.problem_with(expression)
    assert problem
    assert "\n" not in problem
    assert view.topics_matching(expression, None) == frozenset()


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("ord.*", True),
        ("ord", False),
        ("^orders$", True),
        (r"\Qorders\E", True),
        (r"\Qord.rs\E", False),
        ("(?i)ORDERS", True),
        ("(a|o)+rders", True),
        ("(o+)+$", False),
    ],
)
def test_an_expression_matches_whole_names(view, expression, matches):
    assert view.problem_with(expression) is None
    assert view.topics_matching(expression, None) == ({"orders"} if matches else set())
