"""The guide's two transactional programs, as written, under kill -9 of each and of the node.

`make test-guide-transactions KILLS=5000` goes on for longer: `python -m tests.fault.guide_transactions --help`.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.fault.guide_transactions.chapter import Chapter, broken_promises
from tests.fault.guide_transactions.programs import PROGRAMS
from tests.fault.history.operations import Poll, Record, Send

CHECKOUT = PROGRAMS[0]


@pytest.mark.timeout(600)
def test_every_input_has_its_effects_once_over_kills_of_the_programs_and_the_node(tmp_path: Path):
    chapter = Chapter(tmp_path / "chapter", seed=4)
    chapter.run(12)
    assert not chapter.findings, "\n".join([*chapter.findings, f"{chapter.folder}"])
    assert chapter.verdict is not None
    assert chapter.verdict.counts["transactions committed"] > 12, chapter.verdict.report()


@pytest.mark.timeout(600)
def test_markers_that_commit_what_was_aborted_are_found_out(tmp_path: Path):
    programs = {program.name: 1 for program in PROGRAMS}
    # A kill shows it that comes between the records of a transaction and its end: few of twenty do, and at times none.
    for attempt in range(5):
        chapter = Chapter(
            tmp_path / f"chapter-{attempt}", seed=5 + attempt, bug="commit-what-is-aborted", victims=programs
        )
        chapter.run(20)
        if chapter.findings:
            break
    assert any("more than once" in finding for finding in chapter.findings), chapter.findings
    assert chapter.verdict is not None
    assert "duplicate" in chapter.verdict.names(), chapter.verdict.report()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_input_has_its_effects_once_over_a_thousand_kills(tmp_path: Path):
    chance = random.Random(9)
    for number in range(int(os.environ.get("MOLDAU_TEST_KILLS", "1000")) // 100):
        chapter = Chapter(tmp_path / f"chapter-{number}", seed=chance.randrange(1 << 30))
        chapter.run(100)
        assert not chapter.findings, "\n".join([*chapter.findings, f"{chapter.folder}"])


def carts(*numbers: int) -> list[Send]:
    return [
        Send(at=n, process="feeder", began=n, partition="carts-0", value=f"carts-{n}", outcome="ok", offset=n)
        for n in numbers
    ]


def read(topic: str, *values: str) -> Poll:
    records = tuple(Record(f"{topic}-0", offset, value) for offset, value in enumerate(values))
    return Poll(at=100, process="reader", reader="reader", isolation="read_committed", records=records)


@pytest.mark.parametrize(
    ("orders", "what"),
    [
        (["order carts-1"], "never"),
        (["order carts-1", "order carts-2", "order carts-1"], "more than once"),
        (["order carts-1", "order carts-2", "order carts-3"], "from nothing"),
    ],
)
def test_an_input_without_its_effect_or_with_two_is_named(orders: list[str], what: str):
    others = [
        read("inventory", "reserve carts-1", "reserve carts-2"),
        read("notifications", "email carts-1", "email carts-2"),
    ]
    (found,) = broken_promises(CHECKOUT, [*carts(1, 2), read("orders", *orders), *others])
    assert what in found
    assert "orders" in found


def test_a_clean_history_breaks_no_promise():
    whole = [
        read(topic, *(effect(f"carts-{number}") for number in (1, 2))) for topic, effect in CHECKOUT.outputs.items()
    ]
    assert broken_promises(CHECKOUT, [*carts(1, 2), *whole]) == []
