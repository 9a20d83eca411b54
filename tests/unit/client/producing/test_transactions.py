"""Transactions: what is asked when, and what every answer means. Time and answers are driven by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau._core import RecordAccumulator
from moldau.client.membership.requests import Commit, GroupMetadata
from moldau.client.producing.errors import AbortableError, FatalError, ProduceError
from moldau.client.producing.machine import Delivered, ProduceMachine, Refused
from moldau.client.producing.settings import ProduceSettings
from moldau.client.producing.transaction_requests import (
    NOBODY,
    AddOffsets,
    AddPartitions,
    CommitOffsets,
    EndTransaction,
    FindCoordinator,
    Identity,
    InitProducerId,
)
from moldau.client.producing.transactions import Stage, TransactionMachine
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.coordinators import Coordinates
from moldau.errors import ErrorCode

SETTINGS = ProduceSettings(linger_s=0.0, transactional_id="id", transaction_timeout_ms=9000)
MEMBER = GroupMetadata("group", 3, "member", None)
OFFSETS = {("in", 0): Commit(7, "m", 2)}
FIRST, SECOND = 1, 2
PASSES = sorted(code for code in ErrorCode if code.retriable)
SPOILS = (
    ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.TRANSACTION_ABORTABLE,
    ErrorCode.UNKNOWN_MEMBER_ID,
)
ENDS = (
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.PRODUCER_FENCED,
    ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ErrorCode.UNSUPPORTED_VERSION,
)


class Driven:
    """A producer with one topic of two partitions, in one of the two protocols."""

    def __init__(self, version=SECOND, settings=SETTINGS):
        self.version = version
        self.source = RecordAccumulator(1000, 10_000, 10_000, 1 << 20, transactional=True)
        self.transaction = TransactionMachine(settings)
        self.machine = ProduceMachine(settings, self.source, self.transaction)
        self.now = 0.0
        self.number = self.machine.open("t", self.now).number
        parts = [SimpleNamespace(partition_index=number, leader_id=1) for number in range(2)]
        brokers = [SimpleNamespace(node_id=1, host="h", port=1)]
        topics = [SimpleNamespace(name="t", error_code=0, partitions=parts)]
        self.machine.learned(["t"], SimpleNamespace(brokers=brokers, topics=topics), self.now)

    def ready(self):
        self.transaction.initialise()
        self.found()
        self.initialised(self.ask(InitProducerId))
        return self

    def open(self):
        self.ready()
        self.transaction.begin()
        return self

    def ask(self, kind):
        self.now += 2
        request = self.transaction.next(self.now, is_empty=self.machine.is_empty)
        assert isinstance(request, kind), request
        return request

    def asks_nothing(self):
        self.now += 2
        return self.transaction.next(self.now, is_empty=self.machine.is_empty) is None

    def found(self, kind=Coordinates.TRANSACTION, port=1):
        request = self.ask(FindCoordinator)
        assert request.kind is kind
        self.say(request, host="h", port=port, error_message=None)

    def initialised(self, request, producer_id=7, epoch=0):
        self.transaction.greeted(self.version)
        self.say(request, producer_id=producer_id, producer_epoch=epoch)

    def say(self, request, code=ErrorCode.NONE, **fields):
        answer = SimpleNamespace(error_code=int(code), **fields)
        if isinstance(request, AddPartitions):
            parts = [SimpleNamespace(partition_error_code=int(code)) for _ in request.partitions]
            answer = SimpleNamespace(results_by_topic_v3_and_below=[SimpleNamespace(results_by_partition=parts)])
        elif isinstance(request, CommitOffsets):
            answer = SimpleNamespace(topics=[SimpleNamespace(partitions=[answer])])
        self.transaction.answered(request, answer, self.now)

    def lose(self, request):
        self.transaction.failed(request, OSError("gone"), self.now, passes=True)

    def give(self, *values, partition=0):
        for value in values:
            self.source.append(self.number, partition, b"k", value, 5, None, self.now)
        self.machine.look()

    def send(self):
        request = self.machine.next(1, self.now)
        assert request is not None
        return request

    def delivered(self, request, *codes):
        codes = codes or (ErrorCode.NONE,) * len(request.parts)
        rows = [
            SimpleNamespace(index=writing.place[1], error_code=int(code), base_offset=0, error_message=None)
            for (writing, _), code in zip(request.parts, codes, strict=True)
        ]
        answer = SimpleNamespace(responses=[SimpleNamespace(name="t", partition_responses=rows)])
        self.machine.answered(request, answer, self.now)

    def written(self, *values, partition=0):
        """Records that are in the transaction, as the protocol has them there."""
        self.give(*values, partition=partition)
        if self.version == FIRST:
            self.say(self.ask(AddPartitions))
        self.delivered(self.send())

    def ended(self, request, epoch=1):
        self.say(request, producer_id=7 if self.version == SECOND else -1, producer_epoch=epoch)

    def abort(self):
        self.transaction.end(commit=False)
        self.machine.abandon()


def numbers(request, place=0):
    _, one = request.parts[place]
    return (*one.identity, one.sequence)


def test_who_begins_asks_the_coordinator_who_it_is():
    driven = Driven()
    assert driven.asks_nothing()
    driven.transaction.initialise()
    request = driven.ask(FindCoordinator)
    assert (request.kind, request.key) == (Coordinates.TRANSACTION, "id")
    assert driven.transaction.address_of(request) is None
    driven.say(request, host="h", port=4, error_message=None)
    request = driven.ask(InitProducerId)
    assert driven.transaction.address_of(request) == Address("h", 4)
    assert dict(request.values(5)) == {
        "transactional_id": "id",
        "transaction_timeout": 9000,
        "producer_id": -1,
        "producer_epoch": -1,
    }
    driven.initialised(request, 7, 3)
    assert driven.transaction.stage is Stage.READY
    assert driven.transaction.identity == Identity(7, 3)
    assert not driven.machine.may_ask_who_we_are(driven.now)


def test_nothing_begins_before_it_is_known_who_we_are_or_twice():
    driven = Driven()
    with pytest.raises(ProduceError, match="the producer is new"):
        driven.transaction.begin()
    driven.ready()
    driven.transaction.begin()
    with pytest.raises(ProduceError, match="the producer is open"):
        driven.transaction.begin()


def test_in_the_first_protocol_a_partition_is_added_before_anything_is_sent_to_it():
    driven = Driven(FIRST).open()
    driven.give(b"a", partition=0)
    driven.give(b"b", partition=1)
    assert driven.machine.next(1, driven.now) is None
    assert driven.machine.wait_s(1, driven.now) is None
    request = driven.ask(AddPartitions)
    assert request.partitions == (("t", 0), ("t", 1))
    driven.say(request)
    sent = driven.send()
    assert sent.versions[1] == 11
    assert [numbers(sent, place) for place in (0, 1)] == [(7, 0, 0), (7, 0, 0)]
    assert sent.values(SETTINGS)["transactional_id"] == "id"
    driven.delivered(sent)
    # Once is enough.
    driven.give(b"c")
    assert driven.asks_nothing()
    assert numbers(driven.send()) == (7, 0, 1)


def test_in_the_second_protocol_leaders_add_their_partitions():
    driven = Driven().open()
    driven.give(b"a")
    assert driven.asks_nothing()
    sent = driven.send()
    assert sent.versions[0] == 12
    assert numbers(sent) == (7, 0, 0)


def test_in_the_first_protocol_offsets_are_added_and_then_given_to_the_group():
    driven = Driven(FIRST).open()
    driven.transaction.send_offsets(MEMBER, OFFSETS)
    request = driven.ask(AddOffsets)
    assert request.group_id == "group"
    driven.say(request)
    driven.found(Coordinates.GROUP, 5)
    request = driven.ask(CommitOffsets)
    assert driven.transaction.address_of(request) == Address("h", 5)
    assert request.versions == (0, 4)
    assert not driven.transaction.has_sent_offsets
    driven.say(request)
    assert driven.transaction.has_sent_offsets
    values = request.values(4)
    assert {name: values[name] for name in ("generation_id", "member_id", "group_instance_id")} == {
        "generation_id": 3,
        "member_id": "member",
        "group_instance_id": None,
    }
    row = {
        "partition_index": 0,
        "committed_offset": 7,
        "committed_leader_epoch": 2,
        "committed_metadata": "m",
    }
    assert values["topics"] == [{"name": "in", "partitions": [row]}]


def test_in_the_second_protocol_offsets_go_to_the_group_at_once():
    driven = Driven().open()
    driven.transaction.send_offsets(MEMBER, OFFSETS)
    driven.found(Coordinates.GROUP, 5)
    request = driven.ask(CommitOffsets)
    assert request.versions[0] == 5
    driven.say(request)
    driven.transaction.end(commit=True)
    assert driven.ask(EndTransaction).commit


def test_in_the_second_protocol_each_transaction_has_an_epoch_of_its_own():
    driven = Driven().open()
    driven.written(b"a", b"b")
    driven.transaction.end(commit=True)
    request = driven.ask(EndTransaction)
    assert (request.commit, request.identity, request.versions[0]) == (True, (7, 0), 5)
    driven.ended(request, epoch=1)
    assert driven.transaction.stage is Stage.READY
    driven.transaction.begin()
    driven.give(b"c")
    assert numbers(driven.send()) == (7, 1, 0)


def test_in_the_first_protocol_sequences_go_on_from_one_transaction_to_the_next():
    driven = Driven(FIRST).open()
    driven.written(b"a", b"b")
    driven.transaction.end(commit=True)
    request = driven.ask(EndTransaction)
    assert request.versions == (0, 4)
    driven.ended(request)
    driven.transaction.begin()
    driven.give(b"c")
    # It is another transaction: the partition is to be added once more.
    driven.say(driven.ask(AddPartitions))
    assert numbers(driven.send()) == (7, 0, 2)


@pytest.mark.parametrize("version", [FIRST, SECOND])
@pytest.mark.parametrize("commit", [True, False])
def test_of_what_never_began_the_cluster_hears_nothing(version, commit):
    driven = Driven(version).open()
    if commit:
        driven.transaction.end(commit=True)
    else:
        driven.give(b"a")
        driven.abort()
    assert driven.asks_nothing()
    assert driven.transaction.stage is Stage.READY
    assert driven.machine.is_empty


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_an_end_without_an_answer_is_asked_for_until_there_is_one(version):
    driven = Driven(version).open()
    driven.written(b"a")
    driven.transaction.end(commit=True)
    first = driven.ask(EndTransaction)
    driven.lose(first)
    driven.found()
    again = driven.ask(EndTransaction)
    assert again == first
    driven.say(again, ErrorCode.CONCURRENT_TRANSACTIONS)
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.READY


@pytest.mark.parametrize("version", [FIRST, SECOND])
@pytest.mark.parametrize("code", PASSES, ids=lambda code: code.name)
def test_what_passes_is_asked_again(version, code):
    driven = Driven(version)
    driven.transaction.initialise()
    driven.found()
    kinds = [InitProducerId, *([AddPartitions, AddOffsets] if version == FIRST else []), CommitOffsets, EndTransaction]
    for kind in kinds:
        if kind is AddPartitions:
            driven.give(b"a")
        if kind is CommitOffsets:
            driven.found(Coordinates.GROUP)
        request = driven.ask(kind)
        driven.say(request, code, producer_id=-1, producer_epoch=-1)
        moved = {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.REQUEST_TIMED_OUT}
        if code in moved:
            driven.found(Coordinates.GROUP if kind is CommitOffsets else Coordinates.TRANSACTION)
        again = driven.ask(kind)
        assert again == request
        request = again
        if kind is InitProducerId:
            driven.initialised(request)
            driven.transaction.begin()
            if version == SECOND:
                driven.transaction.send_offsets(MEMBER, OFFSETS)
        elif kind is EndTransaction:
            driven.ended(request)
        else:
            driven.say(request)
        if kind is AddPartitions:
            driven.delivered(driven.send())
            driven.transaction.send_offsets(MEMBER, OFFSETS)
        if kind is CommitOffsets:
            driven.transaction.end(commit=True)
    assert driven.transaction.stage is Stage.READY


def test_the_transaction_before_is_waited_for_less_than_anything_else():
    driven = Driven(FIRST).open()
    driven.give(b"a")
    waits = []
    for code in (ErrorCode.CONCURRENT_TRANSACTIONS,) * 8:
        driven.say(driven.ask(AddPartitions), code)
        waits.append(driven.transaction.wait_s(driven.now))
    assert waits == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


@pytest.mark.parametrize("code", SPOILS, ids=lambda code: code.name)
def test_what_the_group_refuses_spoils_the_transaction_and_not_the_producer(code):
    driven = Driven().open()
    driven.written(b"a")
    driven.transaction.send_offsets(MEMBER, OFFSETS)
    driven.found(Coordinates.GROUP)
    driven.say(driven.ask(CommitOffsets), code)
    with pytest.raises(AbortableError, match=code.name) as raised:
        driven.transaction.end(commit=True)
    assert raised.value.code is code
    driven.abort()
    driven.ended(driven.ask(EndTransaction))
    driven.transaction.begin()
    driven.written(b"b")


@pytest.mark.parametrize("code", ENDS, ids=lambda code: code.name)
@pytest.mark.parametrize("kind", [InitProducerId, AddPartitions, AddOffsets, CommitOffsets, EndTransaction])
def test_what_is_fatal_ends_the_producer(kind, code):
    driven = Driven(FIRST)
    driven.transaction.initialise()
    driven.found()
    request = driven.ask(InitProducerId)
    if kind is not InitProducerId:
        driven.initialised(request)
        driven.transaction.begin()
        driven.give(b"a")
        request = driven.ask(AddPartitions)
    if kind in {AddOffsets, CommitOffsets, EndTransaction}:
        driven.say(request)
        driven.delivered(driven.send())
        driven.transaction.send_offsets(MEMBER, OFFSETS)
        request = driven.ask(AddOffsets)
    if kind in {CommitOffsets, EndTransaction}:
        driven.say(request)
        driven.found(Coordinates.GROUP)
        request = driven.ask(CommitOffsets)
    if kind is EndTransaction:
        driven.say(request)
        driven.transaction.end(commit=True)
        request = driven.ask(EndTransaction)
    driven.say(request, code)
    assert driven.machine.failure is driven.transaction.error
    assert driven.transaction.error.code is code
    for call in (
        driven.transaction.begin,
        lambda: driven.transaction.end(commit=False),
        lambda: driven.transaction.send_offsets(MEMBER, OFFSETS),
    ):
        with pytest.raises(FatalError, match=code.name):
            call()
    assert driven.asks_nothing()


def test_a_partition_that_cannot_be_added_is_said_and_not_those_that_were_not_tried():
    driven = Driven(FIRST).open()
    driven.give(b"a", partition=0)
    driven.give(b"b", partition=1)
    request = driven.ask(AddPartitions)
    codes = (ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    parts = [SimpleNamespace(partition_error_code=int(code)) for code in codes]
    answer = SimpleNamespace(results_by_topic_v3_and_below=[SimpleNamespace(results_by_partition=parts)])
    driven.transaction.answered(request, answer, driven.now)
    assert driven.transaction.error.code is ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert isinstance(driven.machine.failure, AbortableError)
    driven.abort()
    assert driven.asks_nothing()
    assert driven.transaction.stage is Stage.READY


def test_partitions_that_were_not_tried_because_one_is_not_there_yet_are_asked_for_again():
    driven = Driven(FIRST).open()
    driven.give(b"a", partition=0)
    driven.give(b"b", partition=1)
    request = driven.ask(AddPartitions)
    codes = (ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    parts = [SimpleNamespace(partition_error_code=int(code)) for code in codes]
    answer = SimpleNamespace(results_by_topic_v3_and_below=[SimpleNamespace(results_by_partition=parts)])
    driven.transaction.answered(request, answer, driven.now)
    assert driven.ask(AddPartitions) == request


@pytest.mark.parametrize("version", [FIRST, SECOND])
@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.TRANSACTION_ABORTABLE,
        ErrorCode.UNKNOWN_PRODUCER_ID,
    ],
    ids=lambda code: code.name,
)
def test_what_a_leader_says_of_the_transaction_stops_it_until_it_is_aborted(version, code):
    driven = Driven(version).open()
    driven.written(b"a")
    driven.give(b"b")
    driven.delivered(driven.send(), code)
    driven.now += 5
    assert driven.machine.next(1, driven.now) is None
    assert driven.machine.wait_s(1, driven.now) is None
    assert isinstance(driven.machine.failure, AbortableError)
    assert [type(one) for one in driven.machine.take_reports()] == [Delivered]
    driven.abort()
    assert driven.machine.is_empty
    driven.ended(driven.ask(EndTransaction))
    if version == FIRST:
        request = driven.ask(InitProducerId)
        assert request.identity == (7, 0)
        driven.initialised(request, 7, 1)
    driven.transaction.begin()
    driven.give(b"c")
    if version == FIRST:
        driven.say(driven.ask(AddPartitions))
    assert numbers(driven.send()) == (7, 1, 0)


@pytest.mark.parametrize("code", [ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.UNSUPPORTED_VERSION])
def test_what_a_leader_says_may_be_fatal(code):
    driven = Driven().open()
    driven.give(b"a")
    driven.delivered(driven.send(), code)
    assert isinstance(driven.machine.failure, FatalError)


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_a_record_that_is_refused_spoils_the_transaction_and_all_that_are_refused_are_told(version):
    driven = Driven(version).open()
    driven.give(b"bad")
    if version == FIRST:
        driven.say(driven.ask(AddPartitions))
    driven.delivered(driven.send(), ErrorCode.INVALID_RECORD)
    driven.give(b"worse", partition=1)
    if version == FIRST:
        driven.say(driven.ask(AddPartitions))
    request = driven.send()
    assert numbers(request) == (7, 0, 0)
    driven.delivered(request, ErrorCode.INVALID_RECORD)
    refused = [one.batch.records()[0][2] for one in driven.machine.take_reports() if isinstance(one, Refused)]
    assert refused == [b"bad", b"worse"]
    assert driven.machine.failure is None
    with pytest.raises(AbortableError, match="INVALID_RECORD"):
        driven.transaction.end(commit=True)
    driven.abort()
    driven.ended(driven.ask(EndTransaction))
    # Nothing was written, so nobody has lost count.
    assert driven.transaction.stage is Stage.READY


def test_an_abort_drops_what_is_here_and_waits_for_what_is_on_its_way():
    driven = Driven(FIRST).open()
    driven.written(b"a")
    driven.give(b"b")
    on_its_way = driven.send()
    driven.give(b"c")
    driven.give(b"d", partition=1)
    driven.abort()
    assert driven.asks_nothing()
    driven.delivered(on_its_way)
    driven.machine.take_reports()
    assert driven.machine.is_empty
    assert driven.source.size_bytes == 0
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.READY
    driven.transaction.begin()
    driven.give(b"e")
    driven.say(driven.ask(AddPartitions))
    assert numbers(driven.send()) == (7, 0, 2)


def test_in_the_first_protocol_a_batch_of_unknown_fate_is_followed_by_the_next_epoch():
    driven = Driven(FIRST).open()
    driven.written(b"a")
    driven.give(b"b")
    on_its_way = driven.send()
    driven.abort()
    driven.machine.failed(on_its_way, OSError("gone"), driven.now, passes=True)
    assert driven.machine.is_empty
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.INITIALISING
    driven.initialised(driven.ask(InitProducerId), 7, 1)
    assert driven.transaction.stage is Stage.READY


def test_in_the_first_protocol_it_may_be_that_there_is_nothing_to_abort():
    driven = Driven(FIRST).open()
    driven.give(b"a")
    driven.lose(driven.ask(AddPartitions))
    driven.abort()
    driven.found()
    driven.say(driven.ask(EndTransaction), ErrorCode.INVALID_TXN_STATE)
    # Should it still arrive, its epoch is an old one.
    request = driven.ask(InitProducerId)
    assert request.identity == (7, 0)
    driven.initialised(request, 7, 1)
    assert driven.transaction.stage is Stage.READY


def test_an_abort_that_cannot_be_is_fatal():
    driven = Driven(FIRST).open()
    driven.written(b"a")
    driven.abort()
    driven.say(driven.ask(EndTransaction), ErrorCode.INVALID_TXN_STATE)
    assert driven.transaction.stage is Stage.ENDED


def test_a_commit_that_the_coordinator_takes_back_is_aborted():
    driven = Driven().open()
    driven.written(b"a")
    driven.transaction.end(commit=True)
    driven.say(driven.ask(EndTransaction), ErrorCode.TRANSACTION_ABORTABLE)
    assert isinstance(driven.transaction.error, AbortableError)
    driven.abort()
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.READY


@pytest.mark.parametrize(("before", "after"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_another_protocol_is_spoken_from_the_next_epoch_on(before, after):
    driven = Driven(before).open()
    driven.written(b"a")
    driven.transaction.greeted(after)
    driven.give(b"b")
    request = driven.send()
    assert numbers(request) == (7, 0, 1)
    driven.delivered(request)
    driven.transaction.end(commit=True)
    driven.ended(driven.ask(EndTransaction))
    driven.version = after
    request = driven.ask(InitProducerId)
    assert request.identity == (7, 0 if before == FIRST else 1)
    driven.initialised(request, 7, 5)
    assert driven.transaction.second_protocol is (after == SECOND)
    driven.transaction.begin()
    driven.written(b"c")


def test_a_producer_id_that_is_used_up_is_followed_by_another():
    driven = Driven().open()
    driven.written(b"a")
    driven.transaction.end(commit=True)
    driven.say(driven.ask(EndTransaction), producer_id=8, producer_epoch=0)
    assert driven.transaction.identity == Identity(8, 0)


def test_who_is_not_trusted_is_told():
    driven = Driven()
    driven.transaction.initialise()
    driven.transaction.failed(driven.ask(FindCoordinator), ValueError("not trusted"), 0.0, passes=False)
    with pytest.raises(FatalError, match="not trusted"):
        driven.transaction.begin()
    assert driven.transaction.identity == NOBODY
