"""Types as serdes, all the way through a topology: what a class becomes on the wire, in stores and in callbacks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TypedDict

import msgspec
import pydantic
import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver


class Model(pydantic.BaseModel):
    customer: str
    amount: pydantic.PositiveFloat


class Struct(msgspec.Struct):
    customer: str
    amount: float


@dataclass
class Data:
    customer: str
    amount: float


class Row(TypedDict):
    customer: str
    amount: float


@pytest.mark.parametrize("kind", [Model, Struct, Data])
def test_an_aggregate_of_a_class_is_kept_in_a_store_and_comes_out_as_json(kind):
    def add(order, held):
        held.amount += order.amount
        return held

    builder = StreamsBuilder()
    orders = builder.stream("orders", value=kind)
    sums = orders.group_by(lambda order: order.customer).aggregate(
        lambda: kind(customer="all", amount=1.0), add, store="sums"
    )
    sums.filter(lambda held: held.amount > 4).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        topic = driver.create_input_topic("orders", value=kind)
        for amount in (2.0, 3.0):
            topic.pipe_input(None, kind(customer="ada", amount=amount))
        assert driver.get_key_value_store("sums").get("ada")[0] == kind(customer="all", amount=6.0)
        (written,) = [one.value for one in driver.produced("out") if one.value is not None]
        assert msgspec.json.decode(written) == {"customer": "all", "amount": 6.0}
        assert driver.create_output_topic("out", value=kind).read_values_to_list()[-1].amount == 6.0


def test_a_typed_dict_is_a_dict_that_was_checked():
    builder = StreamsBuilder()
    builder.stream("rows", value=Row).map_values(lambda row: row["customer"], value=str).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("rows", value=Row).pipe_input("k", {"customer": "ada", "amount": 1.0})
        assert driver.create_output_topic("out").read_values_to_list() == ["ada"]
        with pytest.raises(Exception, match="cannot be read") as failure:
            driver.pipe("rows", b"k", b'{"customer": 7, "amount": 1}', 0)
        assert "Expected `str`, got `int` - at `$.customer`" in str(failure.value.__cause__)


def test_what_a_pydantic_model_refuses_cannot_be_read():
    builder = StreamsBuilder()
    builder.stream("orders", value=Model).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        with pytest.raises(Exception, match="cannot be read") as failure:
            driver.pipe("orders", b"k", b'{"customer": "ada", "amount": -1}', 0)
        assert isinstance(failure.value.__cause__, pydantic.ValidationError)


def test_print_writes_a_line_per_record_with_the_node_before_or_a_label(capsys):
    file = io.StringIO()
    builder = StreamsBuilder()
    words = builder.stream("words", value=str)
    words.print()
    words.map_values(len, value=int).print("lengths", file=file)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("words").pipe_key_value_list([("a", "one"), (None, "three")])
    assert capsys.readouterr().out == "[KSTREAM-SOURCE-0000000000]: a, one\n[KSTREAM-SOURCE-0000000000]: None, three\n"
    assert file.getvalue() == "[lengths]: a, 3\n[lengths]: None, 5\n"
