import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tests.cli.conftest import moldau

from moldau.cli.txn import hanging


@pytest.fixture
def open_transaction(servers):
    """(transactional id, topic, producer) of a transaction that has written one record and is open."""
    topic, transactional_id = f"txn-{uuid.uuid4().hex[:8]}", f"pay-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": transactional_id})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    assert producer.flush(30) == 0
    return transactional_id, topic, producer


def asked(servers, *words):
    return moldau("txn", *words, "-o", "json", servers=servers)


def test_transactions_are_listed_by_state_and_pattern(servers, open_transaction):
    transactional_id, _, producer = open_transaction
    (listed,) = asked(servers, "list", "--state", "Ongoing", "--pattern", f"{transactional_id[:6]}.*").json
    assert (listed["transactional_id"], listed["state"]) == (transactional_id, "Ongoing")
    producer.commit_transaction(30)
    assert asked(servers, "list", "--state", "Ongoing", "--pattern", transactional_id).json == []
    assert asked(servers, "list", "--pattern", "nothing-like-it").json == []


def test_an_open_transaction_is_described_with_its_partitions_and_age(servers, open_transaction):
    transactional_id, topic, producer = open_transaction
    (described,) = asked(servers, "describe", transactional_id).json
    assert (described["state"], described["partitions"]) == ("Ongoing", [f"{topic}-0"])
    assert described["open_ms"] >= 0
    producer.abort_transaction(30)
    (described,) = asked(servers, "describe", transactional_id).json
    assert (described["open_ms"], described["partitions"]) == (None, [])


def test_an_id_or_a_state_that_does_not_exist_is_said(servers):
    ended = moldau("txn", "describe", "nobody", servers=servers)
    assert ended.code == 1
    assert "no transactional id" in ended.err
    ended = moldau("txn", "list", "--state", "Open", servers=servers)
    assert ended.code == 2
    assert "no state 'Open'" in ended.err


def test_a_transaction_that_its_coordinator_knows_does_not_hang_and_can_be_aborted_by_force(servers, open_transaction):
    _, topic, _ = open_transaction
    assert asked(servers, "find-hanging", "--topic", topic, "--longer-than-ms", "-1").json == []
    wrong = moldau("txn", "abort", topic, "0", "--start-offset", "7", servers=servers)
    assert wrong.code == 1
    assert "no transaction that began at offset 7" in wrong.err
    (aborted,) = asked(servers, "abort", topic, "0", "--start-offset", "0").json
    assert aborted["outcome"] == "aborted"
    again = moldau("txn", "abort", topic, "0", "--start-offset", "0", servers=servers)
    assert again.code == 1


def test_a_transaction_hangs_when_no_coordinator_knows_of_it_and_it_is_old():
    def held(producer_id, open_ms):
        return {"topic": "orders", "partition": 3, "producer_id": producer_id, "open_ms": open_ms}

    known = {1: {("orders", 3)}, 2: {("orders", 4)}}
    found = hanging([held(1, 5_000), held(2, 5_000), held(3, 5_000), held(4, 10)], known, 1_000)
    assert [each["producer_id"] for each in found] == [2, 3]
