"""Expressions: what they compute, and that nothing but fields and constants is in what is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from moldau.streams import (
    Consumed,
    JoinWindows,
    StreamsBuilder,
    TopologyTestDriver,
    col,
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


@pytest.mark.parametrize(
    "written",
    [
        lambda: bool(col.a == 1),
        lambda: col.a > 1 and col.b > 1,
        lambda: col.a > 1 or col.b > 1,
        lambda: not col.a,
        lambda: 1 < col.a < 5,
        lambda: col.a in [1, 2],
    ],
)
def test_what_would_need_to_be_true_or_false_at_once_is_told_what_to_write(written: Any):
    with pytest.raises(TypeError) as caught:
        written()
    said = str(caught.value)
    assert "before there is a record\nhint: " in said
    for instead in ("(a == 1) & (b == 2)", "`|`", "`~`", "is_in([1, 2])", "between(1, 5)"):
        assert instead in said


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (lambda: "x" in col.tags, r"hint: col\.tags\.contains\('x'\)"),
        (lambda: list(col.tags), r"hint: a function can go through it"),
        (lambda: len(col.tags), r"hint: col\.tags\.len\(\)"),
        (lambda: [*col], "hint: a function can stand here"),
        (
            lambda: make(dict, n=left.round),
            r"round is a function of expressions, not a field\nhint: .*with \['round'\]",
        ),
        (lambda: col.a == 1 & col.b == 2, r"`&` takes two conditions, and 1 is none\nhint: parentheses"),
        (lambda: col.a > 1 | col.b, r"`\|` takes two conditions, and 1 is none\nhint: parentheses"),
        (lambda: col.flags & 4, "`&` takes two conditions, and 4 is none"),
        (lambda: col.a.is_in("abc"), r"hint: a\.contains\(b\)"),
        (lambda: col.a.is_in(col.tags), r"hint: a\.contains\(b\)"),
        (lambda: col.a.is_in([1, col.b]), r"hint: \(a == b\) \| \(a == c\)"),
        (lambda: col.a.starts_with(5), "starts_with takes a text, not 5"),
        (lambda: col.a.round(1.5), r"round takes a number of digits, not 1\.5"),
    ],
)
def test_what_cannot_be_written_says_what_can(written: Any, hint: str):
    with pytest.raises(TypeError, match=hint):
        written()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (col.amount.avg, "col.amount.avg is a field, and no method\nhint: mean()"),
        (
            lambda: col.customer.name.startswith("A"),
            "col.customer.name.startswith is a field, and no method\nhint: starts",
        ),
        (
            lambda: col.name.replace("a", "b"),
            "col.name.replace is a field, and no method\nhint: a function can stand here",
        ),
        (lambda: col.a.eq(col.b), "col.a.eq is a field"),
        (col.amount.count, "hint: count() of moldau.streams"),
        (col.amount.summ, "hint: sum()"),
        (lambda: left.name.isin(["a"]), "left.name.isin is a field, and no method\nhint: is_in"),
        (lambda: col.startswith("A"), "hint: starts_with"),
        (col.a == 1, "(col.a == 1) is computed of a value"),
    ],
)
def test_a_method_that_is_called_otherwise_here_is_named(written: Any, said: str):
    with pytest.raises(TypeError) as caught:
        written()
    assert said in str(caught.value)


def test_a_column_is_named_as_in_polars_too():
    assert (col("amount") + 1)({"amount": 2}) == 3
    with pytest.raises(TypeError, match=r"which \{\} is not"):
        col({})


def test_an_expression_is_shown_as_it_is_written():
    shown = repr((col.a.b.lower() == "x") & ~col.c.is_in([1, 2]) | (left.d + 1).round(2).is_null())
    assert shown == "(((col.a.b.lower() == 'x') & ~col.c.is_in((1, 2))) | (left.d + 1).round(2).is_null())"
    assert repr(make(dict, n=col["a"], k=3)) == "make(dict, n=col.a, k=3)"


@pytest.mark.parametrize("name", ["a b", "a;import os", "", "1", "a']", 'a"]', "a\n", "a.b", "a()", "{0}"])
def test_only_names_are_fields(name: str):
    with pytest.raises(ValueError, match="field"):
        col[name]


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


def of_both(expression: Any, **fields: Any) -> Any:
    """What an expression is of a dict and of an object, which is one thing."""
    one, other = expression(fields), expression(order(**fields))
    assert type(one) is type(other)
    assert one == other
    return one


def test_functions_of_texts():
    name = "Řeka"
    assert of_both(col.name.lower(), name=name) == "řeka"
    assert of_both(col.name.upper(), name=name) == "ŘEKA"
    assert of_both(col.name.len(), name=name) == 4
    assert of_both(col.name.starts_with("Ře"), name=name) is True
    assert of_both(col.name.ends_with(col.end), name=name, end="ka") is True
    assert of_both(col.name.contains("e.a"), name=name) is False
    assert of_both(col.name.contains("ek"), name=name) is True
    assert of_both(col.tags.contains("x"), tags=["x", "y"]) is True
    assert of_both(col.tags.len(), tags=["x", "y"]) == 2
    for expression in (col.name.lower(), col.name.len(), col.name.starts_with("a"), col.name.contains("a")):
        assert of_both(expression, name=None) is None
    with pytest.raises(TypeError, match="doesn't apply to a 'int'"):
        col.name.lower()({"name": 5})


def test_functions_of_numbers():
    assert [of_both(col.a.abs(), a=a) for a in (-3, 2.5, None)] == [3, 2.5, None]
    assert of_both(abs(col.a - 5), a=2) == 3
    assert [of_both(col.a.round(), a=a) for a in (2.5, -3.5, 7)] == [2, -4, 7]
    assert [of_both(round(col.a, 2), a=a) for a in (2.675, 1.005, 7)] == [2.67, 1.0, 7]
    assert [of_both(col.a.round(-2), a=a) for a in (1250, 1350.0)] == [1200, 1400.0]
    assert [of_both(col.a.between(2, col.most), a=a, most=4) for a in (1, 2, 4, 5)] == [False, True, True, False]


def test_what_is_among_constants():
    assert [of_both(col.a.is_in([1, "x", None]), a=a) for a in (1, 1.0, True, "x", None, 2)] == [True] * 5 + [False]
    assert [of_both(col.a.is_in(range(5)), a=a) for a in (4, 5)] == [True, False]
    assert of_both(col.a.is_in([]), a=1) is False
    assert [of_both(col.a.is_in([[1], 2]), a=a) for a in ([1], [2], 2)] == [True, False, True]
    # What cannot be looked up is among nothing that can.
    assert of_both(col.a.is_in([1, 2]), a=[1]) is False


def test_what_is_null_or_not_there():
    assert [col.a.is_null()(value) for value in ({"a": None}, {"a": 0}, {}, None)] == [True, False, True, True]
    assert [col.a.is_not_null()(order(a=a)) for a in (None, 0)] == [False, True]
    assert [col.a.b.is_null()(value) for value in ({}, {"a": None}, {"a": {}}, {"a": {"b": 1}})] == [True] * 3 + [False]
    assert left.name.is_null()({}, {"name": 1}) is True
    # A field that a type does not have is a mistake, not something that is not there.
    with pytest.raises(AttributeError):
        col.b.is_null()(order(a=1))
    with pytest.raises(KeyError):
        (col.a + 1).is_null()({})


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (col.a.round(20) == 1, "rounds to 20 digits"),
        (make(dict, b=col.a) == 1, "makes an object inside of an expression"),
        (col.a.is_in([(1, 2)]), r"has the constant \(1, 2\)"),
    ],
)
def test_what_columns_do_not_know_is_left_to_the_functions(expression: Any, said: str):
    builder = StreamsBuilder()
    builder.stream("in", value=dict).filter(expression).to("out", value=dict)
    with pytest.raises(NotColumnarError, match=said):
        compile_columns(builder.build().sub_topologies()[0].nodes)
