"""Values as Java writes them. The expected texts are those of `String.valueOf` in Java 21."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.data.java_text import java_double, java_float, java_text, to_float32


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1.5e300, "1.5E300"),
        (123456.789, "123456.789"),
        (5e-324, "4.9E-324"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_a_double_is_written_as_java_writes_it(value: float, expected: str):
    assert java_double(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "0.1"),
        (16777216.0, "1.6777216E7"),
        (3.4028234663852886e38, "3.4028235E38"),
        (1.0, "1.0"),
        (1e39, "Infinity"),
    ],
)
def test_a_float_is_written_with_the_digits_of_32_bits(value: float, expected: str):
    assert java_float(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_back(value: float):
    assert float(java_double(value)) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_32_bits(value: float):
    assert to_float32(float(java_float(value))) == value


def test_what_holds_other_values_is_written_as_java_writes_it():
    assert java_text([None, True, {"a": 1.0, "b": "x"}]) == "[null, true, {a=1.0, b=x}]"
