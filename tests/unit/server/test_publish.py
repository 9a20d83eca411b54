"""What the compiled side is told of the metadata, and how often."""

import asyncio
from types import SimpleNamespace

from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.brokers import UnfenceBroker
from moldau.control.metadata.configs import AlterConfigs, ConfigChange
from moldau.control.metadata.image import BROKER_RESOURCE, TOPIC_RESOURCE, ConfigResource
from moldau.control.metadata.topics import DeleteTopics, TopicRef
from moldau.server.publish import Publisher


class Told:
    """A core that does nothing but note what it is told."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.calls.append((name, arguments))
            return [] if name in ("create_partitions", "delete_partitions") else 0

        return call

    def of(self, name):
        """The first arguments of the calls of `name`, which are forgotten."""
        found = [arguments[0] for called, arguments in self.calls if called == name]
        self.calls = [call for call in self.calls if call[0] != name]
        return found


def publishing(cluster):
    core, machine = Told(), cluster.machine
    clock = SimpleNamespace(now_ms=lambda: 0)

    def changed(_delta):
        core.changed()

    return core, Publisher(core, machine.image, machine.configs, clock, changed=changed)


def publish(publisher):
    asyncio.run(publisher.publish())


def test_at_the_start_every_topic_is_told_once_and_as_it_is_when_the_broker_has_joined():
    cluster = Cluster()
    for number in range(3):
        cluster.topic(f"t{number}", partitions=2)
    core, publisher = publishing(cluster)
    publisher.publish_cluster()
    # The next life of the broker: every partition gets another leader epoch.
    epoch = cluster.join(1, incarnation=1, unfence=False)
    publish(publisher)
    assert core.of("put_topic") == []
    publisher.let_topics_out()
    cluster.run(UnfenceBroker(1, epoch))
    core.calls.clear()
    publish(publisher)
    told = {arguments[0]: [each.leader_epoch for each in arguments[4]] for _, arguments in core.calls[-4:-1]}
    assert told == {
        name: [each.leader_epoch for each in topic.partitions.values()] for name, topic in cluster.image.topics.items()
    }
    assert core.calls[-1][0] == "changed", "whoever learns of it finds the topics there"
    assert core.of("put_topic") == ["t0", "t1", "t2"]


def test_who_comes_before_the_broker_has_joined_finds_every_topic_and_is_told_all_of_them_again():
    cluster = Cluster()
    for number in range(3):
        cluster.topic(f"t{number}")
    core, publisher = publishing(cluster)
    publisher.publish_cluster()
    publisher.publish_topics()
    assert core.of("put_topic") == ["t0", "t1", "t2"]
    epoch = cluster.join(1, incarnation=1, unfence=False)
    publish(publisher)
    core.of("put_topic")
    publisher.let_topics_out()
    cluster.run(UnfenceBroker(1, epoch))
    publish(publisher)
    assert core.of("put_topic") == ["t0", "t1", "t2"]
    cluster.topic("new")
    publish(publisher)
    assert core.of("put_topic") == ["new"]


def test_from_then_on_a_topic_is_told_whenever_it_has_changed():
    cluster = Cluster()
    core, publisher = publishing(cluster)
    publisher.let_topics_out()
    publish(publisher)
    cluster.topic("new")
    publish(publisher)
    assert core.of("put_topic") == ["new"]
    cluster.run(DeleteTopics((TopicRef("new"),)))
    publish(publisher)
    assert (core.of("put_topic"), core.of("remove_topic")) == ([], ["new"])


def test_new_logs_are_made_with_their_settings_and_not_told_them_again():
    cluster = Cluster()
    core, publisher = publishing(cluster)
    cluster.topic("new", partitions=2, retention_ms="60000")
    publish(publisher)
    (specs,) = core.of("create_partitions")
    assert [spec.settings["retention_ms"] for spec in specs] == [60000, 60000]
    assert core.of("set_log_settings") == []


def test_a_setting_goes_to_the_partitions_of_its_topic_and_one_of_the_broker_to_all():
    cluster = Cluster()
    core, publisher = publishing(cluster)
    cluster.topic("a", partitions=2)
    cluster.topic("b", partitions=1)
    publish(publisher)
    change = (ConfigChange("retention.ms", 0, "60000"),)
    cluster.run(AlterConfigs(((ConfigResource(TOPIC_RESOURCE, "a"), change),)))
    publish(publisher)
    (told,) = [arguments for name, arguments in core.calls if name == "set_log_settings"]
    assert (told[0], told[1], told[2]["retention_ms"]) == ("a", [0, 1], 60000)
    core.of("set_log_settings")
    change = (ConfigChange("log.retention.ms", 0, "70000"),)
    cluster.run(AlterConfigs(((ConfigResource(BROKER_RESOURCE, ""), change),)))
    publish(publisher)
    assert sorted(core.of("set_log_settings")) == ["a", "b"]
