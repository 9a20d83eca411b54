"""The filter language: what is true of a record, and what is said about an expression that means nothing."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.cli.outcome import UsageError
from moldau.cli.record_filter import DEPTH_MAX, FilterError, compile_filter, matches


class Record:
    """The part of a message that filters look at."""

    def __init__(self, key=b"customer-7", value=b"", headers=None, timestamp=1_700_000_000_000):
        self._content = (key, value)
        self._headers = headers
        self._timestamp = timestamp

    def key(self):
        return self._content[0]

    def value(self):
        return self._content[1]

    def headers(self):
        return self._headers

    def topic(self):
        return "orders"

    def partition(self):
        return 3

    def offset(self):
        return 9_007_199_254_740_993

    def timestamp(self):
        return 1, self._timestamp


ORDER = Record(
    value=b'{"total": 120.50, "id": 9007199254740993, "paid": true, "note": null, "who": {"odd name": "Ann"},'
    b' "items": [{"sku": "A-1"}, {"sku": "B-2"}], "tags": ["new", 5]}',
    headers=[("source", b"mobile"), ("source", b"web"), ("raw", b"\xff"), ("none", None)],
)


@pytest.mark.parametrize(
    "expression",
    [
        "value.total > 100",
        "value.total == 120.5",
        "value.total >= 120.50 and value.total <= 120.50",
        "value.id == 9007199254740993",
        "offset == 9007199254740993",
        "value.paid",
        "value.paid == true",
        "not exists(value.note)",
        "value.note == null",
        "value.missing.deeper == null",
        'value.who["odd name"] == "Ann"',
        'value.items[1].sku == "B-2"',
        'value.tags contains "new"',
        "value.tags contains 5",
        "value contains 'total'",
        'headers.source == "web"',
        'headers["none"] == null',
        'key == "customer-7"',
        'key ~ "customer-*"',
        'key ~ "*-?"',
        "key < 'd'",
        "lower('ABC') == 'abc'",
        "size(key) == 10",
        "size(value.items) == 2",
        "partition in (1, 3)",
        'topic == "orders"',
        'timestamp >= "2023-11-14"',
        "timestamp < '@-1h'",
        "timestamp == 1700000000000",
        "false == true or not (partition != 3 || !(partition == 3))",
        r'"a\"b" == "a\"b"',
        "value.total > -1e3",
    ],
)
def test_this_is_true_of_the_order(expression):
    assert compile_filter(expression)(ORDER) is True


@pytest.mark.parametrize(
    "expression",
    [
        "value.id == 9007199254740992",
        'value.total > "100"',
        "value.paid == 1",
        "value.paid > false",
        'value.items == "x"',
        "value.missing",
        "value.total",
        "value.missing < 5",
        'key ~ "customer"',
        'headers.raw == "x"',
        "value.items[9].sku == 'A-1'",
        "partition in ('3')",
    ],
)
def test_this_is_not(expression):
    assert compile_filter(expression)(ORDER) is False


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": NaN}', b"1e999999999", b'{"total": "120"}']
)
def test_a_value_that_is_no_such_document_is_no_match_and_no_error(value):
    assert compile_filter("value.total > 100")(Record(value=value)) is False
    assert compile_filter("value.total != 100 or true == true")(Record(value=value)) is True


@pytest.mark.parametrize(
    ("expression", "column", "problem"),
    [
        ("", 1, "missing at the end"),
        ("value.total >", 14, "missing at the end"),
        ("total > 1", 1, "'total' is none of key, value"),
        ('key = "x"', 5, "write == to compare"),
        ('key == "x', 8, "a text without its end"),
        ("(key == 1", 10, "expected ')'"),
        ("key == 1)", 9, "does not follow"),
        ("key == 1 2", 10, "does not follow"),
        ("value", 1, "no condition"),
        ("true", 1, "no condition"),
        ("size(key)", 1, "no condition"),
        ("partition.x == 1", 1, "nothing inside"),
        ("headers == 1", 1, "headers are named"),
        ("value.[1] == 1", 7, "the name of a field"),
        ("value[x] == 1", 7, "a position or a quoted name"),
        ("key ~ 5", 7, "a text with * and ?"),
        ('timestamp > "noon"', 13, "no time"),
        ("key == 1; import os", 9, "means nothing here"),
        ("__import__('os')", 1, "is none of"),
        ("key.__class__.__mro__ == 1 and open('x')", 32, "is none of"),
    ],
)
def test_an_expression_that_means_nothing_is_answered_with_its_column(expression, column, problem):
    with pytest.raises(FilterError, match="column") as raised:
        compile_filter(expression)
    assert raised.value.column == column
    assert problem in str(raised.value)
    caret = str(raised.value).splitlines()[-1]
    assert caret.index("^") == column + 1


def test_names_of_python_are_fields_like_any_other():
    assert compile_filter("value.__class__ == 'x'")(Record(value=b'{"__class__": "x"}')) is True


def test_an_expression_is_limited_in_length_and_depth():
    with pytest.raises(UsageError, match="at most"):
        compile_filter("key == 1 or " * 1000 + "key == 1")
    for opening in ("(", "not "):
        with pytest.raises(FilterError, match="inside of one another"):
            compile_filter(opening * (DEPTH_MAX + 1) + "key == 1")


def test_a_pattern_that_would_hang_a_regular_expression_does_not():
    started = time.monotonic()
    assert not matches("a" * 50_000, "*a" * 60 + "b")
    assert time.monotonic() - started < 60


@given(st.text("ab*?", max_size=12), st.text("ab*?", max_size=8))
def test_patterns_match_as_the_shells_do(text, pattern):
    def slow(t: str, p: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return any(slow(t[i:], p[1:]) for i in range(len(t) + 1))
        return bool(t) and p[0] in ("?", t[0]) and slow(t[1:], p[1:])

    assert matches(text, pattern) == slow(text, pattern)


@given(st.text(max_size=60))
def test_no_text_does_anything_but_compile_or_be_refused(source):
    with contextlib.suppress(UsageError):
        compile_filter(source)(ORDER)
