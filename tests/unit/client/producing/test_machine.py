"""What is sent to whom, and what every answer means. Time and answers are driven by hand."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from tests.unit.client.producing.driven import SETTINGS, Driven, metadata

from moldau._core import RecordBlock
from moldau.client.producing.machine import EPOCH_MAX, NOWHERE, Delivered, Refused
from moldau.client.producing.settings import ProduceSettings
from moldau.errors import ErrorCode

RETRIED = sorted(code for code in ErrorCode if code.retriable)
SPLIT = (
    ErrorCode.INVALID_RECORD,
    ErrorCode.INVALID_TIMESTAMP,
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE,
)
LOST_COUNT = (
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.UNKNOWN_PRODUCER_ID,
)
GIVEN_UP = sorted(
    {code for code in ErrorCode if not code.retriable}
    - {ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER, *SPLIT, *LOST_COUNT}
)


def sent(request, place=0):
    """Producer, epoch, sequence and values of one batch of a request."""
    _, one = request.parts[place]
    records = request.values(SETTINGS)["topic_data"][0]["partition_data"][place]["records"]
    block = RecordBlock(records, 0, None)
    values = [record[3] for record in block.records(0, len(block))]
    return (*one.identity, one.sequence, values)


def test_nothing_is_sent_before_it_is_known_who_we_are():
    driven = Driven(identity=None)
    driven.give(b"a")
    assert driven.next() is None
    assert driven.machine.may_ask_who_we_are(1.0)
    driven.identify(7, 3)
    assert sent(driven.next()) == (7, 3, 0, [b"a"])


def test_one_that_is_not_idempotent_has_no_numbers():
    driven = Driven(ProduceSettings(idempotent=False, acks=1, linger_s=0.0))
    driven.give(b"a")
    assert sent(driven.next()) == (-1, -1, -1, [b"a"])


def test_one_batch_of_a_partition_is_on_its_way_at_a_time():
    driven = Driven()
    driven.give(b"a")
    first = driven.next()
    driven.give(b"b")
    assert driven.next() is None
    driven.answer(first, 0, offset=4)
    assert driven.reports() == [Delivered("t", 0, 4, 1)]
    assert sent(driven.next()) == (7, 0, 1, [b"b"])


def test_a_batch_waits_for_more_until_it_is_full_or_its_time_has_come_or_all_is_wanted():
    driven = Driven(ProduceSettings(linger_s=1.0), batch_bytes=300)
    driven.give(b"a")
    assert driven.next() is None
    assert driven.machine.wait_s(1, driven.now) == 1.0
    driven.machine.flushing = True
    driven.answer(driven.next(), 0)
    driven.machine.flushing = False
    driven.give(b"b")
    driven.now = 1.0
    driven.answer(driven.next(), 0)
    driven.give(b"c" * 150, b"d" * 150)
    assert sent(driven.next())[3] == [b"c" * 150]


def test_what_is_written_is_no_longer_here():
    driven = Driven()
    driven.give(b"a")
    assert not driven.machine.is_empty
    driven.answer(driven.next(), 0)
    assert driven.machine.is_empty
    assert driven.source.size_bytes == 0


def test_news_of_what_was_sent_already_is_none():
    driven = Driven()
    driven.give(b"a")
    request = driven.next()
    driven.source.append(driven.number, -1, b"k", b"b", 5, None, 0.0)
    driven.answer(request, 0)
    second = driven.next()
    driven.answer(second, 0)
    driven.machine.look()
    assert driven.machine.is_empty


@pytest.mark.parametrize("code", RETRIED, ids=lambda code: code.name)
def test_what_may_pass_is_sent_again_as_it_was(code):
    driven = Driven()
    driven.give(b"a")
    before = driven.next()
    driven.answer(before, code)
    assert driven.next() is None
    driven.learn()
    again = driven.next()
    assert sent(again) == sent(before)
    driven.answer(again, 0)
    assert driven.reports() == [Delivered("t", 0, 10, 1)]


@pytest.mark.parametrize("code", GIVEN_UP, ids=lambda code: code.name)
def test_what_does_not_pass_is_given_up_and_the_next_is_sent(code):
    driven = Driven()
    driven.give(b"a")
    request = driven.next()
    driven.give(b"b")
    driven.answer(request, code)
    (refused,) = driven.reports()
    assert isinstance(refused, Refused)
    assert refused.error.code is code
    assert refused.batch.records() == [(5, b"k", b"a", [])]
    # It may have been written all the same: the next one counts anew.
    assert sent(driven.next()) == (7, 1, 0, [b"b"])


@pytest.mark.parametrize("code", LOST_COUNT, ids=lambda code: code.name)
def test_a_leader_that_has_lost_count_is_begun_anew_with_under_the_next_epoch(code):
    driven = Driven(partitions=2)
    driven.give(b"a", partition=0)
    driven.answer(driven.next(), 0)
    driven.give(b"b", partition=0)
    driven.give(b"x", partition=1)
    request = driven.next()
    assert len(request.parts) == 2
    driven.answer(request, *(code if writing.place[1] == 0 else 6 for writing, _ in request.parts))
    driven.learn(partitions=2)
    again = driven.next()
    found = {writing.place[1]: sent(again, place) for place, (writing, _) in enumerate(again.parts)}
    assert found[0] == (7, 1, 0, [b"b"])
    # What another partition has on its way is still the same.
    assert found[1] == (7, 0, 0, [b"x"])
    driven.answer(again, 0, 0)
    driven.give(b"y", partition=1)
    assert sent(driven.next()) == (7, 1, 0, [b"y"])


def test_after_the_last_epoch_there_is_another_producer():
    driven = Driven(identity=(7, EPOCH_MAX))
    driven.give(b"a")
    driven.answer(driven.next(), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    driven.now += 1
    assert driven.next() is None
    assert driven.machine.may_ask_who_we_are(driven.now)
    driven.identify(8, 0)
    assert sent(driven.next()) == (8, 0, 0, [b"a"])


def test_a_duplicate_is_written_nobody_knows_where():
    driven = Driven()
    driven.give(b"a")
    driven.answer(driven.next(), ErrorCode.DUPLICATE_SEQUENCE_NUMBER)
    assert driven.reports() == [Delivered("t", 0, NOWHERE, 1)]
    driven.give(b"b")
    assert sent(driven.next())[2] == 1


def test_sequences_begin_again_at_zero_behind_the_greatest_one():
    driven = Driven()
    driven.give(b"a")
    request = driven.next()
    (writing, _), *_ = request.parts
    driven.answer(request, 0)
    driven.give(b"b", b"c")
    writing.sequence = 2**31 - 1
    request = driven.next()
    assert sent(request)[2] == 2**31 - 1
    driven.answer(request, 0)
    assert writing.sequence == 1


@pytest.mark.parametrize("code", SPLIT, ids=lambda code: code.name)
def test_of_a_batch_that_is_refused_for_a_record_only_that_record_is_given_up(code):
    driven = Driven()
    values = [b"a", b"b", b"bad", b"c", b"d", b"e"]
    driven.give(*values)
    written, refused = [], []
    for _ in range(20):
        request = driven.next()
        if request is None:
            break
        *_, sequence, found = sent(request)
        if b"bad" in found:
            driven.answer(request, code)
        else:
            assert sequence == len(written)
            written += found
            driven.answer(request, 0)
        refused += [report for report in driven.reports() if isinstance(report, Refused)]
    assert written == [b"a", b"b", b"c", b"d", b"e"]
    assert [one.batch.records() for one in refused] == [[(5, b"k", b"bad", [])]]
    assert driven.machine.is_empty


def test_without_an_answer_the_same_is_sent_again_to_whoever_leads_then():
    driven = Driven()
    driven.give(b"a")
    request = driven.next()
    driven.machine.failed(request, OSError("gone"), driven.now, passes=True)
    assert driven.machine.unknown(driven.now + 1) == ["t"]
    driven.learn(leaders={0: 2})
    assert driven.next(1) is None
    assert sent(driven.next(2)) == sent(request)


def test_what_is_not_written_in_its_time_is_given_up_and_the_next_counts_anew():
    driven = Driven()
    driven.give(b"a")
    request = driven.next()
    driven.now = 101.0
    driven.machine.expire(driven.now)
    assert driven.reports() == []
    driven.machine.failed(request, OSError("gone"), driven.now, passes=True)
    driven.now += 2
    driven.machine.expire(driven.now)
    (refused,) = driven.reports()
    assert refused.error.code is None
    assert "delivery.timeout.ms" in str(refused.error)
    driven.give(b"b")
    driven.learn()
    assert sent(driven.next()) == (7, 1, 0, [b"b"])


def test_what_a_leader_may_have_written_before_it_stepped_down_is_given_up_and_the_next_counts_anew():
    driven = Driven()
    driven.give(b"a")
    driven.answer(driven.next(), ErrorCode.NOT_LEADER_OR_FOLLOWER)
    driven.now = 200.0
    driven.machine.expire(driven.now)
    assert [type(one) for one in driven.reports()] == [Refused]
    driven.give(b"b")
    driven.learn()
    assert sent(driven.next()) == (7, 1, 0, [b"b"])


def test_halves_of_what_a_leader_may_have_written_before_it_stepped_down_count_anew():
    driven = Driven()
    driven.give(b"a", b"b")
    driven.answer(driven.next(), ErrorCode.NOT_LEADER_OR_FOLLOWER)
    driven.learn()
    driven.answer(driven.next(), ErrorCode.MESSAGE_TOO_LARGE)
    assert sent(driven.next()) == (7, 1, 0, [b"a"])


def test_a_broker_that_is_gone_leads_nothing_whichever_topic_was_asked_for():
    driven = Driven()
    other = driven.machine.open("u", driven.now).number
    driven.machine.learned(["u"], metadata(name="u"), driven.now)
    driven.learn(brokers=(2,), leaders={0: 2})
    driven.source.append(other, -1, b"k", b"a", 5, None, driven.now)
    driven.machine.look()
    driven.now += 1
    assert driven.next(1) is None
    assert driven.machine.unknown(driven.now) == ["u"]
    driven.machine.learned(["u"], metadata(name="u", brokers=(2,), leaders={0: 2}), driven.now)
    assert driven.next(2) is not None


def test_a_record_that_comes_while_its_topic_is_refused_is_refused_with_the_others():
    class WhileLooking:
        """Another thread writes as soon as there is nothing."""

        def __init__(self, source, write):
            self._source = source
            self._write = write

        def first(self, topic, partition):
            found = self._source.first(topic, partition)
            if found is None and self._write is not None:
                write, self._write = self._write, None
                write()
            return found

        def __getattr__(self, name):
            return getattr(self._source, name)

    driven = Driven()
    driven.give(b"a")
    source = driven.source
    driven.machine._source = WhileLooking(
        source, lambda: source.append(driven.number, -1, b"k", b"b", 5, None, driven.now)
    )
    driven.machine.learned(["t"], metadata(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, partitions=0), 1.0)
    assert [one.batch.records()[0][2] for one in driven.reports()] == [b"a", b"b"]
    driven.machine.look()
    assert driven.machine.is_empty


def test_what_was_never_sent_is_given_up_without_another_epoch():
    driven = Driven()
    driven.learn(leaders={0: -1})
    driven.give(b"a")
    driven.now = 200.0
    driven.machine.expire(driven.now)
    assert [type(one) for one in driven.reports()] == [Refused]
    driven.give(b"b")
    driven.learn()
    assert sent(driven.next()) == (7, 0, 0, [b"b"])


def test_retries_can_be_limited():
    driven = Driven(ProduceSettings(linger_s=0.0, retries=1))
    driven.give(b"a")
    for _ in range(2):
        driven.answer(driven.next(), ErrorCode.NOT_ENOUGH_REPLICAS)
        driven.now += 2
    assert [type(one) for one in driven.reports()] == [Refused]


def test_waits_grow_up_to_the_greatest():
    driven = Driven()
    driven.give(b"a")
    waits = []
    for _ in range(6):
        driven.answer(driven.next(), ErrorCode.NOT_ENOUGH_REPLICAS)
        waits.append(driven.machine.wait_s(1, driven.now))
        driven.now += waits[-1]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_a_topic_that_stays_missing_is_refused_and_asked_for_once_more_when_somebody_writes_again():
    driven = Driven()
    topic = driven.machine.open("gone", 0.0)
    unknown = metadata(error_code=3, partitions=0, name="gone")
    for now in (0.0, 4.0):
        driven.machine.learned(["gone"], unknown, now)
        assert topic.refusal is None
    driven.machine.learned(["gone"], unknown, 5.0)
    assert topic.refusal.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert "gone" not in driven.machine.unknown(6.0)
    assert driven.machine.open("gone", 6.0) is topic
    assert "gone" in driven.machine.unknown(6.0)
    driven.machine.learned(["gone"], unknown, 6.0)
    assert topic.refusal is not None
    driven.machine.open("gone", 7.0)
    driven.machine.learned(["gone"], metadata(partitions=2, name="gone"), 7.0)
    assert topic.count == 2
    assert topic.refusal is None


@pytest.mark.parametrize("code", [ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_TOPIC_EXCEPTION])
def test_a_topic_that_is_not_for_us_is_refused_at_once(code):
    driven = Driven()
    topic = driven.machine.open("other", 0.0)
    driven.machine.learned(["other"], metadata(error_code=int(code), partitions=0, name="other"), 0.0)
    assert topic.refusal.code is code


def test_the_cluster_may_make_a_topic_that_is_new_and_none_that_was_deleted():
    driven = Driven()
    driven.machine.open("new", 0.0)
    assert driven.machine.together(["t", "new"]) == (["new"], True)
    driven.machine.learned(["new"], metadata(name="new"), 0.0)
    assert driven.machine.together(["t", "new"]) == (["t", "new"], False)
    careful = Driven(ProduceSettings(auto_create=False))
    careful.machine.open("new", 0.0)
    assert careful.machine.together(["t", "new"]) == (["t", "new"], False)


def test_a_topic_that_grows_is_written_to_in_its_new_partitions():
    driven = Driven()
    driven.learn(partitions=4)
    driven.give(*(str(number).encode() for number in range(8)), partition=3)
    assert driven.next().parts[0][0].place == ("t", 3)


def test_what_is_never_forgiven_is_told():
    driven = Driven(identity=None)
    driven.machine.identified(
        SimpleNamespace(error_code=int(ErrorCode.CLUSTER_AUTHORIZATION_FAILED), producer_id=-1, producer_epoch=-1), 0.0
    )
    assert "CLUSTER_AUTHORIZATION_FAILED" in str(driven.machine.failure)


class Partitions:
    """Leaders as Kafka's: they know the last batches of a producer, and who leads may change."""

    def __init__(self, chance, count):
        self.chance = chance
        self.logs = [[] for _ in range(count)]
        self.last = {}
        self.leaders = dict.fromkeys(range(count), 1)

    def produce(self, broker, partition, producer, epoch, sequence, values):
        if self.leaders[partition] != broker:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER, -1
        known_epoch, end, batches = self.last.get((partition, producer), (-1, 0, {}))
        if epoch < known_epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1
        if epoch > known_epoch:
            end, batches = 0, {}
            if sequence:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        if (sequence, len(values)) in batches:
            return ErrorCode.NONE, batches[sequence, len(values)]
        if sequence != end:
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        if any(value.startswith(b"bad") for value in values):
            return ErrorCode.INVALID_RECORD, -1
        offset = len(self.logs[partition])
        self.logs[partition] += values
        kept = {**batches, (sequence, len(values)): offset}
        self.last[partition, producer] = epoch, end + len(values), dict(list(kept.items())[-5:])
        return ErrorCode.NONE, offset


