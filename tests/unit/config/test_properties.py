"""Java's grammar, entry by entry; the expected values were read off java.util.Properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.config.properties import Entry, PropertiesError, decode, parse_properties


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a=b", [("a", "b", 1)]),
        ("a = b", [("a", "b", 1)]),
        ("a:b", [("a", "b", 1)]),
        ("a b", [("a", "b", 1)]),
        ("a\tb c", [("a", "b c", 1)]),
        ("a == b", [("a", "= b", 1)]),
        ("a", [("a", "", 1)]),
        ("a=b  ", [("a", "b  ", 1)]),
        ("  a=b", [("a", "b", 1)]),
        ("# a=b\n! c=d\n\n  # e\nf=g", [("f", "g", 5)]),
        ("a=b # not a comment", [("a", "b # not a comment", 1)]),
        ("a=b,\\\n   c\nd=e", [("a", "b,c", 1), ("d", "e", 3)]),
        ("a=b\\\\\nc=d", [("a", "b\\", 1), ("c", "d", 2)]),
        ("a=\\\n# still the value", [("a", "# still the value", 1)]),
        ("a=b\\", [("a", "b", 1)]),
        ("\\\n\na=b", [("a", "b", 3)]),
        ("# comment \\\na=b", [("a", "b", 2)]),
        (r"a\=b=c", [("a=b", "c", 1)]),
        (r"a\ b=c", [("a b", "c", 1)]),
        (r"a=\t\n\q\u00e9", [("a", "\t\nqé", 1)]),
        (r"a=\uD83D\uDE00", [("a", "😀", 1)]),
        ("a=b\r\nc=d\re=f", [("a", "b", 1), ("c", "d", 2), ("e", "f", 3)]),
        ("a=1\na=2", [("a", "1", 1), ("a", "2", 2)]),
        ("", []),
    ],
)
def test_an_entry_is_read_as_java_reads_it(text, entries):
    assert parse_properties(text) == [Entry(*entry) for entry in entries]


@pytest.mark.parametrize("text", [r"a=\u12", r"a=\u12G4", r"\u=b"])
def test_half_a_unicode_escape_is_refused_with_its_line(text):
    with pytest.raises(PropertiesError) as refusal:
        parse_properties("x=y\n" + text)
    assert refusal.value.line == 2


def test_a_file_that_is_not_utf_8_is_read_as_latin_1():
    assert decode("é".encode("latin-1")) == decode("é".encode()) == "é"
    assert decode(b"\xef\xbb\xbfa=b") == "a=b"


def escape(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in "\\=: \t\f\n\r#!" or ord(c) > 126 or ord(c) < 32 else c for c in text)


@given(
    st.dictionaries(
        st.text(st.characters(max_codepoint=0xD7FF), min_size=1), st.text(st.characters(max_codepoint=0xD7FF))
    )
)
def test_whatever_is_written_with_escapes_comes_back(entries):
    text = "\n".join(f"{escape(name)}={escape(value)}" for name, value in entries.items())
    assert {entry.name: entry.value for entry in parse_properties(text)} == entries


@given(st.text())
def test_no_text_makes_the_reader_fail_in_any_other_way(text):
    try:
        entries = parse_properties(text)
    except PropertiesError:
        return
    assert all(1 <= entry.line <= len(text) + 1 for entry in entries)
