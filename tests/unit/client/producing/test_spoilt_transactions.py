"""Transactions that go wrong: which errors end them, which end the producer, and how they are aborted."""

from __future__ import annotations

import pytest
from tests.unit.client.producing.driven import FIRST, MEMBER, OFFSETS, SECOND, InTransactions, numbers

from moldau.client.producing.errors import AbortableError, FatalError
from moldau.client.producing.machine import Delivered, Refused
from moldau.client.producing.transaction_requests import (
    NOBODY,
    AddOffsets,
    AddPartitions,
    CommitOffsets,
    EndTransaction,
    FindCoordinator,
    InitProducerId,
)
from moldau.client.producing.transactions import Stage
from moldau.client.protocol.coordinators import Coordinates
from moldau.errors import ErrorCode

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


@pytest.mark.parametrize("code", SPOILS, ids=lambda code: code.name)
def test_what_the_group_refuses_spoils_the_transaction_and_not_the_producer(code):
    driven = InTransactions().open()
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
    driven = InTransactions(FIRST)
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
    driven = InTransactions(FIRST).open()
    driven.give(b"a", partition=0)
    driven.give(b"b", partition=1)
    request = driven.ask(AddPartitions)
    driven.say_each(request, ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    assert driven.transaction.error.code is ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert isinstance(driven.machine.failure, AbortableError)
    driven.abort()
    assert driven.asks_nothing()
    assert driven.transaction.stage is Stage.READY


def test_partitions_that_were_not_tried_because_one_is_not_there_yet_are_asked_for_again():
    driven = InTransactions(FIRST).open()
    driven.give(b"a", partition=0)
    driven.give(b"b", partition=1)
    request = driven.ask(AddPartitions)
    driven.say_each(request, ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
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
    driven = InTransactions(version).open()
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
    driven = InTransactions().open()
    driven.give(b"a")
    driven.delivered(driven.send(), code)
    assert isinstance(driven.machine.failure, FatalError)


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_a_record_that_is_refused_spoils_the_transaction_and_all_that_are_refused_are_told(version):
    driven = InTransactions(version).open()
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


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_of_a_batch_that_is_refused_when_it_is_sent_again_no_good_record_is_given_up(version):
    driven = InTransactions(version).open()
    driven.give(b"good", b"bad")
    if version == FIRST:
        driven.say(driven.ask(AddPartitions))
    driven.delivered(driven.send(), ErrorCode.NOT_ENOUGH_REPLICAS)
    driven.now += 2
    driven.delivered(driven.send(), ErrorCode.INVALID_RECORD)
    # It may have been written the first time: which record is bad is found out after the abort.
    assert driven.machine.take_reports() == []
    assert driven.transaction.error.code is ErrorCode.INVALID_RECORD
    driven.abort()
    driven.ended(driven.ask(EndTransaction))
    if version == FIRST:
        driven.initialised(driven.ask(InitProducerId), 7, 1)
    assert driven.transaction.stage is Stage.READY


def test_an_abort_drops_what_is_here_and_waits_for_what_is_on_its_way():
    driven = InTransactions(FIRST).open()
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
    driven = InTransactions(FIRST).open()
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
    driven = InTransactions(FIRST).open()
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
    driven = InTransactions(FIRST).open()
    driven.written(b"a")
    driven.abort()
    driven.say(driven.ask(EndTransaction), ErrorCode.INVALID_TXN_STATE)
    assert driven.transaction.stage is Stage.ENDED


def test_where_the_coordinator_is_is_asked_again_with_a_pause_when_that_is_refused():
    driven = InTransactions().open()
    driven.written(b"a")
    driven.abort()
    driven.lose(driven.ask(EndTransaction))
    driven.now += 2
    asked, end = [], driven.now + 10
    while driven.now < end:
        request = driven.transaction.next(driven.now, is_empty=True)
        if request is None:
            driven.now += driven.transaction.wait_s(driven.now)
            continue
        assert isinstance(request, FindCoordinator)
        asked.append(driven.now)
        assert len(asked) < 20
        driven.say(request, ErrorCode.TRANSACTION_ABORTABLE, host="", port=-1, error_message=None)
    assert driven.transaction.stage is Stage.ABORTING
    driven.found()
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.READY


def test_a_commit_that_the_coordinator_takes_back_is_aborted():
    driven = InTransactions().open()
    driven.written(b"a")
    driven.transaction.end(commit=True)
    driven.say(driven.ask(EndTransaction), ErrorCode.TRANSACTION_ABORTABLE)
    assert isinstance(driven.transaction.error, AbortableError)
    driven.abort()
    driven.ended(driven.ask(EndTransaction))
    assert driven.transaction.stage is Stage.READY


def test_who_is_not_trusted_is_told():
    driven = InTransactions()
    driven.transaction.initialise()
    driven.transaction.failed(driven.ask(FindCoordinator), ValueError("not trusted"), 0.0, passes=False)
    with pytest.raises(FatalError, match="not trusted"):
        driven.transaction.begin()
    assert driven.transaction.identity == NOBODY
