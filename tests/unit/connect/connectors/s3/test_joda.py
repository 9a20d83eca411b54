"""Times as text, zones and ISO texts, against what Joda-Time itself answers (`tests/golden/joda`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.golden.joda.record import ANSWERS, questions

from moldau.connect.connectors.s3.iso import parse_instant_ms
from moldau.connect.connectors.s3.joda import Pattern
from moldau.connect.connectors.s3.partitioners import bucket_of
from moldau.connect.connectors.s3.zones import zone_of


def answers(kind: str) -> Iterator[tuple[list[str], str]]:
    for line in ANSWERS.read_text(encoding="utf-8").splitlines():
        asked, *arguments, answer = line.split("\t")
        if asked == kind:
            yield arguments, answer


def differences(kind: str, ours: Callable[..., str]) -> list[tuple[list[str], str, str]]:
    found = []
    for arguments, answer in answers(kind):
        try:
            said = ours(*arguments)
        except ValueError:
            said = "error"
        if said != answer:
            found.append((arguments, answer, said))
    return found


def test_every_question_of_the_recorder_has_been_answered() -> None:
    asked = list(dict.fromkeys("\t".join(question) for question in questions()))
    recorded = [line.rpartition("\t")[0] for line in ANSWERS.read_text(encoding="utf-8").splitlines()]
    assert recorded == asked


def test_patterns_write_what_joda_writes() -> None:
    found = differences("print", lambda p, zone, locale, at: Pattern(p, locale).text(int(at), zone_of(zone)))
    # Names of places in other languages are refused, not guessed; a zone has one short name here, Java has more.
    assert [entry for entry in found if not set(entry[0][0]) & set("z")] == []


def test_times_are_cut_to_a_duration_in_local_time_as_joda_cuts_them() -> None:
    assert differences("bucket", lambda span, zone, at: str(bucket_of(int(at), int(span), zone_of(zone)))) == []


def test_days_begin_when_joda_says_they_begin() -> None:
    def days(zone_id: str, at: str) -> str:
        zone = zone_of(zone_id)
        start = zone.start_of_day(int(at))
        return f"{start} {zone.day_later(start)}"

    assert differences("midnight", days) == []


def test_iso_texts_are_read_as_joda_reads_them() -> None:
    assert differences("parse", lambda text: str(parse_instant_ms(text))) == []


@pytest.mark.parametrize("zone", ["", "PST", "utc", "+1", "+25:00", "Europe/prague", "../etc/passwd", "posixrules/x"])
def test_a_zone_that_joda_does_not_know_is_refused(zone: str) -> None:
    with pytest.raises(ValueError):
        zone_of(zone)


def test_names_in_a_language_that_is_not_here_are_refused_and_numbers_are_not() -> None:
    assert Pattern("YYYY-MM-dd", "de").text(0, zone_of("UTC")) == "1970-01-01"
    with pytest.raises(ValueError, match="locale 'de'"):
        Pattern("EEEE", "de")
    with pytest.raises(ValueError, match="only Java has"):
        Pattern("zzzz", "en")


@pytest.mark.parametrize(
    ("pattern", "finest_ms"),
    [("'hour'=HH", 3_600_000), ("YYYY/MM/dd", 86_400_000), ("mm", 60_000), ("'HH'", 86_400_000)],
)
def test_a_pattern_knows_the_shortest_thing_it_names(pattern: str, finest_ms: int) -> None:
    assert Pattern(pattern).finest_ms == finest_ms
