"""Patterns of `SimpleDateFormat`. The expected answers are those of Java, in UTC and the locale en_US."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.errors import DataError
from moldau.connect.java_dates import SimpleDateFormat

MOMENT = 1_714_979_289_007  # 2024-05-06T07:08:09.007Z, a Monday


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-05-06T07:08:09.007Z"),
        ("yy/M/d h:m a", "24/5/6 7:8 AM"),
        ("EEE, d MMM yyyy HH:mm:ss Z", "Mon, 6 May 2024 07:08:09 +0000"),
        ("EEEE MMMM G u", "Monday May AD 1"),
        ("y yyyyyy SSSSSS D w W F YYYY", "2024 002024 000007 127 19 2 1 2024"),
        ("k K z zzzz ''", "7 7 UTC Coordinated Universal Time '"),
        ("'it''s' yyyyMMdd", "it's 20240506"),
    ],
)
def test_a_moment_is_written(pattern: str, expected: str):
    assert SimpleDateFormat(pattern).format(MOMENT) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("yyyy-MM-dd", "2024-05-06", 1_714_953_600_000),
        ("yyyy-MM-dd", "2024-13-01 and more", 1_735_689_600_000),
        ("yyyyMMddHHmmss", "20240506070809", 1_714_979_289_000),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2024-05-06 07:08:09.7", 1_714_979_289_007),
        ("yyyy-MM-dd'T'HH:mm:ssX", "2024-05-06T09:08:09+02", 1_714_979_289_000),
        ("EEE, d MMM yyyy HH:mm:ss Z", "mon, 6 may 2024 09:08:09 +0200", 1_714_979_289_000),
        ("MM/dd/yy", "05/06/24", 1_714_953_600_000),
        ("h a", "12 AM", 0),
        ("yyyy D", "2024 127", 1_714_953_600_000),
    ],
)
def test_a_moment_is_read(pattern: str, text: str, expected: int):
    assert SimpleDateFormat(pattern).parse(text) == expected


@pytest.mark.parametrize(
    ("pattern", "text"), [("yyyy-MM-dd", "2024/05/06"), ("MMM", "Foo"), ("HH:mm", "07"), ("X", "x")]
)
def test_a_text_of_another_pattern_is_refused(pattern: str, text: str):
    with pytest.raises(DataError, match="does not match the pattern"):
        SimpleDateFormat(pattern).parse(text)


@pytest.mark.parametrize("pattern", ["yyyy-bb", "'open", "XXXX"])
def test_a_pattern_that_java_refuses_is_refused(pattern: str):
    with pytest.raises(ValueError, match=r"pattern|quote|invalid"):
        SimpleDateFormat(pattern)


@given(st.integers(-80_000_000_000_000, 253_402_300_799_999))
def test_what_is_written_is_read_back(milliseconds: int):
    both = SimpleDateFormat("G yyyy-MM-dd HH:mm:ss.SSS")
    assert both.parse(both.format(milliseconds)) == milliseconds


def test_days_before_october_1582_are_days_of_the_julian_calendar():
    both = SimpleDateFormat("yyyy-MM-dd")
    assert both.format(-12_219_292_800_000) == "1582-10-15"
    assert both.format(-12_219_292_800_000 - 1) == "1582-10-04"
    assert both.parse("0001-01-01") == -62_135_769_600_000
