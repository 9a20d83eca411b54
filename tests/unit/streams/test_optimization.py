"""`topology.optimization` beyond what the recorded topologies show: which rules, how often, and where it stops."""

from __future__ import annotations

import pytest

from moldau.streams import (
    JoinWindows,
    KafkaStreams,
    Processor,
    StreamsBuilder,
    StreamsConfig,
    Topology,
    TopologyTestDriver,
)
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.settings import StreamsSettingsError


def two_counts() -> StreamsBuilder:
    builder = StreamsBuilder()
    rekeyed = builder.stream("in", value=str).select_key(lambda value: value)
    rekeyed.group_by_key().count(store="one").to("out")
    rekeyed.filter(lambda value: value != "b").group_by_key().count(store="two").to("other")
    return builder


def test_a_graph_can_be_built_again_by_other_rules():
    builder = two_counts()
    plain, all_of_them = builder.build(), builder.build(optimization="all")
    assert len(plain.repartition_topics) == 2
    assert list(all_of_them.repartition_topics) == ["one-repartition"]
    assert str(builder.build().describe()) == str(plain.describe())
    assert str(builder.build({"topology.optimization": "all"}).describe()) == str(all_of_them.describe())


def test_each_rule_changes_what_it_is_for_and_nothing_else():
    def built(rules: str) -> Topology:
        builder = two_counts()
        builder.table("rows", value=str, store="kept").to("updates")
        stream = builder.stream("pairs", value=str)
        stream.join(stream, lambda one, other: one + other, JoinWindows.of_time_difference_with_no_grace(5)).to(
            "joined"
        )
        return builder.build(optimization=rules)

    def facts(topology: Topology) -> tuple[int, int, int]:
        return len(topology.repartition_topics), len(topology.stores), len(topology.source_changelogs)

    assert facts(built("none")) == (2, 5, 0)
    assert facts(built("merge.repartition.topics")) == (1, 5, 0)
    assert facts(built("single.store.self.join")) == (2, 4, 0)
    assert facts(built("reuse.ktable.source.topics")) == (2, 5, 1)
    assert facts(built("merge.repartition.topics, single.store.self.join,reuse.ktable.source.topics")) == (1, 4, 1)
    assert facts(built(StreamsConfig.OPTIMIZE)) == (1, 4, 1)


@pytest.mark.parametrize("wrong", ["some", "all,none", "none,merge.repartition.topics", ""])
def test_what_is_no_optimization_is_refused_with_the_words_there_are(wrong):
    with pytest.raises(ValueError, match=r"topology.optimization must be one of none, all, merge\.repartition"):
        StreamsBuilder().build(optimization=wrong)
    with pytest.raises(StreamsSettingsError, match=r"topology.optimization: must be one of none, all"):
        KafkaStreams(Topology(), application_id="app", bootstrap_servers="b:9092", topology_optimization=wrong)


def test_an_application_whose_topology_was_built_without_its_optimization_says_so():
    settings = {"application.id": "app", "bootstrap.servers": "b:9092", "topology.optimization": "all"}
    with pytest.raises(StreamsSettingsError, match=r"built without it; give the same settings to builder.build"):
        KafkaStreams(two_counts().build(), settings)
    assert KafkaStreams(two_counts().build(settings), settings).topology.optimization


def test_two_aggregates_behind_one_filter_share_a_topic_too():
    builder = StreamsBuilder()
    some = builder.stream("in", value=str).select_key(lambda value: value).filter(lambda value: value != "b")
    some.group_by_key().count(store="one").to("out")
    some.group_by_key().reduce(lambda held, new: held + new, store="two").to("other")
    topology = builder.build(optimization="all")
    assert list(topology.repartition_topics) == ["one-repartition"]
    with TopologyTestDriver(topology) as driver:
        driver.create_input_topic("in").pipe_key_value_list([("1", "a"), ("2", "b"), ("3", "a")])
        assert driver.create_output_topic("out", value=int).read_key_values_to_list() == [("a", 1), ("a", 2)]
        assert driver.create_output_topic("other").read_key_values_to_list() == [("a", "a"), ("a", "aa")]


def test_streams_whose_keys_were_changed_before_they_were_merged_repartition_once_behind_that():
    builder = StreamsBuilder()
    one, other = (builder.stream(topic, value=str).select_key(lambda value: value) for topic in ("in", "more"))
    merged = one.merge(other)
    merged.group_by_key().count(store="one").to("out")
    merged.group_by_key().count(store="two").to("other")
    topology = builder.build(optimization="all")
    assert list(topology.repartition_topics) == ["one-repartition"]
    with TopologyTestDriver(topology) as driver:
        driver.create_input_topic("in").pipe_input("1", "a")
        driver.create_input_topic("more").pipe_input("2", "a")
        assert driver.create_output_topic("out", value=int).read_key_values_to_list() == [("a", 1), ("a", 2)]


class _Rekey(Processor):
    def process(self, record):
        self.context.forward(record.with_key("always"))


def test_no_topic_moves_before_a_processor_that_may_change_keys():
    builder = StreamsBuilder()
    processed = builder.stream("in", value=str).select_key(lambda value: value).process(_Rekey)
    processed.group_by_key(value=str).count(store="one").to("out")
    processed.group_by_key(value=str).count(store="two").to("other")
    topology = builder.build(optimization="all")
    assert list(topology.repartition_topics) == ["one-repartition"]
    (before,) = [sub for sub in topology.sub_topologies() if "in" in sub.source_topics]
    assert any(node.name.startswith("KSTREAM-PROCESSOR") for node in before.nodes)


def test_a_repartition_that_was_asked_for_stays_where_it_is():
    builder = StreamsBuilder()
    rekeyed = builder.stream("in", value=str).select_key(lambda value: value)
    rekeyed.repartition(name="mine").to("out")
    rekeyed.group_by_key().count(store="one").to("other")
    assert set(builder.build(optimization="all").repartition_topics) == {"mine-repartition", "one-repartition"}


def test_joined_sources_stay_as_wide_as_each_other_when_their_topics_are_merged():
    builder = StreamsBuilder()
    rekeyed = builder.stream("in", value=str).select_key(lambda value: value)
    rekeyed.group_by_key().count(store="one").to("out")
    rekeyed.join(builder.table("rows", value=str), lambda value, row: value + row).to("joined")
    topology = builder.build(optimization="all")
    layout = lay_out(topology, {"in": 2, "rows": 7}, LayoutOptions("app"))
    assert [(topic.name, topic.partitions) for topic in layout.repartition_topics] == [("app-one-repartition", 7)]


def test_a_table_that_is_restored_from_its_topic_has_no_changelog():
    builder = StreamsBuilder()
    builder.table("rows", value=str, store="kept").to("out")
    layout = lay_out(builder.build(optimization="all"), {"rows": 3}, LayoutOptions("app"))
    assert (layout.changelogs, layout.changelog_topics) == ({}, ())
    assert layout.source_changelogs == {"kept": "rows"}
