"""What a thread writes under exactly-once, and what becomes of what is refused."""

from __future__ import annotations

import pytest
from tests.fake_producer import FakeRecordProducer, refuse

from moldau.client.membership import Commit, GroupMetadata
from moldau.client.producing import AbortableError, FatalError, ProduceError, UnfinishedError
from moldau.errors import ErrorCode
from moldau.streams.runtime.exception_handlers import Failure, Response
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import FencedInstanceError, ProductionError, TaskMigratedError
from moldau.streams.runtime.transaction_collector import TransactionCollector

MEMBER = GroupMetadata("app", 3, "member")
OFFSETS = {("in", 0): Commit(7)}
MIGRATIONS = (
    FatalError("no", ErrorCode.PRODUCER_FENCED),
    FatalError("no", ErrorCode.INVALID_PRODUCER_EPOCH),
    FatalError("no", ErrorCode.INVALID_TXN_STATE),
    FatalError("no", ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    AbortableError("no", ErrorCode.ILLEGAL_GENERATION),
    AbortableError("no", ErrorCode.UNKNOWN_MEMBER_ID),
    AbortableError("no", ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    AbortableError("no", ErrorCode.TRANSACTION_ABORTABLE),
    AbortableError("no", None),
)
ERRORS = (
    FatalError("no", ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    FatalError("no", None),
    AbortableError("no", ErrorCode.GROUP_AUTHORIZATION_FAILED),
    AbortableError("no", ErrorCode.TOPIC_AUTHORIZATION_FAILED),
    UnfinishedError("no answer"),
)


def collector_of(producer, decision=Response.CONTINUE, *, left_out=None, patience_s=30):
    return TransactionCollector(
        producer,
        handler=lambda failure: decision,
        patience_s=patience_s,
        dead_letters="dead",
        left_out=left_out or LeftOut(),
    )


def emit(collector, value, topic="out"):
    collector.begin()
    collector.emitter(lambda _: topic)("out", b"k", value, 5, (), None, None, None)


def commit(collector):
    collector.flush()
    collector.commit(OFFSETS, MEMBER)


def test_the_first_work_after_a_commit_begins_a_transaction_and_offsets_are_in_it():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    collector.initialise()
    emit(collector, b"a")
    emit(collector, b"b")
    commit(collector)
    # A commit without records is a transaction, too.
    commit(collector)
    emit(collector, b"c")
    assert producer.calls == ["init", "begin", "offsets", "commit", "begin", "offsets", "commit", "begin"]
    assert producer.offsets == [(OFFSETS, MEMBER)] * 2


def test_an_abort_is_of_what_was_begun():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    collector.abort()
    assert producer.calls == []
    emit(collector, b"a")
    collector.abort()
    assert producer.calls == ["begin", "abort"]
    emit(collector, b"b")
    commit(collector)
    assert producer.values_of("out") == [b"b"]


def test_an_abort_that_is_refused_hinders_nobody(caplog):
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    emit(collector, b"a")
    producer.failure = FatalError("fenced", ErrorCode.PRODUCER_FENCED)
    with caplog.at_level("INFO"):
        collector.abort()
    assert "could not be aborted: fenced" in caplog.text


@pytest.mark.parametrize("call", ["initialise", "begin", "serve", "flush", "commit"])
@pytest.mark.parametrize("failure", MIGRATIONS, ids=lambda error: f"{type(error).__name__} {error.code}")
def test_who_is_told_that_another_has_come_or_that_the_transaction_is_spoilt_begins_again(call, failure):
    with pytest.raises(TaskMigratedError):
        failing(call, failure)


@pytest.mark.parametrize("call", ["initialise", "begin", "serve", "flush", "commit"])
@pytest.mark.parametrize("failure", ERRORS, ids=lambda error: f"{type(error).__name__} {error.code}")
def test_what_beginning_again_does_not_help_against_is_an_error(call, failure):
    with pytest.raises(ProductionError, match="no"):
        failing(call, failure)


def failing(call, failure):
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    producer.failure = failure
    getattr(collector, call)(*((OFFSETS, MEMBER) if call == "commit" else ()))


def test_a_commit_that_finds_the_static_member_fenced_is_the_end_of_it():
    class Fenced(FakeRecordProducer):
        def send_offsets_to_transaction(self, *rest):
            raise AbortableError("shop-1", ErrorCode.FENCED_INSTANCE_ID)

    with pytest.raises(FencedInstanceError, match="of its own"):
        collector_of(Fenced()).commit(OFFSETS, MEMBER)


def test_a_record_that_is_refused_is_left_out_when_the_work_is_done_again_and_its_dead_letter_is_written_there():
    producer, left_out = refuse("out"), LeftOut()
    first = collector_of(producer, left_out=left_out)
    emit(first, b"-bad")
    with pytest.raises(TaskMigratedError, match="out refused a record"):
        first.flush()
    assert producer.values_of("dead") == []
    first.abort()
    again = refuse("out")
    second = collector_of(again, left_out=left_out)
    emit(second, b"-bad")
    emit(second, b"good")
    commit(second)
    assert again.values_of("out") == [b"good"]
    assert again.values_of("dead") == [b"-bad"]


def test_a_change_of_a_store_that_is_refused_is_left_out_as_well():
    left_out = LeftOut()
    producer = refuse("log")
    for attempt in range(2):
        collector = collector_of(producer, left_out=left_out)
        write = collector.changelog("log", 0, [])
        collector.begin()
        # The short way is for those whose topic is known.
        write(b"k", b"good", 5)
        write(b"k", b"-bad", 5)
        if not attempt:
            with pytest.raises(TaskMigratedError, match="log refused a record"):
                collector.flush()
            collector.abort()
    commit(collector)
    assert producer.values_of("log") == [b"good"]
    assert producer.values_of("dead") == [b"-bad"]


def test_all_that_are_refused_are_left_out_the_next_time():
    producer, left_out = refuse("out"), LeftOut()
    collector = collector_of(producer, left_out=left_out)
    for value in (b"-a", b"good", b"-b"):
        emit(collector, value)
    with pytest.raises(TaskMigratedError):
        collector.flush()
    assert len(left_out.known) == 2


def attempt(producer, left_out, first, rounds):
    """A session from a position on, until a commit is due or wanted: how many rounds it had, and whether they count."""
    collector, done = collector_of(producer, left_out=left_out), 0
    try:
        while done < rounds and not collector.wants_commit:
            emit(collector, b"%d" % (first + done))
            emit(collector, b"-%d" % (first + done))
            collector.serve()
            done += 1
        commit(collector)
    except TaskMigratedError:
        collector.abort()
        return done, False
    return done, True


def test_what_is_refused_round_after_round_is_left_out_of_one_more_transaction():
    producer, left_out = refuse("out"), LeftOut()
    assert attempt(producer, left_out, 0, 20) == (20, False)
    assert attempt(producer, left_out, 0, 20) == (20, True)
    assert producer.values_of("out") == [b"%d" % number for number in range(20)]
    assert producer.values_of("dead") == [b"-%d" % number for number in range(20)]


def test_however_fast_the_work_is_done_again_it_is_done_twice():
    producer, left_out = refuse("out"), LeftOut()
    position, rounds = 0, []
    for number in range(20):
        # Nobody is asked about what is known, and nothing is sent in halves: each attempt gets further in its time.
        done, is_committed = attempt(producer, left_out, position, 5 + 3 * number)
        rounds.append(done)
        position += done if is_committed else 0
    assert rounds[1::2] == rounds[::2]
    assert producer.values_of("out") == [b"%d" % number for number in range(sum(rounds) // 2)]
    assert left_out.known == {}


def test_what_is_left_out_is_forgotten_with_the_commit_of_the_transaction_that_left_it_out():
    producer, left_out = refuse("out"), LeftOut()

    def attempt(*values):
        collector = collector_of(producer, left_out=left_out)
        for value in values:
            emit(collector, value)
        return collector

    def refused(*values):
        collector = attempt(*values)
        with pytest.raises(TaskMigratedError, match="out refused a record"):
            collector.flush()
        collector.abort()

    refused(b"-a")
    # It was left out here, but that does not count.
    refused(b"-a", b"-b")
    # Another task was faster than the one whose records come again.
    retry = attempt(b"good")
    commit(retry)
    assert len(left_out.known) == 2
    emit(retry, b"-a")
    emit(retry, b"-b")
    commit(retry)
    assert left_out.known == {}
    assert producer.values_of("out") == [b"good"]
    assert producer.values_of("dead") == [b"-a", b"-b"]
    # What is refused may be another by now.
    emit(retry, b"-a")
    with pytest.raises(TaskMigratedError):
        retry.flush()


def test_a_record_that_ends_the_thread_leaves_no_dead_letter_for_it_would_be_aborted():
    producer = refuse("out")
    collector = collector_of(producer, Response.FAIL)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="could not be written to out"):
        collector.flush()
    collector.abort()
    collector.serve()
    assert producer.waiting == []


def test_a_record_that_the_producer_does_not_take_spoils_nothing():
    producer = FakeRecordProducer(bytes_max=10)
    collector = collector_of(producer)
    emit(collector, b"x" * 11)
    commit(collector)
    assert producer.values_of("dead") == [b"x" * 11]
    assert producer.calls[-1] == "commit"


def test_a_sink_may_write_to_the_topic_of_the_dead_letters_too():
    producer, left_out = refuse("dead"), LeftOut()
    first = collector_of(producer, left_out=left_out)
    emit(first, b"-bad", "dead")
    with pytest.raises(TaskMigratedError, match="dead refused a record"):
        first.flush()
    first.abort()
    second = collector_of(producer, left_out=left_out)
    emit(second, b"-bad", "dead")
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        second.flush()


def test_a_dead_letter_of_a_record_in_process_is_in_a_transaction():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    collector.dead_letter(Failure(ValueError("no"), "0_0", "in", 0, 3, b"k", b"v", 5, ()))
    assert producer.calls == ["begin"]
    commit(collector)
    assert producer.values_of("dead") == [b"v"]


def test_a_record_that_a_fenced_producer_does_not_take_is_no_fault_of_the_record():
    class Fenced(FakeRecordProducer):
        def append(self, *rest):
            raise FatalError("fenced", ErrorCode.PRODUCER_FENCED)

    asked = []
    collector = TransactionCollector(Fenced(), handler=asked.append, patience_s=1, left_out=LeftOut())
    emit(collector, b"a")
    with pytest.raises(TaskMigratedError, match="fenced"):
        collector.serve()
    assert asked == []


def test_what_makes_no_sense_is_not_taken_for_a_migration():
    class Confused(FakeRecordProducer):
        def begin_transaction(self):
            raise ProduceError("there is one")

    with pytest.raises(ProductionError, match="there is one"):
        collector_of(Confused()).begin()
