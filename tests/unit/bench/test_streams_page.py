"""The page of stream processing: medians, ratios, and a place for whoever failed or cannot."""

import argparse
from pathlib import Path

import pytest
from bench.versus.broker_process import Usage
from bench.versus.streams import __main__ as program
from bench.versus.streams.page import Results, page, table
from bench.versus.streams.peers import EVERY_ROW, PEERS
from bench.versus.streams.rows import ROWS
from bench.versus.streams.runs import Run, RunFailedError, Sample, spent

FACTS = {"command": "the command", "broker": "a broker", "records": 1000, "rounds": "1 round", "load_before": 0.5}


def results_of(*cases: tuple[str, str, str]) -> Results:
    return Results(cases=list(cases))


def sample(cpu_s: float) -> Sample:
    return Sample(1000, 2.0, cpu_s, 2**20)


def test_a_client_is_held_against_ours_in_the_same_row():
    ours, theirs = ("stateless", "at_least_once", "moldau"), ("stateless", "at_least_once", "quix")
    results = results_of(ours, theirs)
    results.add(ours, sample(0.5))
    for cpu_s in (1.0, 9.0, 4.0):
        results.add(theirs, sample(cpu_s))
    assert table(results).splitlines()[2:] == [
        "| stateless | at_least_once | Moldau | 2,000 | 500 | 1 |  |",
        "| stateless | at_least_once | Quix Streams 3.28.1 (÷4) | 250 | 500 | 1 | 8.00 times |",
    ]


def test_a_client_that_failed_is_a_cell_and_one_that_cannot_is_named():
    cases = [(row, "at_least_once", name) for row in ("stateless", "sessions") for name in ("moldau", "bytewax")]
    results = results_of(*cases, ("stateless", "at_least_once", "faust"))
    results.add(cases[0], sample(1.0))
    results.failed(cases[1], "1 results | expected 2")
    results.add(cases[3], sample(1.0))
    results.failed(cases[3], "once more")
    text = page(results, FACTS)
    assert "| stateless | at_least_once | Bytewax 0.21.1 (÷4) | failed: 1 results / expected 2 |  |  |  |" in text
    assert "| sessions | at_least_once | Bytewax 0.21.1 (÷4) | 1,000, failed 1 of 2 | 500 | 1 |  |" in text
    assert "| sessions | at_least_once | Moldau | failed: not run |  |  |  |" in text
    assert "- Faust 0.15.3 has not `sessions`: no session windows." in text
    assert "median of 1 round." in text
    assert "Written by `the command`" in text


def test_one_that_does_not_finish_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def measured(self: Run, records: int) -> Sample:
        if self._peer.name == "bytewax":
            raise RunFailedError(ValueError("no partition\nof that name"), tmp_path / "none")
        return sample(1.0)

    monkeypatch.setattr(Run, "__init__", lambda self, *given: setattr(self, "_peer", given[2]))
    monkeypatch.setattr(Run, "measure", measured)
    given = argparse.Namespace(
        rows=["stateless"], clients=["bytewax", "faust"], guarantees=["at_least_once"], rounds=2, records=10
    )
    results = program.measure(given, None, None, tmp_path)  # type: ignore[arg-type]
    assert results.failures == {("stateless", "at_least_once", "bytewax"): ["ValueError: no partition"] * 2}
    assert results.samples == {("stateless", "at_least_once", "faust"): [sample(1.0)] * 2}


def test_the_commit_after_the_last_record_is_paid_for_and_waiting_is_not():
    before, after = Usage(3.0, 1, 1), Usage(5.0, 1, 1)
    assert spent(before, after, 0.2, 2.5) == pytest.approx(1.5)


def test_every_peer_has_each_row_or_a_reason():
    assert set(EVERY_ROW) == set(ROWS)
    for peer in PEERS.values():
        if not peer.name.endswith("-cached"):
            assert set(peer.rows) | set(peer.cannot) >= set(EVERY_ROW), peer.name
            assert not set(peer.rows) & set(peer.cannot)
