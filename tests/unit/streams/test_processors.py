"""Objects of the user's in a topology: what they may look into, when they end, and the names they had before."""

from __future__ import annotations

import pytest

from moldau.streams import Processor, Serdes, StreamsBuilder, StreamsError, TopologyTestDriver, ValueTransformer
from moldau.streams.topology.nodes import StoreSpec


class Priced(ValueTransformer):
    def init(self, context):
        super().init(context)
        self.prices = context.get_state_store("prices")

    def transform(self, key, value):
        return None if value is None else value * (self.prices.get(key) or 0)


class Price(Processor):
    def init(self, context):
        super().init(context)
        self.prices = context.get_state_store("prices")

    def process(self, record):
        self.prices.put(record.key, record.value)


def test_rows_are_transformed_with_what_a_store_has_and_the_table_can_be_joined():
    builder = StreamsBuilder()
    builder.add_state_store(StoreSpec("prices", "key_value", Serdes.String(), Serdes.Long()))
    builder.stream("prices", value=int).process(Price, "prices")
    worth = builder.table("counts", value=int).transform_values(Priced, "prices", value=int)
    worth.to("worth")
    builder.stream("asked", value=str).join(worth, lambda who, now: f"{who}: {now}").to("answered", value=str)
    with TopologyTestDriver(builder.build()) as driver:
        counts, prices = (driver.create_input_topic(topic, value=int) for topic in ("counts", "prices"))
        prices.pipe_input("tea", 2)
        counts.pipe_input("tea", 10)
        prices.pipe_input("tea", 3)
        driver.create_input_topic("asked").pipe_input("tea", "Ada")
        counts.pipe_input("tea", None)
        assert driver.create_output_topic("worth", value=int).read_values_to_list() == [20, None]
        # Without a store the table is computed when it is looked up, as in Kafka.
        assert driver.create_output_topic("answered").read_values_to_list() == ["Ada: 30"]


def test_a_transformer_that_forwards_is_refused_with_what_to_do_instead():
    class Forwards(ValueTransformer):
        def transform(self, key, value):
            self.context.forward((key, value, 0, ()))

    builder = StreamsBuilder()
    builder.table("rows", value=str).transform_values(Forwards, value=str, name="mine").to("out")
    with (
        TopologyTestDriver(builder.build()) as driver,
        pytest.raises(StreamsError, match=r"mine forwards.*\nhint: return"),
    ):
        driver.create_input_topic("rows").pipe_input("k", "v")


def test_processors_are_closed_with_their_task_the_last_one_first_and_an_error_hides_none_of_them():
    closed = []

    class Opens(Processor):
        def process(self, record):
            self.context.forward(record)

        def close(self):
            closed.append(type(self).__name__)
            raise OSError(type(self).__name__)

    class OpensMore(Opens):
        pass

    builder = StreamsBuilder()
    builder.stream("in", value=str).process(Opens).process_values(OpensMore).to("out", key=str, value=str)
    driver = TopologyTestDriver(builder.build())
    with pytest.raises(OSError, match="Opens"):
        driver.close()
    assert sorted(closed) == ["Opens", "OpensMore"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("transformValues", r"KStream has no transformValues: Kafka took it away in 4\.0\nhint: process_values"),
        ("flat_transform", r"hint: process\(\.\.\.\)"),
        ("groupByKey", r"KStream has no groupByKey\nhint: here it is group_by_key"),
        ("sum_up", r"KStream has no sum_up$"),
    ],
)
def test_a_method_of_java_or_of_before_4_0_is_told_what_it_is_now(name, said):
    with pytest.raises(AttributeError, match=said):
        getattr(StreamsBuilder().stream("in", value=str), name)
    with pytest.raises(AttributeError, match="KTable has no mapValues\nhint: here it is map_values"):
        StreamsBuilder().table("in", value=str).mapValues  # noqa: B018