@pytest.mark.parametrize("seed", range(60))
def test_whatever_gets_lost_on_the_way_every_record_is_written_once_and_in_order(seed):
    chance = random.Random(seed)
    driven = Driven(
        ProduceSettings(linger_s=0.5, retry_backoff_s=0.1, delivery_timeout_s=1e9), partitions=3, batch_bytes=400
    )
    cluster = Partitions(chance, 3)
    wanted, bad, told = [[], [], []], set(), []
    flying = []
    number = 0
    for step in range(3000):
        calm = step > 2000
        driven.now += chance.random() / 5
        kind = chance.random()
        if kind < 0.3 and not calm:
            partition = chance.randrange(3)
            value = b"%s%d" % (b"bad" if chance.random() < 0.05 else b"v", number)
            number += 1
            driven.give(value, partition=partition)
            (bad.add if value.startswith(b"bad") else wanted[partition].append)(value)
        elif kind < 0.7:
            for broker in (1, 2):
                if all(one[0] != broker for one in flying) and (request := driven.next(broker)) is not None:
                    flying.append((broker, request))
        elif kind < 0.75 and not calm:
            cluster.leaders[chance.randrange(3)] = chance.choice((1, 2))
        elif kind < 0.85:
            if driven.machine.unknown(driven.now):
                driven.machine.learned(["t"], metadata(leaders=dict(cluster.leaders)), driven.now)
        elif flying:
            broker, request = flying.pop(chance.randrange(len(flying)))
            fate = chance.random()
            if fate < 0.15 and not calm:
                driven.machine.failed(request, OSError("never arrived"), driven.now, passes=True)
                continue
            rows = []
            for place, (writing, _) in enumerate(request.parts):
                code, offset = cluster.produce(broker, writing.place[1], *sent_of(request, place))
                rows.append(
                    SimpleNamespace(
                        index=writing.place[1], error_code=int(code), base_offset=offset, error_message=None
                    )
                )
            if fate < 0.3 and not calm:
                driven.machine.failed(request, OSError("the answer is lost"), driven.now, passes=True)
            else:
                answer = SimpleNamespace(responses=[SimpleNamespace(name="t", partition_responses=rows)])
                driven.machine.answered(request, answer, driven.now)
        told += driven.reports()
    assert driven.machine.is_empty
    assert cluster.logs == wanted
    refused = {record[2] for one in told if isinstance(one, Refused) for record in one.batch.records()}
    assert refused == bad
    assert sum(one.records for one in told if isinstance(one, Delivered)) == sum(map(len, wanted))
    for one in told:
        if isinstance(one, Delivered):
            assert 0 <= one.base_offset <= len(cluster.logs[one.partition]) - one.records
    assert driven.source.size_bytes == 0


def sent_of(request, place):
    """As `sent`, for any number of partitions."""
    _, one = request.parts[place]
    records = one.batch.encode("none", None, *one.identity, one.sequence)
    block = RecordBlock(records, 0, None)
    return (*one.identity, one.sequence, [record[3] for record in block.records(0, len(block))])
