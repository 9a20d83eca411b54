"""The small client of the protocol, before a broker that means harm."""

import socket
import struct
import threading

import pytest

from moldau.cli.outcome import RefusedError
from moldau.cli.protocol import Channel


def answered_with(body):
    """What the channel makes of `body` as the answer to its first question, ApiVersions."""
    ours, theirs = socket.socketpair()

    def answer():
        size, _key, _version, correlation_id = struct.unpack(">ihhi", theirs.recv(12, socket.MSG_WAITALL))
        theirs.recv(size - 8, socket.MSG_WAITALL)
        theirs.sendall(struct.pack(">ii", 4 + len(body), correlation_id) + body)

    broker = threading.Thread(target=answer)
    broker.start()
    try:
        with Channel(ours, timeout_s=30) as channel:
            return channel.api_versions()
    finally:
        broker.join()
        theirs.close()


@pytest.mark.parametrize(
    "count",
    [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\x07", b"\xfe\x07", b""],
    ids=["four thousand million", "too long a number", "a thousand", "none"],
)
def test_an_answer_that_announces_more_than_it_brings_is_refused(count):
    with pytest.raises(RefusedError, match="this is no answer of a Kafka broker"):
        answered_with(struct.pack(">h", 0) + count)


def test_a_good_answer_is_read():
    rows = b"\x02" + struct.pack(">hhh", 18, 0, 4) + b"\0"
    answer = answered_with(struct.pack(">h", 0) + rows + struct.pack(">i", 0) + b"\0")
    assert [(row.api_key, row.min_version, row.max_version) for row in answer.api_keys] == [(18, 0, 4)]
