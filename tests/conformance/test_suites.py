"""Other people's suites, as far as they are short. `tests.conformance.suites` says how to run the long ones."""

from __future__ import annotations

import pytest
from bench.versus.jars import MissingToolError
from tests.conformance.suites import franz_go, librdkafka
from tests.conformance.suites.outcomes import Allowance, Outcome, Verdict, allowances, objections, summary

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


def test_a_failure_is_allowed_only_where_it_was_understood():
    allowed = {"TestGroup": Allowance("TestGroup", "flaky", "it counts what it may not count", "counting")}
    assert not objections([Outcome("TestGroup", Verdict.FAILED, said="counting timed out")], allowed)
    assert objections([Outcome("TestGroup", Verdict.FAILED, said="two members had one partition")], allowed) == [
        "TestGroup failed, but not with 'counting': two members had one partition"
    ]


def test_where_librdkafkas_tests_may_fail_is_in_what_they_say_last():
    allowance = allowances(librdkafka.NAME)["0113_cooperative_rebalance"]
    said = librdkafka.last_words(
        "| 0113_cooperative_rebalance_local  | SKIPPED | 0.000s | Filtered due to negative test flags |\n"
        "| 0113_cooperative_rebalance        |  FAILED | 100.321s | |\n"
        "[0113_cooperative_rebalance  /100.321s] TEST FAILURE\n"
        "Test 0113_cooperative_rebalance (b_subscribe_with_cb_test:903: close consumer) timed out\n"
    )
    assert allowance.saying in said
