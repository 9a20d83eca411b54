"""Expressions: what they compute, and that nothing but fields and constants is in what is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver, col, count


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
