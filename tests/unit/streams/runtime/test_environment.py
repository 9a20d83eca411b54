"""Which topics an application reads when some come and others go, without a cluster."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from moldau.streams import Materialized, StreamsBuilder
from moldau.streams.runtime.environment import GONE_AFTER_MS, Environment
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.settings import load


class FakeAdmin:
    """A cluster with these topics."""

    def __init__(self, **widths):
        self.widths = widths

    def list_topics(self, timeout):
        topics = {
            name: SimpleNamespace(partitions=dict.fromkeys(range(width)), error=None)
            for name, width in self.widths.items()
        }
        return SimpleNamespace(topics=topics)


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def environment_of(admin, *, counts=False):
    builder = StreamsBuilder()
    stream = builder.stream(re.compile("in[a-z]"), key=str, value=str)
    if counts:
        stream.group_by_key().count(Materialized.as_("counts"))
    else:
        stream.to("out")
    topology = builder.build()
    settings = load({"application.id": "app", "bootstrap.servers": "nowhere:9092"})
    layout = lay_out(topology, admin.widths, LayoutOptions("app"))
    return Environment(topology, layout, settings, "process", admin, clock=Clock())


def test_a_topic_is_gone_when_it_was_missing_for_some_time():
    admin = FakeAdmin(ina=1, inb=1)
    environment = environment_of(admin)
    del admin.widths["inb"]
    assert not environment.look_for_topics()
    assert environment.may_miss_topics
    environment.clock.now = GONE_AFTER_MS
    assert environment.look_for_topics()
    assert environment.layout.input_topics == ["ina"]
    assert not environment.look_for_topics()


def test_a_topic_that_a_node_did_not_know_for_a_moment_is_not_gone():
    admin = FakeAdmin(ina=1, inb=1)
    environment = environment_of(admin)
    for began in (0, 2 * GONE_AFTER_MS):
        environment.clock.now = began
        width = admin.widths.pop("inb")
        assert not environment.look_for_topics()
        admin.widths["inb"] = width
        assert not environment.look_for_topics()
    assert environment.layout.input_topics == ["ina", "inb"]


def test_a_topic_that_comes_while_another_one_may_be_gone_is_read_at_once():
    admin = FakeAdmin(ina=1, inb=1)
    environment = environment_of(admin)
    admin.widths = {"ina": 1, "inc": 1}
    assert environment.look_for_topics()
    assert environment.layout.input_topics == ["ina", "inb", "inc"]


@pytest.mark.parametrize("counts", [False, True])
def test_when_all_are_gone_the_application_goes_on_as_it_is(counts, caplog):
    admin = FakeAdmin(ina=1)
    environment = environment_of(admin, counts=counts)
    admin.widths = {"other": 1}
    assert not environment.look_for_topics()
    environment.clock.now = GONE_AFTER_MS
    assert not environment.look_for_topics()
    assert environment.layout.input_topics == ["ina"]
    assert "the topics that are there now cannot be read" in caplog.text


def test_what_is_read_by_its_name_is_no_topic_that_may_go():
    builder = StreamsBuilder()
    builder.stream("named", key=str, value=str).merge(builder.stream(re.compile("in[a-z]"), key=str, value=str)).to(
        "out"
    )
    topology = builder.build()
    settings = load({"application.id": "app", "bootstrap.servers": "nowhere:9092"})
    admin = FakeAdmin(named=1, ina=1)
    environment = Environment(
        topology, lay_out(topology, admin.widths, LayoutOptions("app")), settings, "process", admin
    )
    assert environment.is_by_pattern("ina")
    assert not environment.is_by_pattern("named")
