"""Expressions: what they compute, and that nothing but fields and constants is in what is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from moldau.streams import (
    Consumed,
    JoinWindows,
    StreamsBuilder,
    TopologyError,
    TopologyTestDriver,
    col,
    count,
    left,
    make,
    right,
)
from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.columns import compile_columns


@pytest.mark.parametrize("value", [{"amount": 3, "price": 2.5}, type("Order", (), {"amount": 3, "price": 2.5})()])
def test_an_expression_reads_dicts_and_objects(value: Any):
    assert (col.amount * col.price + 1 > 8)(value) is True
    assert (~(col.amount == 3) | (col.price < 1))(value) is False
    assert (10 - col.amount)(value) == 7


def test_an_expression_has_no_truth_of_its_own():
    with pytest.raises(TypeError, match="hint"):
        bool(col.amount > 1 and col.price > 1)


@pytest.mark.parametrize("name", ["a b", "a;import os", "", "1", "a']", 'a"]', "a\n", "a.b", "a()", "{0}"])
def test_only_names_are_fields(name: str):
    with pytest.raises(ValueError, match="field"):
        col[name]


def test_least_greatest_and_count_of_a_group():
    builder = StreamsBuilder()
    grouped = builder.stream("in", value=dict).group_by_key()
    grouped.agg(least=col.amount.min(), greatest=col.amount.max(), n=count(), store="numbers")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in", value=dict)
        for amount in (3, 1, 2):
            source.pipe_input("a", {"amount": amount})
        held, _ = driver.get_key_value_store("numbers").get("a")
        assert (held.least, held.greatest, held.n) == (1, 3, 3)


@pytest.mark.parametrize("text", ["'", "') or exit('", "__import__('os')", "constant_1", "{!r}"])
def test_a_constant_is_compared_and_never_run(text: str):
    assert (col.a == text)({"a": text}) is True
    assert (col.a == text)({"a": "other"}) is False


@pytest.mark.parametrize("name", ["from", "None", "value", "getattr"])
def test_a_field_may_be_called_as_a_word_of_python(name: str):
    assert (col[name] == 1)({name: 1}) is True
    assert (col[name] == 1)(type("Order", (), {name: 1})()) is True


def order(**fields: Any) -> Any:
    return type("Order", (), fields)()


@pytest.mark.parametrize("address", [{"city": "Praha", "sum": 3}, order(city="Praha", sum=3)])
def test_a_field_may_have_fields(address: Any):
    for value in ({"address": address}, order(address=address)):
        assert (col.address.city == "Praha")(value) is True
        assert (col.address["sum"] + 1)(value) == 4
    assert col.address.city({"address": None}) is None
    with pytest.raises(ValueError, match="field"):
        col.address["a b"]
    assert not hasattr(col.address, "_city")


def test_numbers_are_divided_and_turned_around_too():
    value = {"a": 7, "b": 2}
    expressions = (col.a % col.b, col.a // col.b, -col.a, 14 / col.a)
    assert [one(value) for one in expressions] == [1, 3, -7, 2.0]


def test_a_topic_and_a_time_may_be_expressions():
    builder = StreamsBuilder()
    builder.stream("in", Consumed.with_(value=dict, timestamp_extractor=col.at)).to(col.region, value=dict)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("in", value=dict).pipe_input("k", {"region": "west", "at": 17}, timestamp=3)
        assert driver.create_output_topic("west", value=dict).read_record().timestamp == 17


def joined(kind: str) -> StreamsBuilder:
    joiner = make(dict, amount=left.amount * 2, city=right.address.city)
    builder = StreamsBuilder()
    if kind == "global":
        other = builder.global_table("right", value=dict)
        builder.stream("left", value=dict).left_join(other, col.customer, joiner).to("out", value=dict)
        return builder
    if kind == "stream":
        windows = JoinWindows.of_time_difference_with_no_grace("1s")
        stream = builder.stream("right", value=dict)
        builder.stream("left", value=dict).left_join(stream, joiner, windows).to("out", value=dict)
        return builder
    table = builder.table("right", value=dict)
    if kind == "stream-table":
        builder.stream("left", value=dict).left_join(table, joiner).to("out", value=dict)
    elif kind == "table":
        builder.table("left", value=dict).left_join(table, joiner, value=dict).to("out", value=dict)
    else:
        builder.table("left", value=dict).left_join(table, col.customer, joiner, value=dict).to("out", value=dict)
    return builder


@pytest.mark.parametrize("kind", ["global", "stream", "stream-table", "table", "foreign"])
def test_in_a_join_there_are_the_fields_of_both_sides(kind: str):
    with TopologyTestDriver(joined(kind).build()) as driver:
        driver.create_input_topic("right", value=dict).pipe_input("k", {"address": {"city": "Praha"}}, timestamp=1)
        source = driver.create_input_topic("left", value=dict)
        source.pipe_input("k", {"amount": 3, "customer": "k"}, timestamp=2)
        out = driver.create_output_topic("out", value=dict)
        assert out.read_values_to_list()[-1] == {"amount": 6, "city": "Praha"}
        if kind != "stream":
            source.pipe_input("other", {"amount": 4, "customer": "nobody"}, timestamp=2)
            assert out.read_values_to_list()[-1] == {"amount": 8, "city": None}


def test_a_side_may_be_taken_as_a_whole():
    builder = StreamsBuilder()
    names = builder.table("names", value=str)
    builder.stream("in", value=dict).join(names, make(dict, id=left.id, name=right)).to("out", value=dict)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("names").pipe_input("k", "Ada")
        driver.create_input_topic("in", value=dict).pipe_input("k", {"id": 1})
        assert driver.create_output_topic("out", value=dict).read_value() == {"id": 1, "name": "Ada"}


def test_what_stands_in_the_wrong_place_is_said_where_it_stands():
    builder = StreamsBuilder()
    stream, table = builder.stream("in", value=dict), builder.table("names", value=str)
    with pytest.raises(TypeError, match=r"left is a side of a join\nhint: elsewhere col\.name"):
        stream.filter(left.amount > 1)
    with pytest.raises(TypeError, match=r"col\.id could be of either side of a join\nhint: say left\.id or right\.id"):
        stream.join(table, make(dict, id=col.id))
    with pytest.raises(TypeError, match=r"hint: agg\(total=col\.amount\.sum\(\)\) can"):
        stream.group_by_key().aggregate(lambda: 0, col.amount)


def test_rows_are_grouped_by_a_field_and_taken_out_again():
    builder = StreamsBuilder()
    grouped = builder.table("stock", value=dict).group_by(col.shop)
    grouped.agg(pieces=col.pieces.sum(), kinds=count(), store="shops")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("stock", value=dict)
        for key, value in (
            ("tea", {"shop": "a", "pieces": 3}),
            ("milk", {"shop": "a", "pieces": 4}),
            ("tea", {"shop": "b", "pieces": 5}),
            ("milk", None),
        ):
            source.pipe_input(key, value)
        rows = {key: (held.pieces, held.kinds) for key, (held, _) in driver.get_key_value_store("shops").all()}
        assert rows == {"a": (0, 0), "b": (5, 1)}
    with pytest.raises(TopologyError, match="most cannot be told without a row that is gone"):
        grouped.agg(most=col.pieces.max())


@pytest.mark.parametrize(
    ("expression", "said"), [(col.a.b == 1, "a field of a field"), (col.a % 2 == 0, "an expression with %")]
)
def test_what_columns_do_not_know_is_left_to_the_functions(expression: Any, said: str):
    builder = StreamsBuilder()
    builder.stream("in", value=dict).filter(expression).to("out", value=dict)
    with pytest.raises(NotColumnarError, match=said):
        compile_columns(builder.build().sub_topologies()[0].nodes)
