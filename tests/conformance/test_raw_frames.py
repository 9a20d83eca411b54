"""Every advertised API in every version as bare frames: well formed, cut short, with hostile lengths, of no version.

The broker may refuse and may close the connection. It may not hang, may not answer something that is not an answer of
that version, and has to serve the next connection as if nothing had been.
"""

from __future__ import annotations

import os
import resource
import struct
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map
from tests.conformance import frames

API_VERSIONS = 18
# These stop working when a stranger calls them with well-formed nonsense, by design.
DISRUPTIVE = {64: "UnregisterBroker would unregister a node", 81: "RemoveRaftVoter would change the quorum"}
# A broker's listener does not serve what controllers say to each other, and what brokers say to them.
FOR_CONTROLLERS = (4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82)
# Told to clients only when somebody wants to hear what they measure.
TELEMETRY = (71, 72)
KEYS = sorted(set(api_key_map) - set(DISRUPTIVE) - set(FOR_CONTROLLERS) - set(TELEMETRY))
every_api = pytest.mark.parametrize("api_key", KEYS, ids=[f"{key}-{api_key_map[key]}" for key in KEYS])
# kio 0.6.5 reads the -1 in these answers as a date and refuses it.
NOT_READABLE = {38, 39, 40}
# Apache Kafka 4.3.1 closes the connection when an ACL has a resource type, an operation or a permission of 0, which
# stands for "unknown"; we say SECURITY_DISABLED to these too.
REFUSED_WITHOUT_A_MEANING = {29, 30, 31}
# Apache Kafka 4.3.1 never answers AddPartitionsToTxn of version 4 and 5 (for brokers) without a transaction in it.
NEVER_ANSWERED_WHEN_EMPTY = {24}
HOSTILE_INT = b"\x7f\xff\xff\xff"
HOSTILE_NEGATIVE = b"\x80\x00\x00\x00"
HOSTILE_VARINT = b"\xff\xff\xff\xff\x07"


@pytest.fixture(scope="module")
def advertised(bootstrap_servers: str) -> dict[int, tuple[int, int]]:
    """API key to lowest and highest version, as ApiVersions says."""
    versions = _api_versions(bootstrap_servers)
    assert len(versions) >= 30
    return versions


def _api_versions(bootstrap_servers: str) -> dict[int, tuple[int, int]]:
    answer = frames.exchange(bootstrap_servers, frames.framed(frames.header(API_VERSIONS, 0)))
    assert answer is not None
    response = frames.parse(API_VERSIONS, 0, answer)
    assert response.error_code is ErrorCode.none
    return {entry.api_key: (entry.min_version, entry.max_version) for entry in response.api_keys}


@pytest.fixture
def versions(api_key: int, advertised: dict[int, tuple[int, int]]) -> list[int]:
    if api_key not in advertised:
        pytest.skip("not advertised by this broker")
    lowest, highest = advertised[api_key]
    return [version for version in range(lowest, highest + 1) if frames.is_known(api_key, version)]


@every_api
@pytest.mark.parametrize(("values", "length"), [(frames.EMPTY, 0), (frames.FILLED, 1)], ids=["empty", "filled"])
def test_a_well_formed_request_gets_an_answer_of_its_version(
    bootstrap_servers: str, api_key: int, versions: list[int], values: dict[str, Any], length: int
):
    if length == 0 and api_key in NEVER_ANSWERED_WHEN_EMPTY:
        pytest.skip("Kafka leaves it unanswered")
    for version in versions:
        request = frames.header(api_key, version) + frames.body(api_key, version, values, length)
        answer = frames.exchange(bootstrap_servers, frames.framed(request))
        # Closing is a refusal too.
        if answer is None or api_key in NOT_READABLE:
            continue
        response = frames.parse(api_key, version, answer)
        assert ErrorCode.unknown_server_error not in list(frames.error_codes(response)), response


