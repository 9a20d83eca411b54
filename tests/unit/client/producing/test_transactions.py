"""Transactions: what is asked when, and what comes of the answers. Time and answers are driven by hand."""

from __future__ import annotations

import pytest
from tests.unit.client.producing.driven import FIRST, IN_TRANSACTIONS, MEMBER, OFFSETS, SECOND, InTransactions, numbers

from moldau.client.membership.requests import Commit, GroupMetadata
from moldau.client.producing.errors import ProduceError
from moldau.client.producing.transaction_requests import (
    AddOffsets,
    AddPartitions,
    CommitOffsets,
    EndTransaction,
    FindCoordinator,
    Identity,
    InitProducerId,
)
from moldau.client.producing.transactions import Stage
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.coordinators import Coordinates
from moldau.errors import ErrorCode

PASSES = sorted(code for code in ErrorCode if code.retriable)


def test_who_begins_asks_the_coordinator_who_it_is():
    driven = InTransactions()
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
    driven = InTransactions()
    with pytest.raises(ProduceError, match="the producer is new"):
        driven.transaction.begin()
    driven.ready()
    driven.transaction.begin()
    with pytest.raises(ProduceError, match="the producer is open"):
        driven.transaction.begin()


def test_in_the_first_protocol_a_partition_is_added_before_anything_is_sent_to_it():
    driven = InTransactions(FIRST).open()
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
    assert sent.values(IN_TRANSACTIONS)["transactional_id"] == "id"
    driven.delivered(sent)
    # Once is enough.
    driven.give(b"c")
    assert driven.asks_nothing()
    assert numbers(driven.send()) == (7, 0, 1)


def test_in_the_second_protocol_leaders_add_their_partitions():
    driven = InTransactions().open()
    driven.give(b"a")
    assert driven.asks_nothing()
    sent = driven.send()
    assert sent.versions[0] == 12
    assert numbers(sent) == (7, 0, 0)


def test_in_the_first_protocol_offsets_are_added_and_then_given_to_the_group():
    driven = InTransactions(FIRST).open()
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
    driven = InTransactions().open()
    driven.transaction.send_offsets(MEMBER, OFFSETS)
    driven.found(Coordinates.GROUP, 5)
    request = driven.ask(CommitOffsets)
    assert request.versions[0] == 5
    driven.say(request)
    driven.transaction.end(commit=True)
    assert driven.ask(EndTransaction).commit


def test_offsets_that_are_given_while_others_wait_go_with_them():
    driven = InTransactions().open()
    driven.transaction.send_offsets(MEMBER, {("in", 0): Commit(7), ("in", 1): Commit(5)})
    later = GroupMetadata("group", 4, "member", None)
    driven.transaction.send_offsets(later, {("in", 1): Commit(6), ("in", 2): Commit(1)})
    driven.found(Coordinates.GROUP)
    request = driven.ask(CommitOffsets)
    assert request.group is later
    assert request.offsets == {("in", 0): Commit(7), ("in", 1): Commit(6), ("in", 2): Commit(1)}
    driven.say(request)
    assert driven.transaction.has_sent_offsets


def test_offsets_that_are_given_while_others_are_on_their_way_are_sent_behind_them():
    driven = InTransactions().open()
    driven.transaction.send_offsets(MEMBER, {("in", 0): Commit(7)})
    driven.found(Coordinates.GROUP)
    request = driven.ask(CommitOffsets)
    driven.transaction.send_offsets(MEMBER, {("in", 1): Commit(9)})
    driven.say(request)
    assert not driven.transaction.has_sent_offsets
    request = driven.ask(CommitOffsets)
    assert request.offsets == {("in", 0): Commit(7), ("in", 1): Commit(9)}
    driven.say(request)
    assert driven.transaction.has_sent_offsets


def test_in_the_second_protocol_each_transaction_has_an_epoch_of_its_own():
    driven = InTransactions().open()
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
    driven = InTransactions(FIRST).open()
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
    driven = InTransactions(version).open()
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
    driven = InTransactions(version).open()
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
    driven = InTransactions(version)
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
    driven = InTransactions(FIRST).open()
    driven.give(b"a")
    waits = []
    for code in (ErrorCode.CONCURRENT_TRANSACTIONS,) * 8:
        driven.say(driven.ask(AddPartitions), code)
        waits.append(driven.transaction.wait_s(driven.now))
    assert waits == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


@pytest.mark.parametrize(("before", "after"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_another_protocol_is_spoken_from_the_next_epoch_on(before, after):
    driven = InTransactions(before).open()
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
    driven = InTransactions().open()
    driven.written(b"a")
    driven.transaction.end(commit=True)
    driven.say(driven.ask(EndTransaction), producer_id=8, producer_epoch=0)
    assert driven.transaction.identity == Identity(8, 0)
