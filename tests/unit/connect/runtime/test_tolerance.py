"""Tried again, reported, tolerated, or the end."""

import pytest

from moldau.connect.errors import ConnectError, DataError, RetriableError
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.tolerance import Failure, LogReporter, Skipped, Stage, Tolerance, name_of_error


class Reports:
    def __init__(self):
        self.failures = []

    def report(self, failure):
        self.failures.append(failure)

    def flush(self):
        pass

    def close(self):
        pass


class Clock:
    def __init__(self):
        self.now = 0.0
        self.waits = []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


class Flaky:
    def __init__(self, *errors):
        self.errors = list(errors)

    def __call__(self, value):
        if self.errors:
            raise self.errors.pop(0)
        return value


def tolerance(clock=None, **settings):
    clock = clock or Clock()
    return Tolerance(now=clock, wait=clock.wait, **settings)


def call(subject, operation, stage=Stage.TRANSFORMATION):
    return subject.call(operation, "value", original="original", stage=stage, class_name="C")


def test_what_succeeds_is_returned():
    assert call(tolerance(), Flaky()) == "value"


def test_nothing_is_tolerated_unless_it_was_said_so():
    reports = Reports()
    with pytest.raises(ConnectError, match="Tolerance exceeded in error handler") as raised:
        call(tolerance(reporters=[reports]), Flaky(DataError("no")))

    assert isinstance(raised.value.__cause__, DataError)
    assert [(each.stage, each.original, each.class_name) for each in reports.failures] == [
        (Stage.TRANSFORMATION, "original", "C")
    ]


def test_a_tolerated_failure_is_reported_and_the_record_left_out():
    reports = Reports()
    subject = tolerance(tolerate_all=True, reporters=[reports])
    with pytest.raises(Skipped):
        call(subject, Flaky(ValueError("no")))

    assert (len(reports.failures), subject.counts.errors) == (1, 1)


@pytest.mark.parametrize("stage", [Stage.TASK_PUT, Stage.KAFKA_CONSUME, Stage.TASK_POLL])
def test_outside_of_converters_and_transforms_only_what_can_be_retried_is_tolerated(stage):
    subject = tolerance(tolerate_all=True)
    with pytest.raises(ConnectError, match="Unhandled exception"):
        call(subject, Flaky(ValueError("no")), stage)
    with pytest.raises(Skipped):
        call(subject, Flaky(RetriableError("no")), stage)


def test_a_retriable_error_is_tried_again_with_growing_pauses_until_the_time_is_over():
    clock = Clock()
    subject = tolerance(clock, tolerate_all=True, retry_timeout_s=10, retry_delay_max_s=60)
    with pytest.raises(Skipped):
        call(subject, Flaky(*[RetriableError("busy")] * 99))

    assert clock.waits[:4] == pytest.approx([0.3, 0.6, 1.2, 2.4])
    assert clock.now == pytest.approx(10)


def test_it_is_not_tried_again_unless_a_time_was_given():
    clock = Clock()
    with pytest.raises(Skipped):
        call(tolerance(clock, tolerate_all=True), Flaky(RetriableError("busy")))

    assert clock.waits == []


def test_a_retry_that_succeeds_is_no_failure():
    reports = Reports()
    subject = tolerance(retry_timeout_s=-1, reporters=[reports])

    assert call(subject, Flaky(RetriableError("busy"), RetriableError("busy"))) == "value"
    assert (reports.failures, subject.counts.errors) == ([], 0)


def test_a_retry_that_fails_for_good_is_judged_by_its_last_error():
    with pytest.raises(ConnectError) as raised:
        call(tolerance(retry_timeout_s=-1), Flaky(RetriableError("busy"), DataError("no")))

    assert isinstance(raised.value.__cause__, DataError)


def test_a_pause_is_never_longer_than_allowed():
    clock = Clock()
    with pytest.raises(Skipped):
        call(
            tolerance(clock, tolerate_all=True, retry_timeout_s=30, retry_delay_max_s=1),
            Flaky(*[RetriableError("busy")] * 999),
        )

    assert max(clock.waits) <= 1


def test_stopping_ends_the_retries():
    clock = Clock()
    subject = Tolerance(tolerate_all=True, retry_timeout_s=-1, now=clock, wait=lambda _seconds: subject.stop())
    with pytest.raises(Skipped):
        call(subject, Flaky(*[RetriableError("busy")] * 99))


def test_a_log_line_holds_the_record_only_when_that_was_asked_for(caplog):
    failure = Failure("the record", Stage.TRANSFORMATION, "C", DataError("no"))
    LogReporter(TaskId("c", 0), include_messages=False).report(failure)
    assert "the record" not in caplog.text

    LogReporter(TaskId("c", 0), include_messages=True).report(failure)
    assert "the record" in caplog.text
    assert "Executing stage 'TRANSFORMATION' with class 'C'" in caplog.text


def test_errors_of_connect_go_by_their_names_in_kafka():
    assert name_of_error(DataError("x")) == "org.apache.kafka.connect.errors.DataException"
    assert name_of_error(ValueError("x")) == "builtins.ValueError"