@every_api
def test_a_request_that_is_cut_short_costs_its_sender_the_connection(
    bootstrap_servers: str, api_key: int, versions: list[int]
):
    for version in versions:
        start, content = frames.header(api_key, version), frames.body(api_key, version, frames.FILLED, 1)
        whole = start + content
        inside = {len(whole) - 1, len(start) + len(content) // 2, len(start)} if content else set()
        for cut in {*inside, 9, 3}:
            answer = frames.exchange(bootstrap_servers, frames.framed(whole[:cut]), half_close=True)
            assert answer is None, f"version {version} cut at {cut} of {len(whole)} bytes was answered"
    assert _api_versions(bootstrap_servers)


@every_api
def test_bytes_after_a_request_are_ignored(bootstrap_servers: str, api_key: int, versions: list[int]):
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP") and api_key in REFUSED_WITHOUT_A_MEANING:
        pytest.skip("Kafka closes the connection on this request, with and without more bytes")
    for version in versions:
        request = frames.header(api_key, version) + frames.body(api_key, version, frames.FILLED, 1)
        answer = frames.exchange(bootstrap_servers, frames.framed(request + b"\x00\x01garbage"))
        assert answer is not None, f"version {version}"
        if api_key not in NOT_READABLE:
            frames.parse(api_key, version, answer)


@every_api
def test_hostile_lengths_anywhere_in_a_request_are_survived(bootstrap_servers: str, api_key: int, versions: list[int]):
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP"):
        pytest.skip("Apache Kafka 4.3.1 leaves one of these unanswered, and can run out of memory in this sweep")
    for version in {versions[0], versions[-1]}:
        start = frames.header(api_key, version)
        content = frames.body(api_key, version, frames.FILLED, 1)
        for position in range(0, len(content), 1 + len(content) // 40):
            for hostile in (HOSTILE_INT, HOSTILE_NEGATIVE, HOSTILE_VARINT):
                request = start + content[:position] + hostile + content[position + len(hostile) :]
                # Half closed, because a request that became Produce with acks=0 has no answer.
                frames.exchange(bootstrap_servers, frames.framed(request), half_close=True)
    assert _api_versions(bootstrap_servers)


def test_hostile_lengths_cost_no_memory(bootstrap_servers: str, advertised: dict[int, tuple[int, int]]):
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP"):
        pytest.skip("the broker is another process")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for api_key in sorted(set(KEYS) & set(advertised)):
        version = advertised[api_key][1]
        start, content = frames.header(api_key, version), frames.body(api_key, version, frames.FILLED, 1)
        for position in range(0, len(content), 1 + len(content) // 8):
            for hostile in (HOSTILE_INT, HOSTILE_VARINT):
                request = start + content[:position] + hostile + content[position + len(hostile) :]
                frames.exchange(bootstrap_servers, frames.framed(request), half_close=True)
    # One length that is believed is two gigabytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 256 << 10


@every_api
def test_a_version_that_does_not_exist_is_refused(bootstrap_servers: str, api_key: int, versions: list[int]):
    if api_key == API_VERSIONS:
        pytest.skip("ApiVersions is answered in any version; see below")
    for version in {versions[0] - 1, versions[-1] + 1, 99, 32767, -1, -32768}:
        frame = frames.framed(struct.pack(">hhih", api_key, version, 1, -1) + b"\x00\x00")
        assert frames.exchange(bootstrap_servers, frame) is None, "a connection of unknown version is closed"


def test_api_versions_of_an_unknown_version_is_answered_in_version_zero(bootstrap_servers: str):
    frame = frames.framed(struct.pack(">hhih", API_VERSIONS, 99, frames.CORRELATION_ID, -1) + b"\x00")
    answer = frames.exchange(bootstrap_servers, frame)
    assert answer is not None
    response = frames.parse(API_VERSIONS, 0, answer)
    assert response.error_code is ErrorCode.unsupported_version
    assert API_VERSIONS in {entry.api_key for entry in response.api_keys}


def test_telemetry_is_not_offered_while_nobody_listens(advertised: dict[int, tuple[int, int]]):
    assert not set(TELEMETRY) & set(advertised)


@pytest.mark.parametrize("api_key", [-1, *FOR_CONTROLLERS, 999, 32767])
def test_an_api_that_does_not_exist_is_refused(bootstrap_servers: str, api_key: int):
    frame = frames.framed(struct.pack(">hhih", api_key, 0, 1, -1))
    assert frames.exchange(bootstrap_servers, frame) is None


@pytest.mark.parametrize(
    "garbage",
    [
        HOSTILE_INT,
        HOSTILE_NEGATIVE,
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x04\x00\x12\x00\x00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        struct.pack(">ihhih", 14, API_VERSIONS, 0, 1, 32767) + bytes(4),
    ],
    ids=["2-GB", "negative", "zero", "short-header", "http", "tls", "client-id-too-long"],
)
def test_bytes_that_are_no_request_cost_the_sender_its_connection(bootstrap_servers: str, garbage: bytes):
    assert frames.exchange(bootstrap_servers, garbage, half_close=True) is None
    assert _api_versions(bootstrap_servers)


def test_a_frame_that_arrives_byte_by_byte_is_answered(bootstrap_servers: str):
    frame = frames.framed(frames.header(API_VERSIONS, 0))
    with frames.connect(bootstrap_servers) as connection:
        for byte in frame:
            connection.sendall(bytes([byte]))
        assert frames.receive(connection)


def test_pipelined_requests_are_answered_in_order(bootstrap_servers: str):
    numbers = list(range(200))
    with frames.connect(bootstrap_servers) as connection:
        head = struct.Struct(">hhih")
        connection.sendall(b"".join(frames.framed(head.pack(API_VERSIONS, 0, number, -1)) for number in numbers))
        answers = [frames.receive(connection) for _ in numbers]
    assert [struct.unpack_from(">i", answer)[0] for answer in answers if answer is not None] == numbers
