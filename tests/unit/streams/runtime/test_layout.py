"""Where a topology lies on a cluster: task counts, internal topics, what is refused."""

from __future__ import annotations

import re

import pytest

from moldau.streams import CopartitionError, Materialized, StreamsBuilder, TimeWindows, Topology
from moldau.streams.runtime.layout import LayoutOptions, MissingTopicsError, TaskId, lay_out
from moldau.streams.topology.nodes import RepartitionTopic

OPTIONS = LayoutOptions("app")
DAY_MS = 86_400_000


def by_value(partitions_of="words"):
    builder = StreamsBuilder()
    builder.stream(partitions_of, key=str, value=str).group_by(lambda key, value: value).count(
        Materialized.as_("counts")
    ).to_stream().to("out", value=int)
    return builder.build()


def test_there_is_a_task_for_each_partition_of_the_widest_input():
    layout = lay_out(by_value(), {"words": 7, "out": 1}, OPTIONS)
    assert [sub.tasks for sub in layout.sub_topologies] == [7, 7]
    assert layout.input_topics == ["app-counts-repartition", "words"]
    assert str(TaskId(1, 3)) == "1_3"


def test_internal_topics_are_as_wide_as_what_is_upstream_and_set_as_kafka_sets_them():
    layout = lay_out(by_value(), {"words": 7}, OPTIONS)
    (repartition,), (changelog,) = layout.repartition_topics, layout.changelog_topics
    assert (repartition.name, repartition.partitions) == ("app-counts-repartition", 7)
    assert repartition.config == {
        "cleanup.policy": "delete",
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
        "segment.bytes": "52428800",
    }
    assert (changelog.name, changelog.partitions) == ("app-counts-changelog", 7)
    assert changelog.config == {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}


def test_a_window_changelog_is_deleted_a_day_after_its_retention_unless_told_otherwise():
    def config(materialized, **options):
        builder = StreamsBuilder()
        builder.stream("orders", key=str, value=str).group_by_key().windowed_by(
            TimeWindows.of_size_and_grace("1h", "30m")
        ).count(materialized)
        return lay_out(builder.build(), {"orders": 1}, LayoutOptions("app", **options)).changelog_topics[0].config

    assert config(Materialized.as_("s"))["cleanup.policy"] == "compact,delete"
    assert config(Materialized.as_("s"))["retention.ms"] == str(5_400_000 + DAY_MS)
    assert config(Materialized.as_("s"), additional_retention_ms=1)["retention.ms"] == str(5_400_001)
    own = Materialized.as_("s").with_logging_enabled({"retention.ms": "7", "segment.bytes": "1048576"})
    assert (config(own)["retention.ms"], config(own)["segment.bytes"]) == ("7", "1048576")


def two_sources():
    topology = Topology()
    topology.add_source("left", "a", key=str, value=str)
    topology.add_source("right", "b", key=str, value=str)
    topology.add_sink("sink", "out", "left", "right", key=str, value=str)
    topology.copartition_sources({"left", "right"})
    return topology


def test_joined_topics_of_different_widths_are_refused_with_names_and_counts():
    with pytest.raises(CopartitionError, match="a has 3, b has 4") as refused:
        lay_out(two_sources(), {"a": 3, "b": 4}, OPTIONS)
    assert refused.value.counts == {"a": 3, "b": 4}
    assert [sub.tasks for sub in lay_out(two_sources(), {"a": 4, "b": 4}, OPTIONS).sub_topologies] == [4]


def test_a_joined_repartition_topic_takes_the_width_of_its_partner():
    topology = Topology()
    topology.add_source("wide", "wide", key=str, value=str)
    topology.add_repartition_topic(RepartitionTopic("narrow-repartition"))
    topology.add_source("before", "narrow", key=str, value=str)
    topology.add_sink("through", "narrow-repartition", "before", key=str, value=str)
    topology.add_source("after", "narrow-repartition", key=str, value=str)
    topology.add_sink("sink", "out", "wide", "after", key=str, value=str)
    topology.copartition_sources({"wide", "after"})
    layout = lay_out(topology, {"wide": 9, "narrow": 2}, OPTIONS)
    assert layout.repartition_topics[0].partitions == 9
    assert sorted(sub.tasks for sub in layout.sub_topologies) == [2, 9]


def test_every_missing_input_is_named():
    with pytest.raises(MissingTopicsError, match=r"there are no topics a, b\nhint: .*topic create a b"):
        lay_out(two_sources(), {"c": 1}, OPTIONS)


def test_a_pattern_reads_the_topics_that_match_and_at_least_one_must():
    builder = StreamsBuilder()
    builder.stream(re.compile("orders-.*"), key=str, value=str).to("out")
    topology = builder.build()
    layout = lay_out(topology, {"orders-eu": 2, "orders-us": 3, "other": 9}, OPTIONS)
    assert layout.input_topics == ["orders-eu", "orders-us"]
    assert layout.sub_topologies[0].tasks == 3
    assert layout.sub_topologies[0].inputs(2) == ["orders-us"]
    with pytest.raises(MissingTopicsError, match=re.escape("orders-.*")):
        lay_out(topology, {"other": 9}, OPTIONS)


def test_a_sub_topology_with_state_whose_inputs_differ_is_refused():
    builder = StreamsBuilder()
    builder.stream(["a", "b"], key=str, value=str).group_by_key().count()
    with pytest.raises(CopartitionError):
        lay_out(builder.build(), {"a": 1, "b": 2}, OPTIONS)


def test_a_pattern_matches_neither_the_topics_of_the_cluster_nor_those_of_the_application_itself():
    builder = StreamsBuilder()
    builder.stream(re.compile(".*"), key=str, value=str).group_by(lambda key, value: value).count(
        Materialized.as_("counts")
    )
    existing = {"words": 1, "__consumer_offsets": 50, "app-counts-repartition": 1, "app-counts-changelog": 1}
    layout = lay_out(builder.build(), {**existing, "other-counts-changelog": 1}, OPTIONS)
    assert layout.input_topics == ["app-counts-repartition", "other-counts-changelog", "words"]


def test_the_topics_of_a_foreign_key_join_are_as_wide_as_the_table_that_reads_them():
    builder = StreamsBuilder()
    left, right = builder.table("left", value=str), builder.table("right", value=str)
    left.join(right, lambda value: value[:1], lambda one, other: f"{one}{other}", name="fk").to("out", value=str)
    layout = lay_out(builder.build(), {"left": 3, "right": 5, "out": 1}, OPTIONS)
    widths = {topic.name: topic.partitions for topic in layout.repartition_topics}
    assert widths == {
        "app-fk-subscription-registration-topic": 5,
        "app-fk-subscription-response-topic": 3,
    }
