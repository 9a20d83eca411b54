"""The first words to a broker: one that is old, one that means harm, somebody who is none."""

import socket
import struct
import threading
from contextlib import suppress

import pytest
from tests.unit.client.fake_broker import FakeBroker

from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import (
    ConnectionLostError,
    ForeignAnswerError,
    UnansweredError,
    UnreachableError,
    UnservedError,
)
from moldau.client.protocol.questions import API_VERSIONS, DESCRIBE_QUORUM, SPOKEN
from moldau.wire.codec import message_codec
from moldau.wire.layout import message_versions

GOOD = [{"api_key": API_VERSIONS, "min_version": 0, "max_version": 4}]


def greeted(*answers):
    """What is served by somebody who answers one question after the other with these bytes, and then hangs up.

    `{id}` in an answer stands for the correlation id.
    """
    ours, theirs = socket.socketpair()

    def answer():
        with theirs, suppress(OSError, struct.error):
            for said in answers:
                size, _key, _version, correlation_id = struct.unpack(">ihhi", theirs.recv(12, socket.MSG_WAITALL))
                theirs.recv(size - 8, socket.MSG_WAITALL)
                theirs.sendall(said.replace(b"{id}", struct.pack(">i", correlation_id)))

    broker = threading.Thread(target=answer)
    broker.start()
    connection = BrokerConnection(ours, "test")
    try:
        connection.greet("test", "1", timeout_s=30)
        return connection.served
    finally:
        connection.close()
        broker.join()


def framed(body):
    return struct.pack(">i", 4 + len(body)) + b"{id}" + body


@pytest.mark.parametrize(
    "count",
    [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\x07", b"\xfe\x07", b""],
    ids=["four thousand million", "too long a number", "a thousand", "none"],
)
def test_an_answer_that_announces_more_than_it_brings_is_refused(count):
    with pytest.raises(ForeignAnswerError, match="this is no Kafka broker"):
        greeted(framed(struct.pack(">h", 0) + count))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x0a", "it speaks TLS\nhint: security.protocol=ssl"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (b"\x7f\xff\xff\xff", "it announces an answer of 2147483647 bytes"),
        (struct.pack(">i", 2 << 20), "it announces an answer of 2097152 bytes"),
        (struct.pack(">i", -1), "it announces an answer of -1 bytes"),
        (struct.pack(">ii", 6, -7) + b"zz", "its answer belongs to no question of ours"),
        (framed(b"\0"), "it is too short"),
        (framed(struct.pack(">h", 41)), "it answers with the error 41"),
    ],
)
def test_who_is_no_broker_is_told_by_the_first_answer(said, why):
    with pytest.raises(ForeignAnswerError, match=why):
        greeted(said)


def test_who_hangs_up_at_once_may_want_another_protocol():
    with pytest.raises(ConnectionLostError, match=r"connection.*\nhint: .*security\.protocol"):
        greeted()


def test_a_good_answer_is_read():
    body = message_codec(API_VERSIONS, 4, "response").encode({"error_code": 0, "api_keys": GOOD})
    assert [(row.api_key, row.min_version, row.max_version) for row in greeted(framed(body)).api_keys] == [(18, 0, 4)]


@pytest.mark.parametrize("newest", [2, 3])
def test_a_broker_that_is_too_old_for_the_question_is_asked_again_for_its_features(newest):
    rows = [{"api_key": API_VERSIONS, "min_version": 0, "max_version": newest}]
    refusal = message_codec(API_VERSIONS, 0, "response").encode({"error_code": 35, "api_keys": rows})
    features = [{"name": "metadata.version", "min_version_level": 7, "max_version_level": 7}]
    answer = {"error_code": 0, "api_keys": rows, "finalized_features": features}
    served = greeted(framed(refusal), framed(message_codec(API_VERSIONS, 3, "response").encode(answer)))
    # Below version 3 there are no features, so there is no second question.
    assert [one.name for one in getattr(served, "finalized_features", ())] == ["metadata.version"] * (newest == 3)


def test_nobody_and_somebody_who_says_nothing_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"socket.connection.setup.timeout.ms": 100}
        with pytest.raises(UnansweredError, match=r"no answer within 0\.1 s"):
            Brokers({"bootstrap.servers": f"127.0.0.1:{silent.getsockname()[1]}", **settings}).open_any()
    with pytest.raises(UnreachableError, match="cannot connect to 127"):
        Brokers({"bootstrap.servers": "127.0.0.1:1"}).open_any()


def test_an_api_that_a_broker_does_not_serve_is_called_by_its_name():
    with FakeBroker(lambda *_: None, versions={DESCRIBE_QUORUM: (0, -1)}) as broker:
        connection = Brokers({"bootstrap.servers": broker.address}).open_any()
        with pytest.raises(UnservedError, match="does not serve DescribeQuorum"):
            connection.ask(DESCRIBE_QUORUM, lambda _: {}, 30)
        connection.close()


@pytest.mark.parametrize("api_key", SPOKEN)
def test_every_version_that_is_spoken_has_a_question_and_an_answer(api_key):
    oldest, newest = SPOKEN[api_key]
    for direction in ("request", "response"):
        known = message_versions(api_key, direction)
        assert {*range(oldest, newest + 1)} <= {*known}
