"""Java's regular expressions in Python. The expected answers are those of `java.util.regex`."""

import pytest

from moldau.connect.java_regex import JavaRegexError, Replacement, compile_java


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("(?<a>x)\\k<a>", "xx", True),
        ("a++b", "aab", True),
        ("a++ab", "aab", False),
        ("\\p{Alpha}+", "abc", True),
        ("\\P{Digit}+", "ab1", False),
        ("[\\p{Digit}_]+", "1_2", True),
        ("\\Qa.b\\E", "a.b", True),
        ("\\Qa.b\\E", "axb", False),
        ("[a-z&&[^bc]]+", "ad", True),
        ("[a-z&&[^bc]]+", "ab", False),
        ("[a[0-9]]+", "a1", True),
        ("\\w+", "é", False),
        (".", "\u2028", False),
        ("(?s).", "\n", True),
        ("(?i)ABC", "abc", True),
        ("a(?i:B)", "ab", True),
        ("[]a]", "]", True),
        ("a{2,3}", "aa", True),
        ("\\x{1F600}", "\U0001f600", True),
        ("\\h", "\t", True),
        ("(?<!x)a", "a", True),
        ("[.]", "x", False),
    ],
)
def test_a_pattern_matches_what_it_matches_in_java(pattern: str, text: str, matches: bool):
    assert (compile_java(pattern).fullmatch(text) is not None) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[a",
        "${x}",
        "a{,2}",
        "\\y",
        "\\p{Greek}",
        "a(?i)b",
        "(?U)a",
        "[^a-z&&[b]]",
        "\\",
        "[a[^b]]",
        "\\x1",
        "\\ka",
    ],
)
def test_what_cannot_be_said_in_python_is_refused(pattern: str):
    with pytest.raises(JavaRegexError, match="cannot be used"):
        compile_java(pattern)


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [("$2-${a}", "rders-o"), ("\\$$1", "$o"), ("$0!", "orders!"), ("$15", "o5"), ("x", "x"), ("\\\\", "\\")],
)
def test_a_replacement_names_groups(replacement: str, expected: str):
    pattern = compile_java("(?<a>o)(.*)")
    assert Replacement(pattern, replacement).first("orders") == expected


@pytest.mark.parametrize("replacement", ["$3", "${b}", "a$", "a\\", "${routedByValue"])
def test_a_replacement_that_names_no_group_is_refused(replacement: str):
    with pytest.raises(JavaRegexError, match="the replacement"):
        Replacement(compile_java("(?<a>o)(.*)"), replacement)


def test_a_group_that_took_no_part_is_nothing():
    assert Replacement(compile_java("(a)?b"), "[$1]").first("b") == "[]"
