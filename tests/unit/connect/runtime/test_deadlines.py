"""Who waits for whom, from the outside in."""

from __future__ import annotations

from moldau.connect.runtime import deadlines, offset_requests


def test_whoever_waits_for_somebody_else_waits_longer_than_that_one_does():
    user = [deadlines.of_request(None), deadlines.of_passing_on(None)]
    once = [deadlines.of_request(True), deadlines.of_passing_on(True)]
    last = [deadlines.of_request(False), deadlines.WORK_S]
    waits = [*user, *once, *last]
    assert waits == sorted(set(waits), reverse=True)
    worker = [deadlines.ASKED_OF_LEADER_S, deadlines.of_request(False), deadlines.WORK_S]
    assert worker == sorted(set(worker), reverse=True)
    assert offset_requests.TIMEOUT_S <= deadlines.WORK_S
    assert deadlines.WORK_S > 0
