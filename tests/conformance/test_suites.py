"""Other people's suites, as far as they are short. `tests.conformance.suites` says how to run the long ones."""

from __future__ import annotations

import pytest
from bench.versus.jars import MissingToolError
from tests.conformance.suites import franz_go
from tests.conformance.suites.outcomes import Outcome, Verdict, allowances, objections, summary

RECORDS = 5_000


@pytest.mark.timeout(franz_go.SUITE_TIMEOUT_S + 900)
def test_franz_go_passes_its_own_tests_against_a_node(bootstrap_servers: str):
    try:
        outcomes = franz_go.run(bootstrap_servers, records=RECORDS)
    except MissingToolError as missing:
        pytest.skip(str(missing))
    assert not objections(outcomes, allowances(franz_go.NAME)), summary(outcomes)
    assert len(outcomes) > 100, "franz-go has more tests than that; its output was not understood"


def test_a_failure_that_nobody_allowed_is_an_objection():
    failed = Outcome("TestProduce", Verdict.FAILED, said="lost a record")
    assert objections([failed], {}) == ["TestProduce failed: lost a record"]


def test_an_allowed_failure_that_passes_must_leave_the_list():
    allowed = allowances(franz_go.NAME)
    name = next(name for name, allowance in allowed.items() if allowance.how == "fails")
    [objection] = objections([Outcome(name, Verdict.PASSED)], allowed)
    assert "take it off the list" in objection
