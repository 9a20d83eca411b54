"""Every state, every request, both protocols: what is answered. The tables are KIP-890's and Kafka 4.3's."""

import pytest
from tests.unit.control.transactions.driver import Driver

from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
FENCED = ErrorCode.PRODUCER_FENCED
INVALID = ErrorCode.INVALID_TXN_STATE
BUSY = ErrorCode.CONCURRENT_TRANSACTIONS
MAPPING = ErrorCode.INVALID_PRODUCER_ID_MAPPING


def in_state(state, client_version):
    """A node with a transaction in `state`, and the producer as it is known now."""
    node = Driver().load()
    producer = node.producer()
    if state == "Empty":
        return node, producer
    node.add(producer, client_version=client_version)
    if state != "Ongoing":
        ended = node.end(producer, commit="Commit" in state, client_version=client_version)
        if client_version == 2:
            producer = (ended.producer_id, ended.producer_epoch)
    if state.startswith("Complete"):
        node.write_markers()
    assert node.state == state
    return node, producer


SECOND_PROTOCOL = [
    # state, epoch relative to the current one, commit, abort
    ("Empty", 0, INVALID, OK),
    ("Empty", -1, FENCED, FENCED),
    ("Ongoing", 0, OK, OK),
    ("Ongoing", -1, FENCED, FENCED),
    ("Ongoing", 1, FENCED, FENCED),
    ("PrepareCommit", -1, BUSY, INVALID),
    ("PrepareCommit", 0, FENCED, FENCED),
    ("PrepareAbort", -1, INVALID, BUSY),
    ("PrepareAbort", 0, FENCED, FENCED),
    ("CompleteCommit", -1, OK, INVALID),
    ("CompleteCommit", 0, INVALID, OK),
    ("CompleteCommit", 1, FENCED, FENCED),
    ("CompleteAbort", -1, INVALID, OK),
    ("CompleteAbort", 0, INVALID, OK),
    ("CompleteAbort", 1, FENCED, FENCED),
]


@pytest.mark.parametrize(("state", "relative", "commit", "abort"), SECOND_PROTOCOL)
def test_the_second_protocol_knows_a_retry_by_its_epoch(state, relative, commit, abort):
    for wants_commit, expected in ((True, commit), (False, abort)):
        node, (producer_id, epoch) = in_state(state, 2)
        asked = (producer_id, epoch + relative)
        assert node.end(asked, commit=wants_commit).error is expected, (state, relative, wants_commit)


def test_an_abort_of_nothing_gives_the_next_epoch_without_a_marker():
    for state in ("Empty", "CompleteCommit", "CompleteAbort"):
        node, producer = in_state(state, 2)
        ended = node.end(producer, commit=False)
        assert (ended.producer_id, ended.producer_epoch) == (producer[0], producer[1] + 1)
        assert (node.markers, node.state) == ([], "CompleteAbort")


FIRST_PROTOCOL = [
    ("Empty", INVALID, INVALID),
    ("Ongoing", OK, OK),
    ("PrepareCommit", BUSY, INVALID),
    ("PrepareAbort", INVALID, BUSY),
    ("CompleteCommit", OK, INVALID),
    ("CompleteAbort", INVALID, OK),
]


@pytest.mark.parametrize(("state", "commit", "abort"), FIRST_PROTOCOL)
def test_the_first_protocol_knows_a_retry_by_the_state(state, commit, abort):
    for wants_commit, expected in ((True, commit), (False, abort)):
        node, producer = in_state(state, 0)
        assert node.end(producer, commit=wants_commit, client_version=0).error is expected
        other_epoch = (producer[0], producer[1] + 1)
        assert in_state(state, 0)[0].end(other_epoch, commit=wants_commit, client_version=0).error is FENCED


ADDING = {
    "Empty": OK,
    "Ongoing": OK,
    "PrepareCommit": BUSY,
    "PrepareAbort": BUSY,
    "CompleteCommit": OK,
    "CompleteAbort": OK,
}


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("state", ADDING)
def test_partitions_are_added_unless_a_transaction_is_being_ended(state, version):
    node, producer = in_state(state, version)
    added = {TopicPartition("new", 0)}
    assert node.add(producer, added, version) is ADDING[state]
    assert node.add((99, 0), added, version) is MAPPING
    assert node.add((producer[0], producer[1] + 5), added, version) is FENCED


INITIALISING = {
    "Empty": OK,
    "Ongoing": BUSY,
    "PrepareCommit": BUSY,
    "PrepareAbort": BUSY,
    "CompleteCommit": OK,
    "CompleteAbort": OK,
}


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("state", INITIALISING)
def test_a_new_producer_gets_the_next_epoch_once_nothing_is_open(state, version):
    node, producer = in_state(state, version)
    initialised = node.init()
    assert initialised.error is INITIALISING[state]
    if initialised.error is OK:
        assert (initialised.producer_id, initialised.producer_epoch) == (producer[0], producer[1] + 1)
    node.write_markers()
    assert node.init().error is OK


@pytest.mark.parametrize("state", ADDING)
def test_who_brings_another_producer_id_is_told_so(state):
    for version in (0, 2):
        node, producer = in_state(state, version)
        assert node.end((producer[0] + 1, producer[1]), client_version=version).error is MAPPING


def test_nothing_may_be_done_without_a_transactional_id():
    node = Driver().load()
    assert node.end((1, 0), transactional_id="").error is ErrorCode.INVALID_REQUEST
    assert node.add((1, 0), transactional_id="") is ErrorCode.INVALID_REQUEST
    assert node.init(transactional_id="").error is ErrorCode.INVALID_REQUEST
    assert node.end((1, 0), transactional_id="unknown").error is MAPPING
