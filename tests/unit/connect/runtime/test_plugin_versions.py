"""Versions that somebody asks for, as Maven orders them."""

from __future__ import annotations

import pytest

from moldau.connect.runtime.plugin_versions import Wanted, why_not

ORDER = [
    "1.0-alpha-1", "1.0-beta-2", "1.0-M1", "1.0-rc1", "1.0-SNAPSHOT", "1.0", "1.0-sp", "1.0-x", "1.0.1", "1.2", "1.10",
    "3.6.1.Final", "3.10",
]  # fmt: skip


def test_versions_are_ordered_by_their_numbers_and_what_stands_behind_them():
    for place, version in enumerate(ORDER):
        found = [other for other in ORDER if Wanted(f"[{version},)").takes(other)]
        assert found == ORDER[place:]
        assert [other for other in ORDER if Wanted(f"(,{version})").takes(other)] == ORDER[:place]


@pytest.mark.parametrize("same", ["1", "1.0.0", "1.0.Final", "1-ga", " 1.0 "])
def test_what_says_nothing_makes_no_other_version(same):
    assert Wanted(same).takes("1.0")
    assert not Wanted(same).takes("1.0.1")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("4.3.1", True),
        ("[4.3.1]", True),
        ("4.3", False),
        ("[4.0,5.0)", True),
        ("(4.3.1,5.0)", False),
        ("[4.0,4.3.1)", False),
        ("(,4.0],[4.2,)", True),
        ("(,4.0], [5, )", False),
    ],
)
def test_a_version_is_in_one_of_the_ranges_or_not(wanted, taken):
    assert Wanted(wanted).takes("4.3.1") is taken


@pytest.mark.parametrize(
    "text", ["", "[", "[1", "1]", "[1)", "(1)", "[]", "1,2", "[1,2],3", "[1,2][3,4]", "[2,1]", "[1,2,3]"]
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match=r"version|begins"):
        Wanted(text)


def test_what_is_not_here_is_told_as_kafka_tells_it():
    assert why_not("a.B", "4.3.1", None) is None
    assert why_not("a.B", "4.3.1", "latest") is None
    assert why_not("a.B", "4.3.1", "[4,5)") is None
    assert why_not("a.B", "4.3.1", "3.0") == (
        "Plugin a.B not found that matches the version range [3.0], available versions: [4.3.1]"
    )
