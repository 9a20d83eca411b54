"""What Joda-Time answers to a table of questions, for times in object names.

    python -m tests.golden.joda.record

fetches Joda-Time from Maven Central, asks the questions below and writes `answers.tsv`: the question, then the answer,
`error` where Joda refuses. Needed only when a question is added; the tests read the file.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
ANSWERS = FOLDER / "answers.tsv"

LETTERS = "GCYxweEyDMdaKhHkmsSZ"
PATTERNS = [
    "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
    "'year'=YYYY/'month'=M/'day'=d",
    "YYYY-MM-dd'T'HH:mm:ss.SSSZZ",
    "xxxx-'W'ww-e",
    "EEE, d MMM YYYY hh:mm a",
    "EEEE MMMM G",
    "ZZZ",
    "'dt'=YYYYMMdd",
    "'it''s' YY",
    "''",
    "'open",
    "日YYYY",
    "b",
    "TT",
    "YYYY/n",
    *(letter * width for letter in LETTERS for width in (1, 2, 3, 4, 5) if not (letter == "Z" and width > 2)),
]
ZONES = [
    "UTC", "Europe/Prague", "America/Los_Angeles", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Beirut", "America/Havana", "+05:30", "-03:00",
]  # fmt: skip
INSTANTS = [
    0, -1, 1, 999, 1_700_000_000_123, 1_704_067_199_999, 1_704_067_200_000, 951_782_400_000, 1_709_164_800_000,
    # Both changes of the clock in Prague, Los Angeles and Lord Howe, around the change.
    1_711_846_799_999, 1_711_846_800_000, 1_729_990_799_999, 1_729_990_800_000, 1_710_064_799_999, 1_730_624_400_000,
    1_712_415_599_999, 1_728_142_200_000,
    # Sao Paulo and Beirut change at midnight; Apia left out a day.
    1_541_300_399_999, 1_541_300_400_000, 1_550_368_799_999, 1_550_368_800_000, 1_711_835_999_999, 1_711_836_000_000,
    1_325_239_199_999, 1_325_239_200_000,
    # Long ago, and what microseconds look like when they are taken for milliseconds.
    -62_135_596_800_000, -62_198_755_200_000, 253_402_300_800_000, 1_700_000_000_123_456,
]  # fmt: skip
LOCALES = ["en-US", "en", "EN", "en-GB", "de-DE", "fr_FR"]
TEXTS = [
    "2024-03-01T12:34:56.789Z", "2024-03-01T12:34:56.789+02:00", "2024-03-01T12:34:56", "2024-03-01T12:34",
    "2024-03-01T12", "2024-03-01", "2024-03", "2024", "2024-061", "2024-W09-5", "2024-W09",
    "2024-03-01T12:34:56.123456789Z", "2024-03-01T12:34:56,5Z", "2024-03-01T12.5", "2024-03-01T12:34.25",
    "2024-03-01T", "2024-03-01TZ", "T12:34", "T12:34:56Z", "2024-03-01 12:34:56", "2024-03-01T12:34:56+0200",
    "2024-03-01T12:34:56+02", "2024-03-01T24:00:00Z", "2024-02-30", "2024-13-01", "2024-3-1", "", "now",
    "2024-03-01T12:34:56z", "-0001-01-01", "12024-01-01", "+2024-01-01", "2024-03-01Z", "2024-03-01T12:34:56.Z",
    "2024-03-01T1:2:3Z", "2024-03-01T12:60:00Z", "24-03-01", "2024-03-01T12:34:56 Z", "2024-366", "2023-366",
    "2024-W53-1", "2020-W53-7", "2024-03-01T12:34:56.789-00:00", "2024-03-01T12:34:56+02:00:30",
    "2024-03-01T+01:00",
]  # fmt: skip
SPANS = [1, 1_000, 60_000, 600_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000]


def questions() -> Iterator[tuple[str, ...]]:
    """Yield every question: what is asked, then its arguments."""
    chance = random.Random(14)
    for pattern in PATTERNS:
        for instant in (*INSTANTS[:9], *INSTANTS[-4:]):
            yield "print", pattern, "Europe/Prague", "en", str(instant)
    for zone in ZONES:
        for instant in INSTANTS:
            yield "print", "YYYY-MM-dd HH:mm:ss.SSS Z", zone, "en", str(instant)
    for locale in LOCALES:
        yield "print", "EEE EEEE MMM MMMM a G", "UTC", locale, "1700000000123"
    for zone in ZONES:
        near = [instant + chance.choice((-1, 0, 1)) * chance.randrange(7_200_000) for instant in INSTANTS]
        for instant in (*INSTANTS, *near):
            yield "bucket", str(chance.choice(SPANS)), zone, str(instant)
            yield "midnight", zone, str(instant)
    for text in TEXTS:
        yield "parse", text


def record() -> None:
    """Ask Joda-Time, and write down what it says."""
    from bench.versus.jars import jars_of, require_tool

    jars = f"{jars_of(FOLDER / 'pom.xml', 'joda-jars')}/*"
    asked = ["\t".join(question) for question in dict.fromkeys(questions())]
    with tempfile.TemporaryDirectory() as folder:
        javac = require_tool("javac", "openjdk-17-jdk-headless")
        subprocess.run([javac, "-cp", jars, "-d", folder, str(FOLDER / "Recorder.java")], check=True)
        java = [require_tool("java", "openjdk-17-jre-headless"), "-Dfile.encoding=UTF-8", "-cp", f"{folder}:{jars}"]
        done = subprocess.run(
            [*java, "Recorder"], input="\n".join(asked), check=True, stdout=subprocess.PIPE, text=True
        )
    answers = done.stdout.splitlines()
    assert len(answers) == len(asked), "one answer to each question"
    lines = (f"{question}\t{answer}\n" for question, answer in zip(asked, answers, strict=True))
    ANSWERS.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    record()
