"""Our own producer in transactions, in both protocols of Kafka's, from our node and from Apache Kafka.

What it has committed is read by librdkafka, and what a group has come to is asked for by hand.
"""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from kio.schema.errors import ErrorCode as WireError
from tests.conformance.raw_transactions import RawProducer, committed_offset
from tests.conformance.test_producing import PATIENCE_S, read

from moldau.client.membership import Commit, GroupMetadata
from moldau.client.producing import AbortableError, Delivered, FatalError, RecordProducer, Refused, produce_settings
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.errors import ErrorCode

FENCED = {ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED}


@pytest.fixture(params=["as the cluster speaks", "first protocol"], autouse=True)
def protocol(request, monkeypatch):
    if request.param == "first protocol":
        # As for a cluster whose transaction.version is 1.
        monkeypatch.setattr(BrokerConnection, "feature_level", lambda *_: 1)


@pytest.fixture
def topic(bootstrap_servers):
    name = f"transacted-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 3)])[name].result(PATIENCE_S)
    return name


@pytest.fixture
def made(bootstrap_servers):
    producers = []

    def make(name, **settings):
        native = {"bootstrap.servers": bootstrap_servers, "transactional.id": name, "linger.ms": 5, **settings}
        producer = RecordProducer(Brokers(native), produce_settings(native))
        producers.append(producer)
        producer.init_transactions(PATIENCE_S)
        return producer

    yield make
    for producer in producers:
        producer.close()


def write(producer, topic, *values, partition=-1):
    number = producer.open(topic, PATIENCE_S)
    for value in values:
        producer.append(number, partition, value, value, 5, None)


def test_what_is_committed_is_read_in_order_and_what_is_aborted_never(bootstrap_servers, topic, made):
    producer = made(f"id-{topic}")
    for number in range(60):
        producer.begin_transaction()
        write(producer, topic, *(b"%d-%d" % (number, index) for index in range(5)), partition=number % 3)
        if number % 4 == 3:
            assert producer.flush(PATIENCE_S)
        if number % 4 in {2, 3}:
            producer.abort_transaction(PATIENCE_S)
        else:
            producer.commit_transaction(PATIENCE_S)
    found = read(bootstrap_servers, topic, 150)
    for partition, messages in found.items():
        wanted = [
            b"%d-%d" % (number, index)
            for number in range(partition, 60, 3)
            if number % 4 in {0, 1}
            for index in range(5)
        ]
        assert [message.value() for message in messages] == wanted


def test_offsets_are_committed_with_their_transaction_and_not_without_it(bootstrap_servers, topic, made):
    group = f"group-{topic}"
    producer = made(f"id-{topic}")
    nobody = GroupMetadata(group, -1, "")
    for offset, commit in ((5, True), (7, False), (9, True)):
        producer.begin_transaction()
        write(producer, topic, b"%d" % offset)
        producer.send_offsets_to_transaction({(topic, 0): Commit(offset)}, nobody, PATIENCE_S)
        if commit:
            producer.commit_transaction(PATIENCE_S)
        else:
            producer.abort_transaction(PATIENCE_S)
        raw = RawProducer(bootstrap_servers, None)
        raw.find_group(group)
        wanted = offset if commit else 5
        while (answer := committed_offset(bootstrap_servers, group, topic))[0] is WireError.unstable_offset_commit:
            pass
        assert answer == (WireError.none, wanted)


def test_offsets_alone_are_a_transaction(bootstrap_servers, topic, made):
    group = f"group-{topic}"
    producer = made(f"id-{topic}")
    for offset in (1, 2, 3):
        producer.begin_transaction()
        producer.send_offsets_to_transaction({(topic, 0): Commit(offset)}, GroupMetadata(group, -1, ""), PATIENCE_S)
        producer.commit_transaction(PATIENCE_S)
    while (answer := committed_offset(bootstrap_servers, group, topic))[0] is WireError.unstable_offset_commit:
        pass
    assert answer == (WireError.none, 3)


def test_one_with_the_same_name_fences_and_undoes_what_is_open(bootstrap_servers, topic, made):
    first = made(f"id-{topic}")
    first.begin_transaction()
    write(first, topic, b"lost")
    assert first.flush(PATIENCE_S)
    second = made(f"id-{topic}")
    second.begin_transaction()
    write(second, topic, b"kept")
    second.commit_transaction(PATIENCE_S)
    with pytest.raises(FatalError) as raised:
        first.commit_transaction(PATIENCE_S)
    assert raised.value.code in FENCED
    (messages,) = read(bootstrap_servers, topic, 1).values()
    assert [message.value() for message in messages] == [b"kept"]


def test_one_that_is_fenced_while_it_writes_hears_of_it(topic, made):
    first = made(f"id-{topic}")
    first.begin_transaction()
    write(first, topic, b"a", partition=0)
    assert first.flush(PATIENCE_S)
    made(f"id-{topic}")
    write(first, topic, b"b", partition=0)
    assert not first.flush(PATIENCE_S)
    assert [type(one) for one in first.reports()] == [Delivered]
    with pytest.raises(AbortableError) as raised:
        first.reports()
    assert raised.value.code in {ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_TXN_STATE}
    with pytest.raises(FatalError) as raised:
        first.abort_transaction(PATIENCE_S)
    assert raised.value.code in FENCED


def test_somebody_who_is_no_member_commits_no_offsets_and_goes_on(bootstrap_servers, topic, made):
    producer = made(f"id-{topic}")
    producer.begin_transaction()
    write(producer, topic, b"lost")
    member = GroupMetadata(f"group-{topic}", 4, "somebody")
    with pytest.raises(AbortableError) as raised:
        producer.send_offsets_to_transaction({(topic, 0): Commit(1)}, member, PATIENCE_S)
    assert raised.value.code in {ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID}
    producer.abort_transaction(PATIENCE_S)
    producer.begin_transaction()
    write(producer, topic, b"kept")
    producer.commit_transaction(PATIENCE_S)
    (messages,) = read(bootstrap_servers, topic, 1).values()
    assert [message.value() for message in messages] == [b"kept"]


def test_of_a_transaction_with_a_record_that_is_refused_nothing_is_read(bootstrap_servers, topic, made):
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"max.message.bytes": "1000"})
    admin.alter_configs([resource])[resource].result(PATIENCE_S)
    producer = made(f"id-{topic}")
    producer.begin_transaction()
    write(producer, topic, b"good", b"large" * 1000, b"also good", partition=1)
    with pytest.raises(AbortableError, match=r"MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE"):
        producer.commit_transaction(PATIENCE_S)
    refused = [one for one in producer.reports() if isinstance(one, Refused)]
    assert [record[2] for one in refused for record in one.batch.records()] == [b"large" * 1000]
    producer.abort_transaction(PATIENCE_S)
    producer.begin_transaction()
    write(producer, topic, b"good", b"also good", partition=1)
    producer.commit_transaction(PATIENCE_S)
    assert [message.value() for message in read(bootstrap_servers, topic, 2)[1]] == [b"good", b"also good"]
